"""What raising and lowering a label share."""

from dataclasses import replace
from typing import Annotated

from strongroom.directory import find
from strongroom.directory.state import Directory, Model, Version
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Label, Matches, Record

HIGHEST_IN_TRIAL = 2
Labelled = Annotated[str, Matches("(?:model|version)-[0-9a-f]{32}", "the id of a model or a version")]


class Labelling(Record):
    """A model or version, and the label it is to have: 0 public to 4 critical."""

    target: Labelled
    label: Label


def labelled(directory: Directory, target: str) -> Model | Version:
    """Return the model or version.

    Raises:
        NotFound: there is none.
    """
    return find.model(directory, target) if target.startswith("model-") else find.version(directory, target)


def check_trial(directory: Directory, label: int) -> None:
    """Refuse in a trial what only a real deployment may guard."""
    if directory.trial and label > HIGHEST_IN_TRIAL:
        raise NotAllowed(f"a trial stops at label {HIGHEST_IN_TRIAL}", hint="found a real deployment")


def set_label(directory: Directory, target: str, label: int) -> None:
    """Give `target` the label."""
    if target.startswith("model-"):
        directory.models[target] = replace(directory.models[target], label=label)
    else:
        directory.versions[target] = replace(directory.versions[target], label=label)

"""`label.lower`: a quorum says that a model or version is less sensitive."""

from strongroom.acts import labelling
from strongroom.acts.act import Move
from strongroom.acts.quorum import people_behind
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotAllowed


class LabelLower(labelling.Labelling):
    """See `labelling`."""


def check(directory: Directory, move: Move[LabelLower]) -> None:
    if move.body.label >= labelling.labelled(directory, move.body.target).label:
        raise NotAllowed("this would not lower the label", hint="raise it with `strongroom label raise`")


def target(directory: Directory, by: str, body: LabelLower) -> str:
    return body.target


def apply(directory: Directory, move: Move[LabelLower]) -> None:
    labelling.set_label(directory, move.body.target, move.body.label)


def base(directory: Directory, body: LabelLower) -> object:
    return labelling.labelled(directory, body.target)


def gains(directory: Directory, by: str, body: LabelLower) -> frozenset[str]:
    """Return who may open a version that it concerns: for them, less would stand in the way."""
    concerned = {name for name, one in directory.versions.items() if body.target in {name, one.model}}
    return frozenset().union(
        *(people_behind(directory, one.subject) for one in directory.grants.values() if one.version in concerned)
    )

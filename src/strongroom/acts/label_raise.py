"""`label.raise`: anybody entitled says that a model or version is more sensitive."""

from strongroom.acts import labelling
from strongroom.acts.act import Move
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotAllowed


class LabelRaise(labelling.Labelling):
    """See `labelling`."""


def check(directory: Directory, move: Move[LabelRaise]) -> None:
    if move.body.label <= labelling.labelled(directory, move.body.target).label:
        raise NotAllowed("a label is lowered by a quorum only", hint="propose `label.lower`")
    labelling.check_trial(directory, move.body.label)


def target(directory: Directory, by: str, body: LabelRaise) -> str:
    return body.target


def apply(directory: Directory, move: Move[LabelRaise]) -> None:
    labelling.set_label(directory, move.body.target, move.body.label)

"""`label.raise`: anybody entitled says that a model or version is more sensitive."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts import labelling
from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotAllowed


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRaise(labelling.Labelling):
    """See `labelling`."""


def _check(directory: Directory, move: Move[LabelRaise]) -> None:
    if move.body.label <= labelling.labelled(directory, move.body.target).label:
        raise NotAllowed("a label is lowered by a quorum only", hint="propose `label.lower`")
    labelling.check_trial(directory, move.body.label)


ACT = Act(
    name="label.raise",
    body=LabelRaise,
    principals=("Person",),
    resources=("Model", "Version"),
    effect=Effect.CLOSES,
    signer=Signer.SESSION,
    entry="label.raised",
    help="raise the label of a model or version",
    target=lambda directory, by, body: body.target,
    check=_check,
    apply=lambda directory, move: labelling.set_label(directory, move.body.target, move.body.label),
)

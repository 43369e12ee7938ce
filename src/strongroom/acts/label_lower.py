"""`label.lower`: a quorum says that a model or version is less sensitive."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts import labelling
from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotAllowed


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLower(labelling.Labelling):
    """See `labelling`."""


def _check(directory: Directory, move: Move[LabelLower]) -> None:
    if move.body.label >= labelling.labelled(directory, move.body.target).label:
        raise NotAllowed("this would not lower the label", hint="raise it with `strongroom label raise`")


ACT = Act(
    name="label.lower",
    body=LabelLower,
    principals=("Person",),
    resources=("Model", "Version"),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="label.lowered",
    help="lower the label of a model or version",
    target=lambda directory, by, body: body.target,
    check=_check,
    base=lambda directory, body: labelling.labelled(directory, body.target),
    apply=lambda directory, move: labelling.set_label(directory, move.body.target, move.body.label),
)

"""`freeze`: one responder stops anything: it opens nothing until a quorum thaws it."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts import freezing
from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze(freezing.Freezing):
    """See `freezing`."""


def _check(directory: Directory, move: Move[Freeze]) -> None:
    target = move.body.target
    if freezing.is_frozen(directory, target):
        raise AlreadyDone(f"`{target}` is frozen already")


def _apply(directory: Directory, move: Move[Freeze]) -> None:
    freezing.mark(directory, move.body.target, frozen=True)


ACT = Act(
    name="freeze",
    body=Freeze,
    principals=("Person",),
    resources=freezing.RESOURCES,
    effect=Effect.CLOSES,
    signer=Signer.SESSION,
    entry="frozen",
    help="stop the deployment, a model, person, device, zone or workload at once",
    target=lambda directory, by, body: body.target,
    check=_check,
    keeps_possible=lambda directory, body: ("thaw", body.target) if body.target.startswith("person-") else None,
    apply=_apply,
)

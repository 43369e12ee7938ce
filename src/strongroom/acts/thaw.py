"""`thaw`: a quorum lets something go on. The person concerned has no voice."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts import freezing
from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.acts.quorum import people_behind
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone


@dataclass(frozen=True, slots=True, kw_only=True)
class Thaw(freezing.Freezing):
    """See `freezing`."""


def _check(directory: Directory, move: Move[Thaw]) -> None:
    if not freezing.is_frozen(directory, move.body.target):
        raise AlreadyDone(f"`{move.body.target}` is not frozen")


def _apply(directory: Directory, move: Move[Thaw]) -> None:
    freezing.mark(directory, move.body.target, frozen=False)


ACT = Act(
    name="thaw",
    body=Thaw,
    principals=("Person",),
    resources=freezing.RESOURCES,
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="thawed",
    help="let go on what was frozen",
    target=lambda directory, by, body: body.target,
    check=_check,
    apply=_apply,
    gains=lambda directory, by, body: people_behind(directory, body.target),
)

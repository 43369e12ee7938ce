"""`grant.revoke`: one responder, or whoever has it, ends a grant."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.acts.quorum import people_behind
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import Digest, GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRevoke:
    """Which one, and the salted digest of why."""

    grant: GrantId
    reason: Digest


def _apply(directory: Directory, move: Move[GrantRevoke]) -> None:
    del directory.grants[move.body.grant]


ACT = Act(
    name="grant.revoke",
    body=GrantRevoke,
    principals=("Person",),
    resources=("Version",),
    effect=Effect.CLOSES,
    signer=Signer.SESSION,
    entry="grant.revoked",
    help="end a right to open before its time",
    target=lambda directory, by, body: find.grant(directory, body.grant).version,
    apply=_apply,
    gains=lambda directory, by, body: people_behind(directory, find.grant(directory, body.grant).subject),
)

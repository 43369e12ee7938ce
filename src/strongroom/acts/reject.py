"""`reject`: one person's no. It ends a request for access; of other proposals it is counted only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.acts import voice
from strongroom.acts.act import DAY, Act, Effect, Move, Signer
from strongroom.acts.propose import ANYTHING
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone
from strongroom.terms.records import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(voice.Voice):
    """See `voice`; with the salted digest of the reason."""

    reason: Digest


def _check(directory: Directory, move: Move[Reject]) -> None:
    voice.check(directory, move)
    if move.by in find.proposal(directory, move.body.proposal).rejections:
        raise AlreadyDone("you rejected this already")


def _apply(directory: Directory, move: Move[Reject]) -> None:
    proposal = directory.proposals[move.body.proposal]
    if move.data["ends"]:
        del directory.proposals[proposal.proposal]
        directory.closed[proposal.proposal] = "rejected"
    else:
        rejections = (*proposal.rejections, move.by)
        directory.proposals[proposal.proposal] = replace(proposal, rejections=rejections)


ACT = Act(
    name="reject",
    body=Reject,
    principals=("Person",),
    resources=ANYTHING,
    effect=Effect.EVERYDAY,
    signer=Signer.SECURITY_KEY,
    entry="rejected",
    help="say no to a proposal, with a touch of your security key",
    longest_seconds=30 * DAY,
    paths=("cli", "approval"),
    target=voice.target,
    check=_check,
    apply=_apply,
)
"""Whether it ends the proposal, the change says: see `decide`."""

"""`withdraw`: the proposer takes a proposal back."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.acts.propose import ANYTHING
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import StatementId


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Which proposal."""

    proposal: StatementId


def _check(directory: Directory, move: Move[Withdraw]) -> None:
    if find.proposal(directory, move.body.proposal).by != move.by:
        raise NotAllowed("only the proposer withdraws a proposal", hint="approvers reject it")


def _apply(directory: Directory, move: Move[Withdraw]) -> None:
    del directory.proposals[move.body.proposal]
    directory.closed[move.body.proposal] = "withdrawn"


ACT = Act(
    name="withdraw",
    body=Withdraw,
    principals=("Person",),
    resources=ANYTHING,
    effect=Effect.EVERYDAY,
    signer=Signer.SESSION,
    entry="withdrawn",
    help="take back what you proposed",
    target=lambda directory, by, body: body.proposal,
    check=_check,
    apply=_apply,
)

"""`withdraw`: the proposer takes a proposal back."""

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Record, StatementId


class Withdraw(Record):
    """Which proposal."""

    proposal: StatementId


def check(directory: Directory, move: Move[Withdraw]) -> None:
    if find.proposal(directory, move.body.proposal).by != move.by:
        raise NotAllowed("only the proposer withdraws a proposal", hint="approvers reject it")


def apply(directory: Directory, move: Move[Withdraw]) -> None:
    del directory.proposals[move.body.proposal]
    directory.closed[move.body.proposal] = "withdrawn"


def target(directory: Directory, by: str, body: Withdraw) -> str:
    return body.proposal

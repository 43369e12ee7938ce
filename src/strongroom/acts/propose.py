"""`propose`: ask for a change that takes a quorum. What is signed is the change itself, whole."""

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory, Proposal, made
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Digest, Record, Word

MOST_OPEN = 50
"""By one person."""


class Propose(Record):
    """`act` and `change` are name and body of a row of the table; `base` is the digest of what it changes."""

    act: Word
    change: Json
    purpose: Digest
    base: Digest | None = None


def apply(directory: Directory, move: Move[Propose]) -> None:
    directory.proposals[move.id] = made(
        Proposal,
        move,
        proposal=move.id,
        act=move.body.act,
        body=move.body.change,
        approvals=(),
        rejections=(),
        base=move.body.base,
    )


def check(directory: Directory, move: Move[Propose]) -> None:
    find.check_new(directory.proposals, move.id)
    find.check_new(directory.closed, move.id)
    if sum(one.by == move.by for one in directory.proposals.values()) >= MOST_OPEN:
        raise NotAllowed(f"you have {MOST_OPEN} proposals open", hint="withdraw some: `strongroom withdraw`")

"""`propose`: ask for a change that takes a quorum. What is signed is the change itself, whole."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts.act import DAY, Act, Effect, Move, Signer
from strongroom.directory import find
from strongroom.directory.state import Directory, Proposal
from strongroom.terms.canonical import Json
from strongroom.terms.records import Digest, Word

ANYTHING = ("Deployment", "Person", "Device", "Workload", "Attester", "Zone", "Model", "Version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """`act` and `change` are name and body of a row of the table; `base` is the digest of what it changes."""

    act: Word
    change: Json
    purpose: Digest
    base: Digest | None = None


def _apply(directory: Directory, move: Move[Propose]) -> None:
    directory.proposals[move.id] = Proposal(
        proposal=move.id,
        by=move.by,
        act=move.body.act,
        body=move.body.change,
        digest=move.digest,
        index=move.index,
        at=move.at,
        until=move.until,
        approvals=(),
        rejections=(),
        base=move.body.base,
    )


def _check(directory: Directory, move: Move[Propose]) -> None:
    find.check_new(directory.proposals, move.id)
    find.check_new(directory.closed, move.id)


ACT = Act(
    name="propose",
    body=Propose,
    principals=("Person",),
    resources=ANYTHING,
    effect=Effect.EVERYDAY,
    signer=Signer.SESSION,
    entry="proposed",
    help="ask for a change that others must approve",
    longest_seconds=30 * DAY,
    check=_check,
    apply=_apply,
)
"""`target` and further checks are those of the change: see `decide`."""

"""`role.take`: a quorum takes a role away."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts import assigning
from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.acts.quorum import people_behind
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTake(assigning.Assigning):
    """See `assigning`."""


def _check(directory: Directory, move: Move[RoleTake]) -> None:
    if not any(assigning.is_role(held, move.body) for held in assigning.holder(directory, move.body.subject).roles):
        raise NotFound("this role is not held")


def _apply(directory: Directory, move: Move[RoleTake]) -> None:
    left = [
        held for held in assigning.holder(directory, move.body.subject).roles if not assigning.is_role(held, move.body)
    ]
    assigning.set_roles(directory, move.body.subject, tuple(left))


ACT = Act(
    name="role.take",
    body=RoleTake,
    principals=("Person",),
    resources=("Person", "Workload"),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="role.taken",
    help="take a role away",
    target=lambda directory, by, body: body.subject,
    check=_check,
    apply=_apply,
    gains=lambda directory, by, body: people_behind(directory, body.subject),
    base=lambda directory, body: assigning.holder(directory, body.subject),
    is_sensitive=True,
)

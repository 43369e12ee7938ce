"""`policy.change`: a quorum under the old policies, that would be one under the new ones too, changes them."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory.state import Directory, PolicySource


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """The whole bundle, as it is to be; the quorum that policies read stays or changes with it."""

    policies: tuple[PolicySource, ...]


def _apply(directory: Directory, move: Move[PolicyChange]) -> None:
    directory.policies = move.body.policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What a change of policy is made for."""

    policies: tuple[PolicySource, ...]


ACT = Act(
    name="policy.change",
    body=PolicyChange,
    principals=("Person",),
    resources=("Deployment",),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="policy.changed",
    help="change the policies",
    apply=_apply,
    base=lambda directory, body: Policies(policies=directory.policies),
    is_sensitive=True,
)

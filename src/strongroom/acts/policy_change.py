"""`policy.change`: a quorum under the old policies, that would be one under the new ones too, changes them."""

from strongroom.acts.act import Move
from strongroom.directory.state import Directory, PolicySource
from strongroom.terms.records import Record


class PolicyChange(Record):
    """The whole bundle, as it is to be; the quorum that policies read stays or changes with it."""

    policies: tuple[PolicySource, ...]


def apply(directory: Directory, move: Move[PolicyChange]) -> None:
    directory.policies = move.body.policies


class Policies(Record):
    """What a change of policy is made for."""

    policies: tuple[PolicySource, ...]


def base(directory: Directory, body: PolicyChange) -> object:
    return Policies(policies=directory.policies)

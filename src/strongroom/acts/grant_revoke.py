"""`grant.revoke`: one responder, or whoever has it, ends a grant."""

from strongroom.acts.act import Move
from strongroom.acts.quorum import people_behind
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import Digest, GrantId, Record


class GrantRevoke(Record):
    """Which one, and the salted digest of why."""

    grant: GrantId
    reason: Digest


def apply(directory: Directory, move: Move[GrantRevoke]) -> None:
    del directory.grants[move.body.grant]


def target(directory: Directory, by: str, body: GrantRevoke) -> str:
    return find.grant(directory, body.grant).version


def gains(directory: Directory, by: str, body: GrantRevoke) -> frozenset[str]:
    return people_behind(directory, find.grant(directory, body.grant).subject)

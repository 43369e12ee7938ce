"""`role.take`: a quorum takes a role away."""

from strongroom.acts import assigning
from strongroom.acts.act import Move
from strongroom.acts.quorum import people_behind
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotFound


class RoleTake(assigning.Assigning):
    """See `assigning`."""


def check(directory: Directory, move: Move[RoleTake]) -> None:
    if not any(assigning.is_role(held, move.body) for held in assigning.holder(directory, move.body.subject).roles):
        raise NotFound("this role is not held")


def apply(directory: Directory, move: Move[RoleTake]) -> None:
    left = [
        held for held in assigning.holder(directory, move.body.subject).roles if not assigning.is_role(held, move.body)
    ]
    assigning.set_roles(directory, move.body.subject, tuple(left))


def target(directory: Directory, by: str, body: RoleTake) -> str:
    return body.subject


def gains(directory: Directory, by: str, body: RoleTake) -> frozenset[str]:
    return people_behind(directory, body.subject)


def base(directory: Directory, body: RoleTake) -> object:
    return assigning.holder(directory, body.subject)

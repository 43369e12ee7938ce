"""`role.give`: a quorum gives somebody a role."""

from strongroom.acts import assigning
from strongroom.acts.act import Move
from strongroom.acts.quorum import people_behind
from strongroom.directory import find
from strongroom.directory.state import Directory, Role
from strongroom.terms.errors import AlreadyDone


class RoleGive(assigning.Assigning):
    """See `assigning`."""


def check(directory: Directory, move: Move[RoleGive]) -> None:
    body = move.body
    if body.model is not None:
        find.model(directory, body.model)
    if any(assigning.is_role(held, body) for held in assigning.holder(directory, body.subject).roles):
        raise AlreadyDone("this role is held already")


def apply(directory: Directory, move: Move[RoleGive]) -> None:
    body = move.body
    role = Role(role=body.role, team=body.team, model=body.model, since=move.index)
    assigning.set_roles(directory, body.subject, (*assigning.holder(directory, body.subject).roles, role))


def holder(directory: Directory, body: RoleGive) -> tuple[str, ...]:
    return (*(held.role for held in assigning.holder(directory, body.subject).roles), body.role)


def target(directory: Directory, by: str, body: RoleGive) -> str:
    return body.subject


def gains(directory: Directory, by: str, body: RoleGive) -> frozenset[str]:
    return people_behind(directory, body.subject)


def base(directory: Directory, body: RoleGive) -> object:
    return assigning.holder(directory, body.subject)

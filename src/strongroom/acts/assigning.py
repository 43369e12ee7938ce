"""What giving and taking a role share."""

from dataclasses import replace
from typing import Annotated

from strongroom.directory import find
from strongroom.directory.state import Directory, Person, Role, Workload
from strongroom.terms.records import Matches, ModelId, Record, Word

Holder = Annotated[str, Matches("(?:person|workload)-[0-9a-f]{32}", "the id of a person or a workload")]


class Assigning(Record):
    """A role in a team, for one model or, without `model`, everywhere."""

    subject: Holder
    role: Word
    team: Word
    model: ModelId | None = None


def holder(directory: Directory, subject: str) -> Person | Workload:
    """Return who holds roles under this identifier.

    Raises:
        NotFound: nobody.
    """
    return find.person(directory, subject) if subject.startswith("person-") else find.workload(directory, subject)


def is_role(held: Role, body: Assigning) -> bool:
    """Tell whether `held` is the very one that `body` names."""
    return (held.role, held.team, held.model) == (body.role, body.team, body.model)


def set_roles(directory: Directory, subject: str, roles: tuple[Role, ...]) -> None:
    """Give `subject` these roles, and no others."""
    if subject.startswith("person-"):
        directory.people[subject] = replace(directory.people[subject], roles=roles)
    else:
        directory.workloads[subject] = replace(directory.workloads[subject], roles=roles)

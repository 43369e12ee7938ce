"""`person.remove`: somebody leaves, with all keys, devices, workloads, sessions, roles and grants, for good."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.acts.quorum import people_behind
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRemove:
    """Whom."""

    person: PersonId


def _apply(directory: Directory, move: Move[PersonRemove]) -> None:
    person = move.body.person
    directory.people[person] = replace(directory.people[person], roles=(), removed=True)
    for name, one in directory.credentials.items():
        if one.person == person:
            directory.credentials[name] = replace(one, removed=True)
    for name, device in directory.devices.items():
        if device.person == person:
            directory.devices[name] = replace(device, removed=True)
    for name, workload in directory.workloads.items():
        if workload.sponsor == person:
            directory.workloads[name] = replace(workload, roles=(), removed=True)
    directory.sessions = {name: one for name, one in directory.sessions.items() if one.person != person}
    directory.grants = {
        name: one for name, one in directory.grants.items() if person not in people_behind(directory, one.subject)
    }


ACT = Act(
    name="person.remove",
    body=PersonRemove,
    principals=("Person",),
    resources=("Person",),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="person.removed",
    help="remove a person and all that is theirs",
    target=lambda directory, by, body: find.person(directory, body.person).person,
    apply=_apply,
    gains=lambda directory, by, body: frozenset({body.person}),
    base=lambda directory, body: find.person(directory, body.person),
    is_sensitive=True,
)

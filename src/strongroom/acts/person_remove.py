"""`person.remove`: somebody leaves, with all keys, devices, workloads, sessions, roles and grants, for good."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.acts.quorum import people_behind
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import PersonId, Record


class PersonRemove(Record):
    """Whom."""

    person: PersonId


def apply(directory: Directory, move: Move[PersonRemove]) -> None:
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


def target(directory: Directory, by: str, body: PersonRemove) -> str:
    return find.person(directory, body.person).person


def gains(directory: Directory, by: str, body: PersonRemove) -> frozenset[str]:
    return frozenset({body.person})


def base(directory: Directory, body: PersonRemove) -> object:
    return find.person(directory, body.person)

"""`workload.enrol`: a program with a key of its own, such as a training job, for which a person answers."""

from strongroom.acts.act import Move
from strongroom.acts.enrol import NewKey, check_new_key, take_key
from strongroom.directory import find
from strongroom.directory.state import Directory, Workload, made
from strongroom.terms.records import Digest, PersonId, Record, WorkloadId, ZoneId


class WorkloadEnrol(Record):
    """`details` is the salted digest of its name."""

    workload: WorkloadId
    sponsor: PersonId
    zone: ZoneId
    key: NewKey
    details: Digest


def check(directory: Directory, move: Move[WorkloadEnrol]) -> None:
    find.check_new(directory.workloads, move.body.workload)
    find.person(directory, move.body.sponsor)
    find.zone(directory, move.body.zone)
    check_new_key(directory, move.body.workload, move.body.key)


def apply(directory: Directory, move: Move[WorkloadEnrol]) -> None:
    body = move.body
    directory.workloads[body.workload] = made(
        Workload, body, public_key=body.key.public_key, roles=(), frozen=False, removed=False
    )
    take_key(directory, body.workload, body.key.public_key)


def gains(directory: Directory, by: str, body: WorkloadEnrol) -> frozenset[str]:
    return frozenset({body.sponsor})

"""`workload.remove`: a workload is gone for good, with its roles and grants."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import Record, WorkloadId


class WorkloadRemove(Record):
    """Which one."""

    workload: WorkloadId


def apply(directory: Directory, move: Move[WorkloadRemove]) -> None:
    name = move.body.workload
    directory.workloads[name] = replace(directory.workloads[name], roles=(), removed=True)
    directory.grants = {key: one for key, one in directory.grants.items() if one.subject != name}


def target(directory: Directory, by: str, body: WorkloadRemove) -> str:
    return find.workload(directory, body.workload).workload

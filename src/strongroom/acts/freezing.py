"""What freezing and thawing share: what can be frozen, and how it is marked."""

from dataclasses import replace
from typing import Annotated, Any

from strongroom.acts.act import DEPLOYMENT
from strongroom.directory import find
from strongroom.directory.state import Device, Directory, Model, Person, Workload, Zone
from strongroom.terms.ids import kind_of
from strongroom.terms.records import Digest, Matches, Record

Freezable = Model | Person | Device | Zone | Workload
Target = Annotated[
    str,
    Matches(
        "deployment|(?:model|person|device|zone|workload)-[0-9a-f]{32}", "`deployment`, or an id of what can freeze"
    ),
]


class Freezing(Record):
    """What, and the salted digest of why."""

    target: Target
    reason: Digest


def is_frozen(directory: Directory, target: str) -> bool:
    """Tell whether `target` is frozen.

    Raises:
        NotFound: there is no such thing.
    """
    if target == DEPLOYMENT:
        return directory.frozen
    return _find(directory, target).frozen


def mark(directory: Directory, target: str, *, frozen: bool) -> None:
    """Freeze or thaw `target`."""
    if target == DEPLOYMENT:
        directory.frozen = frozen
        return
    things = _things(directory, target)
    things[target] = replace(things[target], frozen=frozen)


def _find(directory: Directory, target: str) -> Freezable:
    match kind_of(target):
        case "model":
            return find.model(directory, target)
        case "person":
            return find.person(directory, target)
        case "device":
            return find.device(directory, target)
        case "zone":
            return find.zone(directory, target)
        case _:
            return find.workload(directory, target)


def _things(directory: Directory, target: str) -> dict[str, Any]:
    things: dict[str, dict[str, Any]] = {
        "model": directory.models,
        "person": directory.people,
        "device": directory.devices,
        "zone": directory.zones,
        "workload": directory.workloads,
    }
    return things[kind_of(target)]

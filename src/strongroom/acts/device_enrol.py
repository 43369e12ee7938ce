"""`device.enrol`: a machine of somebody's, with a key that does not leave it, in one zone."""

from strongroom.acts.act import Move
from strongroom.acts.enrol import NewKey, check_new_key, take_key
from strongroom.directory import find
from strongroom.directory.state import Device, Directory, made
from strongroom.terms.records import DeviceId, PersonId, Record, ZoneId


class DeviceEnrol(Record):
    """Its key lies in a file, so that policies may tell it from one in a TPM, which comes later."""

    device: DeviceId
    person: PersonId
    zone: ZoneId
    key: NewKey


def check(directory: Directory, move: Move[DeviceEnrol]) -> None:
    find.check_new(directory.devices, move.body.device)
    find.zone(directory, move.body.zone)
    check_new_key(directory, move.body.device, move.body.key)


def apply(directory: Directory, move: Move[DeviceEnrol]) -> None:
    body = move.body
    directory.devices[body.device] = made(
        Device, body, public_key=body.key.public_key, software=True, frozen=False, removed=False
    )
    take_key(directory, body.device, body.key.public_key)


def target(directory: Directory, by: str, body: DeviceEnrol) -> str:
    return find.person(directory, body.person).person


def gains(directory: Directory, by: str, body: DeviceEnrol) -> frozenset[str]:
    return frozenset({body.person})

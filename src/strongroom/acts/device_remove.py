"""`device.remove`: a machine is gone for good, with its sessions and grants."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import DeviceId, Record


class DeviceRemove(Record):
    """Which one."""

    device: DeviceId


def apply(directory: Directory, move: Move[DeviceRemove]) -> None:
    name = move.body.device
    directory.devices[name] = replace(directory.devices[name], removed=True)
    directory.sessions = {key: one for key, one in directory.sessions.items() if one.device != name}
    directory.grants = {key: one for key, one in directory.grants.items() if one.device != name}


def target(directory: Directory, by: str, body: DeviceRemove) -> str:
    return find.device(directory, body.device).device

"""`device.remove`: a machine is gone for good, with its sessions and grants."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRemove:
    """Which one."""

    device: DeviceId


def _apply(directory: Directory, move: Move[DeviceRemove]) -> None:
    name = move.body.device
    directory.devices[name] = replace(directory.devices[name], removed=True)
    directory.sessions = {key: one for key, one in directory.sessions.items() if one.device != name}
    directory.grants = {key: one for key, one in directory.grants.items() if one.device != name}


ACT = Act(
    name="device.remove",
    body=DeviceRemove,
    principals=("Person",),
    resources=("Device",),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="device.removed",
    help="remove a device",
    target=lambda directory, by, body: find.device(directory, body.device).device,
    apply=_apply,
)

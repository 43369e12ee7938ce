"""Client: a deployment and its sealed versions, seen from a person's or a program's machine.

Names are imported when they are first used, so that a command that needs no arrays never loads them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strongroom.client.filesystem import SealedFileSystem as SealedFileSystem
    from strongroom.client.memory import MemoryFile as MemoryFile
    from strongroom.client.memory import MemoryFolder as MemoryFolder
    from strongroom.client.opened import OpenVersion as OpenVersion
    from strongroom.client.opened import open_version as open_version
    from strongroom.client.room import Room as Room
    from strongroom.client.room import connect as connect
    from strongroom.client.snapshots import Snapshots as Snapshots
    from strongroom.client.tensors import TensorSlice as TensorSlice

_HOMES = {
    "MemoryFile": "memory",
    "MemoryFolder": "memory",
    "OpenVersion": "opened",
    "Room": "room",
    "SealedFileSystem": "filesystem",
    "Snapshots": "snapshots",
    "TensorSlice": "tensors",
    "connect": "room",
    "open_version": "opened",
}

__all__ = [
    "MemoryFile",
    "MemoryFolder",
    "OpenVersion",
    "Room",
    "SealedFileSystem",
    "Snapshots",
    "TensorSlice",
    "connect",
    "open_version",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"strongroom.client.{_HOMES[name]}"), name)
    raise AttributeError(f"module `strongroom.client` has no attribute `{name}`")

"""Client: sealed versions in a store, seen from the machine that holds an identity.

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
    from strongroom.client.tensors import TensorSlice as TensorSlice

_HOMES = {
    "MemoryFile": "memory",
    "MemoryFolder": "memory",
    "OpenVersion": "opened",
    "SealedFileSystem": "filesystem",
    "TensorSlice": "tensors",
    "open_version": "opened",
}

__all__ = ["MemoryFile", "MemoryFolder", "OpenVersion", "SealedFileSystem", "TensorSlice", "open_version"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"strongroom.client.{_HOMES[name]}"), name)
    raise AttributeError(f"module `strongroom.client` has no attribute `{name}`")

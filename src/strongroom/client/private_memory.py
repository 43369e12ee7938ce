"""Private memory: where the files of a version that is open lie for a program that wants a folder.

A file system of its own, in memory, that this process and its children alone have mounted, where the kernel lets us
make one: real files, kept out of swap where the kernel can (6.4), gone with the last of these processes however they
end. Otherwise a folder in `/dev/shm` with links to this process's own memory (`memory`): what they lead to is gone with
this process, and the links, whose names are secret too, are removed as `watched` does it.

TRUST: as `memory` has it: root, and processes of the same user, can look into either.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from strongroom.client.extract import extract_version
from strongroom.client.memory import MemoryFolder
from strongroom.client.version import SealedVersion
from strongroom.client.watched import watched_folder
from strongroom.terms.errors import StoreUnavailable

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
_MNT_DETACH = 0x2
_MODEL = "model"


class PrivateMemory:
    """A place to open one version to. Made by `private_memory` before the process has threads or children."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder, self.is_mounted = folder, is_mounted
        self._links: MemoryFolder | None = None

    def open(self, version: SealedVersion) -> str:
        """Open all files of `version` there, and return the folder that holds them.

        Raises:
            NoSpace, NoMemory: they do not fit. LeaseEnded, ObjectTampered, …: as for any reading.
        """
        if self.is_mounted:
            extract_version(version, self.folder / _MODEL)
            return str(self.folder / _MODEL)
        self._links = MemoryFolder(version, list(version.files), place=self.folder)
        return self._links.path

    def close(self) -> None:
        """Take away what is there."""
        if self._links is not None:
            self._links.close()
        shutil.rmtree(self.folder / _MODEL, ignore_errors=True)


@contextmanager
def private_memory(mount_point: Path, *, mount: bool = True) -> Iterator[PrivateMemory]:
    """Give a place in memory, and take it away afterwards. `mount_point` is an empty folder of ours alone.

    Without `mount`, or without the right to it, it is a folder in `/dev/shm`. To be called in the main thread, for
    what is mounted is this thread's and that of what it starts.
    """
    with ExitStack() as undo:
        if mount and _may_mount():
            undo.callback(_mount(mount_point))
            place = PrivateMemory(mount_point, is_mounted=True)
        else:
            place = PrivateMemory(undo.enter_context(watched_folder()), is_mounted=False)
        undo.callback(place.close)
        yield place


def _mount(mount_point: Path) -> Callable[[], object]:
    """Mount memory there, for this process and its children; return what takes it away."""
    libc = ctypes.CDLL(None, use_errno=True)
    where, options = os.fsencode(mount_point), b"mode=0700,size=100%"
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    # Nothing that is mounted here shows anywhere else. Kernels before 6.4 do not know `noswap`.
    if libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) != 0 or (
        libc.mount(b"strongroom", where, b"tmpfs", flags, options + b",noswap") != 0
        and libc.mount(b"strongroom", where, b"tmpfs", flags, options) != 0
    ):
        raise StoreUnavailable(f"no memory can be mounted at `{mount_point}`: {os.strerror(ctypes.get_errno())}")
    return lambda: libc.umount2(where, _MNT_DETACH)


def _may_mount() -> bool:
    """Leave the mounts of everybody else, if the kernel lets us."""
    return bool(ctypes.CDLL(None).unshare(_CLONE_NEWNS) == 0)

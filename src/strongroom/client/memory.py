"""Memory: opened files under a path, for libraries that insist on one. No plaintext is written to any disk.

A file becomes a sealed memfd: memory of the kernel's behind a descriptor, which nobody can change any more, this
process included. It is gone when it is closed or the process ends, however that comes about.

TRUST: root, and processes of the same user that may read this one's memory, can read it there too. The kernel may
swap it out, as it may any memory: on a machine with swap, encrypt the swap or turn it off.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from strongroom.client.threads import Buffers, run_jobs
from strongroom.client.version import SealedVersion, Wanted
from strongroom.terms.errors import StoreUnavailable
from strongroom.terms.outer_errors import NoMemory

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - held against the kernel's word, and only for a folder of our own
_TMPFS, _RAMFS = 0x01021994, 0x858458F6
_MFD_NOEXEC_SEAL = 0x0008
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class _Held:
    """What holds memory until it is closed, its `with` block ends, or the interpreter does."""

    path: str
    _release: weakref.finalize[..., Any]

    def __fspath__(self) -> str:
        return self.path

    def __enter__(self) -> str:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back, as soon as nobody has it open or mapped any more. Closing twice is nothing new."""
        self._release()


class MemoryFile(_Held):
    """One file of a version at `path` (`/proc/self/fd/N`), in this process and those it forks."""

    def __init__(self, version: SealedVersion, path: str) -> None:
        descriptors = _open_in_memory(version, [path])
        self.path = f"/proc/self/fd/{descriptors[0]}"
        self._release = weakref.finalize(self, _close, os.getpid(), None, descriptors)

    def __repr__(self) -> str:
        return f"MemoryFile({self.path})"


class MemoryFolder(_Held):
    """Files of a version in a folder at `path` that only this user can enter: symlinks to memory.

    The folder itself is on a file system in memory as well, for names are secret too. A kill leaves it behind with
    links that lead nowhere.
    """

    def __init__(self, version: SealedVersion, paths: Sequence[str], *, place: Path = IN_MEMORY) -> None:
        # ORDER: the folder first, so that nothing is decrypted for a place that is refused.
        folder = make_memory_folder(place)
        self.path = str(folder)
        try:
            descriptors = _open_in_memory(version, paths)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._release = weakref.finalize(self, _close, os.getpid(), folder, descriptors)
        try:
            _link(folder, dict(zip(paths, descriptors, strict=True)))
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"MemoryFolder({self.path})"


def make_memory_folder(place: Path) -> Path:
    """Make a folder in `place` that only this user can enter.

    Raises:
        NoMemory: `place` is not in memory, by the kernel's own account.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"strongroom-{os.getpid()}-", dir=place))
    except OSError as error:
        raise StoreUnavailable(f"no folder can be made in `{place}`: {error.strerror}") from error
    if not is_in_memory(folder):
        folder.rmdir()
        raise NoMemory(
            f"`{place}` is not in memory, and plaintext goes to no disk",
            hint=f"mount a tmpfs at `{IN_MEMORY}`, or read the files with `open` or `as_path`",
        )
    return folder


def _link(folder: Path, descriptors: Mapping[str, int]) -> None:
    """Make a symlink to each descriptor's memory."""
    with _translated():
        # The process's number as /proc has it, which in a container need not be ours.
        process = os.readlink("/proc/self")
        for path, descriptor in descriptors.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(f"/proc/{process}/fd/{descriptor}")


def is_in_memory(folder: Path) -> bool:
    """Tell whether the file system that holds `folder` is one in memory, by the kernel's own account.

    Raises:
        StoreUnavailable: there is no such folder, or none to look at.
    """
    status = (ctypes.c_ulong * 32)()
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(folder), ctypes.byref(status)) != 0:
        raise StoreUnavailable(f"`{folder}`: {os.strerror(ctypes.get_errno())}")
    return status[0] in (_TMPFS, _RAMFS)  # the first field is the file system's magic number


def _open_in_memory(version: SealedVersion, paths: Sequence[str]) -> list[int]:
    """Return a sealed descriptor for each file, all decrypted side by side."""
    with contextlib.ExitStack() as undo, _translated():
        descriptors: dict[str, int] = {}
        for path in paths:
            descriptors[path] = _create()
            undo.callback(os.close, descriptors[path])
        _decrypt_into(version, descriptors)
        for descriptor in descriptors.values():
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        undo.pop_all()
    return list(descriptors.values())


def _create() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return _readable_only(os.memfd_create("strongroom", flags | _MFD_NOEXEC_SEAL))
    except OSError as error:
        if error.errno != errno.EINVAL:  # a kernel before 6.3
            raise
        return _readable_only(os.memfd_create("strongroom", flags))


def _readable_only(descriptor: int) -> int:
    os.fchmod(descriptor, 0o400)
    return descriptor


def _decrypt_into(version: SealedVersion, descriptors: Mapping[str, int]) -> None:
    """Write every file to its descriptor, runs of segments side by side.

    Not through a mapping: a full machine then gives an error rather than a signal, and it takes half the time.
    """
    segment = version.manifest.public.parameters
    run_bytes = segment.plaintext_bytes * max(1, version.store.read_size_bytes // segment.segment_bytes)

    def write(job: tuple[str, int, int], buffers: Buffers) -> None:
        path, offset, size_bytes = job
        plain = buffers.get("plain", size_bytes)
        version.read_into([Wanted(path=path, offset=offset, into=plain)], stopped=buffers.stopped)
        while len(plain):
            count = os.pwrite(descriptors[path], plain, offset)
            plain, offset = plain[count:], offset + count

    jobs = [
        (path, offset, min(run_bytes, version.file(path).size_bytes - offset))
        for path in descriptors
        for offset in range(0, version.file(path).size_bytes, run_bytes)
    ]
    run_jobs(jobs, write, threads=min(version.threads, len(jobs)))


def _close(process: int, folder: Path | None, descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    # A forked child has descriptors of its own, but the folder is its parent's.
    if folder is not None and process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the kernel's errors into ours."""
    try:
        yield
    except OSError as error:
        raise NoMemory(
            f"no file in memory: {(error.strerror or str(error)).lower()}",
            hint="choose fewer files, or raise the limit (`ulimit -n`, or the memory of the container)",
        ) from error

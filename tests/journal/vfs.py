"""A disk that breaks when it is told to: under SQLite as a VFS, under the high-water file as a `Disk`.

Every write, sync, truncation and removal is one point. Bytes go to real files at once, as they go to the page cache of
a kernel, and what has not been synced is remembered, so that the power can be lost: then any of it may be missing, in
pieces of a sector, and a file whose folder was not synced may be missing altogether.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import apsw

from strongroom.journal.highwater import Disk

SECTOR = 64
"""Smaller than any real one, so that a checkpoint in its slot can tear as well."""
_names = itertools.count()


class Fault(Enum):
    """What happens at the point."""

    EIO = "fails and does not happen"
    EIO_BUT_PRESENT = "fails and happens all the same"
    ENOSPC = "the disk is full: only the beginning is written"
    KILLED_BEFORE = "the process is killed before"
    KILLED_AFTER = "the process is killed after"
    LIES = "from here on a sync does nothing and says that all is well"


class Killed(BaseException):
    """The process is no more. Nothing that it still seems to do has any effect."""


@dataclass(frozen=True, slots=True)
class Write:
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    size: int


@dataclass(slots=True)
class File:
    """A file: what is surely on the disk, and what has been done to it since."""

    durable: bytes
    is_named: bool
    pending: list[Write | Truncate] = field(default_factory=list)
    is_removed: bool = False
    is_stuck: bool = False
    """A sync of it has failed: the kernel forgets what was to be written, and later syncs say that all is well."""


class FaultyDisk(Disk):
    """All files below `root`, which are taken to be durable as they are. `points` says what was done, in order."""

    def __init__(self, root: Path, *, at: int = -1, fault: Fault = Fault.EIO) -> None:
        self.points: list[str] = []
        self.vfs = f"faulty-{next(_names)}"
        self._at, self._fault = at, fault
        self._is_dead = self._lies = False
        self._files = {path: File(path.read_bytes(), is_named=True) for path in root.rglob("*") if path.is_file()}

    @contextlib.contextmanager
    def registered(self) -> Iterator[None]:
        """Make SQLite know this disk by the name `vfs`."""
        vfs = _Vfs(self)
        try:
            yield
        finally:
            vfs.unregister()

    # --- the high-water file -----------------------------------------------------------------------

    def pwrite(self, file: int, data: bytes, offset: int) -> int:
        path = Path(os.readlink(f"/proc/self/fd/{file}"))

        def write(part: bytes) -> int:
            return os.pwrite(file, part, offset)

        self.write(path, data, offset, write, _os_error)
        return len(data)

    def sync(self, file: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        self.point("sync", path, lambda: self._synced(path), lambda: None, _os_error)

    # --- both ------------------------------------------------------------------------------------

    def point(
        self,
        what: str,
        path: Path,
        effect: Callable[[], object],
        part: Callable[[], object],
        error: Callable[[int], Exception],
    ) -> None:
        """Do `effect`, unless it is this point's turn to break; `part` is what a full disk leaves of it."""
        if self._is_dead:
            raise Killed
        self.points.append(f"{what} {path.name}")
        if len(self.points) - 1 != self._at:
            effect()
            return
        match self._fault:
            case Fault.EIO:
                if what == "sync" and path.is_file():
                    self.file(path).is_stuck = True
                raise error(errno.EIO)
            case Fault.EIO_BUT_PRESENT:
                effect()
                raise error(errno.EIO)
            case Fault.ENOSPC:
                part()
                raise error(errno.ENOSPC)
            case Fault.KILLED_BEFORE:
                # a write that had begun may be on the disk in parts, should the power go as well
                if what == "write":
                    part()
                self._is_dead = True
                raise Killed
            case Fault.KILLED_AFTER:
                effect()
                self._is_dead = True
                raise Killed
            case Fault.LIES:
                self._lies = True
                effect()

    def write(
        self,
        path: Path,
        data: bytes,
        offset: int,
        write: Callable[[bytes], object],
        error: Callable[[int], Exception],
    ) -> None:
        def effect(part: bytes) -> None:
            self.file(path).pending.append(Write(offset, part))
            write(part)

        self.point("write", path, lambda: effect(data), lambda: effect(data[: len(data) // 50 + 1]), error)

    def file(self, path: Path) -> File:
        return self._files.setdefault(path, File(b"", is_named=False))

    def removed(self, path: Path, *, synced: bool) -> None:
        if synced:
            self._files.pop(path, None)
        else:
            self.file(path).is_removed = True

    def opened(self, path: Path) -> None:
        """A file that was removed and is made again is a new one."""
        if path in self._files and self._files[path].is_removed and not path.exists():
            del self._files[path]

    def _synced(self, path: Path) -> None:
        if self._lies:
            return
        if path.is_dir():
            for name, file in self._files.items():
                file.is_named |= name.parent == path
            for name in [name for name, file in self._files.items() if file.is_removed and name.parent == path]:
                del self._files[name]
            return
        file = self.file(path)
        if file.is_stuck:
            return
        content = bytearray(file.durable)
        for change in file.pending:
            _apply(content, change, lambda: True)
        file.durable = bytes(content)
        file.pending.clear()

    def lose_power(self, survives: Callable[[], bool]) -> None:
        """Leave on the disk what is durable, and of the rest whatever `survives`, asked for each sector."""
        for path, file in self._files.items():
            if not (file.is_named or survives()):
                path.unlink(missing_ok=True)
                continue
            if file.is_removed and survives():
                continue
            content = bytearray(file.durable)
            for change in file.pending:
                _apply(content, change, survives)
            path.write_bytes(content)
            path.chmod(0o600)


class _Vfs(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        super().__init__(disk.vfs, "")
        self._disk = disk

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  (SQLite's)
        return _VfsFile(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        path = Path(filename)

        def remove() -> None:
            apsw.VFS.xDelete(self, filename, syncdir)
            self._disk.removed(path, synced=syncdir)

        self._disk.point("remove", path, remove, lambda: None, _sqlite_error)


class _VfsFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        assert name is not None, "SQLite made a temporary file"
        self._disk = disk
        self._path = Path(name if isinstance(name, str) else name.filename())
        disk.opened(self._path)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        def write(part: bytes) -> None:
            apsw.VFSFile.xWrite(self, part, offset)

        self._disk.write(self._path, bytes(data), offset, write, _sqlite_error)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        def truncate() -> None:
            self._disk.file(self._path).pending.append(Truncate(newsize))
            apsw.VFSFile.xTruncate(self, newsize)

        self._disk.point("truncate", self._path, truncate, lambda: None, _sqlite_error)

    def xSync(self, flags: int) -> None:  # noqa: N802
        def sync() -> None:
            self._disk._synced(self._path)
            # SQLite's own VFS syncs the folder with the first sync of a journal or WAL that it made
            if self._path.name != "journal.db" and not self._disk._lies:
                self._disk.file(self._path).is_named = True

        self._disk.point("sync", self._path, sync, lambda: None, _sqlite_error)


def _apply(content: bytearray, change: Write | Truncate, survives: Callable[[], bool]) -> None:
    match change:
        case Write(offset, data):
            at = 0
            while at < len(data):
                piece = data[at : at + SECTOR - (offset + at) % SECTOR]
                if survives():
                    content.extend(bytes(max(0, offset + at - len(content))))
                    content[offset + at : offset + at + len(piece)] = piece
                at += len(piece)
        case Truncate(size):
            if survives():
                del content[size:]


def _os_error(number: int) -> Exception:
    return OSError(number, os.strerror(number))


def _sqlite_error(number: int) -> Exception:
    return apsw.exception_for(apsw.SQLITE_FULL if number == errno.ENOSPC else apsw.SQLITE_IOERR)

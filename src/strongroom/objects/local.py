"""Objects in a folder of this machine, or of one that is mounted.

An object is written under a hidden name in the folder it will rest in, synced, then renamed. So a reader sees
all of it or nothing, and a crash leaves at most a hidden file that `list_partial` shows.

TRUST: whoever else can write to the folder may plant anything there. Every way into it goes one part at a
time, relative to an open folder and never through a symlink, so that nothing outside is read, written or removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, unquote_to_bytes

from strongroom.objects.port import ObjectInfo, check_name, check_offset, check_prefix, is_name
from strongroom.terms.errors import (
    AccessDenied,
    BadRequest,
    NoSpace,
    NotFound,
    ObjectTampered,
    StoreUnavailable,
    StrongroomError,
)
from strongroom.terms.outer_errors import BadStoreUrl, MarkLost, ObjectSize, VersionExists

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a planted FIFO must not hold a reader up. It means nothing for a regular file.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600

# Names have four parts at most; folders that somebody planted deeper than that hold nothing of ours.
_DEEPEST = 8
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial\Z")
_MOST_ATTEMPTS = 100


class _Held:
    """An open object, closed as soon as nothing refers to it."""

    def __init__(self, place: tuple[Path, str], file: int) -> None:
        self.place = place
        self.file = file

    def __del__(self) -> None:
        os.close(self.file)


# What each thread read from last: an object that is read piece by piece is opened once by each.
_last_read = threading.local()


@dataclass(frozen=True, slots=True)
class LocalStore:
    """The store in the folder `root`, which the first write makes."""

    root: Path

    writes_in_any_order: ClassVar[bool] = True
    read_size_bytes: ClassVar[int] = 1 << 20
    parallel_reads: ClassVar[int] = max(2, os.cpu_count() or 1)

    @classmethod
    def from_url(cls, url: str) -> LocalStore:
        """Return the store at `file:///folder`, where `%` and what a URL cannot hold are escaped.

        Raises:
            BadStoreUrl: a host, a path that is relative, the root of all, or not canonical.
        """
        path = url.removeprefix("file://")
        if path == url or not path.startswith("/"):
            raise BadStoreUrl(f"`{url[:200]!a}` is not `file:///` and the absolute path of a folder")
        if re.search(r"[?#\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})|%(?:2[Ff]|00)", path):
            raise BadStoreUrl(f"`{url[:200]!a}` holds a character that must be, or cannot be, escaped")
        parts = os.fsdecode(unquote_to_bytes(path)).removesuffix("/").split("/")[1:]
        if not parts or any(part in ("", ".", "..") for part in parts):
            raise BadStoreUrl(f"`{url[:200]!a}` has an empty part, `.` or `..` in its path")
        return cls(Path("/", *parts))

    @property
    def url(self) -> str:
        return "file://" + quote(os.fsencode(self.root))

    def read_into(self, name: str, offset: int, view: memoryview) -> None:
        check_name(name)
        check_offset(offset)
        with self._errors(name):
            held: _Held | None = getattr(_last_read, "held", None)
            # What was replaced or removed has no name left: then, what is there now is opened.
            if held is None or held.place != (self.root, name) or not os.fstat(held.file).st_nlink:
                _last_read.held = None
                with self._object(name) as (file, _):
                    held = _last_read.held = _Held((self.root, name), os.dup(file))
            _read_full(name, held.file, offset, view)

    def read(self, name: str, *, most_bytes: int) -> bytes:
        check_name(name)
        with self._errors(name), self._object(name) as (file, size_bytes):
            if size_bytes > most_bytes:
                raise ObjectSize(f"object `{name}` has {size_bytes} bytes where at most {most_bytes} are due")
            data = bytearray(size_bytes)
            _read_full(name, file, 0, memoryview(data))
            return bytes(data)

    def open(self, name: str) -> tuple[int, int]:
        """Return a descriptor to read an object from, and its size, for whoever passes it on; they close it."""
        check_name(name)
        with self._errors(name), self._object(name) as (file, size_bytes):
            return os.dup(file), size_bytes

    def create(self, name: str, *, size_bytes: int) -> LocalWriter:
        check_name(name)
        with self._errors(name, size_bytes=size_bytes):
            free = self.free_bytes()
            if free is not None and free < size_bytes:
                raise _no_space(size_bytes, free)
            return self._start(name, size_bytes)

    def put(self, name: str, data: bytes) -> None:
        writer = self.create(name, size_bytes=len(data))
        writer.write_at(0, memoryview(data))
        writer.finish()

    def put_new(self, name: str, data: bytes) -> None:
        writer = self.create(name, size_bytes=len(data))
        writer.write_at(0, memoryview(data))
        writer.finish_new()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return (info for info in self._walk(prefix) if not info.is_partial)

    def list_partial(self) -> Iterator[ObjectInfo]:
        return (info for info in self._walk("") if info.is_partial)

    def delete(self, infos: Iterable[ObjectInfo]) -> None:
        left: set[tuple[str, ...]] = set()
        try:
            for info in infos:
                *parts, last = _checked_parts(info)
                with (
                    self._errors(info.name),
                    contextlib.suppress(FileNotFoundError),
                    self._folder(parts) as folder,
                ):
                    os.unlink(last, dir_fd=folder)
                    left.add(tuple(parts))
        finally:
            # ORDER: removals are synced by folder, not by file. What a crash brings back is deleted again.
            for folder_parts in left:
                with self._errors("/".join(folder_parts)):
                    self._tidy(folder_parts)

    def free_bytes(self) -> int | None:
        with self._errors(None):
            place = next(path for path in (self.root, *self.root.parents) if path.exists())
            room = os.statvfs(place)
            return room.f_bavail * room.f_frsize if room.f_blocks else None

    @contextlib.contextmanager
    def _errors(self, name: str | None, *, size_bytes: int = 0, file: int | None = None) -> Iterator[None]:
        """Turn every OSError into an error of ours: the one place where that happens.

        `size_bytes` is what the object needs; `file` is what was written of it, whose room is not lost to it.
        """
        what = self.url if name is None else f"object `{name}` in {self.url}"
        try:
            yield
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            match error.errno:
                case errno.ENOENT:
                    raise NotFound(f"{what} is not there") from error
                case errno.EEXIST:
                    raise VersionExists(f"{what} is there already") from error
                case errno.ELOOP | errno.ENOTDIR:
                    raise ObjectTampered(f"{what} is a symlink, or behind something that is no folder") from error
                case errno.EACCES | errno.EPERM | errno.EROFS:
                    raise AccessDenied(f"{what}: {reason}") from error
                case errno.EDQUOT:
                    raise NoSpace(f"quota used up: the object needs {size_bytes} bytes") from error
                case errno.ENOSPC:
                    held = 0 if file is None else os.fstat(file).st_blocks * 512
                    raise _no_space(size_bytes, (self.free_bytes() or 0) + held) from error
                case _:
                    raise StoreUnavailable(f"{what}: {reason}") from error

    @contextlib.contextmanager
    def _folder(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open the folder of `parts`, one by one and never through a symlink; the root itself may be one."""
        folder = self._open_root(make=make)
        try:
            for part in parts:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, _FOLDER_MODE, dir_fd=folder)
                    # ORDER: synced even if another writer made it, who may not have come to that yet.
                    os.fsync(folder)
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _open_root(self, *, make: bool) -> int:
        try:
            return os.open(self.root, _FOLDER)
        except FileNotFoundError as error:
            if not make:
                raise StoreUnavailable(f"there is no store at {self.url}: no such folder") from error
        except NotADirectoryError as error:
            raise StoreUnavailable(f"there is no store at {self.url}: not a folder") from error
        for path in (*reversed(self.root.parents), self.root):
            if not path.exists():
                with contextlib.suppress(FileExistsError):
                    path.mkdir(_FOLDER_MODE)
                parent = os.open(path.parent, _FOLDER)
                try:
                    os.fsync(parent)
                finally:
                    os.close(parent)
        return os.open(self.root, _FOLDER)

    @contextlib.contextmanager
    def _object(self, name: str) -> Iterator[tuple[int, int]]:
        """Open an object for reading; yield its descriptor and its size."""
        *parts, last = name.split("/")
        with self._folder(parts) as folder:
            file = os.open(last, _READ, dir_fd=folder)
        try:
            found = os.fstat(file)
            if stat.S_ISDIR(found.st_mode):
                raise NotFound(f"object `{name}` in {self.url} is not there")
            if not stat.S_ISREG(found.st_mode):
                raise ObjectTampered(f"object `{name}` in {self.url} is not a regular file")
            yield file, found.st_size
        finally:
            os.close(file)

    def _start(self, name: str, size_bytes: int) -> LocalWriter:
        """Make a hidden file in the folder of `name`, which nobody can then remove as empty."""
        partial = f".{secrets.token_hex(16)}.partial"
        for _ in range(_MOST_ATTEMPTS):
            # Until our file is in it, a `delete` elsewhere may remove the folder as empty: then make it again.
            with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as undo:
                with self._folder(name.split("/")[:-1], make=True) as opened:
                    folder = os.dup(opened)
                undo.callback(os.close, folder)
                file = os.open(partial, _MAKE, _FILE_MODE, dir_fd=folder)
                undo.pop_all()
                return LocalWriter(
                    store=self, name=name, size_bytes=size_bytes, folder=folder, partial=partial, file=file
                )
        raise StoreUnavailable(f"the folder of object `{name}` in {self.url} is removed again and again")

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._errors(None), self._folder([]) as root:
            yield from _walk_folder(root, "", prefix)

    def _tidy(self, parts: Sequence[str]) -> None:
        """Make removals from the folder of `parts` durable; remove folders left empty, but never the root."""
        with contextlib.suppress(FileNotFoundError), self._folder(parts) as folder:
            os.fsync(folder)
        while parts:
            *parts, last = parts
            with contextlib.suppress(FileNotFoundError), self._folder(parts) as folder:
                try:
                    os.rmdir(last, dir_fd=folder)
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                        return
                    raise
                os.fsync(folder)


class LocalWriter:
    """An object that is being written under a hidden name. Takes any offset, from any thread."""

    def __init__(self, *, store: LocalStore, name: str, size_bytes: int, folder: int, partial: str, file: int) -> None:
        self._store, self._name, self._size_bytes = store, name, size_bytes
        self._folder, self._partial, self._file = folder, partial, file
        self._last = name.rpartition("/")[2]
        self._state = threading.Condition()
        self._busy = self._written = 0
        self._is_ended = False

    def write_at(self, offset: int, data: memoryview) -> None:
        end = offset + len(data)
        if offset < 0 or end > self._size_bytes:
            raise BadRequest(f"bytes {offset} to {end} of object `{self._name}`, which is to have {self._size_bytes}")
        with self._state:
            self._check_open()
            self._busy += 1
        written = 0
        try:
            with self._store._errors(self._name, size_bytes=self._size_bytes, file=self._file):
                while written < len(data):
                    written += os.pwrite(self._file, data[written:], offset + written)
        finally:
            with self._state:
                self._busy -= 1
                self._written += written
                self._state.notify_all()

    def finish(self) -> None:
        with self._finishing():
            os.rename(self._partial, self._last, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.fsync(self._folder)

    def finish_new(self) -> None:
        """Like `finish`, but only if nothing has the name.

        Raises:
            VersionExists: something has.
        """
        with self._finishing():
            # ORDER: first the link, which the kernel makes for one caller alone. A crash before the unlink
            # leaves a second name of the finished object, which looks interrupted and may be swept.
            os.link(self._partial, self._last, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.unlink(self._partial, dir_fd=self._folder)
            os.fsync(self._folder)

    def abort(self) -> None:
        with self._state:
            if self._is_ended:
                return
            self._end()
        self._discard()
        self._close()

    def __del__(self) -> None:
        self.abort()

    @contextlib.contextmanager
    def _finishing(self) -> Iterator[None]:
        """Sync the file, then let the body of this place it; if anything fails, remove what is not placed."""
        with self._state:
            self._check_open()
            self._end()
        try:
            if self._written != self._size_bytes:
                raise BadRequest(f"object `{self._name}` is to have {self._size_bytes} bytes and got {self._written}")
            with self._store._errors(self._name, size_bytes=self._size_bytes, file=self._file):
                os.fsync(self._file)
                yield
        except NotFound as error:
            self._discard()
            raise MarkLost(f"object `{self._name}` was swept away while it was being written") from error
        except BaseException:
            self._discard()
            raise
        finally:
            self._close()

    def _check_open(self) -> None:
        if self._is_ended:
            raise BadRequest(f"object `{self._name}` is no longer being written")

    def _end(self) -> None:
        """Let no write begin, and wait for those that have: one that came later could hit another file."""
        self._is_ended = True
        self._state.wait_for(lambda: self._busy == 0)

    def _discard(self) -> None:
        """Remove the hidden file, as far as that goes. What is placed stays: it may replace something."""
        with contextlib.suppress(OSError, StrongroomError):
            os.unlink(self._partial, dir_fd=self._folder)
            self._store._tidy(self._name.split("/")[:-1])

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._folder)


def _walk_folder(folder: int, path: str, prefix: str) -> Iterator[ObjectInfo]:
    """Yield what is in `folder`, whose path ends in `/`, in the order of names, partial files among them."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        # Passed over, a folder that somebody moved and linked back would make a sweep think its versions gone.
        if entry.is_symlink() and not entry.is_file() and is_name(path + entry.name):
            raise ObjectTampered(
                f"`{path}{entry.name}` in the store is a symlink", hint="move what it points to into its place"
            )
    # ORDER: a folder sorts by its name and `/`, so that `a-b` comes before `a/b` as it does among names.
    folders = [f"{entry.name}/" for entry in found if entry.is_dir(follow_symlinks=False)]
    files = [entry.name for entry in found if entry.is_file(follow_symlinks=False)]
    for name in sorted([*folders, *files]):
        full = path + name
        with contextlib.suppress(FileNotFoundError):  # gone since it was listed
            if name.endswith("/"):
                if (
                    is_name(full[:-1])
                    and full.count("/") < _DEEPEST
                    and (full.startswith(prefix) or prefix.startswith(full))
                ):
                    with _opened(name[:-1], folder) as inner:
                        yield from _walk_folder(inner, full, prefix)
                continue
            is_partial = _PARTIAL.match(name) is not None
            if full.startswith(prefix) and (is_partial or is_name(full)):
                now = os.stat(name, dir_fd=folder, follow_symlinks=False)
                yield ObjectInfo(name=full, size_bytes=now.st_size, modified_at=now.st_mtime, is_partial=is_partial)


@contextlib.contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    try:
        yield inner
    finally:
        os.close(inner)


def _checked_parts(info: ObjectInfo) -> list[str]:
    """Return the parts of the name of something that may be removed: an object, or a partial file of ours."""
    parts = info.name.split("/")
    if not info.is_partial:
        check_name(info.name)
    elif not _PARTIAL.match(parts[-1]) or not is_name("/".join([*parts[:-1], "x"])):
        raise BadRequest(f"`{info.name[:200]!a}` is not the name of a partial file")
    return parts


def _read_full(name: str, file: int, offset: int, view: memoryview) -> None:
    done = 0
    while done < len(view):
        read = os.preadv(file, [view[done:]], offset + done)
        if read == 0:
            raise ObjectSize(f"object `{name}` ends before byte {offset + len(view)}: got {done} bytes from {offset}")
        done += read


def _no_space(size_bytes: int, free: int) -> NoSpace:
    return NoSpace(f"disk full: the object needs {size_bytes} bytes, {free} are free")

"""A folder for its owner alone (0700), with files for their owner alone (0600), each replaced whole.

Keys rest here, so that what others could read, or could have put there, is refused before it is read.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strongroom.terms.errors import NotFound, OutputExists, StoreUnavailable, UnsafePlace

LARGEST_FILE_BYTES = 1 << 20


class PrivateFolder:
    """The folder at `path`, made if it is not there.

    Raises:
        UnsafePlace: a symlink, no folder, somebody else's, or open to others.
        StoreUnavailable: the disk does not do as it should.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise UnsafePlace(f"`{path}` is a symlink, or no folder")
        _check_private(path, found)

    def read(self, name: str, *, most_bytes: int = LARGEST_FILE_BYTES) -> bytes | None:
        """Return what is in the file `name`, of which no more is ours than `most_bytes`; nothing if it is not there."""
        path = self.path / name
        with disk(path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                _check_private(path, os.fstat(descriptor))
                return file.read(most_bytes)

    def need(self, name: str, what: str, hint: str) -> bytes:
        """Return what is in the file `name`, which is `what`.

        Raises:
            NotFound: it is not there.
        """
        if (data := self.read(name)) is None:
            raise NotFound(f"no {what} in `{self.path}`", hint=hint)
        return data

    def write_new(self, name: str, data: bytes) -> None:
        """Write the file `name`, durably.

        Raises:
            OutputExists: it is there already, and is left alone.
        """
        with disk(self.path / name), self._written(data) as partial:
            try:
                os.link(partial, self.path / name)
            except FileExistsError:
                raise OutputExists(f"`{self.path / name}` exists", hint="a key is never overwritten") from None

    def replace(self, name: str, data: bytes) -> None:
        """Put `data` in the place of whatever the file `name` holds, whole and durably."""
        with disk(self.path / name), self._written(data) as partial:
            partial.rename(self.path / name)

    def remove(self, name: str) -> None:
        """Take the file `name` away, if it is there."""
        with disk(self.path / name):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other processes."""
        with disk(self.path):
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    @contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        """Give a new file with `data`, synced, to the block, which gives it its name; then sync the folder."""
        partial = self.path / f".{secrets.token_hex(8)}.partial"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield partial
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
        sync_folder(self.path)


def sync_folder(path: Path) -> None:
    """Have the names in the folder survive a loss of power."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise UnsafePlace(
            f"`{path}` is open to others (user {found.st_uid}, mode {mode:04o})",
            hint=f"close it to everybody else (`chmod go-rwx {path}`), and make new keys if anybody could have read it",
        )


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn whatever the disk does wrong in the block into our error, which names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafePlace(f"`{path}` is a symlink", hint="put the file itself there") from error
        raise StoreUnavailable(f"`{path}`: {error.strerror or error}", hint="check the folder and its disk") from error

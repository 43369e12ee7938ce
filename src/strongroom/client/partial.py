"""Partial: a hidden, locked folder in which files come to be, until it, or a file of it, is moved into place.

A kill leaves the folder behind. The next opening beside it takes it away, which it may: the lock shows that its writer
is gone, the owner and the name that it was one of ours.

TRUST: somebody else may write to the folder around it. So everything below goes by descriptor and never through a
symlink: whatever is renamed or planted meanwhile, no plaintext goes anywhere but into this folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strongroom.terms.errors import OutputExists

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile(r"\.strongroom-[0-9a-f]{16}\.partial\Z")


class PartialFolder:
    """The folder. `home` is the descriptor of the one around it; its own, once it is made, holds the lock."""

    def __init__(self, home: int) -> None:
        self._home = home
        self._name = ""
        self._folder = -1
        self._is_placed = False

    def make(self) -> None:
        """Make the folder and lock it.

        ORDER: between the two, another opening may take the folder for stale and remove it: then again. The name is
        kept before anything has it, so that `remove` knows it whenever an interrupt comes.
        """
        while True:
            self._name = f".strongroom-{secrets.token_hex(8)}.partial"
            os.mkdir(self._name, 0o700, dir_fd=self._home)
            with suppress(FileNotFoundError):
                self._folder = os.open(self._name, _FOLDER, dir_fd=self._home)
                fcntl.flock(self._folder, fcntl.LOCK_EX)
                if _is_at(self._name, self._home, self._folder):
                    return
            # Taken away in between. ORDER: forgotten before it is closed: a descriptor's number is soon another's.
            stale, self._folder = self._folder, -1
            if stale >= 0:
                os.close(stale)

    def create(self, path: str) -> int:
        """Make the file at `path` below this folder, mode 0600, folders 0700; return it open for writing."""
        *parts, last = path.split("/")
        with self._below(parts, make=True) as folder:
            return os.open(last, _MAKE, 0o600, dir_fd=folder)

    def place(self, name: str) -> None:
        """Give the whole folder its name beside where it is: a rename replaces an empty folder and nothing else.

        Raises:
            OutputExists: something has come to be there, or to be in this folder's own place.
        """
        try:
            os.rename(self._name, name, src_dir_fd=self._home, dst_dir_fd=self._home)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT):
                raise OutputExists(f"`{name}` has come to be, or its folder was moved, in the meantime") from error
            if error.errno in (errno.EBUSY, errno.EXDEV):
                raise mount_point(name) from error
            raise
        if not _is_at(name, self._home, self._folder):
            raise OutputExists(
                f"`{name}` is not the folder that was written: somebody else moved things there",
                hint="open into a folder that nobody else can write to",
            )
        self._is_placed = True

    def place_file(self, path: str, destination: Path) -> None:
        """Give the finished file at `path` its place in another folder, if nothing is there."""
        *parts, last = path.split("/")
        folder = os.open(destination.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with self._below(parts) as below:
                os.link(last, destination.name, src_dir_fd=below, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)

    def remove(self) -> None:
        """Take away all that is in the folder, wherever it is by now, and the folder; but nothing that was placed."""
        if self._folder >= 0:
            if not self._is_placed:
                _remove_tree(self._name, self._home, self._folder)
            os.close(self._folder)
        elif self._name:
            with suppress(OSError):
                os.rmdir(self._name, dir_fd=self._home)

    @contextmanager
    def _below(self, parts: list[str], *, make: bool = False) -> Iterator[int]:
        """Open the folder at `parts`, one by one and never through a symlink."""
        folder = os.dup(self._folder)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


@contextmanager
def partial_folder(home: Path) -> Iterator[PartialFolder]:
    """Make a locked hidden folder in `home`; remove it at the end if it was not placed."""
    around = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    partial = PartialFolder(around)
    try:
        _remove_stale(around)
        partial.make()
        yield partial
    finally:
        partial.remove()
        os.close(around)


def mount_point(name: str | Path) -> OutputExists:
    """Return the error for a destination that is a file system's root."""
    return OutputExists(f"`{name}` is a mount point, which cannot be replaced", hint="choose a new folder inside it")


def _remove_stale(around: int) -> None:
    for name in filter(_NAME.match, os.listdir(around)):
        try:
            folder = os.open(name, _FOLDER, dir_fd=around)
        except OSError:
            continue
        try:
            if os.fstat(folder).st_uid == os.geteuid():
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_tree(name, around, folder)
        except BlockingIOError:
            continue  # its writer lives
        finally:
            os.close(folder)


def _remove_tree(name: str, around: int, folder: int) -> None:
    """Remove what is in `folder`, then the name, if that is still its own."""
    for inside in os.listdir(folder):
        if os.path.isdir(f"/proc/self/fd/{folder}/{inside}") and not os.path.islink(f"/proc/self/fd/{folder}/{inside}"):
            shutil.rmtree(inside, ignore_errors=True, dir_fd=folder)
        else:
            with suppress(OSError):
                os.unlink(inside, dir_fd=folder)
    with suppress(OSError):
        if _is_at(name, around, folder):
            os.rmdir(name, dir_fd=around)


def _is_at(name: str, around: int, folder: int) -> bool:
    return os.path.samestat(os.stat(name, dir_fd=around, follow_symlinks=False), os.fstat(folder))

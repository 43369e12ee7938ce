"""Folders and files that belong to this user and are for nobody else. Symlinks are not followed, second names refused.

TRUST: the folders above are the operator's; whoever can rename there can put another folder in our place, and what
is in that is checked like everything else.
"""

import fcntl
import os
import stat
from pathlib import Path

from strongroom.terms.errors import JournalBusy, UnsafePlace

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a planted FIFO must not hold us up. It means nothing for a regular file.
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_folder(path: Path, *, others: int = 0) -> int:
    """Open a private folder. `others` are the rights to it, as in a mode, that others may have all the same.

    Raises:
        UnsafePlace: a symlink, no folder, another owner, or others have more rights.
        FileNotFoundError: there is nothing.
    """
    try:
        folder = os.open(path, _FOLDER)
    except NotADirectoryError as error:
        raise UnsafePlace(f"`{path}` is a symlink, or not a folder") from error
    try:
        check_private(str(path), os.fstat(folder), others)
    except BaseException:
        os.close(folder)
        raise
    return folder


def open_file(name: str, folder: int) -> int:
    """Open a private file of a folder, for reading and writing; errors as for `open_folder`."""
    # Looked at before it is opened: opening a device can do things. Nobody else can exchange it in between.
    check_file(name, folder)
    return os.open(name, _FILE, dir_fd=folder)


def make_file(name: str, folder: int) -> int:
    """Make a private file, which must not exist, and open it for reading and writing."""
    return os.open(name, _FILE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)


def check_file(name: str, folder: int) -> None:
    """Refuse a file that is not regular, has a second name, or is not private."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise UnsafePlace(f"`{name}` is a symlink, or not a regular file")
    if found.st_nlink != 1:
        raise UnsafePlace(f"`{name}` has a second name elsewhere")
    check_private(name, found)


def check_private(what: str, found: os.stat_result, others: int = 0) -> None:
    """Refuse what belongs to somebody else, or gives anybody else any right but `others`."""
    if found.st_uid != os.geteuid():
        raise UnsafePlace(f"`{what}` belongs to user {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & 0o077 & ~others:
        raise UnsafePlace(f"`{what}` has permissions {stat.S_IMODE(found.st_mode):04o}: others have rights to it")


def lock(what: Path, file: int) -> None:
    """Lock an open file or folder until it is closed, also by the end of the process.

    Raises:
        JournalBusy: another process has it, or this one has it open elsewhere.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalBusy(f"another process has `{what}` open") from error

"""The part of the disk that is kept for closing down: a file of ballast, which goes when nothing else is left.

    free space          0 ... margin ... margin + reserve ...     (ballast counts as free)
    may still append    nobody | what closes down | everything

The margin is what commits may take before anybody looks again; so a disk fills up here, not inside a commit.
"""

import contextlib
import os

from strongroom.journal.port import Space
from strongroom.places import private
from strongroom.terms.errors import NoSpace

BALLAST = "ballast"


class Reserve:
    """The reserve of the journal in an open folder. `size_bytes` is kept for closing down, half of that the margin."""

    def __init__(self, folder: int, size_bytes: int) -> None:
        self._folder, self._size_bytes = folder, size_bytes

    def make(self) -> None:
        """Make the ballast if it is not whole and there is room beside it; without room, go on as we are."""
        if self._ballast_bytes() >= self._size_bytes or self.space() is not Space.ENOUGH:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(BALLAST, dir_fd=self._folder)
        file = private.make_file(BALLAST, self._folder)
        try:
            # Not synced: what a lost power takes of it is made again.
            os.posix_fallocate(file, 0, self._size_bytes)
        finally:
            os.close(file)

    def space(self, batch_bytes: int = 0) -> Space:
        """Return how much room is left once a batch of that size is written (twice: to the WAL, to the database)."""
        left = self._free_bytes() + self._ballast_bytes() - 2 * batch_bytes - self._margin_bytes
        if left < 0:
            return Space.GONE
        return Space.ENOUGH if left >= self._size_bytes else Space.RESERVED

    def check(self, batch_bytes: int, *, closing: bool) -> None:
        """Refuse a batch that there is no room for.

        Raises:
            NoSpace: as the name says; for what is not closing down also when only the reserve is left.
        """
        match self.space(batch_bytes):
            case Space.GONE:
                raise NoSpace("disk full: no room is left in the journal, not even to close down")
            case Space.RESERVED if not closing:
                raise NoSpace(f"disk full: the last {self._size_bytes} bytes of the journal are for closing down")

    def use(self, batch_bytes: int) -> None:
        """Let the ballast go if a batch that passed `check` needs its room."""
        if self._free_bytes() < 2 * batch_bytes + self._margin_bytes and self._ballast_bytes():
            os.unlink(BALLAST, dir_fd=self._folder)

    @property
    def _margin_bytes(self) -> int:
        return self._size_bytes // 2

    def _free_bytes(self) -> int:
        room = os.fstatvfs(self._folder)
        return room.f_bavail * room.f_frsize

    def _ballast_bytes(self) -> int:
        try:
            # Blocks, not the length: a file of holes keeps nothing free.
            return os.stat(BALLAST, dir_fd=self._folder, follow_symlinks=False).st_blocks * 512
        except FileNotFoundError:
            return 0

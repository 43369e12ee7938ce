"""The high-water file: outside the database, it remembers the last checkpoint that was signed.

So a database that is put back to yesterday is noticed, however genuine it is. (Whoever also puts back this file is
noticed by witnesses and by clients, not here.)

    file: two slots of 4096 bytes, written in turn
    slot: SHA-256 of the rest (32) | number of the write, from 1 (8) | length of the note (2) | the note | zeros

A write that is torn spoils only the slot that it goes to; the other holds the checkpoint before it, and the database
may be one commit ahead of that. Every byte of a slot is under its checksum, so it is valid whole or not at all.
"""

import hashlib
import os
import struct
from pathlib import Path

from strongroom.places import private
from strongroom.terms.errors import LogTampered

SLOT_BYTES = 4096
_HEADER = struct.Struct(">QH")
_DIGEST_BYTES = 32
LONGEST_NOTE = SLOT_BYTES - _DIGEST_BYTES - _HEADER.size
_EMPTY = bytes(SLOT_BYTES)


class Disk:
    """The calls that write. Tests hand in another one, to break them at will."""

    def pwrite(self, file: int, data: bytes, offset: int) -> int:
        """Write some of `data`, return how many bytes."""
        return os.pwrite(file, data, offset)

    def sync(self, file: int) -> None:
        """Make what was written to a file, or the names in a folder, durable."""
        os.fdatasync(file)


def create_high_water(path: Path, disk: Disk) -> None:
    """Make the file, which remembers nothing yet, in a private folder.

    ORDER: first the content, then the name. A crash leaves no file, or one of a wrong size, which is refused.
    """
    folder = private.open_folder(path.parent)
    try:
        file = private.make_file(path.name, folder)
        try:
            # Written out, not a hole: later writes find their blocks in place, on a disk that is full too.
            _write(disk, file, _EMPTY + _EMPTY, 0)
            disk.sync(file)
        finally:
            os.close(file)
        disk.sync(folder)
    finally:
        os.close(folder)


class HighWater:
    """The open file, locked for this process. `note` is the last one that it remembers, None if none yet."""

    def __init__(self, path: Path, disk: Disk) -> None:
        """Open the file.

        Raises:
            LogTampered: it has another size, or both slots are spoilt, which no crash does.
            JournalBusy: another process has it.
            UnsafePlace: others may read or change it, or its folder.
            FileNotFoundError: there is none.
        """
        folder = private.open_folder(path.parent)
        try:
            self._file = private.open_file(path.name, folder)
        finally:
            os.close(folder)
        self._disk = disk
        try:
            private.lock(path, self._file)
            self._count, self.note = self._newest()
        except BaseException:
            self.close()
            raise

    def remember(self, note: bytes) -> None:
        """Write `note` over the older slot and sync it: one write, one sync."""
        rest = _HEADER.pack(self._count + 1, len(note)) + note
        rest += bytes(SLOT_BYTES - _DIGEST_BYTES - len(rest))
        slot = (self._count + 1) % 2
        # ORDER: the newest slot stays as it is until this one is durable. A crash in between leaves that one valid.
        _write(self._disk, self._file, hashlib.sha256(rest).digest() + rest, slot * SLOT_BYTES)
        self._disk.sync(self._file)
        self._count, self.note = self._count + 1, note

    def close(self) -> None:
        os.close(self._file)

    def _newest(self) -> tuple[int, bytes | None]:
        data = os.pread(self._file, 2 * SLOT_BYTES + 1, 0)
        if len(data) != 2 * SLOT_BYTES:
            raise LogTampered(f"the high-water file has {len(data)} bytes instead of {2 * SLOT_BYTES}")
        slots = [_parse(data[:SLOT_BYTES]), _parse(data[SLOT_BYTES:])]
        valid = [slot for slot in slots if slot is not None]
        if not valid:
            raise LogTampered("both slots of the high-water file are spoilt")
        return max(valid, key=lambda slot: slot[0])


def _parse(slot: bytes) -> tuple[int, bytes | None] | None:
    """Return number and note of a slot, (0, None) if it was never written, None if it is spoilt."""
    if slot == _EMPTY:
        return 0, None
    rest = slot[_DIGEST_BYTES:]
    if hashlib.sha256(rest).digest() != slot[:_DIGEST_BYTES]:
        return None
    count, length = _HEADER.unpack_from(rest)
    return count, rest[_HEADER.size : _HEADER.size + length]


def _write(disk: Disk, file: int, data: bytes, offset: int) -> None:
    done = 0
    while done < len(data):
        done += disk.pwrite(file, data[done:], offset + done)

"""What happens to a journal on a full disk. `test_disks` runs each `scenario` in a process that has a small disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from strongroom.journal.port import Space
from strongroom.journal.sqlite import SqliteJournal
from strongroom.terms.errors import JournalBroken, NoSpace
from tests.journal.logs import GENESIS, Place, check_whole, sign

RESERVE_BYTES = 8 << 20
ENTRY = bytes(1 << 20)


def opened(place: Place) -> SqliteJournal:
    return place.open(reserve_bytes=RESERVE_BYTES)


def leave(disk: Path, size_bytes: int) -> None:
    """Let somebody else take all the room but so much."""
    room = os.statvfs(disk)
    with (disk / "filler").open("ab", buffering=0) as file:
        os.posix_fallocate(file.fileno(), file.tell(), room.f_bavail * room.f_frsize - size_bytes)


def filled(journal: SqliteJournal, entry: bytes, refusal: str, *, closing: bool) -> list[bytes]:
    """Append until that is refused; return what was appended."""
    entries: list[bytes] = []

    def fill() -> None:
        while True:
            journal.append([entry], sign=sign, closing=closing)
            entries.append(entry)

    with pytest.raises(NoSpace, match=refusal):
        fill()
    return entries


def closing_down_goes_on(place: Place, disk: Path) -> None:
    """First nothing but what closes down is taken, then nothing; all that was acknowledged stays."""
    place.create()
    journal = opened(place)
    entries = [GENESIS]
    journal.append(entries, sign=sign)
    assert journal.space() is Space.ENOUGH
    leave(disk, 10 << 20)
    entries += filled(journal, ENTRY, "are for closing down", closing=False)
    leave(disk, 100_000)
    assert journal.space() is Space.RESERVED
    with pytest.raises(NoSpace, match="are for closing down"):
        journal.append([b"open"], sign=sign)
    assert check_whole(journal) == entries, "a refusal breaks nothing"
    assert (place.folder / "ballast").exists()
    closing = filled(journal, b"freeze" * 1000, "not even to close down", closing=True)
    assert not (place.folder / "ballast").exists()
    assert len(closing) > 300
    entries += closing
    assert check_whole(journal) == entries
    leave(disk, 100_000)
    assert journal.space() is Space.GONE
    journal.close()
    # a start takes no room, and does not make the reserve again out of nothing
    journal = opened(place)
    assert journal.space() is Space.GONE
    assert not (place.folder / "ballast").exists()
    assert check_whole(journal) == entries
    journal.close()
    (disk / "filler").unlink()
    journal = opened(place)
    assert journal.space() is Space.ENOUGH
    assert (place.folder / "ballast").exists()
    assert check_whole(journal) == entries
    journal.close()


def a_batch_that_has_no_room_is_refused_untouched(place: Place, disk: Path) -> None:
    place.create()
    journal = opened(place)
    journal.append([GENESIS], sign=sign)
    leave(disk, RESERVE_BYTES // 2 + (1 << 20))
    assert journal.space() is Space.ENOUGH
    with pytest.raises(NoSpace):
        journal.append([ENTRY], sign=sign)
    journal.append([b"small"], sign=sign)
    assert check_whole(journal) == [GENESIS, b"small"]
    journal.close()


def a_disk_that_fills_within_a_commit_breaks_the_journal(place: Place, disk: Path) -> None:
    place.create()
    journal = opened(place)
    journal.append([GENESIS], sign=sign)

    def fill(size: int, root: bytes) -> bytes:
        leave(disk, 0)
        return sign(size, root)

    with pytest.raises(JournalBroken, match="full"):
        journal.append([ENTRY], sign=fill)
    journal.close()
    journal = opened(place)
    assert check_whole(journal) == [GENESIS]
    journal.append([b"freeze"], sign=sign, closing=True)
    journal.close()


def a_journal_is_not_made_on_a_full_disk(place: Place, disk: Path) -> None:
    place.root.mkdir()
    place.high_water.parent.mkdir(0o700)
    leave(disk, 8192)
    with pytest.raises(NoSpace):
        place.create()
    for path in (*place.folder.iterdir(), place.folder):
        path.rmdir() if path.is_dir() else path.unlink()
    (disk / "filler").unlink()
    place.create()
    opened(place).close()


SCENARIOS = [
    closing_down_goes_on,
    a_batch_that_has_no_room_is_refused_untouched,
    a_disk_that_fills_within_a_commit_breaks_the_journal,
    a_journal_is_not_made_on_a_full_disk,
]

if __name__ == "__main__":
    disk = Path(sys.argv[1])
    SCENARIOS[int(sys.argv[2])](Place(disk / "place"), disk)

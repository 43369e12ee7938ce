"""A journal: what it gives back, what it refuses untouched, what breaks it, and what is on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from strongroom.journal.database import check_library
from strongroom.journal.highwater import LONGEST_NOTE, Disk, HighWater
from strongroom.journal.port import Journal, Kept, Space
from strongroom.journal.sqlite import SqliteJournal
from strongroom.terms.errors import (
    BadKey,
    BadRequest,
    JournalBroken,
    LogTampered,
    NotFound,
    OldLibrary,
    OutputExists,
    UnknownFormat,
)
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint, verify_checkpoint
from tests.journal.logs import GENESIS, KEY, ORIGIN, OTHER_KEY, Place, check_whole, edited, sign, signer, verifier_key

LOG = [GENESIS, *(f"entry {number}".encode() for number in range(1, 600))]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.create()
    return place


@pytest.fixture
def journal(place: Place) -> Iterator[SqliteJournal]:
    journal = place.open()
    yield journal
    journal.close()


def test_the_adapter_is_a_journal(journal: SqliteJournal) -> None:
    port: Journal = journal
    assert port.size == 0


def test_an_empty_journal_has_no_note_and_opens_again(place: Place) -> None:
    for _ in range(2):
        journal = place.open()
        assert (journal.size, journal.note, journal.tree.size) == (0, None, 0)
        assert list(journal.read(0, 0)) == []
        journal.close()


def test_what_is_appended_is_there_under_its_checkpoint_now_and_after_a_start(place: Place) -> None:
    journal = place.open()
    notes = [
        journal.append(LOG[:1], sign=sign),
        journal.append(LOG[1:300], sign=sign),
        journal.append(LOG[300:], sign=sign),
    ]
    assert [verify_checkpoint(note, verifier_key()).size for note in notes] == [1, 300, 600]
    for _ in range(2):
        assert check_whole(journal) == LOG
        assert journal.note == notes[-1]
        assert list(journal.read(255, 258)) == LOG[255:258]
        assert journal.entry(599) == LOG[599]
        assert journal.tree.root() == verify_checkpoint(notes[-1], verifier_key()).root
        journal.close()
        journal = place.open()
    journal.append([b"one more"], sign=sign)
    assert check_whole(journal) == [*LOG, b"one more"]
    journal.close()


def test_every_commit_keeps_its_checkpoint(place: Place) -> None:
    journal = place.open()
    notes = [journal.append([entry], sign=sign) for entry in LOG[:5]]
    journal.close()
    with edited(place) as database:
        assert database.execute("SELECT size, note FROM checkpoints ORDER BY size").fetchall() == [*enumerate(notes, 1)]


def test_entries_may_be_empty_and_larger_than_a_page(journal: SqliteJournal) -> None:
    entries = [GENESIS, b"", os.urandom(3 << 20), b""]
    journal.append(entries, sign=sign)
    assert check_whole(journal) == entries


def test_records_are_kept_replaced_and_erased_beside_an_entry(place: Place) -> None:
    journal = place.open()
    journal.append(
        LOG[:1],
        sign=sign,
        kept=[
            Kept(kind="share", name="b", data=b"1"),
            Kept(kind="share", name="a", data=b""),
            Kept(kind="model", name="a", data=b"m"),
        ],
    )
    assert journal.kept("share", "b") == b"1"
    assert journal.kept("share", "c") is None
    assert list(journal.all_kept("share")) == [("a", b""), ("b", b"1")]
    journal.append(
        LOG[1:2],
        sign=sign,
        kept=[
            Kept(kind="share", name="b", data=b"2"),
            Kept(kind="share", name="a", data=None),
            Kept(kind="share", name="none", data=None),
        ],
    )
    for _ in range(2):
        assert list(journal.all_kept("share")) == [("b", b"2")]
        assert list(journal.all_kept("model")) == [("a", b"m")]
        journal.close()
        journal = place.open()
    journal.close()


def test_what_is_erased_is_in_no_file_any_more(place: Place) -> None:
    journal = place.open()
    secret = b"the salt of a name that must be forgotten"
    journal.append(LOG[:1], sign=sign, kept=[Kept(kind="detail", name="ada", data=secret)])
    journal.append(LOG[1:9], sign=sign, kept=[Kept(kind="detail", name="bob", data=b"stays")])

    def holds() -> bool:
        return any(secret in path.read_bytes() for path in place.folder.iterdir())

    assert holds()
    journal.append(LOG[9:10], sign=sign, kept=[Kept(kind="detail", name="ada", data=None)])
    assert not holds()
    assert journal.kept("detail", "bob") == b"stays"
    journal.close()


def test_a_long_wal_moves_into_the_database(place: Place) -> None:
    journal = place.open(reserve_bytes=1 << 20)
    wal = place.folder / "journal.db-wal"
    journal.append(LOG[:1], sign=sign)
    for _ in range(30):
        journal.append([os.urandom(1 << 20)], sign=sign)
        assert wal.stat().st_size < 8 << 20
    assert place.database.stat().st_size > 20 << 20
    assert len(check_whole(journal)) == 31
    journal.close()


def test_a_record_alone_is_refused_since_nothing_changes_unrecorded(journal: SqliteJournal) -> None:
    with pytest.raises(BadRequest, match="nothing to append"):
        journal.append([], sign=sign, kept=[Kept(kind="k", name="n", data=b"d")])
    assert journal.append(LOG[:1], sign=sign)


def test_a_first_entry_that_names_no_log_key_is_refused_untouched(journal: SqliteJournal) -> None:
    with pytest.raises(BadKey):
        journal.append([b"not a genesis"], sign=sign)
    assert journal.size == 0
    assert journal.append(LOG[:1], sign=sign)


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (1, 0), (0, 4), (4, 4)])
def test_a_range_outside_the_log_is_refused(journal: SqliteJournal, start: int, stop: int) -> None:
    journal.append(LOG[:3], sign=sign)
    with pytest.raises(BadRequest, match="in a log of 3"):
        journal.read(start, stop)
    with pytest.raises(BadRequest):
        journal.entry(3)


def check_broken(place: Place, journal: SqliteJournal, left: list[bytes]) -> None:
    """Every call is refused, nothing is written, and a start recovers."""
    before = {path: path.read_bytes() for path in (*place.folder.iterdir(), place.high_water)}
    calls: list[Callable[[], object]] = [
        lambda: journal.size,
        lambda: journal.tree,
        lambda: journal.note,
        lambda: journal.append([b"x"], sign=sign),
        lambda: journal.read(0, 0),
        lambda: journal.entry(0),
        lambda: journal.kept("k", "n"),
        lambda: journal.all_kept("k"),
        journal.space,
    ]
    for call in calls:
        with pytest.raises(JournalBroken):
            call()
    journal.close()
    assert {path: path.read_bytes() for path in before} == before
    again = place.open()
    assert check_whole(again) == left
    again.append([b"onwards"] if left else [GENESIS], sign=sign)
    again.close()


def fails(size: int, root: bytes) -> bytes:
    raise ConnectionError("the signer is gone")


def too_long(size: int, root: bytes) -> bytes:
    extensions = ("x" * LONGEST_NOTE,)
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root, extensions=extensions), KEY)


SIGNERS = {
    "fails": fails,
    "another-key": signer(OTHER_KEY),
    "another-key-and-log": signer(KEY, "journal.test/2"),
    "another-size": lambda size, root: sign(size + 1, root),
    "another-root": lambda size, root: sign(size, bytes(32)),
    "no-note": lambda size, root: b"",
    "too-long": too_long,
}


# Whose signature it is is verified at the first commit of a process only; see TRUST there.
CASES = [(known, name) for known in (False, True) for name in SIGNERS if not (known and name.startswith("another-key"))]


@pytest.mark.parametrize(("known", "name"), CASES)
def test_a_signer_that_fails_breaks_the_journal_before_anything_is_written(
    place: Place, known: bool, name: str
) -> None:
    journal = place.open()
    left = []
    if known:
        journal.append(LOG[:2], sign=sign)
        left = LOG[:2]
    with pytest.raises(JournalBroken):
        journal.append([GENESIS, b"more"], sign=SIGNERS[name])
    check_broken(place, journal, left)


def test_an_interrupt_while_signing_breaks_the_journal_too(place: Place) -> None:
    def interrupted(size: int, root: bytes) -> bytes:
        raise KeyboardInterrupt

    journal = place.open()
    journal.append(LOG[:2], sign=sign)
    with pytest.raises(KeyboardInterrupt):
        journal.append([b"more"], sign=interrupted)
    check_broken(place, journal, LOG[:2])


def test_a_closed_journal_takes_no_calls(place: Place) -> None:
    journal = place.open()
    journal.append(LOG[:2], sign=sign)
    journal.close()
    check_broken(place, journal, LOG[:2])


def test_an_entry_that_changes_under_a_running_journal_is_noticed_when_it_is_read(place: Place) -> None:
    journal = place.open()
    journal.append(LOG[:3], sign=sign, kept=[Kept(kind="k", name="n", data=None)])  # out of the WAL
    data = place.database.read_bytes()
    assert data.count(b"entry 2") == 1
    with place.database.open("r+b") as file:
        file.write(data.replace(b"entry 2", b"entry X"))
    journal._database.execute("PRAGMA shrink_memory")  # it must be read from the disk again
    with pytest.raises(LogTampered, match="entry 2 is no longer what it was"):
        list(journal.read(0, 3))
    journal.close()


class Slow(Disk):
    """Writes a little at a time, as a kernel may."""

    def pwrite(self, file: int, data: bytes, offset: int) -> int:
        return os.pwrite(file, data[:1000], offset)


def test_a_high_water_file_that_is_written_in_pieces_is_whole(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.create(disk=Slow())
    journal = place.open(disk=Slow())
    notes = [journal.append([entry], sign=sign) for entry in LOG[:3]]
    journal.close()
    file = HighWater(place.high_water, Disk())
    assert file.note == notes[-1]
    file.close()
    assert place.high_water.read_bytes().count(notes[-2]) == 1


def test_files_and_folders_are_for_nobody_else_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        place = Place(tmp_path)
        place.create()
        journal = place.open()
        journal.append(LOG[:1], sign=sign)
        journal.close()
    finally:
        os.umask(before)
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (place.high_water, *place.folder.iterdir())}
    assert modes == dict.fromkeys(("high-water", "journal.db", "journal.db-wal", "ballast"), "0o600")
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700


def test_opening_never_makes_a_journal(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Place(tmp_path).open()
    assert list(tmp_path.iterdir()) == []


def test_making_never_replaces_a_journal(place: Place, tmp_path: Path) -> None:
    with pytest.raises(OutputExists):
        place.create()
    other = Place(tmp_path / "other")
    other.create()
    other.high_water.rename(tmp_path / "kept")
    with pytest.raises(OutputExists):
        other.create()


def test_making_never_replaces_a_high_water_file(place: Place) -> None:
    for path in place.folder.iterdir():
        path.unlink()
    with pytest.raises(OutputExists):
        place.create()


def test_a_high_water_file_whose_folder_is_missing_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.create()
    place.high_water.unlink()
    place.high_water.parent.rmdir()
    with pytest.raises(LogTampered):
        place.open()


def test_a_format_of_another_release_is_refused(place: Place) -> None:
    with edited(place) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(UnknownFormat, match="has format 2, this release knows 1"):
        place.open()


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.9.0", "2.99.99"])
def test_a_library_that_can_corrupt_a_wal_is_refused(version: str) -> None:
    with pytest.raises(OldLibrary, match=version):
        check_library(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.100.0", "4.0.0", "3.51.3.1"])
def test_a_library_without_that_fault_is_used(version: str) -> None:
    check_library(version)


def test_a_reserve_is_there_after_a_start(place: Place) -> None:
    journal = place.open(reserve_bytes=1 << 20)
    assert journal.space() is Space.ENOUGH
    ballast = place.folder / "ballast"
    assert ballast.stat().st_blocks * 512 >= 1 << 20
    journal.close()
    with ballast.open("wb") as file:
        file.truncate(1 << 20)
    place.open(reserve_bytes=1 << 20).close()
    assert ballast.stat().st_blocks * 512 >= 1 << 20, "holes keep nothing free"


def test_the_settings_that_the_promises_rest_on_are_in_force(journal: SqliteJournal) -> None:
    database = journal._database
    wanted = {
        "journal_mode": "wal",
        "locking_mode": "exclusive",
        "synchronous": 2,
        "fullfsync": 1,
        "cell_size_check": 1,
        "secure_delete": 1,
        "wal_autocheckpoint": 0,
        "temp_store": 2,
    }
    assert {name: database.pragma(name) for name in wanted} == wanted
    on = {"DEFENSIVE", "NO_CKPT_ON_CLOSE"}
    off = {"TRUSTED_SCHEMA", "ENABLE_TRIGGER", "ENABLE_VIEW", "ENABLE_LOAD_EXTENSION", "DQS_DDL", "DQS_DML"}
    for name in on | off:
        assert database.config(getattr(apsw, f"SQLITE_DBCONFIG_{name}"), -1) == (name in on), name

"""Attacks on the log where it rests, by somebody who can write to the keep's disk while the keep is down.

Each ends in a refusal to start, and nothing is repaired. Conceded here, and shown as conceded: whoever puts back the
database *and* the high-water file to the same older state makes a journal that is right in itself; witnesses and the
clients' own last checkpoint notice (`docs/threats.md`). The private records beside the log are not the journal's to
judge: what reads them finds them sealed, or their digest in the log.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from strongroom.journal.highwater import SLOT_BYTES, Disk, HighWater
from strongroom.journal.port import Kept
from strongroom.journal.sqlite import create_journal, open_journal
from strongroom.terms.errors import JournalBusy, LogTampered, StrongroomError, UnsafePlace
from tests.journal.logs import (
    GENESIS,
    KEY,
    OTHER_KEY,
    Place,
    check_whole,
    edited,
    log_key_of,
    sign,
    signed,
    verifier_key,
)

LOG = [GENESIS, b"ada is enrolled", b"bob is enrolled", b"a key is released", b"ada is frozen"]
HOUSE = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A log of five entries in three commits."""
    place = Place(tmp_path / "place")
    place.create()
    journal = place.open()
    journal.append(
        LOG[:1], sign=sign, kept=[Kept(kind="share", name="a", data=b"a"), Kept(kind="share", name="b", data=b"b")]
    )
    journal.append(LOG[1:4], sign=sign)
    journal.append(LOG[4:], sign=sign)
    journal.close()
    return place


def copy(place: Place, name: str) -> Place:
    other = place.root.with_name(name)
    shutil.copytree(place.root, other)
    return Place(other)


def check_refused(place: Place, match: str | None, error: type[StrongroomError] = LogTampered) -> None:
    """It is refused, again and again, and everything stays as it was found."""
    files = [path for path in (*place.folder.iterdir(), place.high_water) if path.is_file() and path.name != "ballast"]
    before = {path: path.read_bytes() for path in files}
    for _ in range(2):
        with pytest.raises(error, match=match):
            place.open()
    assert {path: path.read_bytes() for path in files} == before


def edit(place: Place, *statements: tuple[str, tuple[object, ...]]) -> None:
    with edited(place) as database:
        for sql, values in statements:
            database.execute(sql, values)


def test_nothing_was_done_and_it_opens(place: Place) -> None:
    journal = place.open()
    assert check_whole(journal) == LOG
    journal.close()


EDITS: dict[str, tuple[str, tuple[object, ...], str]] = {
    "row-edited": ("UPDATE entries SET data = ? WHERE seq = 3", (b"no key is released",), "is not over these 5"),
    "row-swapped": (
        "UPDATE entries SET data = (SELECT e.data FROM entries e WHERE e.seq = 3 - entries.seq) WHERE seq IN (1, 2)",
        (),
        "is not over these 5",
    ),
    "first-row-edited": ("UPDATE entries SET data = ? WHERE seq = 0", (b"not a genesis",), "names no log key"),
    "row-deleted": ("DELETE FROM entries WHERE seq = 2", (), "not numbered one after the other"),
    "row-moved-to-the-end": ("UPDATE entries SET seq = 5 WHERE seq = 3", (), "not numbered one after the other"),
    "row-before-the-first": ("UPDATE entries SET seq = seq - 1", (), "not numbered one after the other"),
    "last-row-deleted": ("DELETE FROM entries WHERE seq = 4", (), "is not over these 4"),
    "last-row-added-unsigned": ("INSERT INTO entries VALUES (5, ?)", (b"eve is enrolled",), "is not over these 6"),
    "every-row-deleted": ("DELETE FROM entries", (), "the log is empty, and was not"),
    "last-checkpoint-deleted": ("DELETE FROM checkpoints WHERE size = 5", (), "is not over these 5"),
    "every-checkpoint-deleted": ("DELETE FROM checkpoints", (), "has no checkpoint"),
    "checkpoint-by-another-key": (
        "UPDATE checkpoints SET note = ? WHERE size = 5",
        (signed(LOG, OTHER_KEY),),
        "not the log key's",
    ),
    "checkpoint-of-another-log": (
        "UPDATE checkpoints SET note = ? WHERE size = 5",
        (signed(LOG, KEY, "journal.test/2"),),
        "not the log key's",
    ),
    "checkpoint-no-note": ("UPDATE checkpoints SET note = ? WHERE size = 5", (b"junk",), "not the log key's"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_database_is_refused(place: Place, name: str) -> None:
    sql, values, match = EDITS[name]
    edit(place, (sql, values))
    check_refused(place, match)


def test_a_last_entry_deleted_with_its_checkpoint_is_refused(place: Place) -> None:
    """What is left is a log that the key did sign; the high-water file knows that there was more."""
    edit(place, ("DELETE FROM entries WHERE seq = 4", ()), ("DELETE FROM checkpoints WHERE size = 5", ()))
    check_refused(place, "the log has 4 entries, and had 5")


def test_everything_deleted_is_refused(place: Place) -> None:
    edit(place, ("DELETE FROM entries", ()), ("DELETE FROM checkpoints", ()))
    check_refused(place, "the log is empty, and was not")


def test_every_entry_deleted_and_nothing_remembered_is_refused(place: Place) -> None:
    place.high_water.write_bytes(bytes(2 * SLOT_BYTES))
    edit(place, ("DELETE FROM entries", ()))
    check_refused(place, "the log is empty, and was not")


def test_a_tail_forked_and_signed_by_another_key_is_refused(place: Place) -> None:
    tail = [*LOG, b"eve is enrolled"]
    edit(
        place,
        ("INSERT INTO entries VALUES (5, ?)", (tail[5],)),
        ("INSERT INTO checkpoints VALUES (6, ?)", (signed(tail, OTHER_KEY),)),
    )
    check_refused(place, "not the log key's")


def test_a_fork_that_our_own_key_signed_is_refused(place: Place) -> None:
    """As by a keep that ran on a copy: history cannot be exchanged for another, longer one, signed or not."""
    fork = [*LOG[:4], b"eve is enrolled", b"and thaws all"]
    edit(
        place,
        ("UPDATE entries SET data = ? WHERE seq = 4", (fork[4],)),
        ("INSERT INTO entries VALUES (5, ?)", (fork[5],)),
        ("INSERT INTO checkpoints VALUES (6, ?)", (signed(fork),)),
    )
    check_refused(place, "first 5 entries are not those that were signed")


def test_another_genesis_with_its_own_key_is_refused(place: Place) -> None:
    """A whole log of somebody else, right in itself, under the high-water file of ours."""
    key = f"genesis {verifier_key(OTHER_KEY)}".encode()
    theirs = [key, *LOG[1:], b"more"]
    edit(
        place,
        ("UPDATE entries SET data = ? WHERE seq = 0", (key,)),
        ("INSERT INTO entries VALUES (5, ?)", (theirs[5],)),
        ("INSERT INTO checkpoints VALUES (6, ?)", (signed(theirs, OTHER_KEY),)),
    )
    check_refused(place, "not the log key's")


def test_a_signed_tail_that_extends_what_is_remembered_is_taken_over(place: Place) -> None:
    """What a crash between the database and the high-water file leaves."""
    tail = [*LOG, b"one more"]
    edit(
        place,
        ("INSERT INTO entries VALUES (5, ?)", (tail[5],)),
        ("INSERT INTO checkpoints VALUES (6, ?)", (signed(tail),)),
    )
    before = copy(place, "before")
    journal = place.open()
    assert check_whole(journal) == tail
    journal.close()
    # and from now on it is remembered
    shutil.rmtree(place.folder)
    shutil.copytree(before.folder, place.folder)
    edit(place, ("DELETE FROM entries WHERE seq = 5", ()), ("DELETE FROM checkpoints WHERE size = 6", ()))
    check_refused(place, "the log has 5 entries, and had 6")


def put_back(place: Place, yesterday: Place) -> None:
    shutil.rmtree(place.folder)
    shutil.copytree(yesterday.folder, place.folder)


def test_yesterdays_database_put_back_is_refused(place: Place) -> None:
    yesterday = copy(place, "yesterday")
    journal = place.open()
    journal.append([b"eve is frozen"], sign=sign)
    journal.close()
    put_back(place, yesterday)
    check_refused(place, "the log has 5 entries, and had 6")


def test_yesterdays_database_and_high_water_file_put_back_together_is_conceded(place: Place) -> None:
    """The journal cannot know. Witnesses, clients that remember, or the TPM's counter do."""
    yesterday = copy(place, "yesterday")
    journal = place.open()
    journal.append([b"eve is frozen"], sign=sign)
    journal.close()
    put_back(place, yesterday)
    shutil.copy(yesterday.high_water, place.high_water)
    journal = place.open()
    assert check_whole(journal) == LOG
    journal.close()


def test_a_wal_from_another_day_is_refused_or_does_nothing(place: Place) -> None:
    yesterday = copy(place, "yesterday")
    journal = place.open()
    journal.append([b"eve is frozen"], sign=sign)
    journal.close()
    shutil.copy(yesterday.folder / "journal.db-wal", place.folder / "journal.db-wal")
    check_refused(place, "the log has 5 entries, and had 6")


# --- the high-water file -----------------------------------------------------------------------------


def test_a_missing_high_water_file_is_refused(place: Place) -> None:
    place.high_water.unlink()
    check_only = place.folder / "journal.db"
    for _ in range(2):
        with pytest.raises(LogTampered, match=r"only .* is there"):
            place.open()
    assert check_only.exists()
    assert not place.high_water.exists()


def test_a_missing_database_is_refused_and_not_made_again(place: Place) -> None:
    shutil.rmtree(place.folder)
    with pytest.raises(LogTampered, match=r"only .* is there"):
        place.open()
    assert not place.folder.exists()


def test_a_high_water_file_that_remembers_nothing_is_refused(place: Place) -> None:
    place.high_water.write_bytes(bytes(2 * SLOT_BYTES))
    check_refused(place, "remembers nothing of a log that is older")


def test_a_high_water_file_of_another_log_is_refused(place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    other.create()
    journal = other.open()
    journal.append([GENESIS, b"another history"], sign=sign)
    journal.close()
    shutil.copy(other.high_water, place.high_water)
    check_refused(place, "first 2 entries are not those that were signed")


def remembering(note: bytes) -> Callable[[Place], None]:
    def remember(place: Place) -> None:
        file = HighWater(place.high_water, Disk())
        file.remember(note)
        file.close()

    return remember


def cut(place: Place) -> None:
    place.high_water.write_bytes(place.high_water.read_bytes()[:-1])


def longer(place: Place) -> None:
    place.high_water.write_bytes(place.high_water.read_bytes() + b"\0")


def spoilt(place: Place) -> None:
    data = bytearray(place.high_water.read_bytes())
    data[100] ^= 1
    data[SLOT_BYTES + 100] ^= 1
    place.high_water.write_bytes(data)


HIGH_WATERS: dict[str, tuple[Callable[[Place], None], str]] = {
    "note-by-another-key": (remembering(signed(LOG, OTHER_KEY)), "not the log key's"),
    "note-of-another-log": (remembering(signed(LOG, KEY, "journal.test/2")), "not the log key's"),
    "cut": (cut, "has 8191 bytes"),
    "longer": (longer, "has 8193 bytes"),
    "both-slots-spoilt": (spoilt, "both slots"),
}


@pytest.mark.parametrize("name", HIGH_WATERS)
def test_a_forged_high_water_file_is_refused(place: Place, name: str) -> None:
    attack, match = HIGH_WATERS[name]
    attack(place)
    check_refused(place, match)


def test_one_spoilt_slot_is_what_a_crash_leaves_and_the_other_still_counts(place: Place) -> None:
    data = place.high_water.read_bytes()
    for slot in (0, 1):
        for offset in (0, 31, 40, 41, 42, 300, SLOT_BYTES - 1):
            torn = bytearray(data)
            torn[slot * SLOT_BYTES + offset] ^= 0x80
            place.high_water.write_bytes(torn)
            journal = place.open()
            assert check_whole(journal) == LOG
            journal.close()
    # what it still remembers is at least the commit before
    place.high_water.write_bytes(bytes(torn))
    edit(place, ("DELETE FROM entries WHERE seq > 0", ()), ("DELETE FROM checkpoints WHERE size > 1", ()))
    check_refused(place, "the log has 1 entries, and had")


def test_a_high_water_file_inside_the_folder_is_refused(tmp_path: Path) -> None:
    """It would be put back together with the database."""
    folder = tmp_path / "journal"
    folder.mkdir(0o700)
    with pytest.raises(UnsafePlace, match="lies inside"):
        create_journal(folder, high_water=folder / "high-water")
    place = Place(tmp_path)
    place.create()
    link = tmp_path / "link"
    link.symlink_to(place.folder)
    with pytest.raises(UnsafePlace, match="lies inside"):
        open_journal(place.folder, high_water=link / "journal.db", log_key_of=log_key_of)


# --- the database's own means ------------------------------------------------------------------------

PLANTED = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM kept; END",
    "view": "CREATE VIEW v AS SELECT * FROM entries",
    "table": "CREATE TABLE t (x)",
    "index": "CREATE INDEX i ON entries (data)",
    "statistics": "ANALYZE",
    "virtual-table": "CREATE VIRTUAL TABLE t USING fts5(x)",
    "column": "ALTER TABLE entries ADD COLUMN x BLOB",
    "table-dropped": "DROP TABLE kept",
}


@pytest.mark.parametrize("name", PLANTED)
def test_anything_added_to_the_schema_is_refused(place: Place, name: str) -> None:
    edit(place, (PLANTED[name], ()))
    check_refused(place, "tables, indexes, views or triggers")


def test_tables_without_types_and_rows_that_are_no_bytes_are_refused(place: Place) -> None:
    with edited(place) as database:
        database.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'entries'")
        database.execute("PRAGMA writable_schema = RESET")
        database.execute("UPDATE entries SET data = CAST(data AS TEXT)")
    check_refused(place, "tables, indexes, views or triggers")
    with edited(place) as database:
        database.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'entries'")
    check_refused(place, "holds no bytes")


def test_a_schema_that_is_no_text_is_refused(place: Place) -> None:
    with edited(place):
        pass
    data = place.database.read_bytes()
    assert data.count(b"CREATE TABLE kept") == 1
    place.database.write_bytes(data.replace(b"CREATE TABLE kept", b"CREATE TABLE \xff\xfe\xfd\xfc"))
    check_refused(place, None)


@pytest.mark.parametrize(
    "content", [b"", b"junk" * 2000, b"SQLite format 3\0" + b"\xff" * 8000], ids=["empty", "junk", "broken"]
)
def test_a_file_that_is_no_database_of_ours_is_refused(place: Place, content: bytes) -> None:
    (place.folder / "journal.db-wal").unlink()
    place.database.write_bytes(content)
    check_refused(place, None)


def test_a_database_of_something_else_is_refused(place: Place) -> None:
    edit(place, ("PRAGMA application_id = 7", ()))
    check_refused(place, "is not the database of a journal")


def test_a_database_out_of_wal_mode_is_refused(place: Place) -> None:
    edit(place, ("PRAGMA journal_mode = DELETE", ()))
    check_refused(place, "in mode `delete`")


def test_a_flipped_bit_anywhere_is_refused_or_does_not_touch_the_log(place: Place) -> None:
    with edited(place):
        pass
    data = place.database.read_bytes()
    entries = data.index(b"ada is enrolled") // 4096 * 4096
    refused = 0
    for offset in [*range(100), *range(entries, entries + 4096, 41), data.index(b"bob is") + 2]:
        flipped = bytearray(data)
        flipped[offset] ^= 4
        place.database.write_bytes(flipped)
        try:
            journal = place.open()
        except StrongroomError:
            refused += 1
        else:
            assert check_whole(journal) == LOG
            journal.close()
        (place.folder / "journal.db-wal").unlink(missing_ok=True)
    assert refused > 20
    check_refused(place, "is not over these 5")


def test_private_records_are_not_the_journals_to_judge(place: Place) -> None:
    """Swapped, they come back swapped: their readers find that they do not open under their own names."""
    edit(place, ("UPDATE kept SET name = CASE name WHEN 'a' THEN 'tmp' ELSE 'a' END", ()))
    edit(place, ("UPDATE kept SET name = 'b' WHERE name = 'tmp'", ()))
    journal = place.open()
    assert dict(journal.all_kept("share")) == {"a": b"b", "b": b"a"}
    journal.close()


# --- whose files these are ---------------------------------------------------------------------------


def test_a_second_process_on_the_same_folder_is_refused(place: Place) -> None:
    journal = place.open()
    second = f"from pathlib import Path; from tests.journal.logs import Place; Place(Path({str(place.root)!r})).open()"
    done = subprocess.run([sys.executable, "-c", second], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "JournalBusy" in done.stderr
    with pytest.raises(JournalBusy):
        place.open()
    journal.append([b"the first goes on"], sign=sign)
    journal.close()
    place.open().close()


def test_a_copy_of_the_folder_beside_the_same_high_water_file_is_refused(place: Place) -> None:
    other = copy(place, "other")
    other.high_water.unlink()
    other.high_water.parent.rmdir()
    other.high_water.parent.mkdir(0o700)
    journal = place.open()
    with pytest.raises(JournalBusy):
        open_journal(other.folder, high_water=place.high_water, log_key_of=log_key_of)
    journal.close()


def test_the_same_folder_beside_another_high_water_file_is_refused(place: Place) -> None:
    other = copy(place, "other")
    journal = place.open()
    with pytest.raises(JournalBusy, match="another process"):
        open_journal(place.folder, high_water=other.high_water, log_key_of=log_key_of)
    journal.close()


def test_a_database_that_another_program_holds_is_not_opened(place: Place) -> None:
    program = "import apsw, sys; c = apsw.Connection(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, place.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "\n"
        (place.folder / "journal.db-shm").unlink()
        with pytest.raises(JournalBusy, match="another program"):
            place.open()
        other.communicate("\n")


def test_another_program_cannot_write_while_the_keep_runs(place: Place) -> None:
    """Not a defence against its own user, who can do anything; it stops the well-meant `sqlite3 journal.db`."""
    journal = place.open()
    journal.append([b"one more"], sign=sign)
    other = "import apsw, sys; apsw.Connection(sys.argv[1]).execute('DELETE FROM kept')"
    done = subprocess.run([sys.executable, "-c", other, place.database], capture_output=True, text=True, check=False)
    assert "BusyError" in done.stderr
    journal.close()
    place.open().close()


@pytest.mark.parametrize("mode", [0o040, 0o004, 0o020, 0o002, 0o010, 0o001])
@pytest.mark.parametrize("what", ["folder", "database", "wal", "ballast", "high-water", "high-water-folder"])
def test_loose_permissions_are_refused(place: Place, what: str, mode: int) -> None:
    path = {
        "folder": place.folder,
        "database": place.database,
        "wal": place.folder / "journal.db-wal",
        "ballast": place.folder / "ballast",
        "high-water": place.high_water,
        "high-water-folder": place.high_water.parent,
    }[what]
    path.chmod(path.stat().st_mode | mode)
    check_refused(place, "others have rights to it", UnsafePlace)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["folder", "database", "high-water"])
def test_files_of_another_owner_are_refused(place: Place, what: str) -> None:
    path = {"folder": place.folder, "database": place.database, "high-water": place.high_water}[what]
    os.chown(path, 12345, -1)
    check_refused(place, "belongs to user 12345", UnsafePlace)


@pytest.mark.parametrize("what", ["journal.db", "journal.db-wal", "ballast", "high-water"])
@pytest.mark.parametrize("kind", ["symlink", "second-name", "fifo"])
def test_files_that_are_not_plain_are_refused(place: Place, what: str, kind: str) -> None:
    path = place.high_water if what == "high-water" else place.folder / what
    aside = place.root / "aside"
    match kind:
        case "symlink":
            path.rename(aside)
            path.symlink_to(aside)
        case "second-name":
            aside.hardlink_to(path)
        case _:
            path.unlink()
            os.mkfifo(path, 0o600)
    check_refused(place, "second name" if kind == "second-name" else "not a regular file", UnsafePlace)


def test_a_symlinked_folder_is_refused(place: Place) -> None:
    aside = place.root / "aside"
    place.folder.rename(aside)
    place.folder.symlink_to(aside)
    check_refused(place, "is a symlink, or not a folder", UnsafePlace)


@pytest.mark.parametrize("name", ["journal.db-journal", "journal.db-shm", "other.db", ".hidden", "folder/"])
def test_files_that_are_not_the_journals_are_refused(place: Place, name: str) -> None:
    """A rollback journal would be played back into the database before anybody could look."""
    if name.endswith("/"):
        (place.folder / name).mkdir()
    else:
        (place.folder / name).write_bytes(b"planted")
    check_refused(place, "no part of a journal", UnsafePlace)

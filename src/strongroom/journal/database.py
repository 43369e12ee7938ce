"""The SQLite database of a journal: how it is made, how it is opened, and that nothing in it is what it should not be.

One process for the life of the connection: the folder is locked (`flock`), which covers the other files too, and
SQLite's own lock is exclusive, so that the index of the WAL is in our memory and not in a file that another could map.
The WAL is never removed and a close never checkpoints: every start is like the one after a crash.

TRUST: the file may be anybody's. No trigger, view, extension or function of its schema ever runs: the schema must be
ours to the letter before anything else is read.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import apsw

from strongroom.journal.highwater import Disk
from strongroom.journal.reserve import BALLAST
from strongroom.places import private
from strongroom.terms import errors

DATABASE = "journal.db"
_WAL = "journal.db-wal"
_APPLICATION = 0x53524A4C  # "SRJL"
_VERSION = 1
_LEAST_LIBRARY = (3, 51, 3)
"""Older ones, from 3.7.0 on, can corrupt a WAL in a race of two connections."""

_TABLES = {
    # From 0, without gaps; the tree over them says what they must be.
    "entries": "CREATE TABLE entries (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
    # The checkpoint that each commit ended in, by the size of the tree. A start needs the last; the others tell an
    # auditor what was acknowledged when.
    "checkpoints": "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT",
    "kept": "CREATE TABLE kept (kind TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, "
    "PRIMARY KEY (kind, name)) STRICT",
}
_SCHEMA = [
    ("index", "sqlite_autoindex_kept_1", "kept", None),
    *(("table", name, name, sql) for name, sql in sorted(_TABLES.items())),
]
_OFF = (
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER,
    apsw.SQLITE_DBCONFIG_ENABLE_VIEW,
    apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
    apsw.SQLITE_DBCONFIG_DQS_DDL,
    apsw.SQLITE_DBCONFIG_DQS_DML,
)
_ON = (apsw.SQLITE_DBCONFIG_DEFENSIVE, apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
_PRAGMAS = (
    "locking_mode = EXCLUSIVE",  # ORDER: before the first read, which would make shared memory otherwise
    "synchronous = FULL",
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
    "cell_size_check = ON",
    "temp_store = MEMORY",
    "secure_delete = ON",  # what is erased is overwritten
    "wal_autocheckpoint = 0",  # SQLite would pass over its failures; see `SqliteJournal`
)


def check_library(version: str) -> None:
    """Refuse a version of the SQLite library that is older than 3.51.3."""
    if tuple(int(number) for number in version.split(".")) < _LEAST_LIBRARY:
        raise errors.OldLibrary(f"SQLite {version} is older than {'.'.join(map(str, _LEAST_LIBRARY))}")


def open_journal_folder(path: Path) -> int:
    """Open and lock the folder of a journal; nothing may be in it but the journal's own private files."""
    folder = private.open_folder(path)
    try:
        private.lock(path, folder)
        for name in os.listdir(folder):
            # A rollback journal, for one, would be played back into the database as soon as that is opened.
            if name not in {DATABASE, _WAL, BALLAST}:
                raise errors.UnsafePlace(f"`{path}` holds `{name[:80]!a}`, which is no part of a journal")
            private.check_file(name, folder)
    except BaseException:
        os.close(folder)
        raise
    return folder


def create_database(path: Path, folder: int, vfs: str, disk: Disk) -> None:
    """Make an empty database in an open folder."""
    # Made here, so that its permissions do not depend on the umask; SQLite gives the WAL those of the database.
    os.close(private.make_file(DATABASE, folder))
    with _connected(path, vfs) as database:
        if (mode := database.execute("PRAGMA journal_mode = WAL").get) != "wal":  # SQLite's way to say that it failed
            raise errors.StoreUnavailable(f"the database stays in mode `{mode}`: it could not be written")
        with database:
            for sql in _TABLES.values():
                database.execute(sql)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            # Last: what a crash interrupts has no version, and is refused.
            database.execute(f"PRAGMA user_version = {_VERSION}")
    disk.sync(folder)


def open_database(path: Path, vfs: str) -> apsw.Connection:
    """Open the database of a locked folder.

    Raises:
        UnknownFormat: it is of another release.
        LogTampered: its schema is not ours to the letter, or it is not even a journal's database.
    """
    with _connected(path, vfs, keep=True) as database:
        if database.pragma("application_id") != _APPLICATION:
            raise errors.LogTampered(f"`{path}` is not the database of a journal")
        if (version := database.pragma("user_version")) != _VERSION:
            raise errors.UnknownFormat(f"`{path}` has format {version}, this release knows {_VERSION}")
        schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").get
        if schema != _SCHEMA:
            raise errors.LogTampered("the database has tables, indexes, views or triggers that are not the journal's")
        if (mode := database.pragma("journal_mode")) != "wal":
            raise errors.LogTampered(f"the database is in mode `{mode}` and not in WAL mode")
    return database


@contextlib.contextmanager
def database_errors(what: str) -> Iterator[None]:
    """Turn errors of SQLite and of the system into ours, while a journal is made or opened."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError, UnicodeDecodeError) as error:
        raise errors.LogTampered(f"{what}: the database is damaged: {error}") from error
    except FileNotFoundError as error:
        raise errors.NotFound(f"{what}: `{error.filename}` is not there") from error
    except PermissionError as error:
        raise errors.AccessDenied(f"{what}: `{error.filename}` is not ours to use") from error
    except apsw.BusyError as error:
        raise errors.JournalBusy(f"{what}: another program has the database open") from error
    except apsw.FullError as error:
        raise errors.NoSpace(f"{what}: disk full") from error
    except (apsw.Error, OSError) as error:
        raise errors.StoreUnavailable(f"{what}: {error}") from error


@contextlib.contextmanager
def _connected(path: Path, vfs: str, *, keep: bool = False) -> Iterator[apsw.Connection]:
    """Connect with every setting made; close at the end, unless it is to be kept and nothing failed."""
    check_library(apsw.sqlite_lib_version())
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs or None)
    with contextlib.ExitStack() as undo:
        undo.callback(database.close)
        for option in _OFF:
            database.config(option, 0)
        for option in _ON:
            database.config(option, 1)
        for pragma in _PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        yield database
        if keep:
            undo.pop_all()

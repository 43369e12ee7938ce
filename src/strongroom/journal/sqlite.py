"""A journal in SQLite: the commit order, and the start-up rule.

A commit:  tree, signature → one transaction (entries, checkpoint, kept) → high-water file → answer
A start:   the tree over all entries again; the last checkpoint must be over exactly that tree; what the high-water file
           remembers must be that tree or one that it extends; then the file is brought up to it

Anything else than that is `LogTampered` and never repaired. A failure in the middle of a commit breaks the journal for
the process: only a new start can tell how it ended.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import apsw

from strongroom.journal.database import (
    DATABASE,
    create_database,
    database_errors,
    open_database,
    open_journal_folder,
)
from strongroom.journal.highwater import LONGEST_NOTE, Disk, HighWater, create_high_water
from strongroom.journal.port import Kept, Sign, Space
from strongroom.journal.reserve import Reserve
from strongroom.terms import errors
from strongroom.tlog.checkpoints import Checkpoint, parse_checkpoint, verify_checkpoint
from strongroom.tlog.notes import VerifierKey, parse_note
from strongroom.tlog.tree import Tree, leaf_hash

RESERVE_BYTES = 16 << 20
_BATCH = 256
_MOST_WAL_PAGES = 1000

LogKeyOf = Callable[[bytes], VerifierKey]
"""Takes the genesis entry; returns the log key that it names."""


def create_journal(folder: Path, *, high_water: Path, sqlite_vfs: str = "", disk: Disk | None = None) -> None:
    """Make an empty journal in `folder`, which is new or empty, and its high-water file, which is new.

    ORDER: the high-water file comes last. A crash before leaves a folder without one, which is refused: nothing is in
    it yet, so remove both and begin again.

    Raises:
        OutputExists: something is there already.
        UnsafePlace: a folder that others may look into, or the file would lie inside the journal's folder.
        NoSpace, StoreUnavailable: the disk.
    """
    disk = disk or Disk()
    with database_errors(f"making `{folder}`"), contextlib.ExitStack() as leaving:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
        opened = open_journal_folder(folder)
        leaving.callback(os.close, opened)
        _check_apart(folder, high_water)
        if os.listdir(opened) or os.path.lexists(high_water):
            raise errors.OutputExists(f"`{folder}` or `{high_water}` is there already")
        create_database(folder / DATABASE, opened, sqlite_vfs, disk)
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        leaving.callback(os.close, parent)
        disk.sync(parent)
        create_high_water(high_water, disk)


def open_journal(
    folder: Path,
    *,
    high_water: Path,
    log_key_of: LogKeyOf,
    reserve_bytes: int = RESERVE_BYTES,
    sqlite_vfs: str = "",
    disk: Disk | None = None,
) -> SqliteJournal:
    """Open the journal that is in `folder`, after checking all of it. Never makes one.

    `sqlite_vfs` and `disk` are for tests, which break writes with them.

    Raises:
        LogTampered: the log is not, to the byte, one that the high-water file leads up to and the log key signed.
        NotFound: there is none.
        UnknownFormat: it is of another release.
        JournalBusy: another process has it.
        UnsafePlace: others may read or change it.
        StoreUnavailable, NoSpace: the disk.
    """
    disk = disk or Disk()
    with database_errors(f"opening `{folder}`"), contextlib.ExitStack() as undo:
        _check_both(folder / DATABASE, high_water)
        opened = open_journal_folder(folder)
        undo.callback(os.close, opened)
        _check_apart(folder, high_water)
        file = HighWater(high_water, disk)
        undo.callback(file.close)
        database = open_database(folder / DATABASE, sqlite_vfs)
        undo.callback(database.close)
        reserve = Reserve(opened, reserve_bytes)
        journal = SqliteJournal(database, file, reserve, log_key_of)
        reserve.make()
        journal._closing = undo.pop_all()
        return journal


class SqliteJournal:
    """See `Journal`. Made by `open_journal` only."""

    def __init__(self, database: apsw.Connection, file: HighWater, reserve: Reserve, log_key_of: LogKeyOf) -> None:
        self._database, self._file, self._reserve, self._log_key_of = database, file, reserve, log_key_of
        self._closing = contextlib.ExitStack()
        self._broken = ""
        self._log_key: VerifierKey | None = None
        self._note: bytes | None = None
        self._tree = Tree()
        self._wal_pages = 0
        self._is_signer_known = False
        database.set_wal_hook(self._count_wal)
        self._start()

    @property
    def size(self) -> int:
        self._check_usable()
        return self._tree.size

    @property
    def tree(self) -> Tree:
        self._check_usable()
        return self._tree

    @property
    def note(self) -> bytes | None:
        self._check_usable()
        return self._note

    def append(
        self, entries: Sequence[bytes], *, sign: Sign, kept: Sequence[Kept] = (), closing: bool = False
    ) -> bytes:
        self._check_usable()
        if not entries:
            raise errors.BadRequest("nothing to append: private records change beside an entry only")
        batch_bytes = sum(map(len, entries)) + sum(len(record.data or b"") for record in kept)
        self._reserve.check(batch_bytes, closing=closing)
        log_key = self._log_key or self._log_key_of(entries[0])
        with self._fatal("appending"):
            self._reserve.use(batch_bytes)
            start = self._tree.size
            self._tree.extend(map(leaf_hash, entries))
            # ORDER: signed before anything is written. A crash leaves a signature that nobody has seen.
            note = sign(self._tree.size, self._tree.root())
            self._check_signed(note, log_key)
            # ORDER: in one transaction, synced by its COMMIT. A crash leaves all of it or nothing. If all, then the
            # high-water file is one commit behind, and the next start accepts the tail because it is signed.
            self._commit(start, entries, note, kept)
            # ORDER: after the database, never before: a file ahead of the database is what a rollback looks like. And
            # before the answer: what anybody was told is remembered outside the database.
            self._file.remember(note)
            # ORDER: last, since a commit does not depend on it. A crash leaves pages in the WAL, or in both places.
            self._checkpoint_wal(erased=any(record.data is None for record in kept))
        self._log_key, self._note = log_key, note
        return note

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        self._check_usable()
        if not 0 <= start <= stop <= self._tree.size:
            raise errors.BadRequest(f"no entries {start} to {stop} in a log of {self._tree.size}")
        return (
            data
            for first in range(start, stop, _BATCH)
            # In batches: an open statement of ours would hold a checkpoint up.
            for data in self._checked(first, min(first + _BATCH, stop))
        )

    def entry(self, index: int) -> bytes:
        return next(self.read(index, index + 1))

    def kept(self, kind: str, name: str) -> bytes | None:
        self._check_usable()
        with self._fatal("reading"):
            row = self._database.execute("SELECT data FROM kept WHERE kind = ? AND name = ?", (kind, name)).get
        return None if row is None else _bytes(row)

    def all_kept(self, kind: str) -> Iterator[tuple[str, bytes]]:
        self._check_usable()
        with self._fatal("reading"):
            names = list(self._database.execute("SELECT name FROM kept WHERE kind = ? ORDER BY name", (kind,)))
        return ((name, data) for (name,) in names if (data := self.kept(kind, name)) is not None)

    def space(self, pending_bytes: int = 0) -> Space:
        self._check_usable()
        return self._reserve.space(pending_bytes)

    def close(self) -> None:
        self._broken = self._broken or "it is closed"
        self._closing.close()

    # --- a start -----------------------------------------------------------------------------------

    def _start(self) -> None:
        rows = self._database.execute("SELECT seq, data FROM entries ORDER BY seq")
        while batch := list(islice(rows, _BATCH)):
            numbers, entries = zip(*batch, strict=True)
            size = self._tree.size
            if numbers != tuple(range(size, size + len(batch))):
                raise errors.LogTampered(f"the entries from {size} on are not numbered one after the other")
            self._tree.extend(map(leaf_hash, map(_bytes, entries)))
        notes = self._database.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 2").fetchall()
        if not self._tree.size:
            if notes or self._file.note is not None:
                raise errors.LogTampered("the log is empty, and was not: a checkpoint of it is there")
            return
        if not notes:
            raise errors.LogTampered("the log has no checkpoint")
        genesis, note = self._row(0), _bytes(notes[0][0])
        self._log_key = self._named_key(genesis)
        self._check_over_tree(_verified(note, self._log_key))
        self._check_remembered(self._log_key, commits=len(notes))
        if note != self._file.note:
            self._file.remember(note)
        self._note = note

    def _named_key(self, genesis: bytes) -> VerifierKey:
        try:
            return self._log_key_of(genesis)
        except errors.StrongroomError as error:
            raise errors.LogTampered(f"the first entry names no log key: {error.message}") from error

    def _check_signed(self, note: bytes, log_key: VerifierKey) -> None:
        """Refuse what `sign` gave if the next start would refuse it.

        TRUST: the signer is the keep. That it has the right key is verified at the first commit of a process, and at
        every start; at each commit that would take as long as half the commit.
        """
        if not self._is_signer_known:
            checkpoint = _verified(note, log_key)
            self._is_signer_known = True
        else:
            checkpoint = parse_checkpoint(parse_note(note).text)
        self._check_over_tree(checkpoint)
        if len(note) > LONGEST_NOTE:
            raise errors.BadRequest(f"a checkpoint of {len(note)} bytes, where {LONGEST_NOTE} have room")

    def _check_over_tree(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint that is not over the tree as it is."""
        if (checkpoint.size, checkpoint.root) != (self._tree.size, self._tree.root()):
            raise errors.LogTampered(
                f"the checkpoint over {checkpoint.size} entries is not over these {self._tree.size}"
            )

    def _check_remembered(self, log_key: VerifierKey, *, commits: int) -> None:
        """Refuse a log that what the high-water file remembers does not lead up to."""
        remembered = self._file.note
        if remembered is None:
            # Only the very first commit can be ahead of a file that remembers nothing.
            if commits > 1:
                raise errors.LogTampered("the high-water file remembers nothing of a log that is older")
            return
        checkpoint = _verified(remembered, log_key)
        if checkpoint.size > self._tree.size:
            raise errors.LogTampered(f"the log has {self._tree.size} entries, and had {checkpoint.size}")
        if checkpoint.root != self._tree.root(checkpoint.size):
            raise errors.LogTampered(f"the log's first {checkpoint.size} entries are not those that were signed")

    # --- the database ------------------------------------------------------------------------------

    def _commit(self, start: int, entries: Sequence[bytes], note: bytes, kept: Sequence[Kept]) -> None:
        run = self._database
        run.execute("BEGIN IMMEDIATE")
        run.executemany("INSERT INTO entries VALUES (?, ?)", enumerate(entries, start))
        run.execute("INSERT INTO checkpoints VALUES (?, ?)", (start + len(entries), note))
        for record in kept:
            if record.data is None:
                run.execute("DELETE FROM kept WHERE kind = ? AND name = ?", (record.kind, record.name))
            else:
                run.execute("REPLACE INTO kept VALUES (?, ?, ?)", (record.kind, record.name, record.data))
        run.execute("COMMIT")

    def _checkpoint_wal(self, *, erased: bool) -> None:
        """Move the WAL into the database when it is long; when something was erased, also cut it to nothing."""
        if erased:
            self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        elif self._wal_pages >= _MOST_WAL_PAGES:
            self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)

    def _count_wal(self, _database: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _row(self, index: int) -> bytes:
        return _bytes(self._database.execute("SELECT data FROM entries WHERE seq = ?", (index,)).get)

    def _checked(self, start: int, stop: int) -> list[bytes]:
        """Return entries, each checked against the tree: the disk may have changed since the start."""
        self._check_usable()
        with self._fatal("reading"):
            rows = self._database.execute("SELECT seq, data FROM entries WHERE seq >= ? AND seq < ?", (start, stop))
            found = dict(rows)
        entries = [_bytes(found.get(number)) for number in range(start, stop)]
        for number, data in enumerate(entries, start):
            if leaf_hash(data) != self._tree.leaf(number):
                raise errors.LogTampered(f"entry {number} is no longer what it was")
        return entries

    # --- broken or not -----------------------------------------------------------------------------

    def _check_usable(self) -> None:
        if self._broken:
            raise errors.JournalBroken(f"the journal takes no more calls: {self._broken}")

    @contextlib.contextmanager
    def _fatal(self, what: str) -> Iterator[None]:
        """Whatever fails in here breaks the journal: what is in memory may no longer be what is on the disk."""
        try:
            yield
        except BaseException as error:
            self._broken = f"{what} failed: {error}"
            if not isinstance(error, Exception):
                raise
            raise errors.JournalBroken(self._broken) from error


def _verified(note: bytes, log_key: VerifierKey) -> Checkpoint:
    try:
        return verify_checkpoint(note, log_key)
    except errors.StrongroomError as error:
        raise errors.LogTampered(f"a checkpoint is not the log key's: {error.message}") from error


def _bytes(value: object) -> bytes:
    """Return what a BLOB column holds. A file that somebody made may hold anything in it."""
    if not isinstance(value, bytes):
        raise errors.LogTampered("a row of the database is missing, or holds no bytes")
    return value


def _check_both(database: Path, high_water: Path) -> None:
    """Refuse a database without high-water file, and the reverse."""
    there = [place for place in (database, high_water) if os.path.lexists(place)]
    if not there:
        raise errors.NotFound(f"there is no journal in `{database.parent}`")
    if there != [database, high_water]:
        raise errors.LogTampered(f"only `{there[0]}` is there: the log's database, or its high-water file, is gone")


def _check_apart(folder: Path, high_water: Path) -> None:
    """Refuse a high-water file inside the folder: it would be put back together with the database."""
    if high_water.parent.resolve().is_relative_to(folder.resolve()):
        raise errors.UnsafePlace(f"the high-water file `{high_water}` lies inside `{folder}`")

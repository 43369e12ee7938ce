"""The book: the log being written, and the directory that follows from it. Stage, commit, then answer.

    stage(entry)   decided: the directory already shows it, nobody else has seen it
    commit()       durable, under a signed checkpoint
    logged(staged) the proof that it is; only from this is anything released

ORDER: the directory runs ahead of the journal by one batch, so that each request in it is decided on what those before
it did. If the journal then fails, the process ends: a directory that was ahead never answers anybody, and the next
start folds what is really there, with the same code.
"""

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.acts.fold import Step, apply, fold, genesis
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory, parse_directory
from strongroom.journal.port import Journal, Kept, Space
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRequest, LogTampered, Malformed
from strongroom.tlog.tree import leaf_hash

LARGEST_ENTRY_BYTES = 65_535
"""SPEC tlog-tiles: an entry's length is 16 bits."""
SNAPSHOT_ENTRIES = 20_000
"""So many entries a start folds at most; a snapshot of 10,000 people takes as long as folding them, two seconds."""

Sign = Callable[[int, bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """An entry of the batch that is being made."""

    index: int
    leaf: bytes
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An entry that is durable under a signed checkpoint; made by `Book.logged` only."""

    index: int
    leaf: bytes
    entry: Entry
    proof: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """Return the digest of the leaf's bytes."""
        return sha256(self.leaf)


class Book:
    """A journal and its directory. One writer."""

    def __init__(self, journal: Journal, directory: Directory, snapshot_at: int = 0) -> None:
        self.journal = journal
        self.directory = directory
        self._leaves: list[bytes] = []
        self._kept: list[Kept] = []
        self._snapshot_at = snapshot_at

    def stage(self, step: Step, *, kept: tuple[Kept, ...] = ()) -> Staged:
        """Apply one entry to the directory, to be written with the batch.

        Raises:
            BadRequest: it is too large for an entry; nothing was changed.
        """
        leaf = encode_leaf(step.entry)
        index = self.directory.size
        apply(self.directory, step)
        self._leaves.append(leaf)
        self._kept.extend(kept)
        return Staged(index=index, leaf=leaf, entry=step.entry)

    def space(self, more_bytes: int = 4 * LARGEST_ENTRY_BYTES) -> Space:
        """Return how much room is left once this batch is written, and one more request."""
        staged = sum(map(len, self._leaves)) + sum(len(one.data or b"") for one in self._kept)
        return self.journal.space(staged + more_bytes)

    def commit(self, sign: Sign) -> None:
        """Make the batch durable.

        Raises:
            JournalBroken, NoSpace: whatever it is, the process must end now.
        """
        if not self._leaves:
            return
        leaves, kept = self._leaves, self._kept
        self._leaves, self._kept = [], []
        # Whether there is room was decided for each request, see `space`: what was let in may use the reserve.
        self.journal.append(leaves, sign=sign, kept=kept, closing=True)

    def logged(self, index: int) -> Logged:
        """Return entry `index` with the proof that it is in the log.

        Raises:
            BadRequest: it is not written yet.
        """
        leaf = self.journal.entry(index)
        return Logged(
            index=index,
            leaf=leaf,
            entry=parse_entry(leaf),
            proof=self.journal.tree.inclusion_proof(index, self.journal.size),
        )

    def logged_now(self, staged: Staged) -> Logged:
        """Return what was staged as logged, once its batch is."""
        if staged.index >= self.journal.size or self.journal.tree.leaf(staged.index) != leaf_hash(staged.leaf):
            raise LogTampered(f"entry {staged.index} is not what was to be written")
        return Logged(
            index=staged.index,
            leaf=staged.leaf,
            entry=staged.entry,
            proof=self.journal.tree.inclusion_proof(staged.index, self.journal.size),
        )

    def kept_text(self, kind: str, name: str) -> bytes | None:
        """Return a private record, of this batch or from the journal."""
        for record in reversed(self._kept):
            if (record.kind, record.name) == (kind, name):
                return record.data
        return self.journal.kept(kind, name)

    def snapshot_if_due(self, at: int) -> None:
        """Now and then, keep the directory beside the log, with its digest in it: a start folds only what follows."""
        if self.directory.size - self._snapshot_at < SNAPSHOT_ENTRIES:
            return
        state = self.directory.encode()
        self._snapshot_at = self.directory.size
        if self.space(len(state)) is not Space.ENOUGH:
            return
        record = Kept(kind="snapshot", name="", data=self.directory.size.to_bytes(8) + state)
        entry = Entry(at=at, kind="snapshot.taken", data={"digest": sha256(state)})
        self.stage(Step(entry=entry), kept=(record,))


def encode_leaf(entry: Entry) -> bytes:
    """Return the bytes of an entry.

    Raises:
        BadRequest: more than an entry may have.
    """
    leaf = entry.encode()
    if len(leaf) > LARGEST_ENTRY_BYTES:
        raise BadRequest(f"an entry of {len(leaf)} bytes: {LARGEST_ENTRY_BYTES} can be", hint="say less at a time")
    return leaf


def read_book(journal: Journal) -> Book:
    """Return the book of a journal that was opened, and so verified. Folds it all, or from the snapshot on.

    Raises:
        LogTampered: the entries do not follow from one another, or the snapshot is not the one in the log.
    """
    directory = _from_snapshot(journal)
    if directory is None:
        directory = genesis(journal.entry(0))
    folded_from = directory.size
    for leaf in journal.read(folded_from, journal.size):
        fold(directory, leaf)
    return Book(journal, directory, snapshot_at=folded_from)


def _from_snapshot(journal: Journal) -> Directory | None:
    """Return the directory that was kept last, if there is one that this release can read.

    TRUST: the record itself, nobody; the entry at its index, which the checkpoint covers, names its digest.
    """
    if (record := journal.kept("snapshot", "")) is None:
        return None
    index, state = int.from_bytes(record[:8]), record[8:]
    entry = parse_entry(journal.entry(index)) if index < journal.size else None
    if entry is None or entry.kind != "snapshot.taken" or entry.data != {"digest": sha256(state)}:
        raise LogTampered("the snapshot beside the log is not the one that the log names")
    try:
        directory = parse_directory(state)
    except Malformed:  # another release's form of it: the log itself is read by all
        return None
    if directory.size != index:
        raise LogTampered("the snapshot beside the log is of another place in it")
    return directory

"""A log to put into a journal: its key, its entries, and a journal in a fresh folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.journal.highwater import Disk
from strongroom.journal.port import Sign
from strongroom.journal.sqlite import SqliteJournal, create_journal, open_journal
from strongroom.terms.errors import BadKey
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint, verify_checkpoint
from strongroom.tlog.notes import ED25519, VerifierKey, parse_verifier_key
from strongroom.tlog.tree import Tree, leaf_hash

ORIGIN = "journal.test/1"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
RESERVE_BYTES = 64 << 10


def verifier_key(key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> VerifierKey:
    return VerifierKey(name=origin, kind=ED25519, public_key=key.public_key().public_bytes_raw())


def signer(key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> Sign:
    return lambda size, root: sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), key)


sign = signer()
GENESIS = f"genesis {verifier_key()}".encode()


def log_key_of(genesis: bytes) -> VerifierKey:
    word, _, key = genesis.decode().partition(" ")
    if word != "genesis":
        raise BadKey("not a genesis entry")
    return parse_verifier_key(key)


def signed(entries: list[bytes], key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> bytes:
    """Return the note of a log of these entries."""
    return signer(key, origin)(len(entries), Tree(map(leaf_hash, entries)).root())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a journal of a test lies: its folder, and the high-water file in another."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "journal"

    @property
    def database(self) -> Path:
        return self.folder / "journal.db"

    @property
    def high_water(self) -> Path:
        return self.root / "elsewhere" / "high-water"

    def create(self, *, sqlite_vfs: str = "", disk: Disk | None = None) -> None:
        self.root.mkdir(exist_ok=True)
        self.high_water.parent.mkdir(0o700, exist_ok=True)
        create_journal(self.folder, high_water=self.high_water, sqlite_vfs=sqlite_vfs, disk=disk)

    def open(
        self, *, sqlite_vfs: str = "", disk: Disk | None = None, reserve_bytes: int = RESERVE_BYTES
    ) -> SqliteJournal:
        return open_journal(
            self.folder,
            high_water=self.high_water,
            log_key_of=log_key_of,
            reserve_bytes=reserve_bytes,
            sqlite_vfs=sqlite_vfs,
            disk=disk,
        )


@contextlib.contextmanager
def edited(place: Place) -> Iterator[apsw.Connection]:
    """The database of a journal that is not open, in the hands of somebody who can write to it; then without a WAL."""
    database = apsw.Connection(str(place.database))
    try:
        database.pragma("schema_version")  # without a first read a checkpoint does nothing
        yield database
        database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        database.close()


def check_whole(journal: SqliteJournal) -> list[bytes]:
    """Return all entries of a journal, seen to be those that its note is over."""
    entries = list(journal.read(0, journal.size))
    assert len(entries) == journal.size
    if not entries:
        assert journal.note is None
        return entries
    assert journal.note is not None
    checkpoint = verify_checkpoint(journal.note, verifier_key())
    assert (checkpoint.size, checkpoint.root) == (len(entries), Tree(map(leaf_hash, entries)).root())
    return entries

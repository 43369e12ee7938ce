"""Snapshots: a start folds what came after one only, and takes none but that which the log names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.acts.fold import Step, fold, genesis
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory
from strongroom.journal.port import Kept
from strongroom.keep.book import SNAPSHOT_ENTRIES, Book, read_book
from strongroom.keep.vault import Vault
from strongroom.terms.digests import sha256
from strongroom.terms.errors import LogTampered
from tests.client_keep.logs import World
from tests.keep.world import founded_keep


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with founded_keep(tmp_path) as world:
        yield world


def book_of(world: World) -> Book:
    book = world.keeper.keep._book  # type: ignore[attr-defined]
    assert isinstance(book, Book)
    return book


def commit(world: World, book: Book) -> None:
    vault = world.keeper.keep._vault  # type: ignore[attr-defined]
    assert isinstance(vault, Vault)
    book.commit(lambda size, root: vault.sign(book.directory.origin, size, root))


def write(world: World, book: Book, count: int) -> None:
    for number in range(count):
        book.stage(Step(entry=Entry(at=book.directory.at, kind="refused", data={"number": number})))
    commit(world, book)


def write_snapshot(world: World, book: Book) -> None:
    book.snapshot_if_due(book.directory.at)
    commit(world, book)


def keep_beside(world: World, book: Book, record: bytes, *, named: str | None = None) -> None:
    """Put a record in the place of the snapshot, with an entry that names the digest `named`."""
    kind, data = ("refused", None) if named is None else ("snapshot.taken", {"digest": named})
    entry = Entry(at=book.directory.at, kind=kind, data=data)
    book.stage(Step(entry=entry), kept=(Kept(kind="snapshot", name="", data=record),))
    commit(world, book)


def folded(book: Book) -> Directory:
    directory = genesis(book.journal.entry(0))
    for leaf in book.journal.read(1, book.journal.size):
        fold(directory, leaf)
    return directory


def newest(book: Book) -> str:
    return parse_entry(book.journal.entry(book.journal.size - 1)).kind


def test_a_start_from_a_snapshot_has_the_directory_that_the_whole_log_gives(world: World) -> None:
    book = book_of(world)
    write(world, book, SNAPSHOT_ENTRIES)
    write_snapshot(world, book)
    assert newest(book) == "snapshot.taken"
    world.model()
    assert book.directory.models
    assert read_book(book.journal).directory.encode() == book.directory.encode() == folded(book).encode()


def test_a_keep_that_is_often_started_takes_snapshots_all_the_same(world: World) -> None:
    book = book_of(world)
    write(world, book, SNAPSHOT_ENTRIES - book.directory.size)
    again = read_book(book.journal)
    write_snapshot(world, again)
    assert newest(again) != "snapshot.taken"
    write(world, again, 1)
    again = read_book(book.journal)
    write_snapshot(world, again)
    assert newest(again) == "snapshot.taken"
    write_snapshot(world, read_book(book.journal))
    assert book.journal.size == again.directory.size


def test_a_snapshot_that_was_changed_stops_the_start(world: World) -> None:
    book = book_of(world)
    state = book.directory.encode()
    keep_beside(world, book, book.directory.size.to_bytes(8) + state, named=sha256(state))
    assert read_book(book.journal).directory.encode() == book.directory.encode()
    flipped = bytes([state[0] ^ 1]) + state[1:]
    keep_beside(world, book, (book.directory.size - 1).to_bytes(8) + flipped)
    with pytest.raises(LogTampered, match="not the one that the log names"):
        read_book(book.journal)


def test_a_snapshot_at_an_entry_of_another_kind_or_none_stops_the_start(world: World) -> None:
    book = book_of(world)
    for index in (0, book.directory.size + 1, 1 << 63):
        keep_beside(world, book, index.to_bytes(8) + book.directory.encode())
        with pytest.raises(LogTampered, match="not the one that the log names"):
            read_book(book.journal)


def test_a_snapshot_of_another_place_in_the_log_stops_the_start(world: World) -> None:
    book = book_of(world)
    state = book.directory.encode()
    write(world, book, 1)
    keep_beside(world, book, book.directory.size.to_bytes(8) + state, named=sha256(state))
    with pytest.raises(LogTampered, match="another place"):
        read_book(book.journal)


def test_a_snapshot_in_the_form_of_another_release_is_left_and_the_log_folded(world: World) -> None:
    book = book_of(world)
    state = b'{"form":2}'
    keep_beside(world, book, book.directory.size.to_bytes(8) + state, named=sha256(state))
    assert read_book(book.journal).directory.encode() == folded(book).encode()

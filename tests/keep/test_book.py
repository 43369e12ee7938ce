"""The book: what is staged is seen by nobody until it is durable; a snapshot counts only if the log names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.acts.fold import Step
from strongroom.acts.freeze import Freeze
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory.entries import Entry
from strongroom.directory.state import PolicySource
from strongroom.journal.port import Kept, Space
from strongroom.keep.book import LARGEST_ENTRY_BYTES, SNAPSHOT_ENTRIES, Book, encode_leaf, read_book
from strongroom.keep.open_keep import OpenKeep
from strongroom.keep.release import release
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRequest, JournalBroken, LogTampered, NotFound
from strongroom.tlog.proofs import check_inclusion
from strongroom.tlog.tree import leaf_hash
from tests.acts.world import default_policies, furnish, refused, text
from tests.keep.house import FilledJournal, KeptHouse, folded, kept_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KeptHouse]:
    with kept_house(tmp_path) as house:
        yield house


def opened(house: KeptHouse) -> OpenKeep:
    assert house.machine.keep._open is not None
    return house.machine.keep._open


def event(house: KeptHouse, size: int = 1) -> Step:
    return Step(entry=Entry(at=house.at, kind="keep.locked", data={"reason": "x" * size}))


# --- stage, commit, then answer ------------------------------------------------------------------


def test_what_is_staged_is_in_the_directory_and_not_in_the_journal_until_it_is_committed(house: KeptHouse) -> None:
    book, keep = opened(house).book, opened(house)
    size = book.journal.size
    staged = book.stage(event(house))
    assert (book.directory.size, book.journal.size, staged.index) == (size + 1, size, size)
    with refused(LogTampered, why="not what was to be written"):
        book.logged_now(staged)
    with refused(BadRequest):
        book.logged(staged.index)
    keep.commit()
    logged = book.logged_now(staged)
    assert logged == book.logged(staged.index)
    root = book.journal.tree.root()
    check_inclusion(
        leaf=leaf_hash(logged.leaf), index=logged.index, size=book.journal.size, proof=logged.proof, root=root
    )


def test_an_entry_that_is_not_what_was_staged_is_tampered(house: KeptHouse) -> None:
    book, keep = opened(house).book, opened(house)
    staged = book.stage(event(house))
    keep.commit()
    with refused(LogTampered, why="not what was to be written"):
        book.logged_now(replace(staged, leaf=staged.leaf + b" "))
    with refused(LogTampered):
        book.logged_now(replace(staged, index=0))


def test_an_entry_that_is_too_large_is_refused_and_nothing_has_changed(house: KeptHouse) -> None:
    book = opened(house).book
    before = book.directory.encode()
    room = LARGEST_ENTRY_BYTES - len(event(house, 0).entry.encode())
    assert len(encode_leaf(event(house, room).entry)) == LARGEST_ENTRY_BYTES
    with refused(BadRequest, why="65535 can be"):
        book.stage(event(house, room + 1))
    assert book.directory.encode() == before
    opened(house).commit()
    assert house.machine.kinds()[-1] == "keep.unsealed"


def test_a_statement_too_large_for_an_entry_is_refused(house: KeptHouse) -> None:
    """The keep goes on: what else is in the batch is decided and written."""
    more = PolicySource(name="more.cedar", text="// " + "x" * 60_000)
    with refused(BadRequest, why="bytes"):
        house.ask("Ada", PolicyChange(policies=(*default_policies(), more)))
    house.do("Ada", Freeze(target="deployment", reason=text("odd")))


def test_an_empty_batch_writes_nothing(house: KeptHouse) -> None:
    size = house.machine.journal.size
    opened(house).commit()
    assert house.machine.journal.size == size


def test_a_text_of_the_batch_is_found_before_it_is_written(house: KeptHouse) -> None:
    book = opened(house).book
    records = tuple(Kept(kind="detail", name="d", data=data) for data in (b"1", b"2"))
    book.stage(event(house), kept=records)
    assert book.kept_text("detail", "d") == b"2"
    assert book.kept_text("share", "d") is None
    opened(house).commit()
    assert book.kept_text("detail", "d") == b"2"


def test_what_is_staged_counts_as_room_that_is_gone(house: KeptHouse) -> None:
    asked: list[int] = []

    class Counted(FilledJournal):
        def space(self, pending_bytes: int = 0) -> Space:
            asked.append(pending_bytes)
            return Space.RESERVED

    book = Book(Counted(house.machine.journal.journal), house.directory, snapshot_at=0)
    assert book.space(0) is Space.RESERVED
    staged = book.stage(event(house), kept=(Kept(kind="detail", name="d", data=b"12"),))
    book.space(5)
    assert asked == [0, len(staged.leaf) + 2 + 5]
    book.snapshot_if_due(house.at)
    assert len(asked) == 2  # none is due


def test_no_snapshot_is_taken_where_only_the_reserve_is_left(house: KeptHouse) -> None:
    book = opened(house).book
    house.machine.journal.left = Space.RESERVED
    waiting = Book(book.journal, book.directory.copy(), snapshot_at=book.directory.size - SNAPSHOT_ENTRIES)
    waiting.snapshot_if_due(house.at)
    assert waiting.directory.size == book.directory.size


def test_a_snapshot_that_does_not_fit_is_skipped_until_the_next_is_due(house: KeptHouse) -> None:
    """It is by far the largest thing that a keep writes: taken anyhow, it would use up what is for closing down."""
    book, filled = opened(house).book, house.machine.journal
    state = book.directory.encode()
    for room_bytes, taken in ((len(state), 1), (len(state) - 1, 0)):
        waiting = Book(book.journal, book.directory.copy(), snapshot_at=book.directory.size - SNAPSHOT_ENTRIES)
        filled.room_bytes = room_bytes
        waiting.snapshot_if_due(house.at)
        assert waiting.directory.size == book.directory.size + taken
        filled.room_bytes = 1 << 60
        waiting.snapshot_if_due(house.at)
        assert waiting.directory.size == book.directory.size + taken


# --- releases come from what is logged -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["keep.locked", "key.released"])
def test_an_entry_that_releases_nothing_gives_no_key(house: KeptHouse, kind: str) -> None:
    furnish(house)
    keep = opened(house)
    house.open(house.release_body(house.grant()))
    logged = keep.book.logged(house.machine.journal.size - 1)
    assert logged.entry.kind == "key.released"
    broken = replace(logged.entry, kind=kind, data={"expires_at": "later"})
    for entry in (broken, replace(broken, data=None), replace(logged.entry, kind="keep.locked")):
        with refused(LogTampered, why="releases nothing"):
            release(keep.vault, house.directory, replace(logged, entry=entry), at=house.at)


# --- snapshots -----------------------------------------------------------------------------------


def take_snapshot(house: KeptHouse) -> int:
    """Have the book keep a snapshot now; return its entry."""
    book = opened(house).book
    early = Book(book.journal, book.directory, snapshot_at=book.directory.size - SNAPSHOT_ENTRIES)
    index = early.directory.size
    early.snapshot_if_due(house.at)
    early.commit(lambda size, root: opened(house).vault.sign(house.directory.origin, size, root))
    assert house.machine.kinds()[index] == "snapshot.taken"
    return index


def tamper(house: KeptHouse, change: Callable[[bytes], bytes]) -> None:
    """Change the snapshot beside the log."""
    record = house.machine.journal.kept("snapshot", "")
    assert record is not None
    house.machine.journal.journal._database.execute(
        "UPDATE kept SET data = ? WHERE kind = 'snapshot'", (change(record),)
    )


def test_a_book_is_read_from_its_snapshot_as_from_the_whole_log(house: KeptHouse) -> None:
    furnish(house)
    take_snapshot(house)
    house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    read = read_book(house.machine.journal)
    assert read.directory.encode() == folded(house.machine).encode() == house.directory.encode()


def test_a_snapshot_is_due_after_so_many_entries(house: KeptHouse) -> None:
    book = opened(house).book
    size = book.directory.size
    for early, due in ((SNAPSHOT_ENTRIES - 1, 0), (SNAPSHOT_ENTRIES, 1)):
        waiting = Book(book.journal, book.directory.copy(), snapshot_at=size - early)
        waiting.snapshot_if_due(house.at)
        waiting.snapshot_if_due(house.at)
        assert waiting.directory.size == size + due


def test_a_snapshot_that_the_log_does_not_name_is_tampered(house: KeptHouse) -> None:
    index = take_snapshot(house)
    harms: list[Callable[[bytes], bytes]] = [
        lambda record: record[:8] + record[8:].replace(b'"frozen":false', b'"frozen":true '),
        lambda record: record[:-1],
        lambda record: (index - 1).to_bytes(8) + record[8:],
        lambda record: (1 << 40).to_bytes(8) + record[8:],
        lambda record: b"",
    ]
    good = house.machine.journal.kept("snapshot", "")
    assert good is not None
    for harm in harms:
        tamper(house, harm)
        with refused(LogTampered, why="snapshot"):
            read_book(house.machine.journal)
        tamper(house, lambda record: good)
    read_book(house.machine.journal)


def test_a_snapshot_of_another_place_is_tampered(house: KeptHouse) -> None:
    """Somebody has the keep name an old state as the present one."""
    keep = opened(house)
    state = keep.directory.encode()
    keep.book.stage(event(house))
    index = keep.directory.size
    entry = Entry(at=house.at, kind="snapshot.taken", data={"digest": sha256(state)})
    record = Kept(kind="snapshot", name="", data=index.to_bytes(8) + state)
    keep.book.stage(Step(entry=entry), kept=(record,))
    keep.commit()
    with refused(LogTampered, why="another place"):
        read_book(house.machine.journal)


def test_a_snapshot_that_this_release_cannot_read_is_folded_anew(house: KeptHouse) -> None:
    keep = opened(house)
    state, index = b'{"form":"another"}', keep.directory.size
    entry = Entry(at=house.at, kind="snapshot.taken", data={"digest": sha256(state)})
    keep.book.stage(Step(entry=entry), kept=(Kept(kind="snapshot", name="", data=index.to_bytes(8) + state),))
    keep.commit()
    assert read_book(house.machine.journal).directory.encode() == house.directory.encode()


# --- a keep whose journal breaks, ends -----------------------------------------------------------


def test_what_was_decided_and_not_written_never_happened(house: KeptHouse) -> None:
    words = {who: house.share(who) for who in ("Ada", "Ben")}
    request = house.request(house.say("Ada", Freeze(target="deployment", reason=text("odd"))))
    house.machine.stop()
    with pytest.raises(JournalBroken):
        house.machine.answers(request)
    house.machine.start()
    for who, share in words.items():
        house.give(who, share)
    assert not house.directory.frozen
    assert house.directory.encode() == folded(house.machine).encode()


def test_a_zone_survives_a_start(house: KeptHouse) -> None:
    words = {who: house.share(who) for who in ("Ada", "Ben")}
    body = ZoneDefine(zone=house.new("zone"), details=text("far"), ceiling=1, egress_bytes_per_day=7)
    house.govern(body)
    house.machine.stop()
    house.machine.start()
    for who, share in words.items():
        house.give(who, share)
    assert house.directory.zones[body.zone].egress_bytes_per_day == 7
    with refused(NotFound):
        house.machine.ask("share", person=house.person("Dan"))

"""Every write, sync and truncation of a journal is broken, in SQLite and in the high-water file, and the power is lost.

Whatever breaks: what was acknowledged is there, under a valid checkpoint, and the journal opens and goes on.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from strongroom.journal.port import Kept
from strongroom.terms.errors import (
    JournalBroken,
    LogTampered,
    NotFound,
    OutputExists,
    StrongroomError,
    Tampered,
    Unavailable,
    UnknownFormat,
    UnsafePlace,
)
from tests.journal.logs import GENESIS, Place, check_whole, sign
from tests.journal.vfs import Fault, FaultyDisk, Killed

BATCHES = [
    ([GENESIS], [Kept(kind="share", name="a", data=b"a" * 100)]),
    ([b"1" * 700, b"2" * 9000], [Kept(kind="share", name="b", data=b"b" * 5000)]),
    # the WAL moves into the database and is cut
    ([b"3"], [Kept(kind="share", name="a", data=None), Kept(kind="share", name="b", data=b"B")]),
    ([b"4" * 3000, b"5"], []),
]
FIRST = 2
"""So many batches are there before anything breaks, in half of the runs; in the others none."""

# Each is one call of the kernel at least; a smaller number would say that the layer misses some.
LEAST_POINTS = 45

none: Callable[[], bool] = lambda: False  # noqa: E731  (a constant of that type)


def some(seed: str) -> Callable[[], bool]:
    chance = random.Random(seed)
    return lambda: chance.random() < 0.5


@dataclass(slots=True)
class Outcome:
    notes: list[bytes] = field(default_factory=list)
    error: BaseException | None = None


def state(count: int) -> tuple[list[bytes], dict[str, bytes]]:
    """Return entries and kept records after so many batches."""
    kept: dict[str, bytes] = {}
    for _, records in BATCHES[:count]:
        for record in records:
            kept.pop(record.name, None)
            if record.data is not None:
                kept[record.name] = record.data
    return [entry for entries, _ in BATCHES[:count] for entry in entries], kept


def run(place: Place, disk: FaultyDisk, *, first: int = 0) -> Outcome:
    """Open the journal on that disk, append every batch from `first` on, and say what was acknowledged."""
    outcome = Outcome()
    with disk.registered():
        try:
            journal = place.open(sqlite_vfs=disk.vfs, disk=disk)
        except (StrongroomError, Killed) as error:
            outcome.error = error
            return outcome
        try:
            for entries, kept in BATCHES[first:]:
                outcome.notes.append(journal.append(entries, sign=sign, kept=kept))
        except (StrongroomError, Killed) as error:
            outcome.error = error
            for call in (lambda: journal.size, lambda: journal.entry(0), lambda: journal.kept("share", "b")):
                with pytest.raises(JournalBroken):
                    call()
            points = len(disk.points)
            with pytest.raises(JournalBroken):
                journal.append([b"more"], sign=sign)
            assert len(disk.points) == points
        finally:
            points = len(disk.points)
            journal.close()
            assert len(disk.points) == points, "closing writes nothing"
    return outcome


def check_recovered(place: Place, acknowledged: int) -> int:
    """Return how many batches are there: those that were acknowledged, or one more; and the journal goes on."""
    journal = place.open()
    try:
        entries = check_whole(journal)
        kept = dict(journal.all_kept("share"))
        found = [
            count for count in {acknowledged, min(acknowledged + 1, len(BATCHES))} if state(count) == (entries, kept)
        ]
        assert len(found) == 1
        if entries:
            journal.append([b"onwards"], sign=sign)
            assert check_whole(journal) == [*entries, b"onwards"]
    finally:
        journal.close()
    return found[0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Place]:
    """A journal before any batch, and one after the first two."""
    places = {}
    for count in (0, FIRST):
        places[count] = Place(tmp_path_factory.mktemp(f"prepared-{count}") / "place")
        places[count].create()
        journal = places[count].open()
        for entries, kept in BATCHES[:count]:
            journal.append(entries, sign=sign, kept=kept)
        journal.close()
    return places


def fresh(prepared: Place, root: Path) -> Place:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(prepared.root, root)
    return Place(root)


@pytest.mark.parametrize("first", [0, FIRST])
def test_the_workload_has_this_many_points(prepared: dict[int, Place], tmp_path: Path, first: int) -> None:
    place = fresh(prepared[first], tmp_path / "run")
    disk = FaultyDisk(place.root)
    outcome = run(place, disk, first=first)
    assert outcome.error is None
    assert len(outcome.notes) == len(BATCHES) - first
    assert len(disk.points) >= LEAST_POINTS - 20 * bool(first)
    kinds = set(disk.points)
    assert {"write journal.db", "sync journal.db", "write journal.db-wal", "sync journal.db-wal"} <= kinds
    assert {"truncate journal.db-wal", "write high-water", "sync high-water"} <= kinds
    assert check_recovered(place, len(BATCHES)) == len(BATCHES)


@pytest.mark.parametrize("first", [0, FIRST])
@pytest.mark.parametrize("power", ["stays", "lost", "lost-in-part"])
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LIES])
def test_what_was_acknowledged_is_there_whichever_write_breaks(
    prepared: dict[int, Place], tmp_path: Path, fault: Fault, power: str, first: int
) -> None:
    at, there = 0, set()
    while True:
        place = fresh(prepared[first], tmp_path / "run")
        disk = FaultyDisk(place.root, at=at, fault=fault)
        outcome = run(place, disk, first=first)
        if len(disk.points) <= at:
            break
        assert isinstance(outcome.error, Killed if fault.name.startswith("KILLED") else Unavailable), disk.points[at]
        if power != "stays":
            disk.lose_power(none if power == "lost" else some(f"{fault} {first} {at}"))
        acknowledged = first + len(outcome.notes)
        there.add(check_recovered(place, acknowledged) - acknowledged)
        at += 1
    assert outcome.error is None
    assert at >= LEAST_POINTS - 20 * bool(first)
    # absent and present both occur: the commit is before the answer, and not at the very start
    assert there == {0, 1}


@pytest.mark.parametrize("first", [0, FIRST])
def test_a_disk_that_lies_about_syncs_is_noticed_or_harmless(
    prepared: dict[int, Place], tmp_path: Path, first: int
) -> None:
    at, noticed = 0, 0
    while True:
        place = fresh(prepared[first], tmp_path / "run")
        disk = FaultyDisk(place.root, at=at, fault=Fault.LIES)
        outcome = run(place, disk, first=first)
        assert outcome.error is None
        if len(disk.points) <= at:
            break
        disk.lose_power(none if at % 2 else some(str(at)))
        try:
            journal = place.open()
        except Tampered:
            noticed += 1
        else:
            # Both sides were put back to one older state, or nothing was lost: what is there is a log of ours.
            entries = check_whole(journal)
            journal.close()
            assert entries in [state(count)[0] for count in range(len(BATCHES) + 1)]
        at += 1
    assert noticed


@pytest.mark.parametrize("power", ["stays", "lost", "lost-in-part"])
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LIES])
def test_a_start_that_breaks_while_it_catches_up_is_done_again(
    prepared: dict[int, Place], tmp_path: Path, fault: Fault, power: str
) -> None:
    behind = fresh(prepared[0], tmp_path / "behind")
    points = FaultyDisk(behind.root)
    run(behind, points)
    ends = [at for at, point in enumerate(points.points) if point == "write high-water"]
    # the last commit is in the database, and was not written to the high-water file
    behind = fresh(prepared[0], behind.root)
    assert len(run(behind, FaultyDisk(behind.root, at=ends[-1], fault=Fault.EIO)).notes) == len(BATCHES) - 1
    at = 0
    while True:
        place = fresh(behind, tmp_path / "run")
        disk = FaultyDisk(place.root, at=at, fault=fault)
        outcome = run(place, disk, first=len(BATCHES))
        if len(disk.points) <= at:
            break
        assert outcome.error is not None
        if power != "stays":
            disk.lose_power(none if power == "lost" else some(f"{fault} {at}"))
        assert check_recovered(place, len(BATCHES)) == len(BATCHES)
        at += 1
    assert disk.points == ["write high-water", "sync high-water"]


def test_a_journal_that_was_made_survives_lost_power(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    place.root.mkdir()
    disk = FaultyDisk(place.root)
    with disk.registered():
        place.create(sqlite_vfs=disk.vfs, disk=disk)
    disk.lose_power(none)
    assert check_recovered(place, 0) == 0
    assert "sync place" in disk.points, "the name of the new folder"


# While the mode is changed SQLite says nothing of a failure, and apsw shows the error of our VFS as unraisable.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("power", ["stays", "lost", "lost-in-part"])
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LIES])
def test_a_journal_that_was_half_made_is_empty_or_refused(tmp_path: Path, fault: Fault, power: str) -> None:
    at = 0
    while True:
        place = Place(tmp_path / str(at))
        place.root.mkdir()
        disk = FaultyDisk(place.root, at=at, fault=fault)
        with disk.registered():
            try:
                place.create(sqlite_vfs=disk.vfs, disk=disk)
                failed = False
            except (StrongroomError, Killed):
                failed = True
        if len(disk.points) <= at:
            break
        assert failed
        if power != "stays":
            disk.lose_power(none if power == "lost" else some(f"{fault} {at}"))
        with contextlib.suppress(LogTampered, NotFound, UnknownFormat, UnsafePlace):
            journal = place.open()
            assert check_whole(journal) == []
            journal.close()
        if place.folder.exists() and any(place.folder.iterdir()):
            with pytest.raises((OutputExists, UnsafePlace)):
                place.create()
        shutil.rmtree(place.root)
        place.create()
        place.open().close()
        at += 1
    assert not failed
    assert at >= 15

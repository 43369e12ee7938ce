"""A journal that broke answers nothing more, not even what was asked before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strongroom.journal.sqlite import SqliteJournal
from strongroom.terms.errors import JournalBroken
from tests.journal.logs import GENESIS, Place, sign

CALLS: list[Callable[[SqliteJournal], Any]] = [
    lambda journal: journal.size,
    lambda journal: journal.tree,
    lambda journal: journal.note,
    lambda journal: journal.append([b"more"], sign=sign),
    lambda journal: journal.entry(0),
    lambda journal: journal.read(0, 1),
    lambda journal: journal.kept("kind", "name"),
    lambda journal: journal.all_kept("kind"),
    lambda journal: journal.space(),
]


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    place = Place(tmp_path / "place")
    place.create()
    journal = place.open()
    journal.append([GENESIS, b"second"], sign=sign)
    return journal


def break_it(journal: SqliteJournal) -> None:
    def no_sign(size: int, root: bytes) -> bytes:
        raise OSError("the disk is gone")

    with pytest.raises(JournalBroken, match="the disk is gone"):
        journal.append([b"third"], sign=no_sign)


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_it_answers_nothing_more(journal: SqliteJournal, number: int) -> None:
    CALLS[number](journal)
    break_it(journal)
    with pytest.raises(JournalBroken, match="takes no more calls"):
        CALLS[number](journal)
    journal.close()


def test_what_was_being_read_ends(journal: SqliteJournal) -> None:
    reading = journal.read(0, 2)
    break_it(journal)
    with pytest.raises(JournalBroken, match="takes no more calls"):
        next(reading)
    journal.close()

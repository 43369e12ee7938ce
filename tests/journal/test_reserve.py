"""The reserve: what is for closing down is kept free for that. `test_disks` has disks that are really full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.journal.port import Space
from strongroom.journal.reserve import Reserve
from strongroom.terms.errors import NoSpace


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def free_bytes(folder: int) -> int:
    room = os.fstatvfs(folder)
    return room.f_bavail * room.f_frsize


def test_what_leaves_only_the_reserve_is_for_closing_down(folder: int) -> None:
    """A quarter of the disk is the reserve; a batch takes four fifths of it all."""
    free = free_bytes(folder)
    reserve, batch = Reserve(folder, free // 4), free * 2 // 5
    assert reserve.space(batch) is Space.RESERVED
    with pytest.raises(NoSpace, match="are for closing down"):
        reserve.check(batch, closing=False)
    reserve.check(batch, closing=True)
    reserve.check(0, closing=False)


def test_what_leaves_nothing_is_refused_to_everybody(folder: int) -> None:
    reserve = Reserve(folder, 1 << 16)
    assert reserve.space(1 << 60) is Space.GONE
    for closing in (False, True):
        with pytest.raises(NoSpace, match="no room is left"):
            reserve.check(1 << 60, closing=closing)

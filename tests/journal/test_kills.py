"""A process that appends is killed at any moment: what it acknowledged is there, and the next one goes on."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.terms.errors import JournalBusy
from tests.journal.logs import Place, check_whole

HOUSE = Path(__file__).resolve().parents[2]
KILLS_OF_ONE = 20
"""After so many kills a new journal begins, so that the last one takes no longer to check than the first."""


@pytest.mark.parametrize("times", [10, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_what_was_acknowledged_survives_being_killed_at_any_moment(tmp_path: Path, times: int) -> None:
    chance = random.Random(times)
    for number in range(times):
        if number % KILLS_OF_ONE == 0:
            shutil.rmtree(tmp_path)
            place, known = Place(tmp_path), 0
            place.create()
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.journal.appender", tmp_path, str(number)],
            cwd=HOUSE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        said = [child.stdout.readline()]
        if not number:
            with pytest.raises(JournalBusy):
                place.open()
        try:
            child.wait(chance.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            child.kill()
        rest, complaint = child.communicate()
        assert complaint == ""
        # the pipe may end in half a line
        said += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged, last = said[-1].split()
        journal = place.open()
        entries = check_whole(journal)
        assert len(entries) >= int(acknowledged) > known
        kept = journal.kept("size", "last")
        if len(entries) == int(acknowledged):
            assert kept == (None if last == "-" else last.encode())
        else:
            assert kept in (None, acknowledged.encode())
        journal.close()
        known = len(entries)
    assert known > times % KILLS_OF_ONE

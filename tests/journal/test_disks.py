"""A disk that fills up: a real one, small, of memory. What closes down goes on where nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journal.full_disk import SCENARIOS

DISK_BYTES = 32 << 20
HOUSE = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[scenario.__name__ for scenario in SCENARIOS])
def test_on_a_disk_that_is_full(tmp_path: Path, number: int) -> None:
    """In a mount namespace of its own. SQLite finds no way into another one, so the whole scenario runs inside."""
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t tmpfs -o size={DISK_BYTES} none "$0" && echo ready && exec "$@"'
    scenario: list[str | Path] = [sys.executable, "-m", "tests.journal.full_disk", tmp_path, str(number)]
    done = subprocess.run(
        ["unshare", *who, "--mount", "sh", "-c", mount, tmp_path, *scenario],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.startswith("ready\n"):
        pytest.skip(f"nobody may mount here: {done.stderr}")
    assert done.returncode == 0, done.stderr

"""Sealing and opening take little memory, however large the version is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.attacks.versions import ATLAS_1, OWNER, write_key

SIZE_BYTES = 300 << 20
MOST_BYTES = 128 << 20
THREADS = "4"

# The peak is asked of the kernel by the process itself: what a parent is told includes its own.
MEASURED = """
import re, sys
from strongroom.cli import main
try:
    main()
finally:
    print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""


def peak_bytes(*arguments: object) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return int(ended.stderr.split()[-1]) << 10


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    place = "/dev/shm"
    with TemporaryDirectory(dir=place if Path(place).is_dir() else None) as folder:
        yield Path(folder)


def test_sealing_and_opening_a_large_file_takes_little_memory(memory_disk: Path) -> None:
    key, store = write_key(memory_disk / "identity.key", OWNER), (memory_disk / "store").as_uri()
    weights = memory_disk / "weights.bin"
    with weights.open("wb") as file:
        for number in range(SIZE_BYTES >> 20):
            file.write(bytes([number % 251]) * (1 << 20))
    (memory_disk / "store").mkdir()
    idle = peak_bytes("ls", "--store", store)
    assert idle < SIZE_BYTES / 2
    to = str(OWNER.public_key())
    sealing = peak_bytes("seal", weights, "--as", ATLAS_1, "--to", to, "--store", store, "--threads", THREADS)
    weights.rename(memory_disk / "original.bin")
    opening = peak_bytes(
        *("open", ATLAS_1, "--identity", key, "--store", store, "--to", memory_disk / "opened"),
        *("--threads", THREADS),
    )
    scrubbing = peak_bytes("scrub", "--store", store, "--threads", THREADS)
    peaks = {"sealing": sealing - idle, "opening": opening - idle, "scrubbing": scrubbing - idle}
    assert all(0 < peak <= MOST_BYTES for peak in peaks.values()), peaks
    assert (
        subprocess.run(
            ["cmp", memory_disk / "original.bin", memory_disk / "opened" / "weights.bin"], check=False
        ).returncode
        == 0
    )

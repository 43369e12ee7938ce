"""Warm memory: pages that the machine really has, at hand for the next measurement.

A virtual machine may give memory that has been free for a second back to its host, and taking it again costs ten
times what the work with it does. So, for every subject alike, memory is taken and filled before a measurement, and
given back to the kernel as the subject needs it. On a machine that keeps its memory this changes nothing.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limits import fill, fresh

_STEP_BYTES = 2 << 20
_LEAD_BYTES = 128 << 20
_POLL_SECONDS = 0.002


def warm(size_bytes: int) -> None:
    """Take and fill `size_bytes` and give them back, for who uses them within the second."""
    fill(fresh(size_bytes))


@contextmanager
def warm_files(folder: Path, size_bytes: int) -> Iterator[None]:
    """While the block runs, give back, page for page, what files in `folder` take, up to `size_bytes`."""
    memory = fresh(size_bytes)
    fill(memory)
    done = threading.Event()
    feeder = threading.Thread(target=_feed, args=(folder, memory, done))
    feeder.start()
    try:
        yield
    finally:
        done.set()
        feeder.join()


def _feed(folder: Path, memory: memoryview, done: threading.Event) -> None:
    room = os.statvfs(folder)
    before, given = room.f_bfree, 0
    mapping = memory.obj
    assert isinstance(mapping, mmap.mmap)
    while True:
        taken = (before - os.statvfs(folder).f_bfree) * room.f_frsize
        due = min(len(memory), (taken + _LEAD_BYTES) // _STEP_BYTES * _STEP_BYTES)
        if due > given:
            mapping.madvise(mmap.MADV_DONTNEED, given, due - given)
            given = due
        if done.wait(_POLL_SECONDS):
            return

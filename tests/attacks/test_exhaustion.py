"""Small things in a store that would cost a reader much, and do not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.client.version import open_sealed
from strongroom.objects import open_store
from strongroom.sealing.manifest import LARGEST_MANIFEST_BYTES
from strongroom.sealing.places import manifest_name
from strongroom.terms.outer_errors import NoMemory, ObjectSize
from tests.attacks.versions import ATLAS_1, OWNER, seal


@contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size_bytes


def test_segments_of_a_few_bytes_take_no_memory_each(tmp_path: Path) -> None:
    """A writer who has the public key alone chooses them; a plan of all of them would take 600 bytes for each byte."""
    store = open_store((tmp_path / "store").as_uri())
    seal(store, {"weights.bin": bytes(300_000)}, segment_bytes=64)
    version = open_sealed(store, ATLAS_1, OWNER, threads=1)
    with at_most(9_000_000):
        assert version.read("weights.bin") == bytes(300_000)


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store)
    with (tmp_path / "store" / manifest_name(ATLAS_1)).open("r+b") as file:
        file.truncate(LARGEST_MANIFEST_BYTES + 1)
    with at_most(1 << 20), pytest.raises(ObjectSize):
        open_sealed(store, ATLAS_1, OWNER)


def test_a_file_beyond_all_memory_is_refused_in_our_words(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store)
    version = open_sealed(store, ATLAS_1, OWNER)
    with pytest.raises(NoMemory):
        version.read(next(iter(version.files)), size_bytes=1 << 60)

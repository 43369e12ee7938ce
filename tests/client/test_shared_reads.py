"""Shared reads: what is read at once is shared out among threads, in pieces as large as the store likes them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from strongroom.client.version import Wanted, open_sealed
from strongroom.terms.names import parse_version
from tests.client.sealed import IDENTITY, NAME, SEGMENT_BYTES, CountingStore, seal

READ_SEGMENTS = 8


class _WideStore(CountingStore):
    """Likes to give eight segments at once."""

    @property
    def read_size_bytes(self) -> int:
        return READ_SEGMENTS * SEGMENT_BYTES


@pytest.mark.parametrize(
    ("segments", "largest"),
    [(1, 1), (4, 1), (5, 2), (16, 4), (32, 8), (100, 8)],
)
def test_four_threads_read_pieces_of_a_fair_share_up_to_the_best_of_the_store(
    tmp_path: Path, segments: int, largest: int
) -> None:
    plain = os.urandom(100 * SEGMENT_BYTES)
    store = _WideStore(seal(tmp_path, {"weights": plain}).store.behind)
    version = open_sealed(store, parse_version(NAME), IDENTITY, threads=4)
    full = version.manifest.public.parameters.plaintext_bytes
    out = bytearray(segments * full)
    version.read_into([Wanted(path="weights", offset=0, into=memoryview(out))])
    assert out == plain[: len(out)]
    sizes = [-(-size // SEGMENT_BYTES) for _, _, size in store.reads]
    assert sum(sizes) == segments
    assert max(sizes) == largest


def test_what_lies_in_one_segment_is_read_by_the_thread_that_asks(tmp_path: Path) -> None:
    class Told(CountingStore):
        def read_into(self, name: str, offset: int, view: memoryview) -> None:
            threads.add(threading.get_ident())
            super().read_into(name, offset, view)

    threads: set[int] = set()
    store = Told(seal(tmp_path, {"weights": os.urandom(3 * SEGMENT_BYTES)}).store.behind)
    version = open_sealed(store, parse_version(NAME), IDENTITY, threads=4)
    version.read("weights", SEGMENT_BYTES // 2, 100)
    assert threads == {threading.get_ident()}
    threads.clear()
    version.read("weights")
    assert threading.get_ident() not in threads

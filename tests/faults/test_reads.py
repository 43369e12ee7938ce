"""Every read of an opening is broken once: nothing half-written is left, and the next try is whole."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from strongroom.client.extract import extract_version
from strongroom.client.version import open_sealed
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import NotFound, ObjectTampered, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import ObjectMissing
from tests.attacks.versions import ATLAS_1, MODEL, OWNER, read_tree, seal
from tests.faults.hooked import READS, Fault, HookedStore

MOST_READS = 40
LEAST_READS = 7  # the manifest, the list of objects, and three objects, the largest in three reads or more


class SmallReads(HookedStore):
    """Reads of a single segment, so that there are many."""

    @property
    def read_size_bytes(self) -> int:
        return 4096


def open_to(store: ObjectStore, to: Path, threads: int, path: str | None = None) -> None:
    extract_version(open_sealed(store, ATLAS_1, OWNER, threads=threads), to, path=path)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("happens", [False, True], ids=["failed-and-absent", "failed-but-present"])
def test_an_opening_is_whole_or_absent_whichever_read_fails(
    store_url: str, tmp_path: Path, happens: bool, threads: int
) -> None:
    inner = open_store(store_url)
    seal(inner)
    place = tmp_path / "place"
    place.mkdir()
    for number in itertools.count():
        assert number < MOST_READS
        fault = Fault(number, StoreUnavailable("broken here"), verbs=READS)
        store = SmallReads(inner, after=fault) if happens else SmallReads(inner, before=fault)
        try:
            open_to(store, place / "opened", threads)
        except StoreUnavailable:
            assert fault.call is not None
            assert list(place.iterdir()) == []
        else:
            assert fault.call is None
            break
    assert number >= LEAST_READS
    assert list(place.iterdir()) == [place / "opened"]
    assert read_tree(place / "opened") == MODEL


@pytest.mark.parametrize(
    ("error", "raised"),
    [(NotFound("gone"), ObjectMissing), (ObjectTampered("a symlink"), ObjectTampered)],
)
def test_an_object_that_goes_away_under_a_reader_is_told(
    store_url: str, tmp_path: Path, error: StrongroomError, raised: type[StrongroomError]
) -> None:
    inner = open_store(store_url)
    seal(inner)
    store = HookedStore(inner, before=Fault(1, error, verbs=frozenset({"read_into"})))
    with pytest.raises(raised):
        open_to(store, tmp_path / "opened", threads=1)
    assert not list(tmp_path.glob("*opened*"))


def test_a_failed_opening_of_one_file_leaves_the_folder_as_it_was(store_url: str, tmp_path: Path) -> None:
    inner = open_store(store_url)
    seal(inner)
    to = tmp_path / "opened"
    store = HookedStore(inner, before=Fault(0, StoreUnavailable("down"), verbs=frozenset({"read_into"})))
    with pytest.raises(StoreUnavailable):
        open_to(store, to, threads=1, path="weights.bin")
    assert not list(tmp_path.glob("*opened*"))
    to.mkdir()
    (to / "mine").write_bytes(b"mine")
    store = HookedStore(inner, before=Fault(0, StoreUnavailable("down"), verbs=frozenset({"read_into"})))
    with pytest.raises(StoreUnavailable):
        open_to(store, to, threads=1, path="weights.bin")
    assert read_tree(to) == {"mine": b"mine"}
    assert list(tmp_path.glob("*opened*")) == [to]

"""The scrub: which versions it looks at, and what it takes for damage and what not."""

from __future__ import annotations

import threading

import pytest

from strongroom.client.scrub import Damage, scrub
from strongroom.objects import open_store
from strongroom.terms.errors import AccessDenied, NotFound, ObjectTampered, StoreUnavailable, StrongroomError
from strongroom.terms.names import VersionName
from tests.attacks.versions import ATLAS_1, ATLAS_2, MODEL, objects, overwrite, remove, seal, stored
from tests.faults.hooked import READS, Call, Fault, HookedStore


def test_a_scrub_needs_no_key_and_reads_every_stored_byte(store_url: str) -> None:
    inner = open_store(store_url)
    seal(inner)
    seal(inner, name=ATLAS_2)
    sizes = [len(content) for name, content in stored(inner).items() if name.startswith("o/")]
    counted: list[int] = []
    report = scrub(inner, progress=counted.append, on_start=counted.append)
    assert (report.versions, report.objects, report.size_bytes) == (2, 2 * len(MODEL), sum(sizes))
    assert (report.damage, report.stray) == ((), 0)
    assert counted[0] == sum(counted[1:]) == sum(sizes)


def test_a_scrub_of_one_version_looks_at_no_other(store_url: str) -> None:
    inner = open_store(store_url)
    seal(inner)
    other = seal(inner, name=ATLAS_2)
    remove(inner, *objects(inner, other))
    names: set[str] = set()
    lock = threading.Lock()

    def look(call: Call) -> None:
        with lock:
            names.add(call.name)

    report = scrub(HookedStore(inner, before=look), [ATLAS_1])
    assert (report.versions, report.objects, report.damage) == (1, len(MODEL), ())
    assert not [name for name in names if other.seal_id in name]
    assert len(scrub(inner).damage) == len(MODEL)
    assert {found.version for found in scrub(inner).damage} == {str(ATLAS_2)}


def test_an_empty_store_is_clean(store_url: str) -> None:
    report = scrub(open_store(store_url))
    assert (report.versions, report.objects, report.damage) == (0, 0, ())


def test_a_version_that_is_not_there_is_told(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    with pytest.raises(NotFound, match=str(ATLAS_2)):
        scrub(store, [ATLAS_1, ATLAS_2])


def test_objects_of_no_version_are_stray_and_not_damage(store_url: str) -> None:
    store = open_store(store_url)
    sealed = seal(store)
    store.put("o/" + "ab" * 16 + "/0", b"left behind")
    store.put(f"o/{sealed.seal_id}/9", b"planted")
    report = scrub(store)
    assert report.stray == 1
    assert report.damage == (
        Damage(version=str(ATLAS_1), object=f"o/{sealed.seal_id}/9", offset=0, length=7, what="in no manifest"),
    )


def test_one_unreadable_manifest_does_not_hide_the_rest(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    seal(store, name=ATLAS_2)
    third = seal(store, name=VersionName(model="acme/zeta", number=1))
    overwrite(store, "m/acme/atlas/2", b"{}")
    name = objects(store, third)[0]
    overwrite(store, name, bytes(len(stored(store)[name])))
    report = scrub(store)
    assert [(found.version, found.object) for found in report.damage] == [
        (str(ATLAS_2), "m/acme/atlas/2"),
        ("acme/zeta@1", name),
    ]
    assert report.versions == 3


@pytest.mark.parametrize("error", [StoreUnavailable("down"), AccessDenied("no")], ids=repr)
def test_a_store_that_does_not_answer_is_no_damage(store_url: str, error: StrongroomError) -> None:
    """Nobody should raise the alarm, or restore a backup, for a cable that was pulled."""
    inner = open_store(store_url)
    seal(inner)
    reads = Fault(-1, error, verbs=READS)
    assert scrub(HookedStore(inner, before=reads), threads=1).damage == ()
    assert reads.count >= 6
    for number in range(reads.count):
        with pytest.raises(type(error)):
            scrub(HookedStore(inner, before=Fault(number, error, verbs=READS)), threads=1)


@pytest.mark.parametrize("error", [NotFound("gone"), ObjectTampered("a symlink")], ids=repr)
def test_an_object_that_cannot_be_read_as_one_is_damage(store_url: str, error: StrongroomError) -> None:
    inner = open_store(store_url)
    sealed = seal(inner)
    broken = HookedStore(inner, before=Fault(1, error, verbs=frozenset({"read_into"})))
    (found,) = scrub(broken, threads=1).damage
    assert (found.object, found.what) == (f"o/{sealed.seal_id}/1", error.message)

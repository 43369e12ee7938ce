"""The sweep removes what nobody will ever use, and never what somebody may still be writing or has committed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from strongroom.client.seal import Sealed
from strongroom.client.sweep import Leftover, sweep
from strongroom.objects import ObjectStore, open_store
from strongroom.objects.local import LocalStore
from strongroom.terms.errors import NotCanonical, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadName, MarkLost
from tests.attacks.versions import ATLAS_2, MODEL, opened, overwrite, read_tree, remove, seal, stored
from tests.cli.command import check_refused, done, run
from tests.faults.hooked import Call, Fault, HookedStore

HOUR = 3600.0


def local(tmp_path: Path) -> LocalStore:
    (tmp_path / "store").mkdir()
    return LocalStore(tmp_path / "store")


def abandon(store: ObjectStore) -> dict[str, bytes]:
    """Leave what a seal leaves that was killed just before its manifest; return that."""
    before = stored(store)

    def killed(call: Call) -> None:
        if call.verb in ("put_new", "delete"):
            raise StoreUnavailable("killed")

    with pytest.raises(StrongroomError):
        seal(HookedStore(store, before=killed))
    return {name: content for name, content in stored(store).items() if name not in before}


def age(store: LocalStore, hours: float, *prefixes: str) -> None:
    """Make everything below these look as old."""
    for place in store.root.rglob("*"):
        name = place.relative_to(store.root).as_posix()
        if place.is_file() and name.startswith(prefixes):
            then = place.stat().st_mtime - hours * HOUR
            os.utime(place, (then, then))


def test_what_a_killed_seal_left_goes_and_what_is_committed_stays(store_url: str) -> None:
    store = open_store(store_url)
    seal(store, name=ATLAS_2)
    committed = stored(store)
    left = abandon(store)
    assert len(left) == len(MODEL) + 1
    (leftover,) = sweep(store, grace_seconds=0)
    assert leftover == Leftover(
        seal_id=next(iter(left)).split("/")[1],
        objects=len(left),
        size_bytes=sum(map(len, left.values())),
        age_seconds=leftover.age_seconds,
        removed=True,
    )
    assert stored(store) == committed
    assert opened(store, name=ATLAS_2) == MODEL
    assert sweep(store, grace_seconds=0) == ()


def test_a_dry_run_removes_nothing(store_url: str) -> None:
    store = open_store(store_url)
    abandon(store)
    before = stored(store)
    (leftover,) = sweep(store, grace_seconds=0, remove=False)
    assert not leftover.removed
    assert stored(store) == before


def test_what_is_younger_than_the_grace_stays(store_url: str) -> None:
    store = open_store(store_url)
    abandon(store)
    before = stored(store)
    (leftover,) = sweep(store, grace_seconds=HOUR)
    assert not leftover.removed
    assert 0 <= leftover.age_seconds < HOUR
    assert stored(store) == before


@pytest.mark.parametrize("young", ["w/", "o/"])
def test_one_sign_of_life_keeps_all_of_a_seal(tmp_path: Path, young: str) -> None:
    """A renewed mark keeps old objects; an object that is still written keeps an old mark."""
    store = local(tmp_path)
    seal(store, name=ATLAS_2)
    committed = stored(store)
    abandon(store)
    age(store, 30, "w/" if young == "o/" else "o/")
    before = stored(store)
    (leftover,) = sweep(store)
    assert not leftover.removed
    assert stored(store) == before
    age(store, 30, young)
    (leftover,) = sweep(store)
    assert leftover.removed
    assert leftover.age_seconds == pytest.approx(30 * HOUR, abs=100)
    assert stored(store) == committed


def test_committed_objects_stay_however_old_they_are(tmp_path: Path) -> None:
    store = local(tmp_path)
    seal(store)
    age(store, 10_000, "o/", "m/")
    assert sweep(store) == sweep(store, grace_seconds=0) == ()
    assert opened(store) == MODEL


def test_a_lease_that_a_committed_seal_left_goes_without_its_objects(tmp_path: Path) -> None:
    store = local(tmp_path)
    sealed = seal(store)
    store.put(f"w/{sealed.seal_id}", b"")
    (leftover,) = sweep(store, grace_seconds=0)
    assert (leftover.seal_id, leftover.objects, leftover.removed) == (sealed.seal_id, 1, True)
    assert opened(store) == MODEL


@pytest.mark.parametrize("verb", ["create", "write_at", "finish", "put_new"])
def test_a_writer_that_is_paused_is_not_swept_and_commits(store_url: str, verb: str) -> None:
    """Paused before its first object, in the middle of one, before one shows, and just before the manifest."""
    inner = open_store(store_url)
    paused, go_on = threading.Event(), threading.Event()

    def pause(call: Call) -> None:
        if call.verb == verb and not paused.is_set():
            paused.set()
            assert go_on.wait(60)

    ends: list[Sealed] = []
    writer = threading.Thread(target=lambda: ends.append(seal(HookedStore(inner, before=pause))))
    writer.start()
    try:
        assert paused.wait(60)
        before = stored(inner)
        for _ in range(2):
            swept = sweep(inner, grace_seconds=HOUR)
            assert swept
            assert not any(left.removed for left in swept)
        assert stored(inner) == before
    finally:
        go_on.set()
        writer.join()
    assert len(ends) == 1
    assert opened(inner) == MODEL


def test_a_writer_whose_objects_were_swept_does_not_commit(tmp_path: Path) -> None:
    """Only with a grace far below the shortest that the command takes; and then there is no broken version either."""
    store = local(tmp_path)

    def sweep_now(call: Call) -> None:
        if call.verb == "finish":
            sweep(store, grace_seconds=0)

    with pytest.raises(MarkLost, match="swept away"):
        seal(HookedStore(store, before=sweep_now))
    assert stored(store) == {}
    sweep(store, grace_seconds=0)
    assert read_tree(store.root) == {}


@pytest.mark.parametrize("prefix", ["m/", "o/", "w/"])
def test_a_seal_that_commits_while_the_sweep_looks_is_kept(store_url: str, prefix: str) -> None:
    """Leftovers are listed before manifests: what commits in between is seen to have one."""
    inner = open_store(store_url)
    sealed: list[Sealed] = []

    def commit(call: Call) -> None:
        if call.verb == "list" and call.name == prefix and not sealed:
            sealed.append(seal(inner))

    swept = sweep(HookedStore(inner, before=commit), grace_seconds=0)
    assert sealed
    assert swept == ()
    assert opened(inner) == MODEL


def test_a_seal_whose_objects_were_seen_and_that_then_commits_is_kept(store_url: str) -> None:
    inner = open_store(store_url)
    listed, committed = threading.Event(), threading.Event()

    def wait_for_the_list(call: Call) -> None:
        if call.verb == "put_new":
            assert listed.wait(60)

    def wait_for_the_commit(call: Call) -> None:
        if call.verb == "list" and call.name == "m/":
            listed.set()
            assert committed.wait(60)

    def write() -> None:
        seal(HookedStore(inner, before=wait_for_the_list))
        committed.set()

    writer = threading.Thread(target=write)
    ready = threading.Event()

    def start(call: Call) -> None:
        wait_for_the_commit(call)
        if call.verb == "list" and call.name == "o/" and not ready.is_set():
            writer.start()
            while len(list(inner.list("o/"))) < len(MODEL):
                assert writer.is_alive()
            ready.set()

    try:
        swept = sweep(HookedStore(inner, before=start), grace_seconds=0)
    finally:
        listed.set()
        committed.set()
        writer.join()
    assert not [left for left in swept if left.objects > 1]
    assert opened(inner) == MODEL


def test_a_store_with_an_unreadable_manifest_is_not_swept(store_url: str) -> None:
    """It could name anything: nothing is removed until somebody has looked."""
    store = open_store(store_url)
    seal(store, name=ATLAS_2)
    abandon(store)
    overwrite(store, "m/acme/atlas/2", stored(store)["m/acme/atlas/2"] + b"\n")
    before = stored(store)
    with pytest.raises(NotCanonical):
        sweep(store, grace_seconds=0)
    assert stored(store) == before
    check_refused(run("store", "sweep", "--store", store_url), NotCanonical)
    assert stored(store) == before


def test_a_manifest_that_somebody_renamed_keeps_the_sweep_off_its_objects(store_url: str) -> None:
    store = open_store(store_url)
    seal(store, name=ATLAS_2)
    manifest = stored(store)["m/acme/atlas/2"]
    store.put("m/acme/atlas/2.bak", manifest)
    remove(store, "m/acme/atlas/2")
    before = stored(store)
    with pytest.raises(BadName):
        sweep(store, grace_seconds=0)
    assert stored(store) == before


@pytest.mark.parametrize("number", range(6))
def test_a_sweep_that_fails_half_way_removed_nothing_that_is_committed(store_url: str, number: int) -> None:
    inner = open_store(store_url)
    seal(inner, name=ATLAS_2)
    abandon(inner)
    verbs = frozenset({"list", "read", "put", "delete"})
    fault = Fault(number, StoreUnavailable("down"), verbs=verbs)
    with pytest.raises(StoreUnavailable):
        sweep(HookedStore(inner, before=fault), grace_seconds=0)
    assert opened(inner, name=ATLAS_2) == MODEL
    sweep(inner, grace_seconds=0)
    assert opened(inner, name=ATLAS_2) == MODEL
    assert sweep(inner, grace_seconds=0) == ()


def test_partial_files_of_killed_writers_go_after_the_grace(tmp_path: Path) -> None:
    store = local(tmp_path)
    sealed = seal(store)
    partial = f".{'ab' * 16}.partial"
    places = [
        store.root / folder / partial for folder in (f"o/{sealed.seal_id}", "o/" + "cd" * 16, "w", "m/acme/atlas")
    ]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"half")
    assert not any(left.removed for left in sweep(store, grace_seconds=HOUR))
    assert all(place.exists() for place in places)
    assert all(left.removed for left in sweep(store, grace_seconds=0))
    assert not any(place.exists() for place in places)
    assert opened(store) == MODEL


def test_two_sweeps_at_once_harm_nothing(store_url: str) -> None:
    store = open_store(store_url)
    seal(store, name=ATLAS_2)
    for _ in range(3):
        abandon(store)
    ends: list[StrongroomError | None] = []

    def run_one() -> None:
        try:
            sweep(store, grace_seconds=1e-3)
        except StrongroomError as error:
            ends.append(error)
        else:
            ends.append(None)

    threads = [threading.Thread(target=run_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == len(threads)
    assert opened(store, name=ATLAS_2) == MODEL
    sweep(store, grace_seconds=0)
    assert len(stored(store)) == len(MODEL) + 1


def test_the_command_shows_what_it_keeps_and_removes(tmp_path: Path) -> None:
    store = local(tmp_path)
    url = store.url
    seal(store)
    assert "nothing left behind" in done("store", "sweep", "--store", url).out
    left = abandon(store)
    assert "kept: may still be written" in done("store", "sweep", "--store", url).out
    age(store, 2, *left)
    assert "would go" in done("store", "sweep", "--store", url, "--grace", "1", "--dry-run").out
    assert left.items() <= stored(store).items()
    (shown,) = done("store", "sweep", "--store", url, "--grace", "1", "--json").json()["leftovers"]
    assert set(shown) == {"seal_id", "objects", "size_bytes", "age_seconds", "removed"}
    assert shown["removed"] is True
    assert opened(store) == MODEL
    assert run("store", "sweep", "--store", url, "--grace", "0.9").code == 2

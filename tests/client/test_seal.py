"""Sealing: what it makes, what it refuses, and that it leaves nothing when it fails."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from strongroom.client.mark import SHORTEST_GRACE_SECONDS, Mark, mark_name
from strongroom.client.scrub import scrub
from strongroom.client.seal import seal_version
from strongroom.client.sweep import sweep
from strongroom.client.version import fetch_manifest, open_sealed
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRequest, NoSpace, StoreUnavailable
from strongroom.terms.outer_errors import MarkLost, VersionExists
from tests.attacks.versions import (
    ATLAS_1,
    ATLAS_2,
    MODEL,
    OWNER,
    opened,
    seal,
    stored,
    versions,
    write_model,
)
from tests.faults.hooked import Call, Fault, HookedStore


def test_a_sealed_version_is_listed_opens_and_scrubs_clean(store_url: str) -> None:
    store = open_store(store_url)
    sealed = seal(store)
    assert versions(store) == [ATLAS_1]
    assert opened(store, digest=sealed.manifest) == MODEL
    assert sealed.manifest == sha256(stored(store)["m/acme/atlas/1"])
    assert (sealed.files, sealed.size_bytes) == (len(MODEL), sum(map(len, MODEL.values())))
    report = scrub(store)
    assert (report.versions, report.objects, report.damage, report.stray) == (1, len(MODEL), (), 0)
    assert sweep(store, grace_seconds=0) == ()


def test_versions_of_one_model_stand_side_by_side(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    seal(store, {"weights.bin": b"better"}, name=ATLAS_2)
    assert versions(store) == [ATLAS_1, ATLAS_2]
    assert opened(store) == MODEL
    assert opened(store, name=ATLAS_2) == {"weights.bin": b"better"}


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_changes_nothing(store_url: str, tmp_path: Path, threads: int) -> None:
    """600 kB in segments of 64 bytes are hundreds of parts, sealed in any order where the store takes that."""
    store = open_store(store_url)
    files = {"a.bin": os.urandom(100_000), "b.bin": os.urandom(33), "c.bin": os.urandom(20_000)}
    seal(store, files, segment_bytes=1024, threads=threads)
    assert opened(store, threads=threads) == files
    assert scrub(store, threads=threads).damage == ()


def test_digests_of_the_plaintext_are_kept_for_provenance(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    model = write_model(tmp_path / "model")
    seal_version([model], name=ATLAS_1, to=OWNER.public_key(), store=store, whole_file_digests=True)
    for path, content in MODEL.items():
        file = open_sealed(store, ATLAS_1, OWNER).file(path)
        assert file.sha256 == file.parts[0] == hashlib.sha256(content).hexdigest()
    seal(store, name=ATLAS_2)
    assert {file.sha256 for file in open_sealed(store, ATLAS_2, OWNER).files.values()} == {None}


def test_a_version_is_never_overwritten(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    before = stored(store)
    with pytest.raises(VersionExists, match=str(ATLAS_1)):
        seal(store, {"weights.bin": b"other"})
    assert stored(store) == before


def test_progress_counts_every_byte_of_plaintext(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    store = open_store((tmp_path / "store").as_uri())
    counted: list[int] = []
    seal_version(
        [model],
        name=ATLAS_1,
        to=OWNER.public_key(),
        store=store,
        segment_bytes=4096,
        progress=counted.append,
        on_start=counted.append,
    )
    assert counted[0] == sum(counted[1:]) == sum(map(len, MODEL.values()))


@pytest.mark.parametrize("segment_bytes", [0, 1, 32, 2**32])
def test_segments_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, segment_bytes: int) -> None:
    store = open_store((tmp_path / "store").as_uri())
    with pytest.raises(BadRequest):
        seal(store, segment_bytes=segment_bytes)
    assert not (tmp_path / "store").exists()


class Full(HookedStore):
    """A store that says how little room it has."""

    def free_bytes(self) -> int | None:
        return 1_000


def test_a_store_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    inner = open_store((tmp_path / "store").as_uri())
    writes = Fault(-1, StoreUnavailable(""))
    with pytest.raises(NoSpace, match=r"needs 14[0-9]{3} bytes, 1000 are free"):
        seal(Full(inner, before=writes))
    assert writes.count == 0
    assert not (tmp_path / "store").exists()


def test_a_mark_is_held_while_a_seal_writes_and_gone_when_it_is_done(store_url: str) -> None:
    inner = open_store(store_url)
    held: set[str] = set()

    def look(call: Call) -> None:
        if call.verb in ("create", "write_at", "finish", "put_new"):
            held.update({name for name in stored(inner) if name.startswith("w/")})
            assert len(held) == 1

    sealed = seal(HookedStore(inner, before=look))
    assert held == {mark_name(sealed.seal_id)}
    assert not [name for name in stored(inner) if name.startswith("w/")]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("away", "is_lost"), [(0.5, False), (0.51, True), (100, True)])
def test_a_seal_that_was_out_of_touch_does_not_commit(
    store_url: str, tmp_path: Path, away: float, is_lost: bool
) -> None:
    """The machine sleeps before the manifest is written: a sweep may have taken the objects by then."""
    inner = open_store(store_url)
    clock = Clock()

    def sleep(call: Call) -> None:
        if call.verb == "finish" and call.name.endswith("/2"):
            clock.seconds += away * SHORTEST_GRACE_SECONDS

    model = write_model(tmp_path / "model")
    store = HookedStore(inner, after=sleep)

    def attempt() -> None:
        seal_version([model], name=ATLAS_1, to=OWNER.public_key(), store=store, threads=1, now=clock)

    if is_lost:
        with pytest.raises(MarkLost, match="out of touch"):
            attempt()
        assert stored(inner) == {}
    else:
        attempt()
        assert opened(inner) == MODEL


def mark_age(store: ObjectStore, name: str) -> float:
    (info,) = [info for info in store.list("w/") if info.name == name]
    return info.modified_at


def test_a_mark_is_renewed_for_as_long_as_its_writer_lives(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal_id = "00" * 16
    with Mark(store, seal_id, ATLAS_1, renew_seconds=0.05) as mark:
        first = mark_age(store, mark_name(seal_id))
        give_up_at = time.monotonic() + 60
        while mark_age(store, mark_name(seal_id)) < first + 0.2:
            assert time.monotonic() < give_up_at
            # what lives is kept, however short the grace is, as long as it is longer than the renewal
            assert not any(left.removed for left in sweep(store, grace_seconds=10))
            time.sleep(0.02)
        mark.check()
    assert stored(store) == {}
    assert not [thread for thread in threading.enumerate() if thread.name == "strongroom-mark"]


def test_a_mark_that_cannot_be_renewed_runs_out(tmp_path: Path) -> None:
    inner = open_store((tmp_path / "store").as_uri())
    clock = Clock()
    is_down = threading.Event()
    tried = threading.Event()

    def down(call: Call) -> None:
        if is_down.is_set() and call.verb == "put":
            tried.set()
            raise StoreUnavailable("down")

    with Mark(HookedStore(inner, before=down), "00" * 16, ATLAS_1, renew_seconds=0.01, now=clock) as mark:
        is_down.set()
        clock.seconds += SHORTEST_GRACE_SECONDS
        assert tried.wait(60)
        with pytest.raises(MarkLost, match="3600 s"):
            mark.check()
        is_down.clear()
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at:
            try:
                mark.check()
                break
            except MarkLost:
                time.sleep(0.01)
        mark.check()


def test_the_manifest_names_who_it_was_sealed_to_and_nothing_else_of_them(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    public = fetch_manifest(store, ATLAS_1).public
    assert public.recipient == OWNER.public_key().digest()
    assert OWNER.public_key().raw not in b"".join(stored(store).values())

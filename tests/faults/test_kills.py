"""Commands that are killed, interrupted or terminated at any moment.

The moments are drawn anew in every run; a failure shows the one it was.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.client.scrub import scrub
from strongroom.client.sweep import sweep
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import NotFound
from tests.attacks.versions import (
    ATLAS_1,
    OWNER,
    Files,
    opened,
    read_tree,
    seal,
    stored,
    versions,
    write_key,
    write_model,
)
from tests.cli.command import Outcome, done, ended, run, start

FILES: Files = {
    "a.bin": os.urandom(6_000_000),
    "b.bin": os.urandom(2_000_000),
    "config.json": b"{}",
}
KILLS_IN_CI = {"file": 25, "s3": 4}
KILLS_IN_SOAK = {"file": 300, "s3": 100}


def kind(store_url: str) -> str:
    return store_url.partition(":")[0]


def sealing(model: Path, store_url: str) -> tuple[object, ...]:
    to = str(OWNER.public_key())
    return ("seal", model, "--as", ATLAS_1, "--to", to, "--store", store_url, "--threads", "1")


def wait_until(happens: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something has happened, or the process has ended."""
    give_up_at = time.monotonic() + 60
    while not happens() and process.poll() is None:
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def has_begun(store: ObjectStore) -> Callable[[], bool]:
    """Whether a seal has written its mark."""
    return lambda: bool(list(store.list("w/")))


def settle(store: ObjectStore) -> None:
    """Wait until a server has done what a client asked of it that is no longer there."""
    before = None
    while store.url.startswith("s3:") and before != (now := sorted(stored(store))):
        before = now
        time.sleep(0.5)


def clear(store: ObjectStore) -> None:
    sweep(store, grace_seconds=0)
    store.delete([info for prefix in ("m/", "o/") for info in store.list(prefix)])
    assert stored(store) == {}


def check_whole_or_absent(store: ObjectStore) -> bool:
    """Whether the version exists, which is then whole; otherwise a sweep clears up, and sealing again works."""
    if versions(store):
        assert opened(store) == FILES
        assert scrub(store).damage == ()
        assert scrub(store).stray == 0
        sweep(store, grace_seconds=0)
        assert opened(store) == FILES
        return True
    with pytest.raises(NotFound):
        opened(store)
    assert scrub(store).damage == ()
    sweep(store, grace_seconds=0)
    assert stored(store) == {}
    assert list(store.list_partial()) == []
    seal(store, FILES, segment_bytes=1 << 20)
    assert opened(store) == FILES
    return False


def kill_seals(store_url: str, tmp_path: Path, kills: int) -> None:
    if store_url.startswith("file:"):
        (tmp_path / "store").mkdir(exist_ok=True)
    store = open_store(store_url)
    model = write_model(tmp_path / "model", FILES)
    process = start(*sealing(model, store_url))
    wait_until(has_begun(store), process)
    begun = time.monotonic()
    assert ended(process).code == 0
    takes = time.monotonic() - begun
    clear(store)
    ends = []
    # The first at once, for a seal that ended before its kill shows little; the others spread over the time it takes.
    for turn in range(kills):
        process = start(*sealing(model, store_url))
        wait_until(has_begun(store), process)
        time.sleep(takes * random.uniform(turn - 1, turn) / (kills - 1) if turn else 0)
        process.kill()
        process.communicate()
        settle(store)
        ends.append(check_whole_or_absent(store))
        clear(store)
    assert not all(ends)


def test_a_seal_that_is_killed_left_no_version_or_a_whole_one(store_url: str, tmp_path: Path) -> None:
    kill_seals(store_url, tmp_path, KILLS_IN_CI[kind(store_url)])


@pytest.mark.soak
def test_seals_that_are_killed_many_times(store_url: str, tmp_path: Path) -> None:
    kill_seals(store_url, tmp_path, KILLS_IN_SOAK[kind(store_url)])


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "identity.key", OWNER)


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.soak)], ids=["in-ci", "in-soak"])
def test_an_opening_that_is_killed_left_nothing_or_all_and_the_next_clears_up(
    tmp_path: Path, key: Path, kills: int
) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES, segment_bytes=1 << 20)
    place = tmp_path / "place"
    place.mkdir()
    to = place / "opened"
    opening = ("open", ATLAS_1, "--identity", key, "--store", store.url, "--to", to, "--threads", "1")
    left = turn = 0
    # A slow machine may see too late that an opening has begun: then it takes some more to have caught one.
    while turn < kills or (left == 0 and turn < 10 * kills):
        process = start(*opening)
        wait_until(lambda: any(place.iterdir()), process)
        time.sleep(random.uniform(0, 0.02) if turn < kills and turn % 2 else 0)
        turn += 1
        process.kill()
        process.communicate()
        stale = [found for found in place.iterdir() if found != to]
        left += len(stale)
        if to.exists():
            assert read_tree(to) == FILES
        else:
            assert len(stale) <= 1
            done(*opening)
        assert read_tree(to) == FILES
        assert list(place.iterdir()) == [to]
        to.rename(tmp_path / "old")
        for found in sorted((tmp_path / "old").rglob("*")):
            found.unlink()
        (tmp_path / "old").rmdir()
    assert left


def signalled(process: subprocess.Popen[str], number: int, begun: Callable[[], bool]) -> Outcome:
    """Signal a process in the midst of its work: it is held there, so that it cannot end before."""
    wait_until(begun, process)
    process.send_signal(signal.SIGSTOP)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    return ended(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_seal_that_is_interrupted_takes_away_what_it_wrote(store_url: str, tmp_path: Path, number: int) -> None:
    model = write_model(tmp_path / "model", {"weights.bin": os.urandom(40_000_000)})
    store = open_store(store_url)
    if store_url.startswith("file:"):
        (tmp_path / "store").mkdir(exist_ok=True)
    outcome = signalled(start(*sealing(model, store_url)), number, has_begun(store))
    assert outcome.code == 130, outcome
    assert outcome.err.lstrip("\n").startswith("strongroom: interrupted\n  hint: ")
    assert outcome.out == ""
    assert versions(store) == []
    assert stored(store) == {}
    assert list(store.list_partial()) == []
    assert sweep(store, grace_seconds=0) == ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_opening_that_is_interrupted_takes_away_what_it_wrote(
    store_url: str, tmp_path: Path, key: Path, number: int
) -> None:
    store = open_store(store_url)
    seal(store, {"weights.bin": os.urandom(40_000_000)}, segment_bytes=1 << 20)
    place = tmp_path / "place"
    place.mkdir()
    process = start(
        *("open", ATLAS_1, "--identity", key, "--store", store_url, "--to", place / "opened", "--threads", "1")
    )
    outcome = signalled(process, number, lambda: any(place.iterdir()))
    assert outcome.code == 130, outcome
    assert list(place.iterdir()) == []
    assert run("scrub", "--store", store_url).code == 0

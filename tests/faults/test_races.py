"""Two writers of one version at once: one wins, the others are told and leave nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from strongroom.client.scrub import scrub
from strongroom.client.seal import Sealed
from strongroom.client.sweep import sweep
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import StrongroomError
from strongroom.terms.outer_errors import VersionExists
from tests.attacks.versions import ATLAS_1, OWNER, Files, opened, seal, stored, versions, write_model
from tests.cli.command import check_refused, ended, start
from tests.faults.hooked import Call, HookedStore

WRITERS = 4


def check_one_whole(store: ObjectStore, contents: list[Files]) -> None:
    """The version is one of these, whole, and there is nothing else."""
    assert versions(store) == [ATLAS_1]
    assert opened(store) in contents
    assert len(stored(store)) == 1 + len(contents[0])
    assert scrub(store).damage == ()
    assert sweep(store, grace_seconds=0) == ()


def test_of_processes_that_seal_one_version_at_once_one_wins(store_url: str, tmp_path: Path) -> None:
    contents: list[Files] = [
        {"weights.bin": bytes([number]) * 3_000_000, "config.json": b"{}"} for number in range(WRITERS)
    ]
    processes = [
        start(
            *("seal", write_model(tmp_path / f"model{number}", content), "--as", ATLAS_1),
            *("--to", OWNER.public_key(), "--store", store_url, "--json"),
        )
        for number, content in enumerate(contents)
    ]
    outcomes = [ended(process) for process in processes]
    assert [outcome.code for outcome in outcomes].count(0) == 1
    for outcome in outcomes:
        if outcome.code != 0:
            check_refused(outcome, VersionExists)
    (winner,) = (outcome.json() for outcome in outcomes if outcome.code == 0)
    store = open_store(store_url)
    check_one_whole(store, contents)
    assert {name.split("/")[1] for name in stored(store) if name.startswith("o/")} == {winner["seal_id"]}
    number = [outcome.code for outcome in outcomes].index(0)
    assert opened(store, digest=winner["manifest"]) == contents[number]


@pytest.mark.parametrize("attempt", range(4))
def test_of_writers_that_commit_at_the_same_moment_one_wins(store_url: str, attempt: int) -> None:
    store = open_store(store_url)
    together = threading.Barrier(WRITERS)
    contents: list[Files] = [{"weights.bin": b"%d" % number * 9_000} for number in range(WRITERS)]
    ends: dict[int, Sealed | StrongroomError] = {}

    def wait_for_all(call: Call) -> None:
        if call.verb == "put_new":
            together.wait(60)

    def write(number: int) -> None:
        try:
            ends[number] = seal(HookedStore(store, before=wait_for_all), contents[number])
        except StrongroomError as error:
            ends[number] = error

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = {number: end for number, end in ends.items() if isinstance(end, Sealed)}
    assert len(ends) == WRITERS
    assert len(winners) == 1
    assert all(isinstance(end, Sealed | VersionExists) for end in ends.values())
    check_one_whole(store, contents)
    ((number, sealed),) = winners.items()
    assert opened(store, digest=sealed.manifest) == contents[number]

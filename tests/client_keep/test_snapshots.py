"""Snapshots of a training loop: whole or not at all, out of the loop's way, by a job that can open none of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

from strongroom.client.memory import IN_MEMORY
from strongroom.client.released import open_through_keep
from strongroom.client.room import Room
from strongroom.client.session import Program
from strongroom.client.snapshots import Snapshots
from strongroom.client.tensor_file import write_tensors
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import AccessDenied, BadRequest, NotAllowed, StoreUnavailable
from tests.attacks.versions import stored
from tests.client_keep.between import between
from tests.client_keep.logs import World
from tests.faults.hooked import Call, HookedStore
from tests.keep.world import founded_keep

WEIGHTS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, dtype=ml_dtypes.bfloat16)}


@dataclass
class Lab:
    world: World
    store: ObjectStore
    job: Program
    room: Room
    model: str

    def versions(self) -> list[Any]:
        found = self.job.deployment.sync().versions.values()
        return sorted(found, key=lambda version: version.number)

    def hooked(self, **hooks: Any) -> Room:
        return Room(self.job.profile, store=HookedStore(self.store, **hooks), clock=self.world.clock)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with founded_keep(tmp_path) as world:
        store = open_store((tmp_path / "store").as_uri())
        model = world.model("acme/run-12")
        job = world.workload("trainer", "writer")
        room = Room(job.profile, store=store, clock=world.clock)
        yield Lab(world, store, job, room, model)


def left_in_memory() -> set[Path]:
    return set(IN_MEMORY.glob(f"strongroom-{os.getpid()}-*"))


def test_snapshots_are_versions_each_of_the_one_before_which_their_writer_cannot_open(lab: Lab) -> None:
    weights = {name: array.copy() for name, array in WEIGHTS.items()}
    before = left_in_memory()
    with Snapshots(lab.room, lab.model) as snapshots:
        for step in (10, 20):
            assert snapshots.save(step, weights)
            weights["w"] += 1  # training goes on at once
    assert [one.step for one in snapshots.kept] == [10, 20]
    first, second = lab.versions()
    assert [one.version for one in snapshots.kept] == [first.version, second.version]
    assert (first.lineage, second.lineage) == ((), (first.version,))
    assert left_in_memory() <= before

    lab.world.grant("acme/run-12@2")
    with open_through_keep(lab.world.session("Dan"), "acme/run-12@2", lab.store) as opened:
        assert opened.metadata() == {"step": "20"}
        found = opened.load_all()
    np.testing.assert_array_equal(found["w"], WEIGHTS["w"] + 1)
    assert found["b"].dtype == ml_dtypes.bfloat16
    with pytest.raises(NotAllowed):
        lab.room.open_version(first.version)


def test_only_the_last_ones_keep_their_bytes_and_the_log_knows_them_all(lab: Lab) -> None:
    with Snapshots(lab.room, lab.model, keep_last=2, every=10) as snapshots:
        taken = [step for step in range(1, 51) if snapshots.save(step, WEIGHTS)]
    assert taken == [10, 20, 30, 40, 50]
    assert [one.step for one in snapshots.kept] == [40, 50]
    assert snapshots.superseded == []
    seals = {name.split("/")[2 if name.startswith("m/") else 1] for name in stored(lab.store)}
    assert seals == {one.seal_id for one in snapshots.kept}
    assert len(lab.versions()) == 5


def test_a_job_that_may_not_delete_says_what_is_superseded(lab: Lab) -> None:
    def refuse(call: Call) -> None:
        if call.verb == "delete":
            raise AccessDenied("writers write")

    with Snapshots(lab.hooked(before=refuse), lab.model, keep_last=1) as snapshots:
        for step in (1, 2):
            snapshots.save(step, WEIGHTS)
    assert [one.step for one in snapshots.superseded] == [1]
    assert [one.step for one in snapshots.kept] == [2]


def test_two_are_held_at_most_and_the_loop_waits_or_passes_on(lab: Lab) -> None:
    may_go = threading.Event()

    def hold(call: Call) -> None:
        if call.verb == "create":
            assert may_go.wait(60)

    with Snapshots(lab.hooked(before=hold), lab.model, when_busy="drop") as dropping:
        assert [dropping.save(step, WEIGHTS) for step in range(4)] == [True, True, False, False]
        may_go.set()
    assert [one.step for one in dropping.kept] == [0, 1]

    may_go.clear()
    with Snapshots(lab.hooked(before=hold), lab.model) as waiting:
        waiting.save(1, WEIGHTS)
        waiting.save(2, WEIGHTS)
        third = threading.Thread(target=waiting.save, args=(3, WEIGHTS))
        third.start()
        third.join(0.2)
        assert third.is_alive()
        may_go.set()
        third.join(60)
    assert [one.step for one in waiting.kept] == [1, 2, 3]


def test_what_fails_is_said_by_the_next_save_or_at_the_end_and_leaves_no_half_snapshot(lab: Lab) -> None:
    failed = threading.Event()

    def refuse(call: Call) -> None:
        if call.verb == "finish" and not failed.is_set():
            failed.set()
            raise AccessDenied("no more room for you")

    snapshots = Snapshots(lab.hooked(before=refuse), lab.model)
    snapshots.save(1, WEIGHTS)
    assert failed.wait(60)

    def go_on() -> None:
        for step in range(2, 10_000):
            snapshots.save(step, WEIGHTS)

    with pytest.raises(AccessDenied, match="no more room"):
        go_on()
    failed.clear()
    snapshots.save(0, WEIGHTS)
    with pytest.raises(AccessDenied, match="no more room"):
        snapshots.close()
    snapshots.close()
    assert len(lab.versions()) == len(snapshots.kept)
    seals = {name.split("/")[1] for name in stored(lab.store) if name.startswith("o/")}
    assert seals == {one.seal_id for one in snapshots.kept}


def test_an_error_of_the_loop_is_not_hidden_by_one_of_a_snapshot(lab: Lab) -> None:
    def refuse(call: Call) -> None:
        if call.verb == "create":
            raise AccessDenied("no")

    def loop() -> None:
        with Snapshots(lab.hooked(before=refuse), lab.model) as snapshots:
            snapshots.save(1, WEIGHTS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()


def test_a_store_or_a_keep_that_is_away_for_a_while_costs_nothing_but_time(lab: Lab) -> None:
    away = [True, True]

    def down(call: Call) -> None:
        if call.verb == "create" and away:
            away.pop()
            raise StoreUnavailable("away")

    with between(lab.world, lab.job.profile) as socket:
        socket.lost["version.register/1"] = 1
        with Snapshots(lab.hooked(before=down), lab.model) as snapshots:
            snapshots.save(1, WEIGHTS)
        assert socket.asked["version.register/1"] == 2
    assert away == []
    assert [one.version for one in snapshots.kept] == [one.version for one in lab.versions()]
    assert len(snapshots.kept) == 1


def test_patience_ends(lab: Lab) -> None:
    def down(call: Call) -> None:
        if call.verb == "create":
            raise StoreUnavailable("away")

    snapshots = Snapshots(lab.hooked(before=down), lab.model, patience_seconds=0)
    snapshots.save(1, WEIGHTS)
    with pytest.raises(StoreUnavailable):
        snapshots.close()


def test_files_go_with_the_tensors(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    with Snapshots(lab.room, lab.model) as snapshots:
        snapshots.save(1, WEIGHTS, files=[config])
    lab.world.grant("acme/run-12@1")
    with open_through_keep(lab.world.session("Dan"), "acme/run-12@1", lab.store) as opened:
        assert opened.files() == ["config.json", "model.safetensors"]


def test_what_cannot_be_meant_is_refused_before_it_is_taken(lab: Lab) -> None:
    with pytest.raises(BadRequest):
        Snapshots(lab.room, lab.model, keep_last=0)
    with pytest.raises(BadRequest):
        Snapshots(lab.room, lab.model, every=0)
    with Snapshots(lab.room, lab.model) as snapshots:
        for data in ({}, {"w": [1.0, 2.0]}, {"w": np.array(["text"])}, {"w": np.zeros(2, dtype=">f4")}):
            with pytest.raises(BadRequest):
                snapshots.save(1, data)
    with pytest.raises(BadRequest, match="closed"):
        snapshots.save(2, WEIGHTS)
    assert lab.versions() == []


@pytest.mark.parametrize(
    "array",
    [
        np.float64(3.5),
        np.zeros((0, 4), dtype=np.int16),
        np.arange(24, dtype=np.int64).reshape(2, 3, 4).transpose(2, 0, 1),
        np.array([True, False]),
        np.arange(3, dtype=np.complex64),
        np.arange(5, dtype=np.uint8).astype(ml_dtypes.float8_e4m3fn),
    ],
    ids=lambda array: str(array.dtype),
)
def test_a_tensor_file_is_what_safetensors_reads(tmp_path: Path, array: Any) -> None:
    place = tmp_path / "a.safetensors"
    size = write_tensors(place, {"odd": np.ones(3, dtype=np.uint8), "array": array}, {"step": "1"})
    assert place.stat().st_size == size
    with safe_open(place, framework="np") as file:
        assert file.metadata() == {"step": "1"}
        np.testing.assert_array_equal(file.get_tensor("odd"), [1, 1, 1])
        assert file.get_slice("array").get_shape() == list(array.shape)
        if array.dtype.kind != "V" and array.dtype != ml_dtypes.float8_e4m3fn:
            np.testing.assert_array_equal(file.get_tensor("array"), array)


@pytest.mark.torch
def test_tensors_of_torch_are_saved_as_they_are(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weights = {
        "half": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).T,
        "trained": torch.ones(3, requires_grad=True),
        "count": torch.tensor(7),
    }
    write_tensors(tmp_path / "a.safetensors", weights, {})
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        for name, tensor in weights.items():
            assert torch.equal(file.get_tensor(name), tensor)


KILLED = """
import time
from strongroom.client.watched import watched_folder
with watched_folder() as folder:
    (folder / "weights").write_bytes(b"secret")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_waits_in_memory_is_gone_with_the_process_however_that_ends(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.stat().st_mode & 0o777 == 0o700
        process.send_signal(number)
        process.wait(60)
        for _ in range(3000):
            if not folder.exists():
                break
            threading.Event().wait(0.02)
        assert not folder.exists()

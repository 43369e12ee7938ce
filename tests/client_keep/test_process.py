"""The same client against the real process: founding, custodians, sealing, opening, freezing, and a new start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import strongroom
from strongroom.client.connection import Connection
from strongroom.client.founding import fetch_share, unseal, unseal_key, unseal_words
from strongroom.client.names import NOT_PROVEN
from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.client.requests import freeze, proposal_id, reject, request_access
from strongroom.client.review import review
from strongroom.objects import open_store
from strongroom.terms.errors import BadRequest, Denied, KeepSealed, NotAllowed
from tests.attacks.versions import MODEL, write_model
from tests.client_keep.logs import Clock, Keeper, World


@dataclass
class Now(Clock):
    """The clock on the wall, as the process has it."""

    def __call__(self) -> float:
        return time.time()


@contextmanager
def keep_process(folder: Path) -> Iterator[tuple[Path, str]]:
    """Run a keep, and give its socket and the words that it printed."""
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    (folder / "high").mkdir(mode=0o700, exist_ok=True)
    socket = folder / "run" / "keep.socket"
    places = ["--folder", folder / "journal", "--high-water", folder / "high" / "water", "--socket", socket]
    command = [sys.executable, "-m", "strongroom.keep", *map(str, places)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert said.startswith("keep: listening on"), said + process.stderr.read()
            yield socket, said.rpartition(": ")[2].strip()
        finally:
            process.terminate()
            process.wait(10)


def test_the_whole_story_with_the_real_keep(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    with keep_process(tmp_path) as (socket, words):
        connection = Connection(socket)
        assert unseal_words(unseal_key(connection)) == words
        world = World(folder=tmp_path, socket=socket, clock=Now(), keeper=Keeper(Clock()))
        world.found()
        shares = {name: fetch_share(world.profiles[name], connection) for name in ("Ada", "Ben")}
        model = world.model()
        job = world.workload("trainer", "writer")
        ada = world.session("Ada")
        job.deployment.sync()
        made = seal_through_keep(job, [write_model(tmp_path / "model")], "acme/atlas", store, notes="first run")
        assert (made.name, made.number) == ("acme/atlas@1", 1)
        dan = world.session("Dan")
        done = request_access(dan, "acme/atlas@1", 4, "to look at it")
        ben = world.session("Ben")
        read = review(ben, proposal_id(done))
        assert any("acme/atlas@1" in line for line in read.lines)
        assert not any(NOT_PROVEN in line for line in read.lines)
        assert world.agree(done, "Ben", role="approver").missing
        assert world.agree(done, "Ada", role="approver").enacted
        with open_through_keep(dan, "acme/atlas@1", store) as opened:
            assert opened.read_bytes("config.json") == MODEL["config.json"]
        with strongroom.open_version("acme/atlas@1", profile=world.profiles["Dan"].path, store=store.url) as opened:
            assert opened.read_bytes("config.json") == MODEL["config.json"]
        with pytest.raises(NotAllowed):
            strongroom.open_version(made.version, profile=job.profile, store=store.url)
        world.grant("acme/atlas@1", files=["config.json"])
        refused = request_access(dan, "acme/atlas@1", 1, "once more")
        read = review(ben, proposal_id(refused))
        key = world.profiles["Ben"].security_key()
        assert reject(ben, read, key, role="approver", team="core", reason="no").logged.data["ends"]
        freeze(ada, model, "odd reads")
        with pytest.raises(Denied):
            open_through_keep(dan, "acme/atlas@1", store)
    with keep_process(tmp_path) as (_, words):
        key_of_this_start = unseal_key(connection)
        assert unseal_words(key_of_this_start) == words
        with pytest.raises(KeepSealed):
            dan.learn(digests=[dan.directory.models[model].details, dan.directory.versions[made.version].notes])
        missing = [
            unseal(world.profiles[name], connection, share, to=key_of_this_start) for name, share in shares.items()
        ]
        assert missing == [1, 0]
        dan.deployment.sync()
        with pytest.raises(Denied):
            open_through_keep(dan, "acme/atlas@1", store)


@pytest.mark.parametrize(
    "how", [{}, {"identity": "a", "profile": "b"}, {"profile": "b", "manifest": "sha256:" + "0" * 64}]
)
def test_a_version_is_opened_in_one_way(how: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        strongroom.open_version("acme/atlas@1", store="file:///nowhere", **how)  # type: ignore[arg-type]

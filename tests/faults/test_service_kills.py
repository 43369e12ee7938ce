"""A whole service is killed, part by part and at random, while four clients are at work.

A trial, as `strongroom up` runs it, before a real S3 server. Keep and gateway come back by themselves, the keep with
its keys; server and clients are started again here. In the end all that any client was ever told holds.
"""

from __future__ import annotations

import base64
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.model_enrol import ModelEnrol
from strongroom.client.https import HttpsConnection, client_context
from strongroom.client.joining import connect, connection_of
from strongroom.client.names import new_detail
from strongroom.client.profile import open_profile
from strongroom.client.replica import Replica
from strongroom.client.requests import propose
from strongroom.client.session import resume
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory
from strongroom.statements.statement import parse_statement
from strongroom.terms.errors import Unavailable
from strongroom.terms.ids import new_id
from strongroom.tlog.checkpoints import verify_checkpoint
from strongroom.tlog.notes import ED25519, VerifierKey
from strongroom.tlog.tree import Tree, leaf_hash
from tests.faults.killable import Client, Part, Store, Supervised
from tests.faults.told import Told, read_told
from tests.faults.under_load import Worker
from tests.servers import free_port_pairs, running_s3_server
from tests.service.upping import Up, up

BACK_WITHIN_SECONDS = 60.0
GENEROUS_SECONDS = 180.0


@dataclass
class Whole:
    """All parts, running."""

    folder: Path
    service: Up
    supervised: list[Supervised]
    store: Store
    clients: list[Client]
    model: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def stop(self) -> Path:
        return self.folder / "stop"

    @property
    def parts(self) -> list[Part]:
        return [*self.supervised, self.store, *self.clients]

    def is_ready(self) -> bool:
        profile = open_profile(self.home)
        connection = HttpsConnection(str(profile.who.url), context=client_context(profile.ca))
        try:
            return connection.request("GET", "/readyz").status == 200
        except Unavailable:
            return False
        finally:
            connection.close()


@contextmanager
def whole(folder: Path, seed: int) -> Iterator[Whole]:
    """Give a trial with a model, and four clients that work with it."""
    with ExitStack() as running:
        server = running.enter_context(running_s3_server())
        (port,) = free_port_pairs(1)
        where = ("--trial", "--port", port, "--store", f"s3://{server.bucket}/kills")
        environment = running.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name, value in server.environment().items():
            environment.setenv(name, value)
        service = running.enter_context(up(folder / "home", *where))
        service.result()
        made = Whole(
            folder=folder,
            service=service,
            supervised=[Supervised(service, name) for name in ("keep", "gateway")],
            store=Store(server),
            clients=[],
            model=enrolled(folder / "home"),
        )
        running.callback(made.store.close)
        for number in range(4):
            profile = shutil.copytree(made.home, folder / f"home-{number}")
            own = folder / f"client-{number}"
            client = Client(f"client {number}", own, profile, made.model, made.stop, seed + 1_000_000 * number)
            running.callback(client.close)
            made.clients.append(client)
        yield made


def enrolled(home: Path) -> str:
    """Enrol a model, and return its identifier."""
    profile = open_profile(home)
    session = resume(profile, connect(profile))
    session.deployment.sync()
    detail = new_detail("acme/atlas", os.urandom)
    change = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=1)
    assert propose(session, "model.enrol", change, "to try it", details=[detail]).enacted is not None
    return change.model


@pytest.mark.s3
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seconds", "longest_pause", "most_kills"),
    [
        (60.0, 4.0, 4),
        # All of it within the hour that a session lasts.
        pytest.param(1_200.0, 20.0, 1_000, marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
    ],
)
def test_nothing_that_anybody_was_told_is_lost_whatever_is_killed(
    tmp_path: Path, seconds: float, longest_pause: float, most_kills: int
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    with whole(tmp_path, seed) as made:
        kill_at_random(made, random.Random(seed), seconds, longest_pause, most_kills)
        # It is back by itself, and everybody goes on.
        until(made.is_ready, BACK_WITHIN_SECONDS)
        before = [client.told for client in made.clients]
        until(lambda: all(map(works_again, made.clients, before)), GENEROUS_SECONDS)
        made.stop.touch()
        for client in made.clients:
            client.end(GENEROUS_SECONDS)
        told = [read_told([path]) for client in made.clients for path in client.told]
        _, directory = log_from_genesis(made.home, tmp_path / "log")
        print(Counter((one["did"], one.get("code", one.get("kind"))) for lines in told for one in lines))
        told.append(reopened(made, directory))
        leaves, directory = log_from_genesis(made.home, tmp_path / "log")
        check_all(leaves, directory, told)
        check_unsealed([parse_entry(leaf) for leaf in leaves], made)


def kill_at_random(made: Whole, dice: random.Random, seconds: float, longest_pause: float, most_kills: int) -> None:
    """Kill each part now and then, and at least once."""
    began = time.monotonic()
    while time.monotonic() - began < seconds or any(part.kills == 0 for part in made.parts):
        assert time.monotonic() - began < seconds + GENEROUS_SECONDS, "there was nothing to kill"
        assert made.service.running.poll() is None, made.service.events[-20:]
        time.sleep(dice.uniform(0.1, longest_pause))
        if left := [part for part in made.parts if part.kills < most_kills]:
            part = dice.choice(left)
            if part.kill():
                print(f"{time.monotonic() - began:.1f} s: killed {part.name}")
        for client in made.clients:
            client.check()


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.2)


def works_again(client: Client, before: Mapping[Path, int]) -> bool:
    """Tell whether a client has sealed and read since its files had these sizes."""
    client.check()
    said = b""
    for path in client.told:
        with path.open("rb") as file:
            file.seek(before.get(path, 0))
            said += file.read()
    return b'"did": "sealed"' in said and b'"did": "read"' in said


def log_from_genesis(home: Path, folder: Path) -> tuple[list[bytes], Directory]:
    """Fetch the whole log, verify it as every client does, and return its leaves and what they fold to."""
    profile = open_profile(home)
    replica = Replica(folder, profile.deployment)
    size = replica.sync(connection_of(profile)).size
    return [replica.leaf(index) for index in range(size)], replica.directory


def reopened(made: Whole, directory: Directory) -> list[dict[str, Any]]:
    """Open every version that there is once more, and return what was told."""
    path = made.folder / "told-last"
    worker = Worker(open_profile(made.home), made.model, Told(path), 0)
    for version in directory.versions.values():
        worker.open(version)
    return read_told([path])


def check_all(leaves: Sequence[bytes], directory: Directory, told: Sequence[Sequence[dict[str, Any]]]) -> None:
    """Hold what each process was told against the log."""
    entries = [parse_entry(leaf) for leaf in leaves]
    statements = [parse_statement(one.envelope()).id for one in entries if one.statement is not None]
    assert len(set(statements)) == len(statements), "a statement stands in the log twice"
    tree = Tree(map(leaf_hash, leaves))
    log_key = VerifierKey(name=directory.origin, kind=ED25519, public_key=directory.keys.log)
    contents = {one["seal_id"]: one["content"] for lines in told for one in lines if one["did"] == "sealed"}
    assert {one.seal_id for one in directory.versions.values()} <= contents.keys()
    reads = 0
    for lines in told:
        released: set[str] = set()
        for one in lines:
            match one:
                case {"did": "entry", "index": index, "leaf": leaf, "note": note, "kind": kind}:
                    checkpoint = verify_checkpoint(note.encode("utf-8"), log_key)
                    assert checkpoint.root == tree.root(checkpoint.size), "a checkpoint of another log"
                    assert index < checkpoint.size, "told before it was in the log"
                    assert leaves[index] == base64.b64decode(leaf), f"entry {index} is another one"
                    if kind == "key.released":
                        released.add(released_seal(entries[index], directory))
                case {"did": "read", "seal_id": seal_id, "content": content}:
                    assert seal_id in released, "a key without its entry"
                    assert content == contents[seal_id], "what was read is not what was sealed"
                    reads += 1
                case _:
                    continue
    assert reads >= 8, reads
    print(len(leaves), "entries,", len(directory.versions), "versions,", reads, "reads")


def released_seal(entry: Entry, directory: Directory) -> str:
    body: Any = parse_statement(entry.envelope()).body
    return directory.versions[body["version"]].seal_id


def check_unsealed(entries: Sequence[Entry], made: Whole) -> None:
    """Each time that the keep came to listen, it had its keys, and nobody had given a share."""
    unsealed: list[Any] = [one.data for one in entries if one.kind == "keep.unsealed"]
    listened = sum("keep: listening" in one.get("text", "") for one in made.service.events)
    assert len(unsealed) >= listened > 1
    assert [one for one in unsealed if one["by"]] == []

"""No release unrecorded: the real keep of a real deployment is killed at random while four clients are at work.

Each time it is up again by itself, and sealed: whoever asks is told so, until two custodians have given their shares.
A client that got no answer says the very same statement again. In the end everything that anybody was told is in the
log under a valid checkpoint, every key has its entry, and no statement stands in it twice. (`test_keep_kills` has the
other kind of deployment, a trial that unseals itself, through the client that people use.)
"""

from __future__ import annotations

import base64
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

import pytest

from strongroom.acts.fold import fold, genesis
from strongroom.directory.entries import parse_entry
from strongroom.journal.sqlite import open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.statements.statement import parse_statement
from strongroom.tlog.checkpoints import verify_checkpoint
from strongroom.tlog.tree import Tree, leaf_hash
from tests.keep.raw import Client
from tests.model.crew import Crew, in_memory, key_text, prepared
from tests.model.lab import Lab
from tests.model.signer import Key, named
from tests.vectors.statements.writer import b64

KILLS_IN_CI, KILLS_IN_SOAK = 20, 2_000
STARTS_SECONDS = 30
Say = Callable[[], Thing]


class Supervised(Lab):
    """A laboratory whose keep is a process that somebody starts again whenever it ends."""

    process: subprocess.Popen[str]
    unsealed: threading.Event

    def run(self) -> None:
        folder, high_water = self.paths
        where = ["--folder", folder, "--high-water", high_water, "--socket", self.socket]
        command = [sys.executable, "-m", "strongroom.keep", *map(str, where)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert said.startswith("keep: listening"), said + self.process.stderr.read()

    @property
    def socket(self) -> Path:
        return self.folder.parent / "run" / "keep"

    def ask(self, *requests: Any) -> list[Any]:
        client = Client(self.socket)
        try:
            return [client.ask(one) for one in requests]
        finally:
            client.socket.close()

    def kill(self) -> None:
        self.unsealed.clear()
        self.process.kill()
        self.process.wait(STARTS_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def come_back(self) -> None:
        """It is sealed, says so, and opens with two shares: `give_shares` sees to that."""
        self.run()
        self.give_shares()
        self.unsealed.set()


class Worker(threading.Thread):
    """Says one thing after the other, each until there is an answer, and keeps what was told."""

    def __init__(self, lab: Supervised, stop: threading.Event, says: list[Say]) -> None:
        super().__init__()
        self.lab, self.stopping, self.says = lab, stop, says
        self.told: list[tuple[Thing, Any]] = []
        self.again = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(1 << 30):
                if self.stopping.is_set():
                    return
                self.say(self.says[number % len(self.says)]())
        except BaseException as error:  # noqa: BLE001  (the test shows it)
            self.failure = error

    def say(self, said: Thing) -> None:
        while self.lab.unsealed.wait(STARTS_SECONDS):
            try:
                (answer,) = self.lab.ask({"ask": "act", "statement": said.envelope})
            except (OSError, EOFError):
                self.again += 1
                time.sleep(0.01)
                continue
            if answer.get("error", {}).get("code") == "sealed":
                continue
            assert "ok" in answer, (said.act, answer["error"])
            if "leaf" in answer["ok"]:
                self.lab.check_told(said, answer, "yes")
                self.told.append((said, answer))
            return


@pytest.fixture
def lab() -> Iterator[Supervised]:
    folder = in_memory()
    (folder / "run").mkdir(mode=0o700)
    made = prepared(folder / "lab", start=int(time.time()))
    made.stop()
    lab = Supervised.__new__(Supervised)
    lab.__dict__.update(made.__dict__, unsealed=threading.Event())
    yield lab
    lab.process.kill()
    lab.process.wait(STARTS_SECONDS)
    shutil.rmtree(folder)


def workers(lab: Supervised, stop: threading.Event) -> list[Worker]:
    """Two researchers who log in and open, a program that opens, and an attester."""
    crew, people = Crew(lab), lab.known.people
    (workload,), (attester,) = lab.all("workload"), lab.all("attester")
    numbers = iter(range(1 << 30))

    def now() -> dict[str, Any]:
        return {"at": int(time.time()), "until": int(time.time()) + 300}

    def opening(subject: str, session: str = "", device: str = "") -> Thing:
        name, grant = next((name, one) for name, one in lab.all("grant").items() if one.subject == subject)
        body = {
            "grant": name,
            "manifest": grant.manifest,
            "recipient": b64(lab.recipients[0].public_key().raw),
            "version": grant.version,
        }
        return lab.words("release", subject, body, session=session, device=device, **now())

    def person(name: str) -> list[Say]:
        who, sessions = people[name], [""]
        device, credential = crew.devices(who)[0], lab.known.credentials(who)[0]

        def login() -> Thing:
            sessions[0], key = named("session", lab.random), Key.drawn(lab.random)
            lab.known.keys[sessions[0]] = key
            body = {"device": device, "public_key": key_text(key), "session": sessions[0]}
            return lab.words("session.open", who, body, device=device, credential=credential, **now())

        return [login, *[lambda: opening(who, sessions[0], device)] * 3]

    def attest() -> Thing:
        subject = crew.devices(people["Ben"])[0]
        return lab.words("fact.attest", attester, crew.fact(subject, "disk-encrypted", next(numbers)), **now())

    said = [person("Finn"), person("Gus"), [lambda: opening(workload)], [attest]]
    return [Worker(lab, stop, one) for one in said]


@pytest.mark.parametrize(
    "kills", [KILLS_IN_CI, pytest.param(KILLS_IN_SOAK, marks=[pytest.mark.soak, pytest.mark.timeout(0)])]
)
def test_every_key_and_everything_told_is_in_the_log_and_nothing_twice(lab: Supervised, kills: int) -> None:
    chance, stop = random.Random(kills), threading.Event()
    threads = workers(lab, stop)
    lab.come_back()
    for one in threads:
        one.start()
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 0.6))
            lab.kill()
            if chance.random() < 0.2:  # and again, before anybody gave a share
                lab.run()
                lab.kill()
            lab.come_back()
        time.sleep(0.2)
    finally:
        stop.set()
        for one in threads:
            one.join(STARTS_SECONDS)
    assert [one.failure for one in threads] == [None] * len(threads)
    lab.kill()
    check_log(lab, [told for one in threads for told in one.told], kills)
    assert all(len(one.told) >= kills // 4 for one in threads), [len(one.told) for one in threads]
    assert sum(one.again for one in threads) >= kills // 4, "some were waiting when it was killed"


def check_log(lab: Supervised, told: list[tuple[Thing, Any]], kills: int) -> None:
    folder, high_water = lab.paths
    journal = open_journal(folder, high_water=high_water, log_key_of=log_key_of, reserve_bytes=1 << 16)
    leaves = list(journal.read(0, journal.size))
    assert journal.note is not None
    checkpoint = verify_checkpoint(journal.note, lab.log_key)
    journal.close()
    assert (checkpoint.size, checkpoint.root) == (len(leaves), Tree(map(leaf_hash, leaves)).root())
    for said, answer in told:
        assert base64.b64decode(answer["ok"]["leaf"]) == leaves[answer["ok"]["index"]], said.act
    directory = genesis(leaves[0])
    for leaf in leaves[1:]:
        fold(directory, leaf)
    entries = [parse_entry(leaf) for leaf in leaves]
    statements = [parse_statement(one.envelope()).id for one in entries if one.statement is not None]
    assert len(set(statements)) == len(statements), "a statement stands in the log twice"
    released = {number for number, one in enumerate(entries) if one.kind == "key.released"}
    assert lab.released
    assert set(lab.released) <= released
    assert sum(one.kind == "keep.unsealed" for one in entries) == 1 + kills + 1

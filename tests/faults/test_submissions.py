"""Each approval counts once: a thousand submissions at the same moment, while gateway and keep are killed.

The five of a real deployment. What is submitted is what an attacker or a bad network makes of a few approvals: the very
same envelope; the same with the other signature that is as good; another statement of the same person about the same.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.approve import Approve
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.table import act_named
from strongroom.client.names import new_detail
from strongroom.client.requests import approve, proposal_id, propose
from strongroom.client.review import review
from strongroom.client.say import enveloped
from strongroom.directory.entries import Entry
from strongroom.statements.envelope import Envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms.ids import new_id
from tests.client_keep.logs import World
from tests.faults.told import read_told
from tests.gateway.world import RealGateway, real_gateway
from tests.servers import started
from tests.service.supervised import HOUSE
from tests.vectors.statements.writer import mirrored

PROCESSES = 4
GENEROUS_SECONDS = 240.0
MAY_REFUSE = {"already-done", "cloned-key", "not-now"}
"""They have approved already, or it has happened; a later touch of the same key came first; the minute is over in which
a statement may come for the first time."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("submissions", [1_000, pytest.param(20_000, marks=pytest.mark.soak)])
def test_each_approval_counts_once_however_often_and_however_it_is_submitted(tmp_path: Path, submissions: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    with real_gateway(tmp_path, house=True) as real:
        agreed, waiting = asked(real.world, "acme/atlas"), asked(real.world, "acme/borealis")
        envelopes = [
            *voices(real.world, "Ben", agreed),
            *voices(real.world, "Cleo", agreed),
            *voices(real.world, "Eve", waiting),
        ]
        (tmp_path / "envelopes").write_text(json.dumps([one.json() for one in envelopes]))
        told: list[dict[str, Any]] = []
        for wave in range(submissions // 1_000):
            told += submitted(real, tmp_path, wave, seed + wave)
        answers = [one for one in told if one["did"] != "again"]
        print(Counter((one["did"], one.get("code")) for one in told))
        assert len(answers) == submissions
        assert len(told) > submissions, "nobody was waiting when gateway and keep were killed"
        assert {one["code"] for one in answers if one["did"] == "refused"} <= MAY_REFUSE
        entries = whole_log(real)
        check_counted(entries, {agreed: {"Ben", "Cleo"}, waiting: {"Eve"}}, real.world)
        check_answers(answers, envelopes, entries)
        (enacted,) = enactments(entries, agreed)
        assert {one["enacted"] for one in answers if one["did"] == "taken"} <= {None, enacted}
        # One voice, however often it was raised, was not enough; one more is.
        assert enactments(entries, waiting) == []
        ben, key = real.world.session("Ben"), real.world.profiles["Ben"].security_key()
        done = approve(ben, review(ben, waiting), key, role="governor", team="core")
        assert done.enacted is not None


def asked(world: World, name: str) -> str:
    """Have Ada propose a model, which takes two others, and return the proposal."""
    detail = new_detail(name, os.urandom)
    change = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=1)
    return proposal_id(propose(world.session("Ada"), "model.enrol", change, "to train it", details=[detail]))


def voices(world: World, name: str, proposal: str) -> list[Envelope]:
    """Return three statements by which a person approves, each with either signature that is good."""
    session, act = world.session(name), act_named("approve")
    body = Approve(proposal=proposal, digest=review(session, proposal).digest, role="governor", team="core")
    made = []
    for _ in range(3):
        statement = session.statement(act, body, seconds=act.longest_seconds)
        touch = session.touch(statement, world.profiles[name].security_key())
        made += [enveloped(statement, touch), enveloped(statement, replace(touch, sig=mirrored(touch.sig)))]
    return made


def submitted(real: RealGateway, folder: Path, wave: int, seed: int) -> list[dict[str, Any]]:
    """Submit a thousand, kill the gateway and the keep in the midst of it, and return what was told."""
    (folder / "ca.pem").write_bytes(real.ca_pem)
    paths = [folder / f"told-{wave}-{number}" for number in range(PROCESSES)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(HOUSE)}
    with ExitStack() as running:
        processes = []
        for number, path in enumerate(paths):
            where = [real.url, str(folder / "ca.pem"), str(folder / "envelopes"), str(path)]
            how = [str(seed * PROCESSES + number), str(1_000 // PROCESSES)]
            command = [sys.executable, "-m", "tests.faults.many_voices", *where, *how]
            log = folder / f"log-{wave}-{number}"
            processes.append(running.enter_context(started(command, environment=environment, folder=folder, log=log)))
        wait_for(paths, 100)
        real.gateway.kill()
        real.gateway.start()
        wait_for(paths, 400)
        real.keep.kill()
        real.keep.start()
        real.unseal()
        for process in processes:
            assert process.wait(GENEROUS_SECONDS) == 0
    return read_told(paths)


def wait_for(paths: Sequence[Path], count: int) -> None:
    """Wait until so many submissions were answered."""
    end = time.monotonic() + GENEROUS_SECONDS
    while sum(one["did"] != "again" for one in read_told(path for path in paths if path.exists())) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def whole_log(real: RealGateway) -> list[Entry]:
    """Return the log, fetched through the gateway from its genesis on, and verified."""
    deployment = real.connect(real.ada)
    deployment.sync()
    return [deployment.replica.entry(index) for index in range(deployment.directory.size)]


def check_counted(entries: Sequence[Entry], due: dict[str, set[str]], world: World) -> None:
    """See that each of these people stands in the log once as approving each proposal, and nobody else."""
    given = [parse_statement(one.envelope()) for one in entries if one.kind == act_named("approve").entry]
    found: list[Any] = [(one.body, one.by) for one in given]
    assert sorted((body["proposal"], by) for body, by in found) == sorted(
        (proposal, world.person(name)) for proposal, names in due.items() for name in names
    )


def check_answers(answers: Sequence[dict[str, Any]], envelopes: Sequence[Envelope], entries: Sequence[Entry]) -> None:
    """Hold what was told against the log: the entry that was named has the statement that was said.

    A statement that was taken is taken whenever it comes again, with whichever signature.
    """
    taken = [one for one in answers if one["did"] == "taken"]
    refused = {envelopes[one["number"]].payload for one in answers if one["did"] == "refused"}
    assert refused.isdisjoint({envelopes[one["number"]].payload for one in taken})
    for one in taken:
        entry = entries[one["index"]]
        assert base64.b64decode(one["leaf"]) == entry.encode()
        assert entry.envelope().payload == envelopes[one["number"]].payload
    assert len({one["index"] for one in taken}) == 3


def enactments(entries: Sequence[Entry], proposal: str) -> list[int]:
    """Return where it happened."""
    return [
        index
        for index, one in enumerate(entries)
        if one.kind == act_named("model.enrol").entry
        and isinstance(one.data, dict)
        and one.data.get("proposal") == proposal
    ]

"""No release unrecorded: the real keep is killed at random, again and again, while it releases keys.

A trial, so that each start unseals itself. What anybody was told, with a proof that was checked, is in the log at the
end; so is the entry of every key that anybody received; and the log that is there folds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.fold import fold, genesis
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.client.deployment import Deployment, Done
from strongroom.client.joining import connect
from strongroom.client.names import new_detail
from strongroom.client.profile import Profile, open_profile
from strongroom.client.released import find_grant, release_keys, seal_through_keep
from strongroom.client.requests import propose, request_access
from strongroom.client.session import Session, login
from strongroom.journal.sqlite import open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.objects import open_store
from strongroom.service.trial import Trial
from strongroom.terms.errors import StrongroomError
from strongroom.terms.ids import new_id

STARTS_SECONDS = 30


@dataclass
class Killed:
    """A keep that dies and is started again, and what its client was told."""

    folder: Path
    told: dict[int, bytes] = field(default_factory=dict)
    keys: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        where = ["--folder", "journal", "--high-water", "marks/water", "--socket", "run/keep", "--trial"]
        command = [sys.executable, "-m", "strongroom.keep", *where]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=self.folder)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert said.startswith("keep: listening"), said + self.process.stderr.read()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.send_signal(how)
        self.process.wait(STARTS_SECONDS)
        self.process.stderr.close()

    def note(self, done: Done) -> None:
        """Remember what was told; `done` was made only after its proof was checked."""
        for logged in (done.logged, done.enacted):
            if logged is not None:
                self.told[logged.index] = logged.leaf


def founded(killed: Killed) -> Profile:
    """Found the trial by its one person."""
    Trial(profile=killed.folder / "ada", name="Ada").found(killed.folder / "run" / "keep")
    return open_profile(killed.folder / "ada")


def prepared(killed: Killed) -> tuple[Session, str]:
    """Log in, seal a version, and be let to open it; return the session and the version's identifier."""
    profile = founded(killed)
    session = login(profile, connect(profile), profile.security_key())
    detail = new_detail("acme/atlas", os.urandom)
    model = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=1)
    killed.note(propose(session, "model.enrol", model, "to try", details=[detail]))
    (killed.folder / "weights").mkdir()
    (killed.folder / "weights" / "a.txt").write_bytes(b"weights")
    (killed.folder / "store").mkdir()
    store = open_store((killed.folder / "store").as_uri())
    made = seal_through_keep(session, [killed.folder / "weights"], "acme/atlas", store)
    killed.note(request_access(session, made.version, 4, "to try"))
    return session, made.version


def works(killed: Killed, session: Session, version: str, stop: threading.Event) -> None:
    """Release, and do other things, whenever the keep is there."""

    def release() -> None:
        found_version = session.directory.versions[version]
        release_keys(session, found_version, find_grant(session, found_version), None)
        killed.keys += 1

    def ask() -> None:
        killed.note(request_access(session, version, 1, "again"))

    turns: list[Callable[[], None]] = [release, release, ask]
    number = 0
    while not stop.is_set():
        number += 1
        try:
            session.deployment.sync()
            turns[number % len(turns)]()
        except StrongroomError:
            time.sleep(0.02)


def told_and_there(killed: Killed, deployment: Deployment) -> None:
    """Open the journal as the next start would, and find all of it."""
    journal = open_journal(
        killed.folder / "journal", high_water=killed.folder / "marks" / "water", log_key_of=log_key_of
    )
    leaves = list(journal.read(0, journal.size))
    journal.close()
    assert [leaves[index] for index in killed.told] == list(killed.told.values())
    directory = genesis(leaves[0])
    for leaf in leaves[1:]:
        fold(directory, leaf)
    assert directory.deployment == deployment.name
    kinds: list[Any] = [leaf for leaf in leaves if b'"kind":"key.released"' in leaf]
    assert len(kinds) >= killed.keys > 0
    seen = [leaf for leaf in leaves if b'"kind":"keep.unsealed"' in leaf]
    assert len(seen) >= 2


@pytest.mark.parametrize("kills", [60, pytest.param(10_000, marks=pytest.mark.soak)])
def test_every_key_that_anybody_received_is_in_the_log_however_the_keep_is_killed(tmp_path: Path, kills: int) -> None:
    for name in ("run", "marks"):
        (tmp_path / name).mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    killed, dice = Killed(tmp_path), random.Random(kills)
    killed.start()
    session, version = prepared(killed)
    stop = threading.Event()
    worker = threading.Thread(target=works, args=(killed, session, version, stop))
    worker.start()
    try:
        for _ in range(kills):
            time.sleep(dice.uniform(0.0, 0.6))
            killed.kill()
            killed.start()
    finally:
        stop.set()
        worker.join(STARTS_SECONDS)
        killed.kill(signal.SIGTERM)
    assert not worker.is_alive()
    told_and_there(killed, session.deployment)

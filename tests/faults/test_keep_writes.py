"""No release unrecorded: every write under the keep is broken, at every point of a short story, and the power is lost.

Two people log in, one asks for access, two agree, a key is released, the model is frozen. Whatever breaks: nobody was
told what is not there afterwards, and no key came without its entry; the keep starts again, sealed, and whoever says
the same again gets the same answers. In the end a disk fills up for good: a freeze goes on, then the keep stops.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

import pytest

from strongroom.acts.fold import fold, genesis
from strongroom.directory.entries import parse_entry
from strongroom.terms.errors import StrongroomError
from tests.faults.keep_full_disk import DISK_BYTES
from tests.journal.vfs import Fault, FaultyDisk, Killed
from tests.model.crew import Crew, in_memory, key_text, prepared
from tests.model.lab import NOTE, Lab
from tests.model.signer import Key, named
from tests.vectors.statements.writer import b64

HOUSE = Path(__file__).resolve().parents[2]
LEAST_POINTS = 35
"""Five calls of the kernel at least for each commit; a smaller number would say that the layer misses some."""
POWERS = ("stays", "lost", "lost in part")


def none() -> bool:
    return False


def some(seed: str) -> Callable[[], bool]:
    chance = random.Random(seed)
    return lambda: chance.random() < 0.5


@dataclass
class Story:
    """A deployment before its story, and all that will be said in it."""

    lab: Lab
    said: list[Thing] = field(default_factory=list)

    def write(self) -> None:
        lab, crew = self.lab, Crew(self.lab)
        who = lab.known.people
        model = next(iter(lab.all("model")))
        version = next(name for name, one in lab.all("version").items() if one.model == model)
        sessions = {name: self.login(name) for name in ("Finn", "Ada")}
        device = crew.devices(who["Finn"])[0]
        change = crew.grant(who["Finn"], version, seconds=3600)
        body = {"act": "grant.give", "change": change, "purpose": NOTE}
        asked = lab.words("propose", who["Finn"], body, session=sessions["Finn"], until=lab.now + 3600)
        self.said.append(asked)
        for name in ("Ben", "Cleo"):
            team = lab.model.things[who[name]].roles[0][1]
            voice = {"digest": asked.digest, "proposal": asked.id, "role": "approver", "team": team}
            self.said.append(lab.words("approve", who[name], voice, credential=lab.known.credentials(who[name])[0]))
        opening = {
            "grant": "grant-" + asked.id.partition("-")[2],
            "manifest": change["manifest"],
            "recipient": b64(lab.recipients[0].public_key().raw),
            "version": version,
        }
        self.said.append(lab.words("release", who["Finn"], opening, session=sessions["Finn"], device=device))
        freezing = {"reason": NOTE, "target": model}
        self.said.append(lab.words("freeze", who["Ada"], freezing, session=sessions["Ada"]))

    def login(self, name: str) -> str:
        lab, person = self.lab, self.lab.known.people[name]
        session, key = named("session", lab.random), Key.drawn(lab.random)
        lab.known.keys[session] = key
        device = Crew(lab).devices(person)[0]
        body = {"device": device, "public_key": key_text(key), "session": session}
        credential = lab.known.credentials(person)[0]
        self.said.append(lab.words("session.open", person, body, device=device, credential=credential))
        return session


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    folder = in_memory()
    lab = prepared(folder / "prepared")
    lab.stop()
    told = Story(lab)
    told.write()
    yield told
    shutil.rmtree(folder)


@dataclass
class Told:
    """What came back until the keep died."""

    answers: list[tuple[Thing, Any]] = field(default_factory=list)
    error: BaseException | None = None


def tell(lab: Lab, said: list[Thing], disk: FaultyDisk | None = None) -> Told:
    """Start the keep, on that disk, have it unsealed and say everything; return what was told and checked."""
    told = Told()
    with disk.registered() if disk is not None else contextlib.nullcontext():
        try:
            lab.start()
        except (StrongroomError, Killed) as error:
            told.error = error
            return told
        try:
            lab.give_shares()
            for one in said:
                (answer,) = lab.ask({"ask": "act", "statement": one.envelope})
                if "ok" in answer:
                    lab.check_told(one, answer, "yes")
                told.answers.append((one, answer))
        except (StrongroomError, Killed) as error:
            told.error = error
        finally:
            lab.stop()
    return told


def check_recovered(lab: Lab, said: list[Thing], told: Told) -> bool:
    """See that all that was told is there, and the story goes on to its end; tell whether more was there than told."""
    lab.storage = {"reserve_bytes": lab.storage["reserve_bytes"]}
    lab.start()
    leaves = list(lab.journal.inner.read(0, lab.journal.inner.size))
    for _, answer in told.answers:
        for place in (answer["ok"], *([answer["ok"]["enacted"]] if "enacted" in answer["ok"] else [])):
            assert base64.b64decode(place["leaf"]) == leaves[place["index"]]
    statements = [parse_entry(leaf).statement for leaf in leaves]
    found = [one.digest for one in said if one.envelope in statements]
    assert found == [one.digest for one in said[: len(found)]], "a later one without an earlier one"
    is_frozen = len(found) == len(said)
    lab.give_shares()
    for one, before in zip(said, [*(answer for _, answer in told.answers), *[None] * len(said)], strict=False):
        (answer,) = lab.ask({"ask": "act", "statement": one.envelope})
        assert ("ok" in answer) == (one.act != "release" or not is_frozen), answer
        if "ok" in answer:
            lab.check_told(one, answer, "yes")
            assert before is None or answer["ok"]["index"] == before["ok"]["index"], "another entry for the same"
    directory = genesis(lab.journal.inner.entry(0))
    for leaf in list(lab.journal.inner.read(1, lab.journal.inner.size)):
        fold(directory, leaf)
    assert directory.encode() == lab.directory.encode()
    assert set(lab.released) <= {
        number
        for number in range(lab.journal.inner.size)
        if parse_entry(lab.journal.inner.entry(number)).kind == "key.released"
    }
    lab.stop()
    return len(found) > len(told.answers)


def test_the_story_is_told_to_its_end_where_nothing_breaks(story: Story, tmp_path: Path) -> None:
    lab, disk = placed(story, tmp_path / "run")
    told = tell(lab, story.said, disk)
    assert told.error is None
    assert [("ok" in answer) for _, answer in told.answers] == [True] * 7
    assert "enacted" in told.answers[4][1]["ok"]
    assert len(lab.released) == 1
    assert len(disk.points) >= LEAST_POINTS
    assert {"write journal.db-wal", "sync journal.db-wal", "write high-water", "sync high-water"} <= set(disk.points)
    assert not check_recovered(lab, story.said, told)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LIES])
def test_whichever_write_breaks_what_was_told_is_there_and_no_key_without_its_entry(
    story: Story, tmp_path: Path, fault: Fault
) -> None:
    at, more, keys = 0, set(), 0
    while True:
        lab, disk = placed(story, tmp_path / "run", at=at, fault=fault)
        told = tell(lab, story.said, disk)
        if len(disk.points) <= at:
            break
        assert told.error is not None, disk.points[at]
        power = POWERS[at % 3]
        if power != "stays":
            disk.lose_power(some(f"{fault} {at}") if power == "lost in part" else none)
        keys += len(lab.released)
        more.add(check_recovered(lab, story.said, told))
        at += 1
    assert told.error is None
    assert at >= LEAST_POINTS
    assert more == {True, False}, "entries that nobody was told of occur, and so do none"
    assert keys, "some broke only after the release"


def test_what_is_told_and_not_there_would_be_seen(story: Story, tmp_path: Path) -> None:
    """On a disk that lies about every sync, both sides go back together: the keep cannot know, but this test does."""
    lab, disk = placed(story, tmp_path / "run", at=0, fault=Fault.LIES)
    told = tell(lab, story.said, disk)
    assert len(told.answers) == 7
    disk.lose_power(none)
    with pytest.raises((AssertionError, IndexError)):
        check_recovered(lab, story.said, told)
    lab.stop()


def placed(story: Story, folder: Path, *, at: int = -1, fault: Fault = Fault.EIO) -> tuple[Lab, FaultyDisk]:
    """Return a fresh copy of the deployment, on a disk of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    shutil.copytree(story.lab.folder, folder / "lab")
    disk = FaultyDisk(folder / "lab", at=at, fault=fault)
    lab = story.lab.at(folder / "lab")
    lab.storage |= {"sqlite_vfs": disk.vfs, "disk": disk}
    return lab, disk


def test_a_freeze_goes_on_in_the_reserve_and_then_the_keep_stops(tmp_path: Path) -> None:
    """On a real disk, small, of memory, in a mount namespace of its own: see `keep_full_disk`."""
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t tmpfs -o size={DISK_BYTES},mode=0700 none "$0" && echo ready && exec "$@"'
    scenario: list[str | Path] = [sys.executable, "-m", "tests.faults.keep_full_disk", tmp_path]
    done = subprocess.run(
        ["unshare", *who, "--mount", "sh", "-c", mount, tmp_path, *scenario],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.startswith("ready\n"):
        pytest.skip(f"nobody may mount here: {done.stderr}")
    assert done.returncode == 0, done.stderr

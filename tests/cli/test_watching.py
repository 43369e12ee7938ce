"""The log as it grows: verified before it is shown, without gaps, through whatever keep and network do meanwhile."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.following import Found, follow
from strongroom.directory.entries import Entry
from strongroom.terms.errors import LogTampered, NotFound, StrongroomError
from strongroom.terms.outer_errors import BadName, KeepUnavailable, NotFrozen
from strongroom.tlog.tree import Tree, leaf_hash
from tests.attacks.versions import write_model
from tests.cli.command import COMMAND
from tests.cli.keeping import CUSTODIANS, House, Keep
from tests.cli.test_ocsf import offences
from tests.client_keep.logs import World, b64, founded

WITHIN_SECONDS = 60
EGRESS = ("--egress-bytes-per-day", 1000)


@dataclass
class Following:
    """A command that goes on for ever, and the lines that it has said."""

    process: subprocess.Popen[bytes]
    rest: bytes = b""
    lines: list[Any] = field(default_factory=list)

    def next(self) -> Any:
        """Return the next line's JSON, once it is there."""
        end = time.monotonic() + WITHIN_SECONDS
        assert self.process.stdout is not None
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            assert left > 0, self.lines
            if select.select([self.process.stdout], [], [], left)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, self.process.stderr
                self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def until(self, **wanted: Any) -> Any:
        """Return the first line from here on that has these values."""
        while True:
            line = self.next()
            if all(line.get(name) == value for name, value in wanted.items()):
                return line


def following(house: House, who: str, *arguments: str) -> AbstractContextManager[Following]:
    """Run a command that follows, as somebody of the house."""
    return following_at(house.home(who), *arguments)


@contextmanager
def following_at(home: Path, *arguments: str) -> Iterator[Following]:
    """Run a command that follows, and interrupt it at the end: that is how it ends well."""
    command = [*COMMAND, "--home", str(home), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield Following(process)
        finally:
            process.terminate()
            _, err = process.communicate(timeout=WITHIN_SECONDS)
    assert (process.returncode, b"Traceback" in err) == (0, False), err


# --- what is followed --------------------------------------------------------------------------


def test_a_log_is_followed_as_lines_of_json_each_as_show_has_it(house: House) -> None:
    told = house.done("Ada", "log", "follow", "--once", "--format", "json").out.splitlines()
    entries = [json.loads(line) for line in told]
    assert [one["index"] for one in entries] == list(range(len(entries)))
    assert entries[3] == house.json("Ada", "log", "show", 3)
    later = house.done("Ada", "log", "follow", "--once", "--json", "--from", 5).out.splitlines()
    assert later == told[5:]
    text = house.done("Ada", "log", "follow", "--once").out.splitlines()
    assert len(text) == len(told)
    assert any("session.opened" in line and "(Dan)" in line for line in text)


def test_a_log_is_followed_as_events_for_a_siem(house: House) -> None:
    told = house.done("Ada", "log", "follow", "--once", "--format", "ocsf").out.splitlines()
    events = [json.loads(line) for line in told]
    assert [offences(event) for event in events] == [[] for _ in events]
    assert [one["metadata"]["sequence"] for one in events] == list(range(len(events)))
    logged_in = {one["user"]["name"] for one in events if one["type_uid"] == 300201}
    assert {"Ada", "Ben", "Cleo", "Dan"} <= logged_in
    from_the_middle = house.done("Ada", "log", "follow", "--once", "--format", "ocsf", "--from", 7).out.splitlines()
    assert from_the_middle == told[7:]


def test_who_watches_sees_a_proposal_wait_and_a_freeze_at_once(house: House) -> None:
    house.json("Ada", "propose", "zone.define", "--name", "annex", "--ceiling", 1, *EGRESS, "--purpose", "more room")
    with following(house, "Ben", "watch", "--json") as watch:
        waits = watch.until(what="waits", act="zone.define")
        assert waits["for_you"] == ["governor@core", "approver@core"]
        house.done("Ada", "freeze", "acme/atlas", "--reason", "odd reads")
        frozen = watch.until(what="FROZEN")
        assert frozen["about"].startswith("model-")
        house.refused("Dan", NotFrozen, "freeze", "deployment", "--reason", "spite")
        assert watch.until(what="REFUSED")["act"] == "freeze"
        asked = house.json("Ada", "thaw", "acme/atlas", "--purpose", "it was a test")
        assert watch.until(what="waits", act="thaw", proposal=asked["proposal"])["for_you"] != []
        house.agree(asked, "governor", "Ben", "Cleo")
        watch.until(what="thawed", proposal=asked["proposal"])
    now = house.done("Ben", "watch", "--once").out
    assert "YOUR VOICE: governor@core" in now
    assert "zone.define" in now


def test_copies_say_who_has_what_and_until_when(house: House) -> None:
    model = write_model(house.folder / "copied", {"weights.bin": b"weights"})
    store = (house.folder / "store").as_uri()
    made = house.json("job", "seal", model, "--as", "acme/atlas", "--store", store)
    assert house.json("Ada", "copies") == {"copies": []}
    asked = house.json("Dan", "request", made["name"], "--for", "1h", "--purpose", "to look")
    house.agree(asked, "approver", "Ben", "Cleo")
    house.done("Dan", "open", made["name"], "--store", store, "--to", house.folder / "opened")
    (copy,) = house.json("Ada", "copies", "acme/atlas")["copies"]
    dan = house.json("Dan", "whoami")
    assert (copy["subject"], copy["device"], copy["state"]) == (dan["subject"], dan["device"], "live")
    assert house.json("Ada", "copies", made["name"])["copies"] == [copy]
    assert house.json("Ada", "copies", "--live")["copies"] == [copy]
    house.done("Ada", "grant", "revoke", copy["grant"], "--reason", "enough")
    assert house.json("Ada", "copies", "acme/atlas")["copies"][0]["state"] == "revoked"
    told = house.done("Ada", "copies", "acme/atlas", "--live")
    assert (told.out, "1 that have ended" in told.err) == ("no copies\n", True)


def test_an_alias_moves_from_version_to_version_and_is_found_by_its_name(house: House) -> None:
    house.govern("role.give", "--subject", "Dan", "--role", "writer", "--team", "core")
    store = (house.folder / "store").as_uri()
    names = []
    for number in range(2):
        model = write_model(house.folder / f"aliased-{number}", {"weights.bin": b"weights"})
        names.append(house.json("job", "seal", model, "--as", "acme/atlas", "--store", store)["name"])
    first = house.json("Dan", "alias", "set", "acme/atlas@prod", names[0])
    second = house.json("Dan", "alias", "set", "acme/atlas@prod", names[1])
    assert (first["alias"], first["version"] != second["version"]) == (second["alias"], True)
    (known,) = house.json("Ada", "alias", "list", "acme/atlas")["aliases"]
    assert (known["name"], known["version"]) == ("acme/atlas@prod", second["version"])
    assert house.json("Ada", "show", "acme/atlas@prod")["name"] in {names[1], "acme/atlas@prod"}
    house.refused("Ada", NotFound, "alias", "set", "acme/atlas@prod", "acme/atlas@99")
    house.refused("Ada", BadName, "alias", "set", "acme/atlas@7", names[1])


def test_following_goes_on_through_a_restart_of_the_keep_without_a_gap(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir(mode=0o700)
    house = House(folder=tmp_path, keep=Keep(tmp_path / "keep"))
    with ExitStack() as keep:
        keep.enter_context(house.keep.running())
        house.found()
        for name in CUSTODIANS:
            house.done(name, "share", "fetch")
        house.login("Ada")
        size = house.json("Ada", "log", "verify")["size"]
        with following(house, "Eve", "log", "follow", "--json", "--from", "0") as log:
            log.until(index=size - 1)
            keep.close()
            with house.keep.running() as serving:
                for name in ("Ada", "Ben"):
                    house.done(name, "unseal", "--yes", serving.words)
                log.until(kind="keep.unsealed")
                house.login("Ben")
                log.until(kind="session.opened")
    assert [one["index"] for one in log.lines] == list(range(len(log.lines)))


# --- what is refused, or waited for ------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with founded(tmp_path) as world:
        yield world


def one_more(world: World) -> None:
    data: Any = {"by": "person-" + "0" * 32, "count": len(world.keeper.leaves)}
    world.keeper.append(Entry(at=world.clock.at, kind="refusals.counted", data=data))


def indexes(found: Iterator[Found], count: int) -> list[int]:
    return [next(found).index for _ in range(count)]


def test_an_entry_that_the_log_has_not_signed_is_never_shown(world: World) -> None:
    made = follow(world.connect("Ada"), 0, pause=lambda seconds: one_more(world))
    assert indexes(made, 2) == [0, 1]
    invented = Entry(at=world.clock.at, kind="refusals.counted", data={"by": "person-" + "1" * 32, "count": 1}).encode()

    def lie(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if request["ask"] == "entries":
            return {**answer, "ok": {"entries": [b64(invented)]}}
        return answer

    world.keeper.lie = lie
    with pytest.raises(LogTampered):
        indexes(made, len(world.keeper.leaves))


def test_another_log_than_the_one_that_was_followed_ends_it(world: World) -> None:
    for _ in range(3):
        one_more(world)
    size = len(world.keeper.leaves)

    def fork(seconds: float) -> None:
        leaves = world.keeper.leaves
        world.keeper.leaves, world.keeper.tree = [], Tree()
        for leaf in leaves[:-1]:
            world.keeper.leaves.append(leaf)
            world.keeper.tree.append(leaf_hash(leaf))
        for _ in range(2):
            data: Any = {"by": "person-" + "1" * 32, "count": 7}
            leaf = Entry(at=world.clock.at, kind="refusals.counted", data=data).encode()
            world.keeper.leaves.append(leaf)
            world.keeper.tree.append(leaf_hash(leaf))

    made = follow(world.connect("Ada"), 0, pause=fork)
    assert indexes(made, size) == list(range(size))
    with pytest.raises(LogTampered):
        next(made)


def test_who_cannot_be_asked_is_waited_for_and_named_once(world: World) -> None:
    told: list[StrongroomError] = []
    waits: list[float] = []
    size = len(world.keeper.leaves)

    def away(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return {"error": {"code": "keep-unavailable", "message": "away", "hint": "wait"}}

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            world.keeper.lie = away
        if len(waits) == 7:
            world.keeper.lie = lambda request, answer: answer
            one_more(world)

    made = follow(world.connect("Ada"), 0, pause=pause, tell=told.append)
    assert indexes(made, size + 1) == list(range(size + 1))
    assert [type(error) for error in told] == [KeepUnavailable]
    assert waits == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_once_ends_with_what_there_is_or_says_why_not(world: World) -> None:
    deployment = world.connect("Ada")
    assert len(list(follow(deployment, 0, pause=time.sleep, once=True))) == len(world.keeper.leaves)
    assert list(follow(deployment, 99, pause=time.sleep, once=True)) == []
    world.keeper.lie = lambda request, answer: {
        "error": {"code": "keep-unavailable", "message": "away", "hint": "wait"}
    }
    with pytest.raises(KeepUnavailable):
        list(follow(deployment, 0, pause=time.sleep, once=True))

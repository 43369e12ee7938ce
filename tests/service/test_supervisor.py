"""The supervisor: in order, again after a crash, never after a refusal, and nothing left behind."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from strongroom.service.events import LONGEST_TEXT, Events
from strongroom.terms.errors import BadRequest, Conflict, Malformed, Refused, StrongroomError, Tampered, Unavailable
from tests.service.supervised import is_gone, supervised, until

READY_AND_WAIT = "touch {0}.ready; exec sleep 1000"
# A shell that notes in which order it is told to stop.
NOTED = "trap 'echo {0} >> order; exit 0' TERM; touch {0}.ready; while :; do sleep 0.02; done"


def waiting(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "script": READY_AND_WAIT.format(name), **more}


def test_each_starts_when_the_one_before_it_is_ready_and_the_last_is_told_to_systemd(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        first = {"name": "keep", "script": "while [ ! -e go ]; do sleep 0.02; done; " + READY_AND_WAIT.format("keep")}
        with supervised(tmp_path, first, waiting("gateway"), NOTIFY_SOCKET=str(tmp_path / "notify")) as service:
            service.next(process="keep", event="started")
            (tmp_path / "go").touch()
            service.next(process="gateway", event="ready")
            assert service.told("started") == service.told("ready") == ["keep", "gateway"]
            order = [(one["process"], one["event"]) for one in service.events]
            assert order.index(("keep", "ready")) < order.index(("gateway", "started"))
            assert systemd.recv(100) == b"READY=1"
            service.running.terminate()
            assert service.end() == 0
            assert systemd.recv(100) == b"STOPPING=1"


def test_they_stop_the_other_way_round(tmp_path: Path) -> None:
    processes = [{"name": name, "script": NOTED.format(name)} for name in ("keep", "gateway", "site")]
    with supervised(tmp_path, *processes) as service:
        service.next(process="site", event="ready")
        service.running.send_signal(signal.SIGINT)
        assert service.end() == 0
        assert service.told("stopped") == ["site", "gateway", "keep"]
    assert (tmp_path / "order").read_text().split() == ["site", "gateway", "keep"]


def test_one_that_does_not_stop_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; sleep 1000 & echo $! > below; touch keep.ready; while :; do sleep 0.02; done"
    with supervised(tmp_path, {"name": "keep", "script": stubborn, "stop_seconds": 0.1}) as service:
        service.next(process="keep", event="ready")
        service.running.terminate()
        assert service.end() == 0
        assert service.told("killed") == ["keep"]
    until(lambda: is_gone(int((tmp_path / "below").read_text())))


@pytest.mark.parametrize("end", ["exit 1", f"exit {Unavailable.exit_code}", "exit 0", "kill -9 $$"])
def test_what_dies_is_started_again_each_time_after_a_longer_pause(tmp_path: Path, end: str) -> None:
    script = f"echo run >> runs; [ $(wc -l < runs) -lt 4 ] && {end}; " + READY_AND_WAIT.format("keep")
    with supervised(tmp_path, {"name": "keep", "script": script}) as service:
        service.next(process="keep", event="ready")
        pauses = [one["starts_again_in_seconds"] for one in service.events if one["event"] == "died"]
        assert pauses == [0.02, 0.04, 0.08]
        service.running.terminate()
        assert service.end() == 0
        assert len((tmp_path / "runs").read_text().splitlines()) == 4


@pytest.mark.parametrize("error", [Malformed, Refused, Conflict, Tampered])
def test_what_refuses_to_run_is_never_started_again_and_all_else_stops(
    tmp_path: Path, error: type[StrongroomError]
) -> None:
    script = f"touch keep.ready; while [ ! -e go ]; do sleep 0.02; done; exit {error.exit_code}"
    with supervised(tmp_path, {"name": "keep", "script": script}, waiting("gateway")) as service:
        service.next(process="gateway", event="ready")
        (tmp_path / "go").touch()
        why = service.next(process="keep", event="ended")["why"]
        assert ("tampered" in why) == (error is Tampered)
        assert service.end() == error.exit_code
        assert service.told("started") == ["keep", "gateway"]
        assert service.told("stopped") == ["gateway"]


def test_a_command_that_cannot_be_made_stops_all(tmp_path: Path) -> None:
    with supervised(tmp_path, waiting("keep"), {"name": "gateway", "script": ""}) as service:
        assert service.end() == BadRequest.exit_code
        assert service.told("stopped") == ["keep"]


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, waiting("keep"), waiting("gateway")) as service:
        pids = [service.pid("keep"), service.pid("gateway")]
        service.next(process="gateway", event="ready")
        service.running.kill()
        until(lambda: all(map(is_gone, pids)))


def test_what_a_process_leaves_when_it_dies_goes_with_it_and_no_zombie_stays(tmp_path: Path) -> None:
    # Below the first run is one of its own group, and one that went away from it and then ends.
    leaves = "sleep 1000 & echo $! > below; setsid sh -c 'sleep 0.05' & echo $! > away; kill -9 $$"
    script = f"echo run >> runs; [ $(wc -l < runs) -lt 2 ] && {{ {leaves}; }}; " + READY_AND_WAIT.format("keep")
    with supervised(tmp_path, {"name": "keep", "script": script}) as service:
        service.next(process="keep", event="ready")
        until(lambda: is_gone(int((tmp_path / "below").read_text())))
        until(lambda: len(service.children()) == 1)
        assert not Path(f"/proc/{(tmp_path / 'away').read_text().strip()}").exists()


def test_a_process_gets_nothing_of_the_environment_and_no_descriptor(tmp_path: Path) -> None:
    script = "env; ls /proc/self/fd; cat; " + READY_AND_WAIT.format("keep")
    with supervised(
        tmp_path, {"name": "keep", "script": script, "environment": {"GIVEN": "yes"}}, SECRET="no"
    ) as service:
        service.next(process="keep", event="ready")
        said = [one["text"] for one in service.events if one["event"] == "said"]
        assert {one.partition("=")[0] for one in said if "=" in one} <= {"GIVEN", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}
        assert [one for one in said if one.isdigit()] == ["0", "1", "2", "3"]  # the last is the listing's own


def test_what_a_process_says_last_is_passed_on_in_whole_lines(tmp_path: Path) -> None:
    script = "printf 'one\\ntw'; printf 'o\\nthree' >&2; exit 4"
    with supervised(tmp_path, {"name": "keep", "script": script}) as service:
        assert service.end() == 4
        assert [one["text"] for one in service.events if one["event"] == "said"] == ["one", "two", "three"]


HOSTILE = [
    b'{"process": "keep", "at": "never", "event": "stolen"}',
    b'{"self": 1, "level": "shouting", "event": 1}',
    b'{"level": [1]}',
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'{"a": ' + b"9" * 4000 + b"}",
    b'"keep"',
    b"\x1b[2J\r\xff\xed\xa0\x80 \xe2\x80\xae",
    b"x" * 100_000,
]


@pytest.mark.parametrize("line", HOSTILE)
def test_nothing_that_a_process_says_breaks_a_line_or_speaks_for_another(line: bytes) -> None:
    written: list[str] = []
    Events(lambda: 1.5, written.append).pass_on("gateway", line)
    (text,) = written
    assert text.isascii()
    assert text.isprintable() is False
    assert text[:-1].isprintable()
    assert len(text) < 6 * LONGEST_TEXT + 200
    told = json.loads(text, parse_constant=pytest.fail)
    assert (told["process"], told["at"]) == ("gateway", "1970-01-01T00:00:01.500Z")
    assert told["level"] in {"info", "warning", "error", "critical"}
    assert isinstance(told["event"], str)


def test_a_flat_object_that_a_process_says_keeps_its_members() -> None:
    written: list[str] = []
    Events(lambda: 0, written.append).pass_on("gateway", b'{"event":"request","level":"warning","status":503}\n')
    assert json.loads(written[0]) == {
        "at": "1970-01-01T00:00:00.000Z", "event": "request", "level": "warning", "process": "gateway", "status": 503,
    }  # fmt: skip


def test_lines_that_nobody_collects_any_more_end_no_service() -> None:
    def broken(line: str) -> None:
        raise BrokenPipeError

    Events(lambda: 0, broken).tell("info", "keep", "started")

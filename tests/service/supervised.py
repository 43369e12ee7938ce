"""A supervisor in a process of its own, as it wants to be, around shell scripts; and what it said.

Run as a program, it takes `{"processes": [{"name", "script", "environment"?, "stop_seconds"?}]}` on standard input. A
process is ready once the file `<name>.ready` is in its folder. Orphans come to it, as to a container's first process.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.service.events import Events
from strongroom.service.supervisor import Process, Supervisor
from strongroom.terms.errors import BadRequest

HOUSE = Path(__file__).resolve().parents[2]
SECONDS = 60.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Supervised:
    """A supervisor that runs, in a folder."""

    folder: Path
    running: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def next(self, **wanted: Any) -> dict[str, Any]:
        """Read on until an event has these members, and return it."""
        assert self.running.stderr is not None
        for line in self.running.stderr:
            self.events.append(json.loads(line))
            if wanted.items() <= self.events[-1].items():
                return self.events[-1]
        raise AssertionError((wanted, self.events))

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        assert self.running.stderr is not None
        self.events += [json.loads(line) for line in self.running.stderr]
        return self.running.wait(SECONDS)

    def told(self, event: str) -> list[str]:
        """Return the processes to which `event` happened, in that order."""
        return [one["process"] for one in self.events if one["event"] == event]

    def pid(self, process: str) -> int:
        """Return the number of a process that started, read from the event."""
        return int(self.next(process=process, event="started")["pid"])

    def children(self) -> list[int]:
        """Return all children that there are, dead ones too."""
        listed = Path(f"/proc/{self.running.pid}/task/{self.running.pid}/children").read_text()
        return [int(one) for one in listed.split()]


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, though nobody may have reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def supervised(folder: Path, *processes: dict[str, Any], **environment: str) -> Iterator[Supervised]:
    """Run a supervisor of `processes`, and leave nothing behind."""
    command = [sys.executable, "-m", "tests.service.supervised", str(folder)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HOUSE,
        env=os.environ | environment,
    ) as running:
        try:
            assert running.stdin is not None
            with running.stdin as said:
                json.dump({"processes": processes}, said)
            yield Supervised(folder, running)
        finally:
            running.kill()  # and the kernel those below


def main(folder: Path) -> None:
    asked = json.load(sys.stdin)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    processes = [_process(folder, **one) for one in asked["processes"]]
    supervisor = Supervisor(
        processes,
        Events(time.time),
        first_pause_seconds=0.02,
    )
    os.chdir(folder)
    try:
        sys.exit(supervisor.run())
    except BadRequest:
        sys.exit(BadRequest.exit_code)


def _process(
    folder: Path, *, name: str, script: str, environment: dict[str, str] | None = None, stop_seconds: float = SECONDS
) -> Process:
    def command() -> list[str]:
        if not script:
            raise BadRequest("there is nothing to run")
        return ["/bin/sh", "-c", script]

    return Process(
        name=name,
        command=command,
        is_ready=(folder / f"{name}.ready").exists,
        environment={"PATH": os.environ["PATH"], **(environment or {})},
        stop_seconds=stop_seconds,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""`strongroom up` as people run it: a process of its own, with its result on one stream and its events on the other."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.command import COMMAND

SECONDS = 60.0


@dataclass
class Up:
    """A service that runs."""

    running: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    """What is on standard error and is no event: words for people."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        """Collect the events until the end."""
        assert self.running.stderr is not None
        for line in self.running.stderr:
            with self._changed:
                if line.startswith("{"):
                    self.events.append(json.loads(line))
                else:
                    self.other.append(line)
                self._changed.notify_all()

    def result(self) -> Any:
        """Return the result, which comes when everything is ready."""
        assert self.running.stdout is not None
        text = ""
        for line in self.running.stdout:
            text += line
            if line == "}\n":
                return json.loads(text)
        raise AssertionError((text, self.events, self.other))

    def wait(self, count: int = 1, **wanted: Any) -> dict[str, Any]:
        """Wait for an event with these members, the `count`th of its kind, and return it."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.events if wanted.items() <= one.items()]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, SECONDS), (wanted, self.events, self.other)
            return found()[count - 1]

    def said(self, text: str, count: int = 1) -> None:
        """Wait until processes have said `text` so often."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: sum(text in one.get("text", "") for one in self.events) >= count, SECONDS
            ), (text, self.events, self.other)

    def pid(self, process: str, count: int = 1) -> int:
        """Return the number of a process, of its `count`th start."""
        return int(self.wait(count, process=process, event="started")["pid"])

    def stop(self) -> int:
        """Stop it as a person does, and return the exit code."""
        self.running.terminate()
        return self.running.wait(SECONDS)


@contextmanager
def up(home: Path, *arguments: object, program: Sequence[str] = COMMAND) -> Iterator[Up]:
    """Run `strongroom up`, and leave nothing behind."""
    with command("--home", home, "up", "--json", *arguments, program=program) as service:
        yield service


@contextmanager
def command(*arguments: object, program: Sequence[str] = COMMAND) -> Iterator[Up]:
    """Run a command that tells its events, and leave nothing behind."""
    with subprocess.Popen(
        [*program, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        service = Up(running)
        reading = threading.Thread(target=service.read)
        reading.start()
        try:
            yield service
        finally:
            running.kill()  # and the kernel those below, if it has not been stopped
            reading.join(SECONDS)

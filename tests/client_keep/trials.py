"""A trial that `strongroom up` runs, with a sealed model: keep and gateway as processes, one person, software keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strongroom.client.profile import HOME
from strongroom.client.room import Room, connect
from strongroom.client.transfer.stores import STORE
from tests.cli.command import Outcome, run_inside
from tests.service.upping import up


@dataclass
class Trial:
    """One person's trial. Nothing names the store: everything goes through the gateway."""

    folder: Path
    home: Path
    place: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program finds this trial by."""
        inherited = {name: value for name, value in os.environ.items() if name != STORE}
        return inherited | {HOME: str(self.home), "PYTHONWARNINGS": "error"}

    def room(self) -> Room:
        return connect(self.home)

    def run(self, *arguments: object) -> Outcome:
        """Run the command in this process."""
        return run_inside("--home", self.home, *arguments)

    def does(self, *arguments: object) -> Any:
        outcome = self.run(*arguments, "--json")
        assert outcome.code == 0, outcome
        return outcome.json()

    def model(self, name: str, label: int = 1) -> None:
        self.does("propose", "model.enrol", "--name", name, "--label", label, "--purpose", "to try it")


@contextmanager
def running_trial(folder: Path) -> Iterator[Trial]:
    """Run a trial in `folder`, and end it."""
    home = folder / "home"
    with up(home, "--trial", "--port", 0, "--name", "Ada") as service:
        yield Trial(folder=folder, home=home, place=service.result()["connect"])
        service.stop()

"""A keep that `strongroom keep serve` runs, and people who do everything with the `strongroom` command alone."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.terms.errors import StrongroomError
from tests.cli.command import COMMAND, Outcome, run_inside

PEOPLE = {
    "Ada": ("governor", "approver", "responder"),
    "Ben": ("governor", "approver"),
    "Cleo": ("governor", "approver"),
    "Dan": ("researcher",),
    "Eve": ("governor",),
}
CUSTODIANS = ("Ada", "Ben", "Cleo")
RP_ID = "keep.example.org"
PLAN = f"""
quorum = 2
rp_id = "{RP_ID}"
software_keys = true
custodians = ["Ada", "Ben", "Cleo"]
custodians_needed = 2
origins = {{ "https://approve.{RP_ID}" = "approval" }}

[[zones]]
name = "lab"
ceiling = 2
egress_bytes_per_day = 1_000_000_000
"""
for _name, _roles in PEOPLE.items():
    PLAN += f"\n[people.{_name}]\nroles = {[f'{role}@core' for role in _roles]}\n"
_LISTENING = re.compile(r"keep: listening on (\S+); unseal key: ([a-z-]+)\n")


@dataclass
class Keep:
    """Where a keep has its things, and how to run it."""

    folder: Path
    trial: bool = False

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "socket"

    @property
    def serve(self) -> tuple[str, ...]:
        places = ("--folder", self.folder / "data" / "journal", "--high-water", self.folder / "high" / "water")
        trial = ("--trial",) if self.trial else ()
        return ("keep", "serve", *map(str, places), "--socket", str(self.socket), *trial)

    @contextmanager
    def running(self, *options: str) -> Iterator[Serving]:
        """Run it with the command, and end it."""
        command = [*COMMAND, *self.serve, *options]
        # What would act on a Python is in the environment, and must not reach the keep.
        planted = {"PYTHONPATH": str(self.folder / "planted"), "http_proxy": "http://nowhere"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | planted, bufsize=0) as process:
            serving = Serving(process)
            try:
                serving.wait()
                yield serving
            finally:
                process.terminate()
                process.wait(20)


@dataclass
class Serving:
    """A keep, or its supervisor, that runs."""

    process: subprocess.Popen[bytes]
    said: str = ""
    words: str = ""

    def wait(self, seconds: float = 20) -> None:
        """Wait until it listens (again), and remember the words of its unseal key."""
        seen, end = len(self.said), time.monotonic() + seconds
        assert self.process.stderr is not None
        while not (found := _LISTENING.search(self.said, seen)):
            left = end - time.monotonic()
            assert left > 0, self.said
            if select.select([self.process.stderr], [], [], left)[0]:
                data = os.read(self.process.stderr.fileno(), 4096)
                assert data, self.said
                self.said += data.decode()
        self.words = found[2]

    def keep_process(self) -> int:
        """Return the process that is the keep: this one, or the supervisor's child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid


@dataclass
class House:
    """People, by name, each with a profile of their own, around one keep."""

    folder: Path
    keep: Keep
    deployment: str = ""
    outcomes: list[Outcome] = field(default_factory=list)

    def home(self, who: str) -> Path:
        return self.folder / "homes" / who

    def run(self, who: str, *arguments: object) -> Outcome:
        """Run the command as somebody, in this process, and keep all that it said."""
        outcome = run_inside("--home", self.home(who), *arguments)
        self.outcomes.append(outcome)
        return outcome

    def done(self, who: str, *arguments: object) -> Outcome:
        outcome = self.run(who, *arguments)
        assert outcome.code == 0, outcome
        return outcome

    def json(self, who: str, *arguments: object) -> Any:
        return self.done(who, *arguments, "--json").json()

    def refused(self, who: str, error: type[StrongroomError], *arguments: object) -> Outcome:
        """Run what must fail as promised: after whatever was shown, one line, a hint, the family's exit code."""
        outcome = self.run(who, *arguments, "--json")
        assert outcome.code == error.exit_code, outcome
        line, hint = outcome.err.splitlines()[-2:]
        assert line.startswith(f"strongroom: {error.family.lower()}: "), outcome
        assert hint.removeprefix("  hint: ") == outcome.json()["error"]["hint"] != ""
        assert outcome.json()["error"]["code"] == error.code, outcome
        return outcome

    @property
    def place(self) -> str:
        return f"{self.keep.socket}#{self.deployment}"

    def found(self) -> None:
        """Go through the ceremony, in files."""
        (self.folder / "homes").mkdir()
        plan = self.folder / "plan.toml"
        plan.write_text(PLAN)
        cards = {name: self.folder / f"{name}.card" for name in PEOPLE}
        for name, card in cards.items():
            made = self.json(
                name, "deployment", "card", "--name", name, "--rp-id", RP_ID, "--key", "software", "-o", card
            )
            assert made["subject"].startswith("person-")
        draft = self.folder / "genesis.draft"
        drafting = ("deployment", "draft", *cards.values(), "--plan", plan, "--socket", self.keep.socket)
        words = self.json("Ada", *drafting, "-o", draft)["words"]
        signatures = [self.folder / f"{name}.sig" for name in PEOPLE]
        for name, signature in zip(PEOPLE, signatures, strict=True):
            signed = self.done(name, "deployment", "sign", draft, "--yes", words, "-o", signature)
            assert "a quorum is 2 of 5 founders" in signed.err
        founding = ("deployment", "found", draft, *signatures, "--socket", self.keep.socket)
        founded = self.done("Ada", *founding)
        assert "by the string that `strongroom up` prints" in founded.err
        self.deployment = founded.out.strip()
        for name in PEOPLE:
            self.done(name, "connect", self.place)

    def login(self, *names: str) -> None:
        for name in names or PEOPLE:
            self.done(name, "login")

    def agree(self, proposed: dict[str, Any], role: str, *names: str) -> dict[str, Any]:
        """Have people approve what somebody proposed; return what the last one was told."""
        told: dict[str, Any] = {}
        for name in names:
            told = self.json(name, "approve", proposed["proposal"], "--role", role, "--yes", proposed["words"])
        return told

    def writer(self, who: str) -> None:
        """Have a workload enrolled, which may seal."""
        card = self.folder / f"{who}.card"
        carding = ("deployment", "card", "--workload", "--name", who, "--deployment", self.place)
        self.done(who, *carding, "-o", card)
        self.govern("workload.enrol", "--card", card, "--sponsor", "Eve", "--zone", "lab")
        self.govern("role.give", "--subject", who, "--role", "writer", "--team", "core")

    def govern(self, *change: object) -> dict[str, Any]:
        """Have a change proposed by Ada, and approved by Ben and Cleo."""
        proposed: dict[str, Any] = self.json("Ada", "propose", *change, "--purpose", "the story")
        told = self.agree(proposed, "governor", "Ben", "Cleo")
        assert told["enacted"] is not None, told
        return proposed

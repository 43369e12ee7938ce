"""What can be killed: each part is a process that comes back, by itself or because the test starts it again.

Supervised   keep and gateway, below `strongroom up`: it starts them again
Store        the S3 server: started again here, on the same folder
Client       `under_load`: started again here, with the same profile and a new file
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from tests.servers import S3Server, started
from tests.service.supervised import HOUSE, is_gone, until
from tests.service.upping import Up


class Part(Protocol):
    """A part of the whole. `kills` counts."""

    name: str
    kills: int

    def kill(self) -> bool:
        """End it at once, and see to it that it comes back; return whether it ran."""


class Supervised:
    """The process `name` of a service."""

    def __init__(self, service: Up, name: str) -> None:
        self.service, self.name, self.kills = service, name, 0

    def kill(self) -> bool:
        starts = [one for one in self.service.events if (one["process"], one["event"]) == (self.name, "started")]
        pid = int(starts[-1]["pid"])
        if not _is_child(pid, self.service.running.pid):
            return False  # dead, and not yet started again
        os.kill(pid, signal.SIGKILL)
        self.kills += 1
        return True


class Store:
    """The S3 server that `running_s3_server` began. How that was, the kernel knows."""

    name = "store"

    def __init__(self, server: S3Server) -> None:
        self.kills = 0
        self._folder, self._running = server.log.parent, ExitStack()
        (self._pid,) = (int(one.name) for one in Path("/proc").glob("[0-9]*") if _folder_of(one) == self._folder)
        place = Path(f"/proc/{self._pid}")
        self._command = [os.fsdecode(one) for one in (place / "cmdline").read_bytes().split(b"\0")[:-1]]
        pairs = [os.fsdecode(one).partition("=") for one in (place / "environ").read_bytes().split(b"\0")[:-1]]
        self._environment = {name: text for name, _, text in pairs}

    def kill(self) -> bool:
        os.killpg(self._pid, signal.SIGKILL)
        self._running.close()
        until(lambda: _is_over(self._pid))
        self.kills += 1
        log = self._folder / f"log-{self.kills}"
        self._pid = self._running.enter_context(
            started(self._command, environment=self._environment, folder=self._folder, log=log)
        ).pid
        return True

    def close(self) -> None:
        """End the last one."""
        self._running.close()


class Client:
    """A client process: what it says and what it was told lie in `folder`, in a file for each start."""

    def __init__(self, name: str, folder: Path, profile: Path, model: str, stop: Path, seed: int) -> None:
        self.name, self.kills = name, 0
        self._folder, self._arguments, self._stop, self._seed = folder, [str(profile), model], stop, seed
        self._running = ExitStack()
        self._process: Any = None
        folder.mkdir()
        self._start()

    @property
    def told(self) -> dict[Path, int]:
        """The files of all its starts, in order, with their sizes."""
        return {path: path.stat().st_size for path in sorted(self._folder.glob("told-*"))}

    def kill(self) -> bool:
        self.check()
        self._running.close()
        self.kills += 1
        self._start()
        return True

    def check(self) -> None:
        """See that it has not ended by itself."""
        assert self._process.poll() is None, (self.name, self._process.returncode, self._said())

    def end(self, seconds: float) -> None:
        """Wait until it has stopped as it was told to."""
        assert self._process.wait(seconds) == 0, self._said()

    def close(self) -> None:
        """End it."""
        self._running.close()

    def _start(self) -> None:
        number = f"{self.kills:05d}"
        told, self._log = self._folder / f"told-{number}", self._folder / f"log-{number}"
        more = [str(told), str(self._stop), str(self._seed + self.kills)]
        command = [sys.executable, "-m", "tests.faults.under_load", *self._arguments, *more]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "PYTHONPATH": str(HOUSE)}
        self._process = self._running.enter_context(
            started(command, environment=environment, folder=self._folder, log=self._log)
        )

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-4_000:]


def _is_child(pid: int, parent: int) -> bool:
    """Tell whether a process is alive, and the child of that one still."""
    with suppress(OSError):
        state, above = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return state not in "ZX" and int(above) == parent
    return False


def _is_over(pid: int) -> bool:
    """Tell whether a process and all its threads have ended, and with them their sockets."""
    with suppress(OSError):
        return is_gone(pid) and len(list(Path(f"/proc/{pid}/task").iterdir())) < 2
    return True


def _folder_of(process: Path) -> Path | None:
    with suppress(OSError):
        return (process / "cwd").readlink()
    return None

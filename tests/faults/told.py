"""What a process was told, written down before it goes on: a line of JSON each, in a file that outlives its killing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Told:
    """A new file at `path`, of one process. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, did: str, /, **what: Any) -> None:
        """Write down that `did` happened. Whoever is killed after this has it in the file: the kernel does."""
        line = json.dumps({"did": did, **what}).encode("ascii") + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError("a line was not written whole")


def read_told(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return all that was written down whole; of a process that was killed, the last line may be torn."""
    return [json.loads(line) for path in paths for line in path.read_bytes().split(b"\n")[:-1]]

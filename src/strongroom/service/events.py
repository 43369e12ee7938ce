"""Events: one line of JSON for each thing that happens to a service, on standard error, for a journal to collect.

    {"at":"2026-11-25T07:25:15.123Z","event":"started","level":"info","pid":4711,"process":"keep"}

What a process of the service says itself comes wrapped, as event `said` with its `text`; where it says a flat object
of JSON, its members stand in the line. Only ASCII, so that no text can move the cursor of who reads it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

Level = Literal["info", "warning", "error", "critical"]

LONGEST_TEXT = 4096
_LEVELS = ("info", "warning", "error", "critical")


class Events:
    """Writes events. `write` takes a whole line; `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float], write: Callable[[str], object] = sys.stderr.write) -> None:
        self._clock, self._write = clock, write

    def tell(self, level: Level, process: str, event: str, /, **more: Any) -> None:
        """Write that `event` happened to `process`."""
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({**more, "at": at, "level": level, "process": process, "event": event}, sort_keys=True)
        with suppress(OSError):  # whoever collected the lines is gone: the service is not
            self._write(line + "\n")
            sys.stderr.flush()

    def pass_on(self, process: str, line: bytes) -> None:
        """Write what a process said. It may say anything, and be taken for nobody else."""
        text = line[:LONGEST_TEXT].decode("utf-8", "backslashreplace").rstrip()
        if not text:
            return
        said = _members(text) or {"text": text}
        level, event = said.pop("level", "info"), said.pop("event", "said")
        self.tell(level if level in _LEVELS else "info", process, str(event), **said)


def _members(text: str) -> dict[str, Any]:
    """Return the members of a flat object of JSON; none if it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and all(map(_is_plain, value.values())) else {}


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))

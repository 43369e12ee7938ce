"""Peak: the `strongroom` command, which says at its end how much memory it took. With `idle`, all imports and no work.

    python bench/peak.py FILE seal …

`ru_maxrss` would not do: a new process starts with that of the one it came from.
"""

from __future__ import annotations

import atexit
import re
import sys
from importlib import import_module
from pathlib import Path


def write_peak(file: Path) -> None:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    file.write_text(found[1])


def main() -> None:
    atexit.register(write_peak, Path(sys.argv.pop(1)))
    from strongroom.cli import main as command

    for room in ("client.extract", "client.seal", "client.version", "objects.local"):
        import_module(f"strongroom.{room}")
    if sys.argv[1:] != ["idle"]:
        command()


if __name__ == "__main__":
    main()

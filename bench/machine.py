"""The machine: what it is, which tools it has, and whether it can carry the benchmark."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.metadata import version
from pathlib import Path

from subjects import OTHERS, PROCESSORS

import strongroom


def describe(*, others: bool) -> str:
    """Return the machine and the versions of what is compared, in two lines that do not say whose it is.

    Without `others`, only what the keep is made of.
    """
    processor = _first(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(_first(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())) / 2**20
    kernel = ".".join(platform.release().split(".")[:2])
    tools = "".join(f", {tool.name} {tool.version()}" for tool in OTHERS) if others else ""
    names = ("cryptography", "numpy", "cryptotensors") if others else ("cryptography", "cedarpy", "apsw")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"Machine: {processor}, {PROCESSORS} cores, {memory:.0f} GiB, Linux {kernel}, "
        f"Python {platform.python_version()}.\n"
        f"Versions: strongroom {strongroom.__version__}{tools}; {packages}."
    )


def check_place(folder: Path, needed_bytes: int) -> None:
    """Refuse a folder that is not in memory or has not the room."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [(place, kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    _, kind = max(inside, key=lambda mount: len(mount[0]))
    if kind != "tmpfs":
        raise SystemExit(f"bench: `{folder}` is on {kind}: name a memory-backed one (tmpfs) with --folder")
    if (room := room_bytes(folder)) < needed_bytes:
        raise SystemExit(
            f"bench: {needed_bytes >> 20} MiB of memory are needed, {room >> 20} are free: choose a smaller --size"
        )


def room_bytes(folder: Path) -> int:
    """Return how much memory files in the memory-backed `folder` can still take."""
    free = int(_first(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())) * 1024
    return min(free, shutil.disk_usage(folder).free)


def check_tools() -> None:
    """Refuse to start without all that is compared."""
    commands = ["age-keygen", "fusermount3", *(tool.version_command[0] for tool in OTHERS)]
    if missing := [command for command in commands if shutil.which(command) is None]:
        raise SystemExit(f"bench: not installed: {', '.join(missing)}: run `make bench`, which says what to install")


def load() -> str:
    """Return how busy the machine is besides us."""
    return f"load average {os.getloadavg()[0]:.1f}"


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "unknown"

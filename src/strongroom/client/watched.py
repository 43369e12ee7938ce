"""Watched: a folder in memory, for this user alone, that does not outlive this process, however that ends.

A small process of its own waits for our end and then removes it; it stands outside our session, so that what is sent
to a terminal or to a group of processes does not reach it. Who kills both leaves the folder behind.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strongroom.client.memory import IN_MEMORY, make_memory_folder

# Our end of its standard input closes with us, by whatever signal; nothing is ever sent.
_WATCH = "import shutil, sys; sys.stdin.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"


@contextmanager
def watched_folder(place: Path = IN_MEMORY) -> Iterator[Path]:
    """Give a folder in `place`, and remove it with all that is in it at the end of the block, or of this process.

    Raises:
        NoMemory, StoreUnavailable: `place` is not in memory, or no folder can be made there.
    """
    folder = make_memory_folder(place)
    try:
        with subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        ):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

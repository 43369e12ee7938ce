"""Bytes that look random and are the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


def drawn(seed: str) -> Callable[[int], bytes]:
    """Return a source of bytes that `seed` decides; no two reads are alike."""
    reads = 0

    def read(size: int) -> bytes:
        nonlocal reads
        reads += 1
        return hashlib.shake_256(f"{seed}/{reads}".encode()).digest(size)

    return read

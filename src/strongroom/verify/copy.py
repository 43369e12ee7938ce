"""Copy: a log in a folder, as `strongroom log export` writes it. Whatever stands in there is not believed yet.

<folder>/entries      length (4 bytes, big-endian) || leaf, one after another
<folder>/checkpoint   a signed note over all of them, with or without cosignatures
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from strongroom.terms.errors import LogTampered, NotFound

ENTRIES, CHECKPOINT = "entries", "checkpoint"
LARGEST_ENTRY_BYTES = 65_535
_LENGTH_BYTES = 4
_HINT = "give the folder that `strongroom log export` wrote"


def read_note(folder: Path) -> bytes:
    """Return the bytes of the checkpoint.

    Raises:
        NotFound: it cannot be read.
    """
    try:
        return (folder / CHECKPOINT).read_bytes()
    except OSError as error:
        raise NotFound(f"no checkpoint to read in `{folder}`: {error.strerror}", hint=_HINT) from error


def read_leaves(folder: Path) -> Iterator[bytes]:
    """Yield the leaves from the first on.

    Raises:
        NotFound: they cannot be read.
        LogTampered: the file ends within one, or one is longer than an entry can be.
    """
    try:
        with (folder / ENTRIES).open("rb") as file:
            while length := file.read(_LENGTH_BYTES):
                size = int.from_bytes(length)
                if size > LARGEST_ENTRY_BYTES:
                    raise LogTampered(f"an entry of {size} bytes in the copy: {LARGEST_ENTRY_BYTES} can be")
                leaf = file.read(size)
                if len(length) + len(leaf) != _LENGTH_BYTES + size:
                    raise LogTampered("the copy ends within an entry")
                yield leaf
    except OSError as error:
        raise NotFound(f"no entries to read in `{folder}`: {error.strerror}", hint=_HINT) from error

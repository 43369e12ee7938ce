"""The tree and the entries of a log as immutable files, as specified at c2sp.org/tlog-tiles: 256 to a tile.

    tile/<level>/<number>[.p/<width>]     hashes: of leaves on level 0, of full tiles of the level below on the others
    tile/entries/<number>[.p/<width>]     the entries themselves, each behind its length

A number stands in groups of three digits, all but the last behind an `x`: 1234067 is `x001/x234/067`. Only a tile that
is not full has a width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strongroom.terms.errors import BadNote, BadRequest
from strongroom.tlog.tree import Tree

TILE_WIDTH = 256
HIGHEST_LEVEL = 63
LARGEST_ENTRY_BYTES = 0xFFFF

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """Where a tile lies below a log's address. `level` is None for entries; `width` is 256 for a full tile."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        *groups, last = f"{self.number:,}".split(",")
        number = "/".join((*(f"x{group:>03}" for group in groups), f"{last:>03}"))
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{number}{partial}"


def parse_tile_path(text: str) -> TilePath:
    """Return the tile that `text` names.

    Raises:
        BadNote: another form, more zeros than needed, a level beyond 63 or a width beyond 255.
    """
    if not (parts := _PATH.match(text)):
        raise BadNote(f"`{text[:120]}` is not the path of a tile")
    path = TilePath(
        level=None if parts[1] == "entries" else int(parts[1]),
        number=int(re.sub("[x/]", "", parts[2])),
        width=int(parts[3] or TILE_WIDTH),
    )
    if (path.level or 0) > HIGHEST_LEVEL or path.width > TILE_WIDTH or str(path) != text:
        raise BadNote(f"`{text[:120]}` is not the path of a tile: a number out of range, or not in its one form")
    return path


def tile_paths(size: int) -> Iterator[TilePath]:
    """Yield every tile of hashes that a log of `size` entries has, level by level, and then its entry bundles."""
    level, hashes = 0, size
    while hashes:
        yield from _tiles(level, hashes)
        level, hashes = level + 1, hashes // TILE_WIDTH
    yield from _tiles(None, size)


def tile(tree: Tree, path: TilePath) -> bytes:
    """Return the content of a tile of hashes: 32 bytes for each.

    Raises:
        BadRequest: the tree is not that large, or the path is that of entries.
    """
    if path.level is None:
        raise BadRequest("a tree does not hold its entries")
    start = path.number * TILE_WIDTH
    return tree.hashes(8 * path.level, start, start + path.width)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of an entry bundle: each entry behind its length in two bytes, big-endian.

    Raises:
        BadRequest: an entry beyond 65,535 bytes, or more than 256 of them, or none.
    """
    if not 0 < len(entries) <= TILE_WIDTH:
        raise BadRequest(f"a bundle of {len(entries)} entries instead of 1 to {TILE_WIDTH}")
    for entry in entries:
        if len(entry) > LARGEST_ENTRY_BYTES:
            raise BadRequest(f"an entry of {len(entry)} bytes: the log takes {LARGEST_ENTRY_BYTES} at most")
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def parse_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the `width` entries that an entry bundle holds.

    Raises:
        BadNote: it holds more or fewer, or ends in the middle of one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        start = at + 2
        at = start + int.from_bytes(data[at:start])
        entries.append(data[start:at])
    if at != len(data) or len(entries) != width:
        raise BadNote(f"a bundle that does not hold exactly {width} entries")
    return tuple(entries)


def _tiles(level: int | None, hashes: int) -> Iterator[TilePath]:
    full, rest = divmod(hashes, TILE_WIDTH)
    yield from (TilePath(level=level, number=number) for number in range(full))
    if rest:
        yield TilePath(level=level, number=full, width=rest)

"""Paths inside a version: which are allowed, and that they can stand in one folder side by side."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from strongroom.terms.outer_errors import BadPath

LONGEST_PATH_BYTES = 1024
LONGEST_PART_BYTES = 255

# Cc: controls. Cf: formats, among them every bidirectional control and the zero-width characters, which make
# two names look alike. Cs, Co, Cn: no characters. Zl, Zp: line breaks by another name.
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_path(path: str) -> None:
    """Refuse a path that is not relative, `/`-separated, NFC, free of `.`, `..` and empty parts, and plain.

    Raises:
        BadPath: with the reason; the path is shown with every odd character escaped.
    """
    shown = ascii(path[:200])[1:-1]
    if any(unicodedata.category(char) in _FORBIDDEN for char in path):
        raise BadPath(f"`{shown}` holds a control, bidirectional or invisible character")
    if "\\" in path:
        raise BadPath(f"`{shown}` holds a backslash, which some systems take for a separator")
    if not unicodedata.is_normalized("NFC", path):
        raise BadPath(f"`{shown}` is not in normal form C")
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise BadPath(f"`{shown}` is absolute or has a part that is empty, `.` or `..`")
    if len(path.encode()) > LONGEST_PATH_BYTES or any(len(part.encode()) > LONGEST_PART_BYTES for part in parts):
        raise BadPath(f"`{shown}…` is too long: {LONGEST_PATH_BYTES} bytes, {LONGEST_PART_BYTES} for each part")


def check_paths(paths: Iterable[str]) -> None:
    """Refuse paths of which one is not allowed, two differ only by case, or one is a folder of another.

    Raises:
        BadPath: naming the paths.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        check_path(path)
        folded = _fold(path)
        if (other := files.get(folded)) is not None:
            raise BadPath(f"`{path}` stands twice" if other == path else f"`{path}` and `{other}` differ only by case")
        files[folded] = path
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folders.setdefault(_fold(folder), folder) != folder:
                raise BadPath(f"the folders `{folder}` and `{folders[_fold(folder)]}` differ only by case")
    if clash := files.keys() & folders.keys():
        raise BadPath(f"`{files[min(clash)]}` is both a file and a folder")


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())

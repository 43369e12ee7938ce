"""Folded: the directory that a copy of the log has led to, kept beside it, so that a start folds only what is newer.

    <folder>/folded    HMAC-SHA-256 (32 bytes) || JSON {"directory": …, "release": …, "root": hex}

It is written by whoever has just verified and folded these entries, and holds for a log that begins with them: `root`
is that of as many entries as the directory says. The maps keep the order of the log. Another release folds anew: what
it makes of an entry may be another thing.

TRUST: nobody's who does not have this client's own key, which the code is made with. Who can write to the folder can
put back an older one, as they can with all of it: then more is folded.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from strongroom import __version__
from strongroom.client.private_folder import PrivateFolder
from strongroom.directory.state import Directory
from strongroom.terms.errors import StrongroomError
from strongroom.terms.records import parse_record, record_json

LEAST_ENTRIES = 500
"""So many entries are folded in less time than is worth a file."""
_BYTES_FOR_ENTRY = 1000
"""Of a large directory, so many bytes are written and read in the time that folding one entry takes."""
_LARGEST_BYTES = 1 << 30
_NAME, _CODE_BYTES = "folded", 32

Secret = Callable[[], bytes]
"""Gives what only this client knows, for this use alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A directory, and the root of the log whose entries it was folded from."""

    directory: Directory
    root: bytes


class Folded:
    """What is kept in `folder`."""

    def __init__(self, folder: PrivateFolder, secret: Secret) -> None:
        self._folder, self._secret = folder, secret
        self._size = self._bytes = 0

    def read(self) -> Kept | None:
        """Return what was kept last; nothing if there is none, or none of ours, or in another release's form."""
        data = self._folder.read(_NAME, most_bytes=_LARGEST_BYTES)
        if data is None or not hmac.compare_digest(data[:_CODE_BYTES], self._code(data[_CODE_BYTES:])):
            return None
        try:
            told: Any = json.loads(data[_CODE_BYTES:])
            if told["release"] != __version__:
                return None
            kept = Kept(directory=parse_record(Directory, told["directory"]), root=bytes.fromhex(told["root"]))
        except (StrongroomError, KeyError, TypeError, ValueError):
            return None
        self._size, self._bytes = kept.directory.size, len(data)
        return kept

    def keep_if_due(self, directory: Directory, root: bytes) -> None:
        """Keep a directory, if a start would otherwise fold long to get there."""
        if directory.size - self._size >= max(LEAST_ENTRIES, self._bytes // _BYTES_FOR_ENTRY):
            self.keep(directory, root)

    def keep(self, directory: Directory, root: bytes) -> None:
        """Keep a directory in the place of the last."""
        told = {"directory": record_json(directory), "release": __version__, "root": root.hex()}
        text = json.dumps(told, separators=(",", ":"))
        data = text.encode("ascii")
        self._folder.replace(_NAME, self._code(data) + data)
        self._size, self._bytes = directory.size, len(data)

    def forget(self) -> None:
        """Keep nothing."""
        self._folder.remove(_NAME)
        self._size = self._bytes = 0

    def _code(self, data: bytes) -> bytes:
        return hmac.digest(self._secret(), data, hashlib.sha256)

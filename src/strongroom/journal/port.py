"""The port of the journal: a log that is durable before it is acknowledged, and small private records beside it.

    journal.append(entries, sign=sign, kept=records)  # entries, checkpoint and records: all of them or none

One process has a journal open, and one thread at a time calls it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from strongroom.tlog.tree import Tree

Sign = Callable[[int, bytes], bytes]
"""Takes size and root of the tree; returns the signed checkpoint, a C2SP note."""


class Space(Enum):
    """How much room the disk has left."""

    ENOUGH = "enough"
    RESERVED = "reserved"
    """Only the part that is reserved for closing down."""
    GONE = "gone"
    """Not even for that: lock the keys and stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A private record beside the log: it replaces the one of its kind and name, or with `data` None erases it.

    TRUST: nothing in the log speaks for these bytes. What reads them checks them: they are sealed, or their digest is
    in an entry.
    """

    kind: str
    name: str
    data: bytes | None


class Journal(Protocol):
    """Every call may raise `JournalBroken` (a write or read failed; from then on every call does), `LogTampered`."""

    @property
    def size(self) -> int:
        """The number of entries."""
        ...

    @property
    def tree(self) -> Tree:
        """The tree over all entries; only `append` changes it."""
        ...

    @property
    def note(self) -> bytes | None:
        """The last signed checkpoint; None before the genesis entry."""
        ...

    def append(
        self, entries: Sequence[bytes], *, sign: Sign, kept: Sequence[Kept] = (), closing: bool = False
    ) -> bytes:
        """Make `entries`, a checkpoint over them and `kept` durable in one step; return the signed checkpoint.

        Only what is `closing` something down may use the space that is reserved for that.

        Raises:
            NoSpace: too little room, or no more than is reserved; nothing was touched.
            BadRequest: no entries; nothing was touched.
            JournalBroken: anything failed afterwards; whether the entries are there shows at the next start.
        """
        ...

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the entries from `start` up to `stop`, each checked against the tree.

        Raises:
            BadRequest: not 0 <= start <= stop <= size.
        """
        ...

    def entry(self, index: int) -> bytes:
        """Return one entry, checked against the tree."""
        ...

    def kept(self, kind: str, name: str) -> bytes | None:
        """Return the private record of that kind and name, if there is one."""
        ...

    def all_kept(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """Yield name and data of the records of one kind, by name. Records may change meanwhile."""
        ...

    def space(self, pending_bytes: int = 0) -> Space:
        """Return how much room is left once so much more is written."""
        ...

    def close(self) -> None:
        """Let go of the files. Writes nothing, so that every start is like the one after a crash."""
        ...

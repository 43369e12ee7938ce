"""The port: what a place for sealed bytes must do, whoever runs it.

TRUST: a store is trusted with nothing but availability. It may read, drop, keep, swap or change all
that it holds; every reader above this room checks what it gets.

Adapters turn all errors of their backend into errors of `strongroom.terms.errors`:

- nothing under that name: `NotFound`; fewer bytes than asked for: `ObjectSize`
- something that no writer of ours made, such as a symlink, where an object should be: `ObjectTampered`
- no right to do it: `AccessDenied`; no room: `NoSpace`; anything else: `StoreUnavailable`
- a call that cannot be meant, such as a name that is none: `BadRequest`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from strongroom.terms.errors import BadRequest

LONGEST_NAME = 800
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199})*\Z")


def is_name(name: str) -> bool:
    """Whether `name` can be the name of an object.

    It has `/`-separated parts of 1 to 200 of `A-Z a-z 0-9 . _ -`, none starting with `.`, 800 bytes in all.
    What a store holds under any other name is no object: it is neither listed nor read.
    """
    return len(name) <= LONGEST_NAME and _NAME.match(name) is not None


def check_name(name: str) -> None:
    """Refuse what is no name of an object.

    Raises:
        BadRequest: it is not.
    """
    if not is_name(name):
        raise BadRequest(f"`{name[:200]!a}` is not the name of an object")


def check_prefix(prefix: str) -> None:
    """Refuse what no name can start with.

    Raises:
        BadRequest: no name can.
    """
    if not is_name(f"{prefix}x"):
        raise BadRequest(f"`{prefix[:200]!a}` is not the start of the name of an object")


def check_offset(offset: int) -> None:
    """Refuse an offset before the start of an object.

    Raises:
        BadRequest: it is.
    """
    if offset < 0:
        raise BadRequest(f"byte {offset} of an object")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One stored object, as its store describes it.

    `modified_at` is in seconds since 1970 by the store's own clock.
    `is_partial` marks what an interrupted writer left, under a name that no reader uses.
    """

    name: str
    size_bytes: int
    modified_at: float
    is_partial: bool = False


class ObjectWriter(Protocol):
    """An object that is being written. Ends in exactly one `finish` or `abort`."""

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`.

        Where the store's `writes_in_any_order` is false, calls come from one thread in rising order
        without gaps; otherwise from any thread, in any order. `data` may be reused after the return.
        """

    def finish(self) -> None:
        """Make the object durable and visible under its name. Never overwrites: names are fresh."""

    def abort(self) -> None:
        """Give the object up and leave nothing, as far as the store still answers. Never raises."""


class ObjectStore(Protocol):
    """A flat space of names, as `check_name` takes them."""

    @property
    def url(self) -> str:
        """Where it is, without any credential: for people to read."""

    @property
    def writes_in_any_order(self) -> bool:
        """Whether an `ObjectWriter` takes offsets in any order and from several threads at once."""

    @property
    def read_size_bytes(self) -> int:
        """The size of one read that serves this store best."""

    @property
    def parallel_reads(self) -> int:
        """How many reads at once serve this store best."""

    def read_into(self, name: str, offset: int, view: memoryview) -> None:
        """Fill the whole of `view` from `offset`. Called from many threads at once."""

    def read(self, name: str, *, most_bytes: int) -> bytes:
        """Return a small object whole; `ObjectSize` if it is larger than `most_bytes`."""

    def create(self, name: str, *, size_bytes: int) -> ObjectWriter:
        """Start an object of `size_bytes`, which is what `write_at` will be given in all."""

    def put(self, name: str, data: bytes) -> None:
        """Write a small object, durable on return, replacing what was there."""

    def put_new(self, name: str, data: bytes) -> None:
        """Write a small object, durable on return, if nothing is there; otherwise `VersionExists`.

        INVARIANT: of any number of callers at once, on any hosts, at most one succeeds. Any other
        error leaves the outcome unknown: the caller reads back and decides.
        """

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every finished object whose name starts with `prefix`, in the order of names."""

    def list_partial(self) -> Iterator[ObjectInfo]:
        """Yield what interrupted writers left, as far as this kind of store can show it."""

    def delete(self, infos: Iterable[ObjectInfo]) -> None:
        """Remove these; what is already gone is passed over."""

    def free_bytes(self) -> int | None:
        """Return how much room is left, or `None` where that cannot be known."""

"""A store that calls out before and after each of its calls, so that a test can break, pause or watch it there.

A real implementation of the port around another one: what it is told to fail fails as a store would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strongroom.objects import ObjectInfo, ObjectStore, ObjectWriter
from strongroom.terms.errors import StrongroomError

WRITES = frozenset({"put", "put_new", "create", "write_at", "finish", "delete"})
READS = frozenset({"read", "read_into", "list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: what was asked of the store, and of which object (or prefix)."""

    verb: str
    name: str


Hook = Callable[[Call], None]


def nothing(call: Call) -> None:
    """Let the call pass."""


class HookedStore:
    """`inner`, with `before` and `after` called around everything that is asked of it."""

    def __init__(self, inner: ObjectStore, *, before: Hook = nothing, after: Hook = nothing) -> None:
        self.inner = inner
        self.before = before
        self.after = after

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def writes_in_any_order(self) -> bool:
        return self.inner.writes_in_any_order

    @property
    def read_size_bytes(self) -> int:
        return self.inner.read_size_bytes

    @property
    def parallel_reads(self) -> int:
        return self.inner.parallel_reads

    @contextmanager
    def around(self, verb: str, name: str) -> Iterator[None]:
        call = Call(verb=verb, name=name)
        self.before(call)
        yield
        self.after(call)

    def read_into(self, name: str, offset: int, view: memoryview) -> None:
        with self.around("read_into", name):
            self.inner.read_into(name, offset, view)

    def read(self, name: str, *, most_bytes: int) -> bytes:
        with self.around("read", name):
            return self.inner.read(name, most_bytes=most_bytes)

    def create(self, name: str, *, size_bytes: int) -> ObjectWriter:
        with self.around("create", name):
            return HookedWriter(self, name, self.inner.create(name, size_bytes=size_bytes))

    def put(self, name: str, data: bytes) -> None:
        with self.around("put", name):
            self.inner.put(name, data)

    def put_new(self, name: str, data: bytes) -> None:
        with self.around("put_new", name):
            self.inner.put_new(name, data)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self.around("list", prefix):
            found = list(self.inner.list(prefix))
        return iter(found)

    def list_partial(self) -> Iterator[ObjectInfo]:
        return self.inner.list_partial()

    def delete(self, infos: Iterable[ObjectInfo]) -> None:
        infos = list(infos)
        with self.around("delete", infos[0].name if infos else ""):
            self.inner.delete(infos)

    def free_bytes(self) -> int | None:
        return self.inner.free_bytes()


class HookedWriter:
    """A writer of a `HookedStore`."""

    def __init__(self, store: HookedStore, name: str, inner: ObjectWriter) -> None:
        self._store, self._name, self._inner = store, name, inner

    def write_at(self, offset: int, data: memoryview) -> None:
        with self._store.around("write_at", self._name):
            self._inner.write_at(offset, data)

    def finish(self) -> None:
        with self._store.around("finish", self._name):
            self._inner.finish()

    def abort(self) -> None:
        self._inner.abort()


class Fault:
    """Raises at the call of that number among those of `verbs`, or from there on; `count` is how many there were."""

    def __init__(
        self, number: int, error: StrongroomError, *, verbs: frozenset[str] = WRITES, lasts: bool = False
    ) -> None:
        self.count = 0
        self.call: Call | None = None
        self._number, self._error, self._verbs, self._lasts = number, error, verbs, lasts
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> None:
        if call.verb not in self._verbs:
            return
        with self._lock:
            number = self.count
            self.count += 1
        if number == self._number or (self._lasts and number > self._number):
            self.call = self.call or call
            raise type(self._error)(self._error.message)

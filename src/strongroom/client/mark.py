"""Marks: how a sweep knows that a seal is still being written.

A writer puts `w/<seal id>` before its first object and renews it for as long as it lives. A sweep touches nothing whose
mark, or whose youngest object, is younger than its grace. A writer whose last renewal lies more than half the shortest
grace back (the machine slept) does not commit: its objects may be gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from strongroom.objects import ObjectInfo, ObjectStore
from strongroom.sealing.places import Name
from strongroom.terms import canonical
from strongroom.terms.errors import StrongroomError
from strongroom.terms.outer_errors import MarkLost

Clock = Callable[[], float]

RENEW_SECONDS = 60.0
SHORTEST_GRACE_SECONDS = 3600.0
DEFAULT_GRACE_SECONDS = 24 * 3600.0


def mark_name(seal_id: str) -> str:
    """Return the name of a seal's mark in the store."""
    return f"w/{seal_id}"


def boot_seconds() -> float:
    """Return a time that counts while the machine sleeps, and never jumps when somebody sets the clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Mark:
    """A writer's mark: renewed by a thread between `__enter__` and `__exit__`."""

    def __init__(
        self,
        store: ObjectStore,
        seal_id: str,
        name: Name,
        *,
        renew_seconds: float = RENEW_SECONDS,
        now: Clock = boot_seconds,
    ) -> None:
        self._store = store
        self._renew_seconds = renew_seconds
        self._now = now
        self._name = mark_name(seal_id)
        self._content = canonical.encode({"format": "strongroom/lease/1", "version": str(name)})
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="strongroom-mark", daemon=True)
        self._renewed_at = now()

    def __enter__(self) -> Mark:
        begun = self._now()
        try:
            self._store.put(self._name, self._content)
            self._renewed_at = begun
            self._thread.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def check(self) -> None:
        """Refuse to go on when the mark may have been taken for stale.

        ORDER: just before the manifest is written. The other half of the grace is room for that write.
        """
        if (age := self._now() - self._renewed_at) > SHORTEST_GRACE_SECONDS / 2:
            raise MarkLost(f"this seal was out of touch with the store for {age:.0f} s")

    def _end(self) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        try:
            self._store.delete([ObjectInfo(name=self._name, size_bytes=0, modified_at=0.0)])
        except StrongroomError:
            return  # ORDER: the seal is committed or given up; a mark that stays behind is the sweep's.

    def _renew(self) -> None:
        while not self._ended.wait(self._renew_seconds):
            begun = self._now()
            try:
                self._store.put(self._name, self._content)
            except StrongroomError:
                continue  # the next renewal tries again; `check` decides
            self._renewed_at = begun

"""Registry: the copies of what was released (`client/copies.py`), brought up to date from a view by whoever asks.

One for a gateway. What is new in the log is read in a thread, for one asker at a time.
"""

from __future__ import annotations

import asyncio

from strongroom.client.copies import Copies, Copy
from strongroom.gateway.fold import View

BATCH_ENTRIES, BATCH_BYTES = 1000, 4 << 20


class Registry:
    """Every copy that the gateway's log tells of."""

    def __init__(self) -> None:
        self._copies, self._free = Copies(), asyncio.Lock()

    async def find(self, view: View, *, at: int, model: str | None, version: str | None) -> list[Copy]:
        """Return the copies that `view` knows of, as `Copies.find` does."""
        async with self._free:
            await self._catch_up(view)
            return await asyncio.to_thread(self._copies.find, view.directory, at=at, model=model, version=version)

    async def live(self, view: View, *, at: int, version: str, subject: str, device: str | None) -> Copy | None:
        """Return a copy that is live in `view`, as `Copies.live` does."""
        async with self._free:
            await self._catch_up(view)
            return self._copies.live(view.directory, at=at, version=version, subject=subject, device=device)

    async def _catch_up(self, view: View) -> None:
        if self._copies.size < view.size:
            await asyncio.to_thread(self._read, view)

    def _read(self, view: View) -> None:
        while self._copies.size < view.size:
            for leaf in view.leaves(self._copies.size, BATCH_ENTRIES, most_bytes=BATCH_BYTES):
                self._copies.take(leaf)

"""Fold: the gateway's own verified copy of the log, always a moment old at most, for whoever reads metadata.

A thread asks the keep how far the log is, twice a second and after each act that went through here, and takes in what
is new as every client does (`client/replica.py`). What it has verified it publishes as a `View`, in which nothing
changes any more: the event loop never waits for the thread, and never sees what is half verified.

INVARIANT: nobody is told metadata from a view that has less than this gateway told anybody of before, or is older than
10 s, or once another log was shown. That ends only with a new start: it is for people to look at.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from array import array
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from strongroom.client.connection import Answer
from strongroom.client.private_folder import disk
from strongroom.client.replica import Clock, Replica
from strongroom.directory.state import Directory
from strongroom.gateway.keep import Keep
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotFound, StrongroomError, Tampered, WrongDeployment
from strongroom.terms.outer_errors import LogDoubted
from strongroom.tlog.checkpoints import Checkpoint
from strongroom.tlog.proofs import consistency_proof
from strongroom.tlog.tree import Tree, leaf_hash

POLL_SECONDS = 0.5
AGAIN_SECONDS = 0.05
"""How long at least between two looks that readers caused: the keep is asked at most twenty times a second for them."""
PATIENCE_SECONDS = 5.0
"""How long a read waits for what was told before."""
_LENGTH_BYTES = 4

_log = logging.getLogger("strongroom.gateway")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """The log as far as it was verified at one moment, and the directory that it folds to. Nothing in it changes."""

    directory: Directory
    checkpoint: Checkpoint
    note: bytes
    keep_time: int | None
    asked_at: float
    """By the monotonic clock: what the keep had answered for until then is in it."""
    tree: Tree
    """Has the leaves of this view, and may by now have more."""
    ends: array[int]
    path: Path

    @property
    def size(self) -> int:
        """How many entries it has."""
        return self.checkpoint.size

    @property
    def age_seconds(self) -> float:
        """How long ago it was how things are."""
        return time.monotonic() - self.asked_at

    def inclusion(self, index: int) -> list[Json]:
        """Return the proof that an entry is in the log of this view's checkpoint."""
        return _texts(self.tree.inclusion_proof(index, self.size))

    def consistency(self, old: int, new: int) -> list[Json] | None:
        """Return the proof that the log of `new` entries continues the one of `old`; nothing where there is none."""
        return _texts(consistency_proof(self.tree, old, new)) if old <= new <= self.size else None

    def leaves(self, start: int, count: int, *, most_bytes: int) -> list[bytes]:
        """Return at most `count` entries from `start` on, at most `most_bytes` of them, but one at least. Reads a file.

        Raises:
            NotFound: there is no entry `start`.
            LogDoubted, StoreUnavailable: the copy on disk is damaged, or cannot be read.
        """
        if not 0 <= start < self.size:
            raise NotFound(f"no entry {start} in a log of {self.size}")
        begin, stop = self.ends[start - 1] if start else 0, start + 1
        while stop < min(start + count, self.size) and self.ends[stop] - begin <= most_bytes:
            stop += 1
        with disk(self.path), self.path.open("rb") as file:
            file.seek(begin)
            data = file.read(self.ends[stop - 1] - begin)
        edges = [begin, *self.ends[start:stop]]
        found = [data[edges[n] - begin + _LENGTH_BYTES : edges[n + 1] - begin] for n in range(stop - start)]
        if any(leaf_hash(leaf) != self.tree.leaf(start + n) for n, leaf in enumerate(found)):
            raise LogDoubted("this gateway's copy of the log is damaged")
        return found


class Fold:
    """Follows the log of `deployment`, as `keep` shows it, in `folder`. `run` does the work, until it is cancelled."""

    def __init__(
        self,
        keep: Keep,
        folder: Path,
        deployment: str,
        *,
        era: int = 1,
        fresh_seconds: float = 10.0,
        clock: Clock = time.time,
    ) -> None:
        self._keep, self._folder, self._deployment, self._era, self._clock = keep, folder, deployment, era, clock
        self._fresh_seconds = fresh_seconds
        self._view: View | None = None
        self._changed, self._wake = asyncio.Event(), asyncio.Event()
        self._told_size = 0
        self._again_at = 0.0
        self.status: dict[str, Json] = {}
        """What the keep said of itself last."""
        self.trouble: StrongroomError | None = None
        """Why the last look failed; evidence of tampering stays."""

    @property
    def view(self) -> View | None:
        """The newest view, however old."""
        return self._view

    def is_fresh(self) -> bool:
        """Whether there is a view that is not too old, and no doubt."""
        return self._view is not None and not self.is_tampered() and self._view.age_seconds <= self._fresh_seconds

    def is_tampered(self) -> bool:
        """Whether another log was shown than the one that was verified."""
        return isinstance(self.trouble, (Tampered, WrongDeployment))

    def told(self, size: int) -> None:
        """Have no read answered from less than `size` entries from now on: somebody knows of so many."""
        if size > self._told_size:
            self._told_size = size
            self._wake.set()

    async def current(self) -> View:
        """Return a view of all that this gateway told anybody of.

        Raises:
            LogDoubted: there is none that is fresh.
        """
        return await self.reach(self._told_size)

    async def reach(self, size: int) -> View:
        """Return a view of at least `size` entries; errors as for `current`."""
        with suppress(TimeoutError):
            if self._view is None or self._view.size < size:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while (self._view is None or self._view.size < size) and not self.is_tampered():
                        await self._changed.wait()
        if self._view is None or self._view.size < size or not self.is_fresh():
            raise LogDoubted(self.doubt())
        return self._view

    async def again(self) -> View:
        """Look once more at the log, and return a view of how it is now; errors as for `current`.

        However many ask, they have the keep asked once each `AGAIN_SECONDS`.
        """
        now = time.monotonic()
        if self._again_at < now:  # otherwise one is due that will do for this question too
            self._again_at = max(now, self._again_at + AGAIN_SECONDS)
            asyncio.get_running_loop().call_later(self._again_at - now, self._wake.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (self._view is None or self._view.asked_at < now) and not self.is_tampered():
                    await self._changed.wait()
        return await self.current()

    async def newer(self, seen: View) -> View:
        """Wait for another view than `seen`: twice a second there is one, unless the keep is silent.

        Raises:
            LogDoubted: another log was shown.
        """
        while self._view is None or self._view is seen:
            await self._changed.wait()
            if self.is_tampered():
                raise LogDoubted(self.doubt())
        return self._view

    def doubt(self) -> str:
        """Return why nothing can be read."""
        why = f": {self.trouble.message}" if self.trouble is not None else ""
        if self.is_tampered():
            return f"the log that this gateway was shown is not the one that it has to be{why}"
        return f"this gateway's copy of the log is not up to date{why}"

    async def run(self) -> None:
        """Follow the log until cancelled, or until another log is shown."""
        loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "fold")
        asking = _FromThread(self._keep, loop)
        replica: _Replica | None = None
        try:
            while not self.is_tampered():
                self._wake.clear()
                try:
                    if replica is None:
                        replica = await loop.run_in_executor(thread, self._open)
                    self._publish(await loop.run_in_executor(thread, self._look, replica, asking))
                except StrongroomError as error:
                    self._failed(error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
        finally:
            # ORDER: the thread waits for this loop, so the loop does not wait for the thread.
            asking.stop()
            thread.shutdown(wait=False, cancel_futures=True)

    # --- in the thread -------------------------------------------------------------------------

    def _open(self) -> _Replica:
        return _Replica(self._folder, self._deployment, era=self._era, clock=self._clock, warn=_log.warning)

    def _look(self, replica: _Replica, asking: _FromThread) -> View:
        asked_at = time.monotonic()
        answer = asking.ask("status")
        self.status = answer.ok
        checkpoint = replica.follow(answer, asking)
        return replica.view(checkpoint, answer.checkpoint or b"", asked_at=asked_at, last=self._view)

    # --- in the event loop ---------------------------------------------------------------------

    def _publish(self, view: View) -> None:
        self._view, self.trouble = view, None
        self._tell()

    def _failed(self, error: StrongroomError) -> None:
        if self.trouble is None or self.trouble.message != error.message:
            _log.error("the log cannot be followed: %s: %s", error.code, error.message)
        self.trouble = error
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class _Replica(Replica):
    """The copy, from which views are made."""

    def view(self, checkpoint: Checkpoint, note: bytes, *, asked_at: float, last: View | None) -> View:
        """Return what was verified just now; what has not changed since the view `last` is the same in it."""
        is_same = last is not None and last.size == checkpoint.size
        return View(
            # INVARIANT: the fold changes its own maps; those of a view are another copy of them.
            directory=last.directory if last is not None and is_same else self.directory.copy(),
            checkpoint=checkpoint,
            note=note,
            keep_time=self.keep_time,
            asked_at=asked_at,
            tree=self.tree,
            ends=self.ends,
            path=self.path,
        )


class _FromThread:
    """The keep, for a thread that waits for its answers."""

    where = "the keep"

    def __init__(self, keep: Keep, loop: asyncio.AbstractEventLoop) -> None:
        self._keep, self._loop = keep, loop
        self._asked: Future[Answer] | None = None
        self._is_stopped = False

    def within(self, seconds: float) -> _FromThread:
        """Return the same: each question has a limit already."""
        return self

    def ask(self, what: str, /, *, since: int | None = None, **fields: Json) -> Answer:
        """Ask for `what`, as `Connection.ask` does."""
        self._asked = asyncio.run_coroutine_threadsafe(self._keep.ask(what, **fields), self._loop)
        if self._is_stopped:
            self._asked.cancel()
        return self._asked.result()

    def stop(self) -> None:
        """Have the thread wait no longer."""
        self._is_stopped = True
        if self._asked is not None:
            self._asked.cancel()


def _texts(hashes: tuple[bytes, ...]) -> list[Json]:
    return [base64.b64encode(one).decode("ascii") for one in hashes]

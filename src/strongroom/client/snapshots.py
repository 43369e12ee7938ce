"""Snapshots: what a training loop saves, sealed as versions of a model that the loop itself cannot open.

    with strongroom.Snapshots(room, "acme/atlas-run-12", keep_last=3, every=1000) as snapshots:
        for step in range(1, steps + 1):
            …
            snapshots.save(step, model.state_dict())

`save` copies the tensors to memory and returns; a thread seals and registers them. A snapshot exists once it is in the
log, whole, or not at all. At most one waits while another is being sealed, so that memory holds two at most. What
fails in the thread is raised by the next `save`, or by `close`.

TRUST: what waits is plaintext, in memory, in a folder that is gone when this process is (`watched`).
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from strongroom.client.profile import Profile
from strongroom.client.released import Registered, register, registered, seal_to_model
from strongroom.client.room import Room, connect
from strongroom.client.seal import SealedForDeployment
from strongroom.client.session import Speaker
from strongroom.client.sweep import remove_seal
from strongroom.client.tensor_file import write_tensors
from strongroom.client.transfer.stores import Store, store_to_write
from strongroom.client.watched import watched_folder
from strongroom.objects import ObjectStore
from strongroom.terms.errors import AlreadyDone, BadRequest, NoSpace, StrongroomError, Unavailable

PATIENCE_SECONDS = 600.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0
FILE = "model.safetensors"
_IN_MEMORY_AT_ONCE = 2

_log = logging.getLogger("strongroom")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot that is in the log. `name` is `org/model@7`, as far as that is proven."""

    step: int
    name: str
    version: str
    seal_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    step: int
    folder: Path
    files: tuple[Path, ...]


class Snapshots:
    """The snapshots of one run. To be closed, or used in a `with` block; `save` is for one thread."""

    def __init__(
        self,
        where: Room | Profile | str | os.PathLike[str] | None,
        model: str,
        *,
        keep_last: int | None = None,
        every: int = 1,
        when_busy: Literal["wait", "drop"] = "wait",
        lineage: Iterable[str] = (),
        store: Store = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Begin. `where` is a room, or what `connect` takes; the right to seal for `model` is all that it needs.

        Of this run's snapshots the bytes of all but the last `keep_last` are removed from the store, where that lets
        this job: `superseded` has those that it does not. Steps that `every` does not divide are passed over.
        `when_busy` says what `save` does while one snapshot is being sealed and another waits. `lineage` are versions
        that this run starts from. A keep or a store that cannot be had is waited for, for `patience_seconds`.

        Raises:
            BadRequest: `keep_last` or `every` is no positive number. NotFound, …: as `strongroom.connect`.
        """
        if every < 1 or (keep_last is not None and keep_last < 1):
            raise BadRequest("`every` and `keep_last` count from 1")
        self.kept: list[Snapshot] = []
        """Those in the log whose bytes are not superseded, the oldest first."""
        self.superseded: list[Snapshot] = []
        """Older ones whose bytes this job may not remove."""
        self._room = where if isinstance(where, Room) else connect(where)
        self._model, self._store, self._lineage = model, store, tuple(lineage)
        self._keep_last, self._every, self._when_busy = keep_last, every, when_busy
        self._patience_seconds = patience_seconds
        self._failures: deque[StrongroomError] = deque()
        self._room_left = threading.Semaphore(_IN_MEMORY_AT_ONCE)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._undo = ExitStack()
        self._folder = self._undo.enter_context(watched_folder())
        self._number = 0
        self._speaker: Speaker | None = None
        self._thread: threading.Thread | None = threading.Thread(
            target=self._work, name="strongroom-snapshots", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Snapshots:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What the loop failed with is not to be hidden behind what a snapshot failed with.
        self._end()
        if error is None:
            self._raise_failure()

    def save(
        self,
        step: int,
        tensors: Mapping[str, Any] | None = None,
        *,
        files: Iterable[str | os.PathLike[str]] = (),
    ) -> bool:
        """Take `tensors` (arrays of numpy or torch) as they are now, and `files`, as the snapshot of `step`.

        Files are read later: leave them as they are until then. Tells whether it was taken: not where `every` does not
        divide the step, nor, with `when_busy="drop"`, while there is no room.

        Raises:
            BadRequest: nothing to save, or no tensors. NoSpace: they do not fit into memory.
            StrongroomError: what an earlier snapshot failed with, once for each.
        """
        self._raise_failure()
        if self._thread is None:
            raise BadRequest("these snapshots are closed", hint="save inside the `with` block")
        if step % self._every:
            return False
        places = tuple(Path(file) for file in files)
        if not tensors and not places:
            raise BadRequest(f"nothing to save at step {step}")
        if not self._room_left.acquire(blocking=self._when_busy == "wait"):
            return False
        try:
            job = self._taken(step, tensors or {}, places)
        except BaseException:
            self._room_left.release()
            raise
        self._jobs.put(job)
        return True

    def close(self) -> None:
        """Wait until everything that was taken is sealed and in the log.

        Raises:
            StrongroomError: what a snapshot failed with.
        """
        self._end()
        self._raise_failure()

    # --- in the caller's thread ----------------------------------------------------------------

    def _taken(self, step: int, tensors: Mapping[str, Any], files: Sequence[Path]) -> _Job:
        self._number += 1
        folder = self._folder / str(self._number)
        try:
            folder.mkdir(mode=0o700)
            if tensors:
                place = folder / FILE
                write_tensors(place, tensors, {"step": str(step)})
                files = (place, *files)
        except BaseException as error:
            _remove(folder)
            if isinstance(error, OSError):
                raise NoSpace(f"no room in memory for a snapshot: {error.strerror}", hint="save less") from error
            raise
        return _Job(step=step, folder=folder, files=tuple(files))

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.popleft()

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._jobs.put(None)
        try:
            thread.join()
        finally:
            self._given_up.set()  # interrupted: whatever is still waited for is not
            self._undo.close()

    # --- in the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._keep(*self._saved(job))
            except StrongroomError as error:
                self._failures.append(error)
            except Exception as error:  # noqa: BLE001 - a thread has nobody who catches; `save` and `close` say it
                self._failures.append(BadRequest(f"the snapshot of step {job.step} failed: {error!r}"))
            finally:
                _remove(job.folder)
                self._room_left.release()

    def _saved(self, job: _Job) -> tuple[Snapshot, ObjectStore, SealedForDeployment]:
        lineage = [self.kept[-1].version] if self.kept else self._lineage
        chosen = self._room.store if self._store is None else self._store

        def seal(speaker: Speaker) -> tuple[ObjectStore, SealedForDeployment, list[str]]:
            directory = speaker.deployment.sync()
            speaker.learn([*directory.models, *directory.aliases])
            store = store_to_write(speaker, self._model, chosen)
            return store, *seal_to_model(speaker, job.files, self._model, store, lineage=lineage)

        store, sealed, ancestors = self._patiently(seal)

        def log(speaker: Speaker) -> Registered:
            try:
                return register(speaker, sealed, notes=f"snapshot of step {job.step}", lineage=ancestors)
            except AlreadyDone:
                # It is in the log, and the answer that said so was lost.
                speaker.deployment.sync()
                return registered(speaker, sealed)

        made = self._patiently(log)
        snapshot = Snapshot(step=job.step, name=made.name, version=made.version, seal_id=sealed.seal_id)
        return snapshot, store, sealed

    def _keep(self, snapshot: Snapshot, store: ObjectStore, sealed: SealedForDeployment) -> None:
        """Count it in, and take away what is superseded by it."""
        self.kept.append(snapshot)
        while self._keep_last is not None and len(self.kept) > self._keep_last:
            old = self.kept.pop(0)
            try:
                remove_seal(store, sealed.model, old.seal_id)
            except StrongroomError as error:
                # No harm to the run: a gateway, for one, removes nothing. Whoever may finds it in `superseded`.
                _log.info("the bytes of %s stay in %s: %s", old.name, store.url, error.message)
                self.superseded.append(old)

    def _patiently(self, work: Callable[[Speaker], T]) -> T:
        """Do `work` as somebody who speaks in this thread; again, while what it takes cannot be had for now."""
        give_up_at, pause = time.monotonic() + self._patience_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                if self._speaker is None:
                    self._speaker = self._room.speaker()
                return work(self._speaker)
            except StrongroomError as error:
                self._speaker = None  # its session may be over, or its connection broken
                if not isinstance(error, Unavailable) or time.monotonic() + pause > give_up_at:
                    raise
                if self._given_up.wait(pause):
                    raise
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)

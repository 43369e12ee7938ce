"""Threads: run many small jobs on a few threads; the first failure stops the rest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

J = TypeVar("J")

Progress = Callable[[int], None]
"""Told, from any thread, how many bytes more are done."""


def no_progress(size_bytes: int) -> None:
    """Tell nobody."""


def default_threads() -> int:
    """Return how many threads keep this process's processors busy."""
    return max(1, len(os.sched_getaffinity(0)))


class Buffers:
    """One thread's scratch memory, reused from job to job so that nothing is allocated on the hot path.

    `stopped` is set when the work is given up, for a job that waits.
    """

    def __init__(self, stopped: threading.Event | None = None) -> None:
        self.stopped = stopped if stopped is not None else threading.Event()
        self._views: dict[str, memoryview] = {}

    def get(self, use: str, size_bytes: int) -> memoryview:
        """Return `size_bytes` of scratch memory for `use`, with whatever it held before."""
        view = self._views.get(use)
        if view is None or len(view) < size_bytes:
            view = self._views[use] = memoryview(bytearray(size_bytes))
        return view[:size_bytes]


def run_jobs(
    jobs: Iterable[J],
    work: Callable[[J, Buffers], None],
    *,
    threads: int,
    stopped: threading.Event | None = None,
) -> None:
    """Call `work` for every job on up to `threads` threads; return when all are done.

    Jobs are taken in order. After a failure no further job starts; those running end, and the failure that stands
    first in the order of jobs is raised. A keyboard interrupt stops in the same way. Work inside a job of other work
    gives that one's `stopped`, and stops with it.
    """
    source: Iterator[tuple[int, J]] = iter(enumerate(jobs))
    taking = threading.Lock()
    stopped = stopped if stopped is not None else threading.Event()
    failures: list[tuple[int, BaseException]] = []

    def worker() -> None:
        buffers = Buffers(stopped)
        while not stopped.is_set():
            with taking:
                try:
                    number, job = next(source)
                except StopIteration:
                    return
            try:
                work(job, buffers)
            except BaseException as error:  # noqa: BLE001 - raised again below, by the thread that waits
                failures.append((number, error))
                stopped.set()

    if threads <= 1:
        worker()
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="strongroom") as pool:
            try:
                for future in [pool.submit(worker) for _ in range(threads)]:
                    future.result()
            except BaseException:
                stopped.set()
                raise
    if failures:
        raise min(failures, key=lambda failure: failure[0])[1]

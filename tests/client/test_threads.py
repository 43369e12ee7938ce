"""Running jobs: all of them, in order, and a failure stops the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from strongroom.client.threads import Buffers, default_threads, run_jobs


@pytest.mark.parametrize("threads", [0, 1, 2, 8])
def test_every_job_is_done_once(threads: int) -> None:
    done: list[int] = []
    run_jobs(range(1_000), lambda job, _: done.append(job), threads=threads)
    assert sorted(done) == list(range(1_000))


@pytest.mark.parametrize("threads", [1, 4])
def test_no_jobs_are_no_work(threads: int) -> None:
    run_jobs([], lambda job, _: pytest.fail("no job"), threads=threads)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_failure_stops_the_rest_and_is_raised(threads: int) -> None:
    done: list[int] = []

    def work(job: int, buffers: Buffers) -> None:
        if job == 10:
            raise ValueError("ten")
        time.sleep(0.001)
        done.append(job)

    with pytest.raises(ValueError, match="ten"):
        run_jobs(range(100_000), work, threads=threads)
    assert len(done) < 50_000


def test_of_several_failures_the_first_in_order_is_raised() -> None:
    together = threading.Barrier(4)

    def work(job: int, buffers: Buffers) -> None:
        together.wait(20)
        raise ValueError(str(job))

    with pytest.raises(ValueError, match=r"\A0\Z"):
        run_jobs(range(4), work, threads=4)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_source_of_jobs_that_fails_is_told(threads: int) -> None:
    def jobs() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run_jobs(jobs(), lambda job, _: None, threads=threads)


def test_jobs_run_side_by_side() -> None:
    together = threading.Barrier(3)

    def work(job: int, buffers: Buffers) -> None:
        together.wait(20)

    run_jobs(range(3), work, threads=3)


def test_all_threads_are_done_when_it_returns() -> None:
    def work(job: int, buffers: Buffers) -> None:
        time.sleep(0.01)
        if job == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(range(100), work, threads=4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("strongroom")]


def test_scratch_memory_is_reused_and_never_shared_between_uses() -> None:
    buffers = Buffers()
    one = buffers.get("one", 100)
    one[:] = b"1" * 100
    assert buffers.get("one", 50).obj is one.obj
    assert buffers.get("two", 100).obj is not one.obj
    assert len(buffers.get("one", 0)) == 0
    assert len(buffers.get("one", 200)) == 200


def test_no_thread_gets_anothers_scratch_memory() -> None:
    together = threading.Barrier(4)
    seen: list[int] = []

    def work(job: int, buffers: Buffers) -> None:
        together.wait(20)
        seen.append(id(buffers))

    run_jobs(range(4), work, threads=4)
    assert len(set(seen)) == 4


def test_there_is_a_thread_for_each_processor() -> None:
    assert default_threads() >= 1

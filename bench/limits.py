"""Limits: what the machine can do with no sealing at all, on the same threads and in the same blocks."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from measure import timed

J = TypeVar("J")

BLOCK_BYTES = 1 << 20
"""As many bytes as a segment has, and as our readers read at once."""

_TAG_BYTES, _NONCE = 16, bytes(12)


def on_threads(threads: int, jobs: Iterable[J], work: Callable[[J], object]) -> None:
    """Call `work` for every job. Nothing is queued: the threads draw from one iterator, with next to no cost a job."""
    source = iter(list(jobs))  # a list's iterator steps under the interpreter's lock

    def draw() -> None:
        for job in source:
            work(job)

    if threads == 1:
        draw()
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(draw) for _ in range(threads)]:
            future.result()


def fresh(size_bytes: int, *, huge: bool = True) -> memoryview:
    """Return new memory that no page stands behind yet, to be had in huge pages or not."""
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if huge:
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)


def prefaulted(size_bytes: int) -> memoryview:
    """Return new memory with all its pages in place."""
    memory = fresh(size_bytes)
    fill(memory)
    return memory


def fill(memory: memoryview) -> None:
    """Put a page behind all of `memory`."""
    ctypes.memset(_address(memory), 1, len(memory))


def read_plain(files: Sequence[Path], into: Sequence[memoryview], threads: int) -> float:
    """Read `files`, each into its memory, block by block; return the seconds."""
    with timed() as clock:
        descriptors = [os.open(file, os.O_RDONLY) for file in files]
        jobs = [(number, start) for number, memory in enumerate(into) for start in range(0, len(memory), BLOCK_BYTES)]

        def read(job: tuple[int, int]) -> None:
            number, start = job
            view = into[number][start : start + BLOCK_BYTES]
            assert os.preadv(descriptors[number], [view], start) == len(view)

        on_threads(threads, jobs, read)
        for descriptor in descriptors:
            os.close(descriptor)
    return clock.seconds


def write_plain(sizes: Sequence[int], folder: Path, threads: int) -> float:
    """Write files of `sizes` from one block that stays in the processor's cache; return the seconds."""
    block = memoryview(bytes(BLOCK_BYTES))
    width = min(threads, len(sizes))
    with timed() as clock:
        descriptors = [
            os.open(folder / f"plain{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL) for number in range(len(sizes))
        ]
        jobs = sorted(
            (number // width, start, number)
            for number, size in enumerate(sizes)
            for start in range(0, size, BLOCK_BYTES)
        )
        on_threads(threads, jobs, lambda job: os.pwrite(descriptors[job[2]], block[: sizes[job[2]] - job[1]], job[1]))
        for descriptor in descriptors:
            os.close(descriptor)
    return clock.seconds


class Gcm:
    """AES-256-GCM from memory to memory, through buffers of full size or through ones that stay in cache."""

    def __init__(self, size_bytes: int) -> None:
        self._aead = AESGCM(bytes(32))
        self._count = size_bytes // BLOCK_BYTES
        self._plain = prefaulted(self._count * BLOCK_BYTES)
        self._sealed = prefaulted(self._count * (BLOCK_BYTES + _TAG_BYTES))
        on_threads(
            os.cpu_count() or 1,
            range(self._count),
            lambda number: self._aead.encrypt_into(_NONCE, self._out(number), None, self._in(number)),
        )
        self.size_bytes = self._count * BLOCK_BYTES

    def decrypt(self, threads: int) -> float:
        """Decrypt everything once; return the seconds."""
        with timed() as clock:
            on_threads(
                threads,
                range(self._count),
                lambda number: self._aead.decrypt_into(_NONCE, self._in(number), None, self._out(number)),
            )
        return clock.seconds

    def decrypt_cached(self, threads: int) -> float:
        """Decrypt as much, but on each thread the same block again and again."""
        share = range(self._count // threads)

        def same(number: int) -> None:
            for _ in share:
                self._aead.decrypt_into(_NONCE, self._in(number), None, self._out(number))

        with timed() as clock:
            on_threads(threads, range(threads), same)
        return clock.seconds * self._count / (len(share) * threads)

    def _in(self, number: int) -> memoryview:
        step = BLOCK_BYTES + _TAG_BYTES
        return self._sealed[number * step : (number + 1) * step]

    def _out(self, number: int) -> memoryview:
        return self._plain[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]


def copy_memory(source: memoryview, target: memoryview, threads: int) -> float:
    """Copy `source` to `target`, block by block and without the interpreter's lock; return the seconds."""
    read, write = _address(source), _address(target)
    with timed() as clock:
        on_threads(
            threads,
            range(0, len(source), BLOCK_BYTES),
            lambda start: ctypes.memmove(write + start, read + start, min(BLOCK_BYTES, len(source) - start)),
        )
    return clock.seconds


def _address(memory: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))

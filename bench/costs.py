"""Costs: processor time of each step on one thread, and of the whole pipelines: where the time goes.

Processor time stands still while others have the processor, so that this table is the steadiest of all.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from limits import BLOCK_BYTES, fill, fresh, prefaulted, read_plain, write_plain
from measure import Row, Section, Timed, take_turns
from sealed import VERSION, SealedModel
from warm import warm

from strongroom.client.extract import extract_version
from strongroom.client.seal import seal_version
from strongroom.client.version import SealedVersion, Wanted, open_sealed
from strongroom.objects import open_store
from strongroom.terms.names import parse_version

_SHARE_BYTES = 256 << 20


def measure_costs(folder: Path, sealed: SealedModel, rounds: int) -> Section:
    """The steps, on blocks that stay in cache as they do in our pipelines, and the pipelines."""
    folder.mkdir()
    [file] = sealed.model.files
    count = min(_SHARE_BYTES, sealed.size_bytes) // BLOCK_BYTES
    size = count * BLOCK_BYTES
    block, sealed_block = memoryview(bytearray(BLOCK_BYTES)), memoryview(bytearray(BLOCK_BYTES + 16))
    aead = AESGCM(bytes(32))
    there = prefaulted(size)
    name = _version(sealed).manifest.public.object_name(0)
    store = open_store(sealed.store)

    def each(work: Callable[[int], object]) -> Timed:
        def turn() -> float:
            start = time.thread_time()
            for number in range(count):
                work(number * BLOCK_BYTES)
            return time.thread_time() - start

        return turn

    def once(work: Callable[[], object], share: float = 1.0) -> Timed:
        """Time `work`, which does more than `size` bytes by the factor `share`; its files are removed afterwards."""

        def turn() -> float:
            warm(sealed.size_bytes)
            start = time.thread_time()
            work()
            taken = time.thread_time() - start
            shutil.rmtree(folder)
            folder.mkdir()
            return taken / share

        return turn

    whole = sealed.size_bytes / size
    steps: dict[str, Timed] = {
        "reading from the file system": once(lambda: read_plain([file], [there], 1)),
        "reading through our store": each(lambda start: store.read_into(name, start, block)),
        "AES-256-GCM": each(lambda _: aead.encrypt_into(bytes(12), block, None, sealed_block)),
        "SHA-256": each(lambda _: hashlib.sha256(block)),
        "writing a new file": once(lambda: write_plain([size], folder, 1)),
        "fresh memory, huge pages": once(lambda: fill(fresh(size))),
        "fresh memory, small pages": once(lambda: fill(fresh(size, huge=False))),
        "**opening into prefaulted memory**": once(
            lambda: _version(sealed).read_into([Wanted(path=file.name, offset=0, into=there)])
        ),
        "**opening into fresh memory**": once(lambda: sealed.open(threads=1).load_all(), whole),
        "**opening onto disk**": once(lambda: extract_version(_version(sealed), folder / "opened"), whole),
        "**sealing**": once(lambda: _seal(sealed, folder, whole=False), whole),
        "**sealing, every digest**": once(lambda: _seal(sealed, folder, whole=True), whole),
    }
    seconds = take_turns(steps, rounds)
    return Section(
        title="Where the time goes",
        note=f"Processor time of one thread for {size >> 20} MiB, and what that makes in GiB/s; steps first, pipelines "
        "in bold. A pipeline is the sum of its steps: opening reads, decrypts and fills fresh memory or writes; "
        "sealing reads, encrypts, writes and digests plaintext and ciphertext, and once more with every digest.",
        rows=tuple(Row(what=what, size_bytes=size, seconds=taken) for what, taken in seconds.items()),
    )


def _version(sealed: SealedModel) -> SealedVersion:
    return open_sealed(open_store(sealed.store), parse_version(VERSION), sealed.identity, threads=1)


def _seal(sealed: SealedModel, folder: Path, *, whole: bool) -> None:
    seal_version(
        [sealed.model.folder],
        name=parse_version(VERSION),
        to=sealed.identity.public_key(),
        store=open_store(f"file://{folder}/store"),
        threads=1,
        whole_file_digests=whole,
    )

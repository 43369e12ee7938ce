"""Reading: what opening to memory costs, against a plain read, the cipher alone, and another library."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from limits import Gcm, copy_memory, fresh, prefaulted, read_plain
from measure import Row, Section, Timed, ratios, run, take_turns, timed
from model import PROBE
from sealed import VERSION, SealedModel
from warm import warm

from strongroom.client.version import Wanted, open_sealed
from strongroom.objects import open_store
from strongroom.terms.names import parse_version

FRESH_TARGET, PREFAULTED_TARGET, TENSOR_TARGET = 0.9, 0.7, 3.0


def measure_read(sealed: SealedModel, rounds: int) -> Section:
    """Opening into fresh and into prefaulted memory."""
    threads, size, files = sealed.threads, sealed.size_bytes, sealed.model.files
    gcm = Gcm(size)
    memory = [prefaulted(file.stat().st_size) for file in files]
    arrays = _arrays_in(sealed, memory)

    def plain(*, huge: bool) -> float:
        warm(size)
        return read_plain(files, [fresh(file.stat().st_size, huge=huge) for file in files], threads)

    def into_small_pages() -> float:
        warm(size)
        into = [fresh(file.stat().st_size, huge=False) for file in files]
        version = open_sealed(open_store(sealed.store), parse_version(VERSION), sealed.identity, threads=threads)
        with timed() as clock:
            version.read_into(
                [Wanted(path=file.name, offset=0, into=view) for file, view in zip(files, into, strict=True)]
            )
        return clock.seconds

    def into_prefaulted() -> float:
        with timed() as clock:
            sealed.open().load_all(arrays)
        return clock.seconds

    subjects: dict[str, Timed] = {
        "plain": lambda: plain(huge=True),
        "open": sealed.load,
        "plain small": lambda: plain(huge=False),
        "open small": into_small_pages,
        "gcm": lambda: gcm.decrypt(threads),
        "open prefaulted": into_prefaulted,
        "plain prefaulted": lambda: read_plain(files, memory, threads),
        "gcm cached": lambda: gcm.decrypt_cached(threads),
    }
    seconds = take_turns(subjects, rounds)

    def row(what: str, name: str, against: str | None = None, target: float | None = None) -> Row:
        found = ratios(seconds[against], seconds[name]) if against else ()
        return Row(what=what, size_bytes=size, seconds=seconds[name], ratios=found, target=target)

    return Section(
        title=f"Opening to memory: {sealed.model.name}",
        note=f"{threads} threads. Plain read: `preadv` of the unsealed files in blocks of 1 MiB into memory from the "
        "same allocator. The cipher alone: AES-256-GCM from memory to memory through buffers of full size.",
        rows=(
            row("plain read into fresh memory", "plain"),
            row("opened into fresh memory, against the plain read", "open", "plain", FRESH_TARGET),
            row("plain read into fresh memory, small pages", "plain small"),
            row("opened into fresh memory, small pages, against that", "open small", "plain small"),
            row("plain read into prefaulted memory", "plain prefaulted"),
            row("the cipher alone, memory to memory", "gcm"),
            row("the cipher alone, in the processor's cache", "gcm cached"),
            row(
                "opened into prefaulted memory, against the cipher alone",
                "open prefaulted",
                "gcm",
                PREFAULTED_TARGET,
            ),
        ),
    )


def measure_tensor(sealed: SealedModel, rounds: int) -> Section:
    """One tensor out of a large model, against all of it."""

    def one() -> float:
        with timed() as clock:
            sealed.open().get_tensor(PROBE)
        return clock.seconds

    def process(call: str) -> float:
        warm(sealed.size_bytes)
        code = (
            "import strongroom, sys; "
            f"strongroom.open_version('{VERSION}', identity=sys.argv[1], store=sys.argv[2]).{call}"
        )
        with timed() as clock:
            run(sys.executable, "-c", code, sealed.identity_file, sealed.store)
        return clock.seconds

    seconds = take_turns(
        {
            "all": sealed.load,
            "one": one,
            "process all": lambda: process("load_all()"),
            "process one": lambda: process(f"get_tensor('{PROBE}')"),
        },
        rounds,
    )
    share = tuple(100 * value for value in ratios(seconds["one"], seconds["all"]))
    process_share = tuple(100 * value for value in ratios(seconds["process one"], seconds["process all"]))
    return Section(
        title=f"One tensor of 16 MiB out of {sealed.model.name}",
        note="From `open_version`, the manifest included, to the array. A whole process also starts Python and imports "
        "numpy.",
        rows=(
            Row(what="all tensors", size_bytes=sealed.size_bytes, seconds=seconds["all"]),
            Row(
                what="one tensor, in per cent of that",
                seconds=seconds["one"],
                ratios=share,
                unit=" %",
                target=TENSOR_TARGET,
                at_most=True,
            ),
            Row(what="all tensors, whole process", size_bytes=sealed.size_bytes, seconds=seconds["process all"]),
            Row(
                what="one tensor, whole process",
                seconds=seconds["process one"],
                ratios=process_share,
                unit=" %",
            ),
        ),
    )


def measure_cryptotensors(sealed: SealedModel, folder: Path, rounds: int) -> Section:
    """Opening to memory against the package cryptotensors: the same tensors in, the same out."""
    from cryptotensors import register_direct_key_provider  # type: ignore[attr-defined]
    from cryptotensors.numpy import load_file, save_file

    signer = Ed25519PrivateKey.generate()
    public, private = (_base64(key) for key in (signer.public_key().public_bytes_raw(), signer.private_bytes_raw()))
    seal_key = {"kty": "oct", "alg": "aes256gcm", "kid": "seal", "k": _base64(os.urandom(32))}
    sign_key = {
        "kty": "okp",
        "alg": "ed25519",
        "kid": "sign",
        "public": public,
        "private": private,
        "x": public,
        "d": private,
    }
    register_direct_key_provider(keys=[seal_key, sign_key])
    folder.mkdir()
    file = folder / "model.cryptotensors"
    original = sealed.open().load_all()
    with timed() as saving:
        save_file(original, file, config={"enc_key": seal_key, "sign_key": sign_key})
    del original

    def load() -> float:
        warm(sealed.size_bytes)
        with timed() as clock:
            tensors = load_file(file)
        del tensors
        return clock.seconds

    theirs, ours = load_file(file), sealed.open().load_all()
    assert theirs.keys() == ours.keys()
    assert all(np.array_equal(theirs[name].view(np.uint16), ours[name].view(np.uint16)) for name in ours)
    del theirs, ours
    seconds = take_turns({"theirs": load, "ours": sealed.load}, rounds)
    size = sealed.size_bytes
    return Section(
        title=f"Opening to memory against cryptotensors: {sealed.model.name}",
        note="Its AES-256-GCM with Ed25519, keys at hand, numpy arrays out; both outputs compared before. "
        f"Saving took it {saving.seconds:.0f} s.",
        rows=(
            Row(what="cryptotensors", size_bytes=size, seconds=seconds["theirs"]),
            Row(
                what="strongroom, against it",
                size_bytes=size,
                seconds=seconds["ours"],
                ratios=ratios(seconds["theirs"], seconds["ours"]),
                target=1.0,
            ),
        ),
    )


def measure_threads(sealed: SealedModel, rounds: int) -> Section:
    """How opening and sealing grow with threads, and memory bandwidth with them."""
    threads = [1]
    while threads[-1] * 2 <= sealed.threads:
        threads.append(threads[-1] * 2)
    size = sealed.size_bytes
    memory = [prefaulted(file.stat().st_size) for file in sealed.model.files]
    other = prefaulted(len(memory[0]))
    arrays = _arrays_in(sealed, memory)

    def into_prefaulted(count: int) -> float:
        with timed() as clock:
            sealed.open(threads=count).load_all(arrays)
        return clock.seconds

    kinds: dict[str, Callable[[int], float]] = {
        "memory copy": lambda count: copy_memory(memory[0], other, count),
        "opened into prefaulted memory": into_prefaulted,
        "opened into fresh memory": lambda count: sealed.load(threads=count),
        "sealed": lambda count: sealed.seal(threads=count),
    }
    seconds = take_turns(
        {f"{kind}, {count}": partial(work, count) for kind, work in kinds.items() for count in threads},
        rounds,
    )
    return Section(
        title=f"Threads: {sealed.model.name}",
        note="The ratio is against one thread.",
        rows=tuple(
            Row(
                what=f"{kind}, {count} thread{'s' if count > 1 else ''}",
                size_bytes=size,
                seconds=seconds[f"{kind}, {count}"],
                ratios=ratios(seconds[f"{kind}, 1"], seconds[f"{kind}, {count}"]) if count > 1 else (),
            )
            for kind in kinds
            for count in threads
        ),
    )


def _arrays_in(sealed: SealedModel, memory: list[memoryview]) -> dict[str, np.ndarray]:
    """Return an array for each tensor, laid over `memory` as the tensors lie in their files."""
    version = open_sealed(open_store(sealed.store), parse_version(VERSION), sealed.identity)
    arrays = {}
    for file, view in zip(sealed.model.files, memory, strict=True):
        index = version.file(file.name).tensors
        assert index is not None
        for name, tensor in index.tensors.items():
            arrays[name] = np.frombuffer(view[tensor.start : tensor.stop], np.float16).reshape(tensor.shape)
    return arrays


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

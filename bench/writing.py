"""Writing: sealing against age, and opening onto disk against every tool that people use for it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from limits import write_plain
from measure import Row, Section, Timed, ratios, say, take_turns, timed
from model import Model, check_same
from sealed import SealedModel
from subjects import OTHERS, Age, Strongroom, Subject, side_by_side
from warm import warm_files

import strongroom.client.file_seal

SEAL_TARGET, DISK_TARGET = 1.2, 3.0


def measure_seal(folder: Path, sealed: SealedModel, rounds: int) -> Section:
    """Sealing, as a command and in process, and what each digest costs."""
    model, size = sealed.model, sealed.size_bytes
    age, ours = Age(folder / "age", model), Strongroom(folder / "strongroom", model)

    def command(subject: Age | Strongroom, *options: str) -> float:
        with warm_files(folder, size), timed() as clock:
            subject.seal(*options)
        subject.clear()
        return clock.seconds

    def without_digests() -> float:
        with _null_digests():
            return sealed.seal()

    seconds = take_turns(
        {
            "age": lambda: command(age),
            "command": lambda: command(ours),
            "command all": lambda: command(ours, "--sha256"),
            "none": without_digests,
            "parts": sealed.seal,
            "all": lambda: sealed.seal(whole_file_digests=True),
            "write": lambda: _write(sealed, folder),
        },
        rounds,
    )
    sealed.seal()

    def row(what: str, name: str, against: str | None = None, target: float | None = None) -> Row:
        found = ratios(seconds[against], seconds[name]) if against else ()
        return Row(what=what, size_bytes=size, seconds=seconds[name], ratios=found, target=target)

    return Section(
        title=f"Sealing: {model.name}",
        note="What digests cost is the difference between rows: sealing in process with a null digest in the place of "
        "SHA-256, with the digests of plaintext parts and of ciphertext parts (as many bytes each: half the difference "
        "each), and with the digest of the whole file too.",
        rows=(
            row("age, whole process", "age"),
            row(
                "strongroom with every digest (`--sha256`), whole process, against age",
                "command all",
                "age",
                SEAL_TARGET,
            ),
            row("strongroom as it comes, whole process, against age", "command", "age", SEAL_TARGET),
            row("in process, no digests", "none"),
            row("in process, part digests, against none", "parts", "none"),
            row("in process, every digest, against none", "all", "none"),
            row("limit: a plain writer of as many bytes", "write"),
        ),
    )


def measure_disk(folder: Path, model: Model, rounds: int, threads: int) -> Section:
    """Opening onto disk, whole processes."""
    subjects: list[Subject] = []
    tools: tuple[type[Subject], ...] = (Strongroom, *OTHERS)
    for tool in tools:
        say(f"    sealing with {tool.name}")
        subjects.append(tool(folder / tool.name.split()[0], model))
        subjects[-1].seal()
    to, size = folder / "opened", model.size_bytes
    checked: set[str] = set()

    def turn(subject: Subject) -> float:
        subject.before_open()
        try:
            with warm_files(folder, size), timed() as clock:
                subject.open(to)
        finally:
            subject.after_open()
        if subject.name not in checked:  # in the warm-up
            check_same(model, to)
            checked.add(subject.name)
        shutil.rmtree(to)
        return clock.seconds

    def copy() -> float:
        to.mkdir()
        with warm_files(folder, size), timed() as clock:
            side_by_side([("cp", file, to) for file in model.folder.iterdir()])
        shutil.rmtree(to)
        return clock.seconds

    def write() -> float:
        to.mkdir()
        with warm_files(folder, size):
            taken = write_plain([file.stat().st_size for file in model.files], to, threads)
        shutil.rmtree(to)
        return taken

    turns: dict[str, Timed] = {subject.name: partial(turn, subject) for subject in subjects}
    seconds = take_turns(turns | {"cp": copy, "write": write}, rounds)
    ours = seconds.pop("strongroom")
    limits = {name: seconds.pop(name) for name in ("cp", "write")}
    fastest = tuple(map(min, zip(*seconds.values(), strict=True)))
    return Section(
        title=f"Opening onto disk, whole processes: {model.name}",
        note="The ratio of another tool is ours against it. age and the copy out of gocryptfs run one process for each "
        "file, as many at once as there are processors. All outputs were compared with the original.",
        rows=(
            *(
                Row(what=name, size_bytes=size, seconds=taken, ratios=ratios(taken, ours))
                for name, taken in seconds.items()
            ),
            Row(
                what="strongroom, against the fastest of these",
                size_bytes=size,
                seconds=ours,
                ratios=ratios(fastest, ours),
                target=DISK_TARGET,
            ),
            Row(
                what="`cp` of the unsealed files",
                size_bytes=size,
                seconds=limits["cp"],
                ratios=ratios(limits["cp"], ours),
            ),
            Row(
                what="limit: a plain writer of as many bytes",
                size_bytes=size,
                seconds=limits["write"],
                ratios=ratios(limits["write"], ours),
            ),
        ),
    )


def _write(sealed: SealedModel, folder: Path) -> float:
    to = folder / "written"
    to.mkdir()
    with warm_files(folder, sealed.size_bytes):
        taken = write_plain([file.stat().st_size for file in sealed.model.files], to, sealed.threads)
    shutil.rmtree(to)
    return taken


@contextmanager
def _null_digests() -> Iterator[None]:
    """Let our pipeline digest nothing, here and nowhere else, to see what digests cost."""
    room: Any = strongroom.client.file_seal
    room.hashlib = SimpleNamespace(sha256=_NullDigest)
    try:
        yield
    finally:
        room.hashlib = hashlib


class _NullDigest:
    def update(self, data: object) -> None:
        pass

    def hexdigest(self) -> str:
        return "0" * 64

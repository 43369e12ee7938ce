"""The keep: decisions, releases, appends and starts, in one deployment with a long log; see `keep_world`."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import apsw
from keep_world import (
    OPENERS,
    World,
    ask_release,
    fill,
    found_world,
    live,
    live_to_snapshot,
    open_sessions,
    since_snapshot,
)
from measure import Row, Section, Timed, ratios, say, take_turns

from strongroom.acts.admit import admit
from strongroom.acts.decide import bundle_of, decide
from strongroom.client.answers import release_info
from strongroom.directory.state import Directory
from strongroom.journal.sqlite import create_journal, open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.keep.book import SNAPSHOT_ENTRIES, read_book
from strongroom.sealing.keys import Identity, unwrap_with
from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.frames import FrameReader, encode_frame
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint

DECISION_MS, RELEASES, APPENDS, START_SECONDS, MEMORY_MIB = 1.0, 400.0, 0.5, 10.0, 1024.0
PEOPLE, ENTRIES = 10_000, 1_000_000
BATCHES = {32: 500, 256: 60, 2048: 8}
"""Entries in a batch, and batches in a turn."""


def measure_keep(folder: Path, rounds: int, *, quick: bool) -> Iterator[Section]:
    """Yield the tables; `folder` is new, and on a disk that keeps what is synced."""
    folder.mkdir(mode=0o700)
    people, entries = (200, 20_000) if quick else (PEOPLE, ENTRIES)
    requests = 320 if quick else 1600
    try:
        say(f"  a log of {entries} entries, with {people} people")
        world = found_world(folder / "keep")
        fill(world, people=people, entries=entries)
        small = found_world(folder / "small")
        fill(small, people=OPENERS, entries=0)
        yield measure_appends(folder / "appends", world, rounds)
        yield measure_decisions(world, small, rounds)
        shutil.rmtree(small.folder)
        yield measure_releases(folder, world, rounds, requests)
        yield measure_start(world, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- decisions ---------------------------------------------------------------------------------


def measure_decisions(large: World, small: World, rounds: int) -> Section:
    """Measure what one release costs to decide, in this process."""
    turns: dict[str, Callable[[], tuple[float, float]]] = {}
    sizes = {}
    for name, world in (("large", large), ("small", small)):
        open_sessions(world)
        journal = world.journal()
        directory = read_book(journal).directory
        journal.close()
        turns[name] = _decider(world, directory)
        sizes[name] = f"{len(directory.people)} people and {len(directory.grants)} grants"
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            pair = turn()
            if number:
                found[name].append(pair)
    rows = []
    for name, pairs in found.items():
        decided = tuple(1000 * seconds for _, seconds in pairs)
        whole = tuple(1000 * (admitted + seconds) for admitted, seconds in pairs)
        target = DECISION_MS if name == "large" else None
        rows += [
            Row(what=f"decided, {sizes[name]}", ratios=decided, unit=" ms", target=target, at_most=True),
            Row(what="and admitted: parsed, two signatures verified", ratios=whole, unit=" ms"),
        ]
    against = ratios([one for _, one in found["large"]], [one for _, one in found["small"]])
    rows.append(Row(what="the large directory against the small one, decided", ratios=against))
    return Section(
        title="The keep: a decision",
        note="A release, from what was said to what policy permits. A figure is the median of a round's 200 decisions.",
        rows=tuple(rows),
    )


def _decider(world: World, directory: Directory) -> Callable[[], tuple[float, float]]:
    bundle = bundle_of(directory)

    def turn() -> tuple[float, float]:
        at = int(time.time())
        asked = [ask_release(world, world.openers[number % OPENERS], at=at)[0] for number in range(200)]
        admitted, decided = [], []
        for envelope in asked:
            began = time.perf_counter()
            said = admit(directory, envelope, at=at)
            between = time.perf_counter()
            decide(directory, bundle, said, at=at)
            decided.append(time.perf_counter() - between)
            admitted.append(between - began)
        return median(admitted), median(decided)

    return turn


# --- releases ----------------------------------------------------------------------------------


def measure_releases(folder: Path, world: World, rounds: int, requests: int) -> Section:
    """Measure full releases over the real socket: verify, authorize, append durably, wrap, sign."""
    open_sessions(world)
    rates, middles, slowest, busy = [], [], [], []
    with world.process() as keep:
        world.unseal(keep)
        for number in range(rounds + 1):
            say(f"    releases, round {number} of {rounds}")
            asked = _sign_releases(world, requests)
            before = _processor_seconds(keep.pid)
            seconds, taken, answers = _run_clients(folder, keep.socket, [envelope for envelope, _ in asked])
            used = _processor_seconds(keep.pid) - before
            _check_released(world, asked, answers)
            if number:
                rates.append(requests / seconds)
                middles.append(1000 * median(taken))
                slowest.append(1000 * quantiles(taken, n=100)[98])
                busy.append(1000 * used / requests)
    return Section(
        title=f"The keep: releases, {OPENERS} clients at once",
        note="Statements were signed before the clock starts; the clients, all in one process, only send and receive. "
        f"{requests} releases in each round, each to a fresh key; afterwards every answer was verified and opened.",
        rows=(
            Row(what="full releases", ratios=tuple(rates), unit=" a second", target=RELEASES),
            Row(what="from asking to answer, median", ratios=tuple(middles), unit=" ms"),
            Row(what="of a hundred, the second slowest", ratios=tuple(slowest), unit=" ms"),
            Row(what="processor time of the keep for each", ratios=tuple(busy), unit=" ms"),
        ),
    )


def _sign_releases(world: World, count: int) -> list[tuple[Envelope, Identity]]:
    at = int(time.time())
    return [ask_release(world, world.openers[number % OPENERS], at=at) for number in range(count)]


def _run_clients(folder: Path, socket: Path, asked: Sequence[Envelope]) -> tuple[float, list[float], list[Any]]:
    """Return the seconds of all, the seconds of each, and the answers."""
    requests, answers = folder / "requests", folder / "answers"
    frames = (canonical.encode({"ask": "act", "statement": one.json()}) for one in asked)
    requests.write_bytes(b"".join(encode_frame(body, 1 << 20) for body in frames))
    command = [
        sys.executable,
        *map(str, (Path(__file__).with_name("keep_clients.py"), socket, requests, answers, OPENERS)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        told = json.loads(process.communicate("\n")[0])
    found = [canonical.parse(body) for body in FrameReader(1 << 24).feed(answers.read_bytes())]
    return told["seconds"], told["taken"], found


def _check_released(world: World, asked: Sequence[tuple[Envelope, Identity]], answers: Sequence[Any]) -> None:
    """Refuse to count what is no release: each must open with the key of whoever asked."""
    recipients = {sha256(identity.public_key().raw): identity for _, identity in asked}
    for answer in answers:
        if "ok" not in answer:
            raise SystemExit(f"bench: the keep refused a release: {answer['error']}")
        leaf = base64.b64decode(answer["ok"]["leaf"])
        body = parse_statement(parse_envelope(answer["ok"]["answer"]["envelope"])).body
        assert isinstance(body, dict)
        info = release_info(
            deployment=world.deployment,
            version=body["version"],
            entry=sha256(leaf),
            recipient=body["recipient"],
            expires_at=body["expires_at"],
        )
        unwrap_with(recipients.pop(body["recipient"]), base64.b64decode(body["wrapped"]), info)
    assert not recipients


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- appends -----------------------------------------------------------------------------------


def measure_appends(folder: Path, world: World, rounds: int) -> Section:
    """Measure the journal against the bare database under it, on the same entries in the same batches."""
    folder.mkdir(mode=0o700)
    source = world.journal()
    entries = list(source.read(0, min(source.size, 10_240)))
    source.close()
    rows: list[Row] = []
    for size, count in BATCHES.items():
        batches = [
            [entries[(size * batch + number) % len(entries)] for number in range(size)] for batch in range(count)
        ]
        seconds = take_turns(
            {
                "bare": _bare(folder / "bare", batches),
                "journal": _journal(folder / "journal", world, entries[0], batches),
            },
            rounds,
        )
        total = size * count
        for name, taken in seconds.items():
            rate = tuple(total / one for one in taken)
            what = "the journal" if name == "journal" else "the bare database"
            rows.append(Row(what=f"{what}, batches of {size}", ratios=rate, unit=" entries a second"))
        rows.append(
            Row(
                what=f"the journal against it, batches of {size}",
                ratios=ratios(seconds["bare"], seconds["journal"]),
                target=APPENDS,
            )
        )
    shutil.rmtree(folder)
    return Section(
        title="The keep: appends",
        note="The bare database: the same library, table, settings and batches, each batch one transaction, without "
        "tree, signature, high-water file and reserve.",
        rows=tuple(rows),
    )


def _bare(folder: Path, batches: Sequence[Sequence[bytes]]) -> Timed:
    def turn() -> float:
        folder.mkdir()
        database = apsw.Connection(str(folder / "bare.db"))
        for pragma in (
            "journal_mode = WAL",
            "locking_mode = EXCLUSIVE",
            "synchronous = FULL",
            "fullfsync = ON",
            "secure_delete = ON",
        ):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
        at = 0
        began = time.perf_counter()
        for batch in batches:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO entries VALUES (?, ?)", enumerate(batch, at))
            database.execute("COMMIT")
            at += len(batch)
        taken = time.perf_counter() - began
        database.close()
        shutil.rmtree(folder)
        return taken

    return turn


def _journal(folder: Path, world: World, genesis: bytes, batches: Sequence[Sequence[bytes]]) -> Timed:
    key, name = world.root.log_key(), f"{world.deployment}/1"

    def sign(size: int, root: bytes) -> bytes:
        return sign_checkpoint(Checkpoint(origin=name, size=size, root=root), key)

    def turn() -> float:
        folder.mkdir(mode=0o700)
        create_journal(folder / "journal", high_water=folder / "high-water")
        journal = open_journal(folder / "journal", high_water=folder / "high-water", log_key_of=log_key_of)
        journal.append([genesis], sign=sign)
        began = time.perf_counter()
        for batch in batches:
            journal.append(batch, sign=sign)
        taken = time.perf_counter() - began
        journal.close()
        shutil.rmtree(folder)
        return taken

    return turn


# --- a start -----------------------------------------------------------------------------------


def measure_start(world: World, rounds: int) -> Section:
    """Measure from the start of the process until it listens, at best and at worst after a snapshot."""
    rows: list[Row] = []
    for is_best in (True, False):
        with world.writer() as writer:
            writer.at = max(writer.at, int(time.time()))
            if is_best:
                live_to_snapshot(writer)
            else:  # every start that was measured has left an entry, and will
                live(writer, SNAPSHOT_ENTRIES - 3 * rounds)
        # Read from the journal, so that the label says what is measured.
        entries, after = since_snapshot(world)
        if not is_best and after < 0.9 * SNAPSHOT_ENTRIES:
            raise SystemExit(f"bench: {after} entries came after the snapshot: this is not the worst start")
        seconds, then, most = [], [], []
        for number in range(rounds):
            say(f"    starts, round {number + 1} of {rounds}")
            with world.process() as keep:
                seconds.append(keep.started_seconds)
                most.append(keep.memory_mib("VmHWM"))
                world.unseal(keep)
                then.append(keep.memory_mib("VmRSS"))
        rows += [
            _at_most(f"{entries} entries, {after} of them after the snapshot", seconds, " s", START_SECONDS),
            _at_most("memory, unsealed", then, " MiB", MEMORY_MIB),
            Row(what="memory, at most on the way", ratios=tuple(most), unit=" MiB"),
        ]
    return Section(
        title="The keep: a start",
        note="The whole process, from nothing until it listens, sealed: every entry read and hashed, the root compared "
        "with the signed one, the directory read from its snapshot, what came after it folded.",
        rows=tuple(rows),
    )


def _at_most(what: str, figures: Sequence[float], unit: str, target: float) -> Row:
    return Row(what=what, ratios=tuple(figures), unit=unit, target=target, at_most=True)

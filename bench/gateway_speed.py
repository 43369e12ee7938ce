"""The gateway: signed reads, releases, a fleet's cold start, and opening from S3, in one trial; see `gateway_place`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import IO, Any

import obstore
from gateway_clients import Plan, Signer
from gateway_place import Place, copied, running_place
from measure import Row, Section, Timed, ratios, say, take_turns, timed
from model import MIB, make_sharded, make_single
from obstore.store import S3Store
from subjects import PROCESSORS
from warm import warm

import strongroom
from strongroom.acts.release import Release
from strongroom.acts.table import act_named
from strongroom.client.answers import release_info
from strongroom.client.joining import connect
from strongroom.client.released import find_grant
from strongroom.client.session import Session
from strongroom.sealing.keys import Identity, unwrap_with
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.frames import FrameReader, encode_frame

READS, RELEASES, START_SECONDS, OPENED = 1500.0, 200.0, 20.0, 0.8
CLIENTS, NODES, THREADS = 32, 1000, 4
NODE_MIB, TENSOR = 56, "layer0.weight3"
"""A tensor of 8 KiB; the segment that holds it has 1 MiB."""
RANGE_BYTES, DOWNLOADS = 8 * MIB, 8
"""What is fastest for a plain download here: fewer, smaller and larger ones were tried."""


def measure_gateway(disk: Path, memory: Path, rounds: int, *, quick: bool) -> Iterator[Section]:
    """Yield the tables. Both folders are new: the keep's log goes to `disk`, all else to `memory`."""
    with running_place(disk, memory) as place:
        say("  models are sealed")
        version = place.seal("bench/node", make_single(memory / "node", NODE_MIB))
        sessions = place.log_in(memory / "sessions", CLIENTS)
        yield measure_reads(place, sessions, version, rounds, reads=1000 if quick else 4000)
        # ORDER: what adds most to the log comes last; see `measure_copy` for what that costs everybody.
        yield measure_opening(place, {256: 1} if quick else {256: 1, 1024: 16}, rounds)
        yield measure_starts(place, version, min(rounds, 3), nodes=100 if quick else NODES)
        yield measure_releases(place, sessions, version, rounds, releases=320 if quick else 960)
        yield measure_copy(place, rounds)


# --- signed reads ------------------------------------------------------------------------------


def measure_reads(place: Place, sessions: Sequence[Session], version: str, rounds: int, *, reads: int) -> Section:
    """Measure reads, each with a look of its own, against a server that looks at none."""
    keys = [(session.subject, session.profile.session()) for session in sessions]
    plan = Plan(
        port=int(place.url.rpartition(":")[2]),
        ca=str(place.person.path / "ca.pem"),
        connections=CLIENTS,
        count=reads,
        targets=["/v1/whoami", f"/v1/versions/{version}"],
        deployment=place.person.deployment,
        signers=[
            Signer(by=by, keyid=key.session, private=int.from_bytes(key.private)) for by, key in keys if key is not None
        ],
    )
    found: dict[str, list[tuple[float, float, float]]] = {"gateway": [], "plain": []}
    size = median(map(len, run_clients(place, plan, place.pids["gateway"])[3]))
    with plain_server(place, int(size)) as (port, pid):
        turns = {"gateway": (plan, place.pids["gateway"]), "plain": (replace(plan, port=port), pid)}
        for number in range(rounds + 1):
            say(f"    reads, round {number} of {rounds}")
            for name, (asked, server) in turns.items():
                seconds, taken, busy, _ = run_clients(place, asked, server)
                if number:
                    found[name].append((reads / seconds, 1e3 * quantiles(taken, n=100)[98], 1e6 * busy / reads))
    rates, slowest, busy_us = zip(*found["gateway"], strict=True)
    plain, _, plain_us = zip(*found["plain"], strict=True)
    return Section(
        title=f"The gateway: signed reads, {CLIENTS} clients at once",
        note="Gateway and clients share the machine. Each client has a TLS connection that it keeps, and signs each "
        "read anew, within the time that is measured. The plain server answers as many bytes to the same requests from "
        "the same clients, over TLS too, and reads no signature.",
        rows=(
            Row(what="signed reads", ratios=rates, unit=" a second", target=READS),
            Row(what="of a hundred, the second slowest", ratios=slowest, unit=" ms"),
            Row(what="the plain server", ratios=plain, unit=" a second"),
            Row(what="signed reads against it", ratios=ratios(rates, plain)),
            Row(what="processor time of the gateway for each", ratios=busy_us, unit=" µs"),
            Row(what="processor time of the plain server", ratios=plain_us, unit=" µs"),
        ),
    )


@contextmanager
def plain_server(place: Place, size: int) -> Iterator[tuple[int, int]]:
    """Run the plain server with the gateway's certificate; give its port and process."""
    certificates = place.disk / "trial" / "gateway"
    server = script("gateway_plain.py", certificates / "server.pem", certificates / "server.key", size)
    with started(server) as (port, process):
        yield int(port), process.pid


# --- releases ----------------------------------------------------------------------------------


def measure_releases(place: Place, sessions: Sequence[Session], version: str, rounds: int, *, releases: int) -> Section:
    """Measure releases over HTTPS, and the same ones at the keep's socket."""
    acts, answers = place.memory / "acts", place.memory / "answers"
    at_socket = script("keep_clients.py", place.keep, acts, answers, CLIENTS)
    found: dict[str, list[tuple[float, float, float]]] = {"https": [], "socket": []}
    for number in range(rounds + 1):
        say(f"    releases, round {number} of {rounds}")
        seen = sessions[0].deployment.sync().size
        plan = Plan(
            port=int(place.url.rpartition(":")[2]),
            ca=str(place.person.path / "ca.pem"),
            connections=CLIENTS,
            count=releases,
            targets=[f"/v1/acts/release?since={seen}"],
            deployment=place.person.deployment,
            signers=[],
            acts=str(acts),
        )
        for name, pairs in found.items():
            bodies, recipients = sign_releases(sessions, version, releases)
            asked: dict[str, Json] = {"ask": "act"} if name == "socket" else {}
            acts.write_bytes(b"".join(encode_frame(canonical.encode({**asked, **body}), 1 << 20) for body in bodies))
            if name == "https":
                seconds, taken, busy, came = run_clients(place, plan, place.pids["gateway"])
                assert all("consistency" in json.loads(one) for one in came)
            else:
                seconds, taken, busy, came = run_script(at_socket, place.pids["keep"], answers)
            check_released(place.person.deployment, came, recipients)
            if number:
                pairs.append((releases / seconds, 1e3 * median(taken), 1e3 * busy / releases))
    rates, middles, gateway_ms = zip(*found["https"], strict=True)
    socket_rates, socket_middles, keep_ms = zip(*found["socket"], strict=True)
    return Section(
        title=f"The gateway: releases, {CLIENTS} clients at once",
        note="Signed by session and device before the clock starts, sent over TLS and passed on to the keep, whose log "
        "is synced to a disk; each answer comes with the proof that its checkpoint continues the one of the client. "
        "The same at the keep's socket has neither. Every wrapped key was opened afterwards.",
        rows=(
            Row(what="releases over HTTPS", ratios=rates, unit=" a second", target=RELEASES),
            Row(what="releases at the keep's socket", ratios=socket_rates, unit=" a second"),
            Row(what="over HTTPS against the socket", ratios=ratios(rates, socket_rates)),
            Row(what="from asking to answer over HTTPS, median", ratios=middles, unit=" ms"),
            Row(what="from asking to answer at the socket, median", ratios=socket_middles, unit=" ms"),
            Row(what="processor time of the gateway for each", ratios=gateway_ms, unit=" ms"),
            Row(what="processor time of the keep for each, at the socket", ratios=keep_ms, unit=" ms"),
        ),
    )


def sign_releases(
    sessions: Sequence[Session], version: str, count: int
) -> tuple[list[dict[str, Json]], list[Identity]]:
    """Return so many requests for a release by sessions in turn, each to a fresh key, and the keys."""
    act, directory = act_named("release"), sessions[0].directory
    grant, registered = find_grant(sessions[0], directory.versions[version]), directory.versions[version]
    bodies: list[dict[str, Json]] = []
    recipients = [Identity(os.urandom(32)) for _ in range(count)]
    for number, recipient in enumerate(recipients):
        session = sessions[number % len(sessions)]
        key = recipient.public_key().raw
        body = Release(version=version, manifest=registered.manifest, grant=grant.grant, recipient=key)
        envelope = session.sign(act, session.statement(act, body))
        bodies.append({"details": [], "statement": envelope.json()})
    return bodies, recipients


def check_released(deployment: str, answers: Sequence[bytes], recipients: Sequence[Identity]) -> None:
    """Refuse to count what is no release: each must open with the key of whoever asked."""
    waiting = {sha256(identity.public_key().raw): identity for identity in recipients}
    for answer in answers:
        told: Any = canonical.parse(answer)
        if "ok" not in told:
            raise SystemExit(f"bench: a release was refused: {told}")
        body: Any = parse_statement(parse_envelope(told["ok"]["answer"]["envelope"])).body
        info = release_info(
            deployment=deployment,
            version=body["version"],
            entry=sha256(base64.b64decode(told["ok"]["leaf"])),
            recipient=body["recipient"],
            expires_at=body["expires_at"],
        )
        unwrap_with(waiting.pop(body["recipient"]), base64.b64decode(body["wrapped"]), info)
    assert not waiting


# --- a fleet's cold start ----------------------------------------------------------------------


def measure_starts(place: Place, version: str, rounds: int, *, nodes: int) -> Section:
    """Measure how long a fleet takes from its first question to the first tensor on its last node."""
    seconds, middles, slowest = [], [], []
    for number in range(rounds + 1):
        say(f"    cold starts, round {number} of {rounds}")
        whole, taken = start_fleet(place, place.memory / f"fleet-{number}", version, nodes if number else nodes // 10)
        if number:
            seconds.append(whole)
            middles.append(median(taken))
            slowest.append(max(taken))
    size = connect(place.program).directory.size
    return Section(
        title=f"The gateway: a cold start of {nodes} nodes",
        note=f"Each node is a client of its own, as `strongroom.connect()` gives it, in {PROCESSORS} processes with "
        f"{THREADS} threads: profile and copy of the log read and verified, TLS to the gateway, a release, the URLs, "
        f"manifest and objects at the S3 server, and a tensor out of {NODE_MIB} MiB. All have copies of one "
        "workload's profile, which logs in by signing its release: a workload has no session. Their copies of the log "
        f"have {size} entries; what came since is proven to them, not fetched.",
        rows=(
            Row(
                what=f"{nodes} nodes, until the last has its tensor",
                ratios=tuple(seconds),
                unit=" s",
                target=START_SECONDS,
                at_most=True,
            ),
            Row(what="one node, median", ratios=tuple(middles), unit=" s"),
            Row(what="one node, the slowest", ratios=tuple(slowest), unit=" s"),
        ),
    )


def start_fleet(place: Place, folder: Path, version: str, nodes: int) -> tuple[float, list[float]]:
    """Start a fleet; return the seconds of all, and of each node."""
    shares = [folder / f"share-{number}" for number in range(PROCESSORS)]
    for share in shares:
        share.mkdir(parents=True, mode=0o700)
    for number in range(nodes):
        copied(place.program, shares[number % PROCESSORS] / f"node-{number:04}")
    with ExitStack() as stack:
        running = [
            stack.enter_context(started(script("gateway_nodes.py", share, version, TENSOR, THREADS)))[1]
            for share in shares
        ]
        with timed() as clock:
            for process in running:
                tell(process)
            taken = [seconds for process in running for seconds in json.loads(lines(process).readline())]
    return clock.seconds, taken


def measure_copy(place: Place, rounds: int) -> Section:
    """Measure what a client pays at its start for its copy of a log that has grown."""
    connect(place.program).sync()  # folds it all, once
    taken = []
    for _ in range(rounds):
        with timed() as clock:
            size = connect(place.program).directory.size
        taken.append(1e6 * clock.seconds / size)
    return Section(
        title="The gateway: a client's copy of the log",
        note=f"{size} entries, most of them releases of the last minutes, are read and hashed at each start; the "
        "directory is read as it was folded before, and only what came since is folded.",
        rows=(Row(what="a start, for each thousand entries", ratios=tuple(taken), unit=" ms"),),
    )


# --- opening from S3 ---------------------------------------------------------------------------


def measure_opening(place: Place, sizes: dict[int, int], rounds: int) -> Section:
    """Measure opening models of so many MiB in so many files against a plain download of their objects."""
    rows: list[Row] = []
    for size, shards in sizes.items():
        folder = place.memory / f"model-{size}"
        model = make_single(folder, size) if shards == 1 else make_sharded(folder, size, shards)
        say(f"    opening from S3: {model.name}")
        before = set(place_objects(place))
        version = place.seal(f"bench/model{size}", model)
        objects = {name: place_objects(place)[name] for name in place_objects(place).keys() - before}
        turns = {"opened": _opened(place, version, model.size_bytes), "plain": _downloaded(place, objects)}
        seconds = take_turns(turns, rounds)
        rows += [
            Row(what=f"{model.name}: opened", size_bytes=model.size_bytes, seconds=seconds["opened"]),
            Row(what=f"{model.name}: plain download", size_bytes=sum(objects.values()), seconds=seconds["plain"]),
            Row(
                what=f"{model.name}: opening against it",
                ratios=ratios(seconds["plain"], seconds["opened"]),
                target=OPENED,
            ),
        ]
    return Section(
        title="The gateway: opening from S3 over loopback",
        note="Opened: the release, the URLs, the manifest, and all tensors decrypted into fresh memory. The plain "
        f"download gets the same objects with obstore, {DOWNLOADS} ranges of {RANGE_BYTES // MIB} MiB at once. The "
        "server keeps its files in memory, and shares the processors.",
        rows=tuple(rows),
    )


def place_objects(place: Place) -> dict[str, int]:
    """Return the sealed objects in the store, and their sizes."""
    found = (one for page in obstore.list(_client(place), prefix="o/") for one in page)
    return {one["path"]: one["size"] for one in found}


def _opened(place: Place, version: str, size_bytes: int) -> Timed:
    def turn() -> float:
        warm(size_bytes)
        with timed() as clock, strongroom.connect(place.person).open_version(version) as weights:
            tensors = weights.load_all()
        assert sum(array.nbytes for array in tensors.values()) > 0.9 * size_bytes
        return clock.seconds

    return turn


def _downloaded(place: Place, objects: dict[str, int]) -> Timed:
    jobs = [
        (name, start, min(start + RANGE_BYTES, size))
        for name, size in objects.items()
        for start in range(0, size, RANGE_BYTES)
    ]

    def turn() -> float:
        warm(sum(objects.values()))
        client = _client(place)
        with timed() as clock, ThreadPoolExecutor(DOWNLOADS) as pool:
            got = list(pool.map(lambda job: obstore.get_range(client, job[0], start=job[1], end=job[2]), jobs))
        assert sum(len(memoryview(one)) for one in got) == sum(objects.values())
        return clock.seconds

    return turn


def _client(place: Place) -> S3Store:
    server = place.server
    return S3Store(
        server.bucket,
        endpoint=server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        region="us-east-1",
        client_options={"allow_http": True},
    )


# --- processes ---------------------------------------------------------------------------------


def script(name: str, *arguments: object) -> list[str]:
    """Return the command of a script that lies beside this one."""
    return [sys.executable, str(Path(__file__).with_name(name)), *map(str, arguments)]


@contextmanager
def started(command: list[str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a command that says a line once it is ready, and ends with its input; give that line."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield lines(process).readline(), process
        assert process.stdin is not None
        process.stdin.close()


def lines(process: subprocess.Popen[str]) -> IO[str]:
    """Return what a process says."""
    assert process.stdout is not None
    return process.stdout


def tell(process: subprocess.Popen[str]) -> None:
    """Have a process that is ready begin."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def run_clients(place: Place, plan: Plan, server: int) -> tuple[float, list[float], float, list[bytes]]:
    """Have clients do what is planned; return what `run_script` does."""
    plan.write(place.memory / "plan")
    answers = place.memory / "answers"
    return run_script(script("gateway_clients.py", place.memory / "plan", answers), server, answers)


def run_script(command: list[str], server: int, answers: Path) -> tuple[float, list[float], float, list[bytes]]:
    """Return the seconds of all, the seconds of each, the processor time of `server`, and the answers."""
    with started(command) as (_, process):
        before = processor_seconds(server)
        tell(process)
        told = json.loads(lines(process).readline())
        busy = processor_seconds(server) - before
    return told["seconds"], told["taken"], busy, list(FrameReader(1 << 24).feed(answers.read_bytes()))


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

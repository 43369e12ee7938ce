"""What strangers, with nothing but a connection, take of a gateway; and where a gateway elsewhere leads its clients."""

from __future__ import annotations

import base64
import itertools
import resource
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

import pytest

from strongroom.client.transfer.transfers import Origin, parse_url
from strongroom.gateway.asked import MOST_VALUES, Bodies
from strongroom.gateway.keep import MOST_CONNECTIONS, MOST_WAITING
from strongroom.statements.envelope import PAYLOAD_TYPE
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.outer_errors import BadAnswer, KeepBusy
from tests.gateway.raw import Raw, raw, sent, statuses
from tests.gateway.world import RealGateway, real_gateway

HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /v1/unseal HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HELD_BYTES = 1 << 20
SMALL = canonical.encode({"person": "person-" + "0" * 32, "share": ""})


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A gateway that holds one mebibyte of what is asked, and closes at once what it refuses."""
    flags = ["--limit", f"bodies_bytes={HELD_BYTES}", "--limit", "linger_seconds=0.05"]
    with real_gateway(tmp_path_factory.mktemp("narrow", numbered=True), flags=flags) as real:
        yield real


# --- what no body is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"2\r\n{}\r\n0\r\nX-Held: " + b"a" * (1 << 16), id="a header after the body, without end"),
        pytest.param(b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * (1 << 14), id="headers after the body, without end"),
        pytest.param(b"2\r\n{}\r\n0\r\nStrongroom-Statement: e30=\r\n\r\n", id="a statement after the body"),
        pytest.param(b"2;" + b"a" * (1 << 16), id="an extension of a chunk, without end"),
        pytest.param(b"1\r\n \r\n" * (1 << 14), id="chunks of one byte"),
    ],
)
def test_what_comes_with_a_body_and_is_none_is_neither_held_nor_waited_for(narrow: RealGateway, data: bytes) -> None:
    assert statuses(sent(narrow, CHUNKED + data)) == [400]


def test_a_body_in_chunks_of_any_usual_size_is_one(narrow: RealGateway) -> None:
    text = canonical.encode({"person": "x" * 200_000, "share": ""})
    pieces = (text[at : at + 100] for at in range(0, len(text), 100))
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with raw(narrow) as connection:
        connection.send(CHUNKED + data)
        status, body = connection.answer()
    assert (status, b"bad-record" in body) == (400, True)  # it was read, and refused for what it says


# --- what takes long to read ---------------------------------------------------------------------------


def many(number: int) -> bytes:
    """Return canonical JSON of so many empty objects: 1 MiB of them stops everybody for most of a second."""
    return b"[" + b",".join([b"{}"] * number) + b"]"


def in_a_statement(number: int) -> bytes:
    signature = {"keyid": "session-" + "0" * 32, "sig": base64.b64encode(bytes(64)).decode()}
    payload = base64.b64encode(many(number)).decode()
    return canonical.encode({"statement": {"payload": payload, "payloadType": PAYLOAD_TYPE, "signatures": [signature]}})


@pytest.mark.parametrize(
    ("target", "body"),
    [("/v1/unseal", many(MOST_VALUES // 2 + 1)), ("/v1/acts/read", in_a_statement(MOST_VALUES // 2 + 1))],
)
def test_a_stranger_s_json_that_takes_long_to_read_is_not_read(narrow: RealGateway, target: str, body: bytes) -> None:
    head = b"POST %b HTTP/1.1\r\n" % target.encode() + HOST + b"Content-Type: application/json\r\n"
    with raw(narrow) as connection:
        connection.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        status, answer = connection.answer()
    assert (status, b"more than 10000 values" in answer) == (400, True)


# --- what is held ----------------------------------------------------------------------------------


def test_bodies_that_nobody_ends_take_a_bounded_memory_and_no_small_request_is_refused_for_them(
    narrow: RealGateway,
) -> None:
    large = POST + b"Content-Length: %d\r\n\r\n" % (1 << 20) + b" " * 700_000
    with ExitStack() as held:
        strangers = [held.enter_context(raw(narrow)) for _ in range(3)]
        for stranger in strangers:
            stranger.send(large)
        answer = first_answer(strangers)
        assert (statuses(answer), b'"code":"keep-busy"' in answer) == ([503], True)
        with raw(narrow) as other:
            other.send(POST + b"Content-Length: %d\r\n\r\n" % len(SMALL) + SMALL)
            assert other.answer()[0] != 503
    for _ in range(16):  # what is over is held no longer
        with raw(narrow) as again:
            again.send(POST + b"Content-Length: 200000\r\n\r\n" + b" " * 200_000)
            assert again.answer()[0] == 400


def first_answer(connections: Sequence[Raw]) -> bytes:
    """Return what comes back on the one that is answered first."""
    for _ in range(600):
        for one in connections:
            one.connection.settimeout(0.05)
            try:
                return one.read()
            except TimeoutError:
                continue
    pytest.fail("nobody was answered")


def test_bodies_are_never_twice_what_they_may_be() -> None:
    bodies, held = Bodies(1000), 0
    scopes: list[dict[str, object]] = [{} for _ in range(50)]
    with ExitStack() as requests:
        for scope in scopes:
            requests.enter_context(bodies.holding(scope))
        for _ in range(100):
            for scope in scopes:
                try:
                    bodies.take(scope, 10)
                except KeepBusy:
                    continue
                held += 10
    assert 1000 <= held < 2000
    with bodies.holding(scopes[0]), bodies.holding(scopes[1]):
        bodies.take(scopes[0], 1000)
        bodies.take(scopes[1], 500)  # who sends no more than their part is not refused for what others sent


# --- who waits for whom ----------------------------------------------------------------------------------


def nobody_s(deployment: str) -> bytes:
    """Return a request for an act, in all its form, by whoever made up who they are."""
    at = int(time.time())
    said: dict[str, Json] = {
        "at": at,
        "body": {"digests": []},
        "by": "person-" + "0" * 32,
        "deployment": deployment,
        "era": 1,
    }
    payload = canonical.encode({**said, "id": "statement-" + "0" * 32, "kind": "read/1", "until": at + 60})
    signature = {"keyid": "session-" + "0" * 32, "sig": base64.b64encode(bytes(64)).decode()}
    body = canonical.encode(
        {
            "statement": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [signature],
            }
        }
    )
    head = b"POST /v1/acts/read HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("request_of", [nobody_s, lambda _: POST + b"Content-Length: %d\r\n\r\n" % len(SMALL) + SMALL])
def test_however_many_strangers_ask_for_acts_who_is_enrolled_gets_through(
    tmp_path: Path, request_of: Callable[[str], bytes]
) -> None:
    with real_gateway(tmp_path) as real, ExitStack() as opened:
        ada, request = real.session(), request_of(real.deployment)
        strangers = [opened.enter_context(raw(real)) for _ in range(MOST_CONNECTIONS + MOST_WAITING + 10)]
        real.keep.signal(signal.SIGSTOP)
        try:
            for stranger in strangers:
                stranger.send(request)
            assert statuses(any_bytes(strangers)) == [503]
            with ThreadPoolExecutor(1) as pool:
                reading = pool.submit(ada.learn, digests=["sha256:" + "0" * 64])
                wait([reading], 1)  # it is refused by now, or waits for the keep
                real.keep.signal(signal.SIGCONT)
                reading.result()
        finally:
            real.keep.signal(signal.SIGCONT)


def any_bytes(connections: Sequence[Raw]) -> bytes:
    """Return what comes first on any of them."""
    for one in connections:
        one.connection.settimeout(0.001)
    for one in itertools.islice(itertools.cycle(connections), 20_000):
        try:
            return one.connection.recv(65536)
        except TimeoutError:
            continue
    pytest.fail("nobody was answered")


# --- descriptors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "then"), [(300, 600, 172, 600), (300, 3000, 1024, 2304), (3000, 3000, 1024, 3000)]
)
def test_connections_never_take_the_last_descriptor(soft: int, hard: int, connections: int, then: int) -> None:
    code = (
        "import resource\n"
        "from strongroom.gateway.__main__ import fitting\n"
        "from strongroom.gateway.settings import Limits\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "print(fitting(Limits()).connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{connections} {then}\n"


def test_idle_strangers_do_not_shut_a_gateway_that_was_started_with_few_descriptors(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(400, soft), hard))
    try:
        with real_gateway(tmp_path, flags=["--limit", "connections=160"]) as real, ExitStack() as strangers:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for _ in range(200):
                stranger = strangers.enter_context(raw(real))
                stranger.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
                assert stranger.answer()[0] == 200
            limits = Path(f"/proc/{real.gateway.pid}/limits").read_text()
            assert f"Max open files            {min(576, hard)} " in limits
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- where a gateway leads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:2375/containers/x/kill", "http://localhost/shutdown", "https://[::1]:8443/v1/acts/freeze"]
)
def test_a_gateway_elsewhere_has_nothing_sent_to_what_listens_on_its_client_s_own_machine(url: str) -> None:
    context = ssl.create_default_context()
    with pytest.raises(BadAnswer, match="on another machine"):
        parse_url(url, Origin(host="gateway.example.org", port=443, context=context))
    assert parse_url(url, Origin(host="127.0.0.1", port=8443, context=context)).host in url

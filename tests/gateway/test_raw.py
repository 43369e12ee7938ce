"""Requests that a library would not send: read in one way or not at all, and nobody holds up anybody else."""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.gateway.raw import Raw, plain, raw, sent, statuses
from tests.gateway.world import RealGateway, real_gateway

HOST = b"Host: 127.0.0.1\r\n"
NEXT = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
POST = b"POST /v1/unseal HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HASTY = {
    "handshake_seconds": 5.0,
    "header_seconds": 5.0,
    "body_seconds": 2.0,
    "idle_seconds": 5.0,
    "linger_seconds": 0.05,
}
SLOW = 30.0
"""Within this, on any machine, what a limit of some seconds ends has ended."""

SMUGGLED = {
    "length and chunks": POST + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": POST + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "one length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "a length with a zero in front": POST + b"Content-Length: 02\r\n\r\n{}",
    "a length in hexadecimal": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length beyond any number": POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks of chunks": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "no coding": POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding after a tab": POST + b"Transfer-Encoding:\tchunked \x0b\r\n\r\n0\r\n\r\n",
    "a coding in capitals": POST + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
    "white space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "a folded line": POST + b"X-Long: one\r\n two\r\nContent-Length: 2\r\n\r\n{}",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare line feed": b"GET /healthz HTTP/1.1\n" + HOST + b"\r\n",
    "a bare line feed at a header's end": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n",
    "a bare carriage return in a value": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n",
    "a null in a value": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "a name with a space": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X Y: z\r\n\r\n",
    "no name": b"GET /healthz HTTP/1.1\r\n" + HOST + b": z\r\n\r\n",
    "a line without a colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n",
    "a chunk size that is none": POST + CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk with a signed size": POST + CHUNKED + b"\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk in hexadecimal notation": POST + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": POST + CHUNKED + b"\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "a chunk that ends in a bare line feed": POST + CHUNKED + b"\r\n2\r\n{}\n0\r\n\r\n",
    "a chunk line that ends in a bare line feed": POST + CHUNKED + b"\r\n2\n{}\r\n0\r\n\r\n",
    "a chunk beyond any number": POST + CHUNKED + b"\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "an upgrade": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "an upgrade to a web socket": b"GET /healthz HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    "an upgrade that is not connected": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: elsewhere.example\r\n\r\n",
    "another host in the target": b"GET https://elsewhere.example/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "this host in the target": b"GET https://127.0.0.1/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that begins like a host": b"GET //elsewhere.example/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a fragment": b"GET /healthz#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a null": b"GET /healthz\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a byte above 127": b"GET /healthz\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "no target": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT elsewhere.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel to a path": b"CONNECT /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n",
    "HTTP/2 in plain": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a method of nobody's": b"FETCH /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A gateway that closes at once what it refuses."""
    flags = ["--limit", f"linger_seconds={HASTY['linger_seconds']}"]
    with real_gateway(tmp_path_factory.mktemp("strict", numbered=True), flags=flags) as real:
        yield real


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A gateway with short limits."""
    flags = [part for name, value in HASTY.items() for part in ("--limit", f"{name}={value}")]
    with real_gateway(tmp_path_factory.mktemp("hasty", numbered=True), flags=flags) as real:
        yield real


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_could_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read(
    strict: RealGateway, data: bytes
) -> None:
    answers = sent(strict, data + NEXT)
    assert statuses(answers) == [400], answers
    assert b"application/problem+json" in answers
    assert b'"code":"bad-request"' in answers
    assert b"see docs/spec/http.md" in answers  # it is the server that refuses, before any route has seen it


def test_there_are_as_many_of_them_as_were_thought_of() -> None:
    assert len(SMUGGLED) == 54
    assert len(set(SMUGGLED.values())) == len(SMUGGLED)


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
def test_a_header_has_as_many_bytes_as_it_may_and_not_one_more(strict: RealGateway, more: int, status: int) -> None:
    end = b"\r\nConnection: close\r\n\r\n"
    begin = b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: "
    data = begin + b"x" * ((16 << 10) - len(begin) - len(end) + more) + end
    assert statuses(sent(strict, data)) == [status]


def test_a_header_without_end_is_held_no_longer_than_a_header_may_be(strict: RealGateway) -> None:
    with raw(strict) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"x" * (32 << 10))
        assert statuses(connection.read()) == [431]


def test_so_many_empty_lines_are_a_header_too(strict: RealGateway) -> None:
    assert statuses(sent(strict, b"\r\n" * (9 << 10) + NEXT)) == [431]


@pytest.mark.parametrize("length", [(1 << 20) + 1, 10 << 30, 10**17])
def test_a_body_that_is_announced_to_be_too_long_is_refused_before_it_comes(shared: RealGateway, length: int) -> None:
    with raw(shared) as connection:
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % length)
        status, body = connection.answer()
    assert status == 400
    assert b"a body of more than 1048576 bytes" in body


def test_a_body_in_chunks_that_never_ends_is_refused(strict: RealGateway) -> None:
    with raw(strict) as connection:
        connection.send(POST + CHUNKED + b"\r\n" + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 17)
        answers = connection.read()
    assert statuses(answers) == [400]
    assert b"a body of more than 1048576 bytes" in answers


def test_the_rest_of_a_body_that_was_refused_is_no_request(strict: RealGateway) -> None:
    data = b"POST /v1/nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (len(NEXT) + 1) + NEXT
    assert statuses(sent(strict, data)) == [404]


def test_what_comes_after_a_refusal_gets_no_answer(shared: RealGateway) -> None:
    with raw(shared) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert connection.answer()[0] == 400
        connection.send(NEXT)
        assert connection.read() == b""


def test_a_second_request_before_the_answer_to_the_first_gets_none(strict: RealGateway) -> None:
    answers = sent(strict, NEXT.replace(b"Connection: close\r\n", b"") + NEXT)
    assert statuses(answers) == [200]
    assert b"connection: close" in answers


def test_junk_after_a_request_takes_nothing_from_its_answer(strict: RealGateway) -> None:
    assert statuses(sent(strict, NEXT.replace(b"Connection: close\r\n", b"") + b"\x00junk\r\n\r\n")) == [200]


def test_one_request_after_another_on_one_connection(shared: RealGateway) -> None:
    with raw(shared) as connection:
        for _ in range(5):
            connection.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert connection.answer() == (200, b'{"up":true}')


def test_a_request_that_comes_byte_by_byte_is_one(shared: RealGateway) -> None:
    with raw(shared) as connection:
        for byte in b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n":
            connection.send(bytes([byte]))
        assert connection.answer() == (200, b'{"up":true}')


def test_who_asks_first_whether_to_send_a_body_is_told(shared: RealGateway) -> None:
    with raw(shared) as connection:
        connection.send(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.send(b"{}")
        assert connection.answer()[0] == 400


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PATCH", "DELETE", "PROPFIND"])
def test_a_method_that_nobody_asked_for_is_refused_and_echoes_nothing(shared: RealGateway, method: str) -> None:
    with raw(shared) as connection:
        connection.send(f"{method} /v1/status HTTP/1.1\r\nHost: h\r\nX-Secret: abcdef\r\n\r\n".encode())
        status, body = connection.answer()
    assert status == 405
    assert b"abcdef" not in body


@pytest.mark.parametrize("target", ["/v1/%73tatus", "/v1/./status", "/v1//status", "/v1/status/", "/v1/x/../status"])
def test_another_spelling_of_a_path_is_another_path(shared: RealGateway, target: str) -> None:
    answer = shared.get(target)
    assert answer.status == 404, answer.body


# --- slow ones ---------------------------------------------------------------------------------


def test_a_header_that_trickles_is_cut_off(hasty: RealGateway) -> None:
    with raw(hasty) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\n")
        assert trickled(connection, b"X: y\r\n") == [408]


def test_the_header_of_a_second_request_that_trickles_is_cut_off(hasty: RealGateway) -> None:
    with raw(hasty) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.answer()[0] == 200
        connection.send(b"GET /healthz HTTP/1.1\r\n")
        assert trickled(connection, b"X: y\r\n") == [408]


def test_a_body_that_trickles_is_cut_off(hasty: RealGateway) -> None:
    with raw(hasty) as connection:
        connection.send(POST + b"Content-Length: 100000\r\n\r\n")
        assert trickled(connection, b" ") == [408]


def test_a_body_in_chunks_that_trickles_is_cut_off(hasty: RealGateway) -> None:
    with raw(hasty) as connection:
        connection.send(POST + CHUNKED + b"\r\n")
        assert trickled(connection, b"1\r\n \r\n") == [408]


def test_who_says_nothing_after_the_handshake_is_cut_off(hasty: RealGateway) -> None:
    with raw(hasty) as connection:
        assert connection.is_closed_within(SLOW)


def test_who_is_idle_after_an_answer_is_cut_off(hasty: RealGateway) -> None:
    with raw(hasty) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.answer()[0] == 200
        assert connection.is_closed_within(SLOW)


def test_who_never_begins_the_handshake_is_cut_off(hasty: RealGateway) -> None:
    with plain(hasty) as connected:
        connected.settimeout(SLOW)
        assert ended(connected)


def test_who_speaks_http_without_tls_gets_no_answer(hasty: RealGateway) -> None:
    with plain(hasty) as connected:
        connected.settimeout(SLOW)
        connected.sendall(NEXT)
        assert ended(connected)


def test_others_are_served_while_many_are_slow(shared: RealGateway) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(raw(shared)).send(b"GET /healthz HTTP/1.1\r\n")
            stack.enter_context(plain(shared))
            stack.enter_context(raw(shared)).send(POST + b"Content-Length: 100\r\n\r\n")
        assert shared.get("/healthz").status == 200


# --- TLS ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_1_2_or_1_3_with_authenticated_ciphers(shared: RealGateway, version: ssl.TLSVersion) -> None:
    context = shared.context()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with plain(shared) as connected, context.wrap_socket(connected, server_hostname="localhost") as connection:
        name, _, _ = connection.cipher() or ("", "", 0)
        assert "GCM" in name or "CHACHA20" in name
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_tls_1_1_is_refused(shared: RealGateway) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with plain(shared) as connected, pytest.raises(ssl.SSLError):
        context.wrap_socket(connected)


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES256-GCM-SHA384"])
def test_a_cipher_without_authentication_or_forward_secrecy_is_refused(shared: RealGateway, cipher: str) -> None:
    context = shared.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    with plain(shared) as connected, pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(connected, server_hostname="localhost")


def trickled(connection: Raw, piece: bytes) -> list[int]:
    """Send `piece` ten times a second until the gateway has had enough, and return the statuses that it answered."""
    answers, end = b"", time.monotonic() + SLOW
    connection.connection.settimeout(0.1)
    while time.monotonic() < end:
        try:
            if not (data := connection.connection.recv(65536)):
                return statuses(answers)
            answers += data
        except TimeoutError:
            connection.send(piece)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return statuses(answers)
    return []


def ended(connected: socket.socket) -> bool:
    """Whether the other side closes, without an HTTP answer."""
    try:
        found = b"".join(iter(lambda: connected.recv(65536), b""))
    except ConnectionResetError:
        return True
    return b"HTTP" not in found

"""A gateway is believed in nothing: not in who it is, how long it talks, or what it says."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.client.https import HttpsConnection, client_context, fetch_ca
from strongroom.client.looks import HEADER
from strongroom.client.place import Place, parse_place
from strongroom.terms import canonical
from strongroom.terms.errors import BadRequest, Denied
from strongroom.terms.frames import LARGEST_ANSWER_BYTES
from strongroom.terms.outer_errors import BadName, GatewayImpostor, KeepUnavailable

NAME = "sr1:" + "5" * 64


def certified(folder: Path, *, host: str = "127.0.0.1", hours: int = 1) -> bytes:
    """Make a certificate for `host`, its own authority, and return it (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=2))
        .not_valid_after(now + timedelta(hours=hours))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pem


class Speaking:
    """A host that answers each request with the next of `answers`, in pieces, and notes what it was sent."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, answers: list[list[bytes]]) -> None:
        self.listener, self.context, self.answers = listener, context, answers
        self.requests: list[bytes] = []
        self.connections = 0
        self.pause_seconds = 0.0
        self.closes = False

    def run(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                with self.context.wrap_socket(accepted, server_side=True) as connected:
                    self.serve(connected)
            except OSError:
                continue

    def serve(self, connected: ssl.SSLSocket) -> None:
        connected.settimeout(60)
        while self.answers and (request := connected.recv(1 << 16)):
            self.requests.append(request)
            for piece in self.answers.pop(0):
                time.sleep(self.pause_seconds)
                connected.sendall(piece)
            if self.closes:
                return


@contextmanager
def speaking(
    folder: Path, *answers: list[bytes], context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, Speaking]]:
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if not (folder / "cert.pem").exists():
        certified(folder)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = Speaking(listener, context, list(answers))
        thread = threading.Thread(target=host.run)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}", host
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(body: bytes, status: str = "200 OK", more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
    return head + more + b"\r\n" + body


OK = answer(canonical.encode({"checkpoint": "note\n", "ok": {"size": 7}}))


def connected(folder: Path, url: str, *, timeout_seconds: float = 30) -> HttpsConnection:
    context = client_context((folder / "cert.pem").read_bytes())
    return HttpsConnection(
        url, context=context, looker=lambda target, body: f"look-at-{target}", timeout_seconds=timeout_seconds
    )


def test_an_answer_comes_back_whole_however_it_is_cut_and_the_connection_is_kept(tmp_path: Path) -> None:
    pieces = [OK[at : at + 7] for at in range(0, len(OK), 7)]
    with speaking(tmp_path, pieces, [OK], [OK]) as (url, host):
        connection = connected(tmp_path, url)
        for _ in range(3):
            said = connection.ask("status")
            assert (said.ok, said.checkpoint) == ({"size": 7}, b"note\n")
        assert host.connections == 1
        connection.close()


def test_a_kept_connection_that_died_is_replaced_and_the_question_asked_again(tmp_path: Path) -> None:
    with speaking(tmp_path, [OK], [OK]) as (url, host):
        host.closes = True
        connection = connected(tmp_path, url)
        assert connection.ask("status").ok == {"size": 7}
        assert connection.ask("status").ok == {"size": 7}
        assert host.connections == 2
        connection.close()


def test_reads_are_signed_and_what_is_open_is_not(tmp_path: Path) -> None:
    with speaking(tmp_path, [OK], [OK], [OK], [OK]) as (url, host):
        connection = connected(tmp_path, url)
        connection.ask("status", since=5)
        connection.ask("entries", start=0, count=1)
        connection.ask("entries", start=1, count=5)
        connection.ask("unseal", person="person-" + "0" * 32, share="AAAA")
        connection.close()
        heads = [request.partition(b"\r\n\r\n")[0] for request in host.requests]
    assert [head.partition(b"\r\n")[0] for head in heads] == [
        b"GET /v1/status?since=5 HTTP/1.1",
        b"GET /v1/log/entries?start=0&count=1 HTTP/1.1",
        b"GET /v1/log/entries?start=1&count=5 HTTP/1.1",
        b"POST /v1/unseal HTTP/1.1",
    ]
    assert [HEADER.encode() in head for head in heads] == [False, False, True, False]
    assert b"look-at-/v1/log/entries?start=1&count=5" in heads[2]


def test_nobody_founds_a_deployment_through_a_gateway(tmp_path: Path) -> None:
    certified(tmp_path)
    with pytest.raises(BadRequest, match="takes no `found`"):
        connected(tmp_path, "https://127.0.0.1:1").ask("found", statement={})


def test_a_refusal_comes_back_as_itself(tmp_path: Path) -> None:
    problem = canonical.encode({"code": "denied", "detail": "no", "hint": "ask", "status": 403, "title": "Denied"})
    with speaking(tmp_path, [answer(problem, "403 Forbidden")]) as (url, _):
        connection = connected(tmp_path, url)
        with pytest.raises(Denied) as raised:
            connection.ask("status")
        connection.close()
    assert (raised.value.message, raised.value.hint) == ("no", "ask")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"nonsense\r\n\r\n",
        OK[:-1],
        answer(b""),
        answer(b'{"ok": {}}'),
        answer(b"[]"),
        answer(b'{"ok":{}}', "302 Found", b"Location: https://127.0.0.1:1/\r\n"),
        answer(b'{"ok":{}}', "500 Oops"),
        answer(b"<html>", "502 Bad Gateway"),
        answer(canonical.encode({"code": "from-the-future", "detail": "d", "hint": "h"}), "403 Forbidden"),
        answer(canonical.encode({"checkpoint": "c", "consistency": ["%"], "ok": {}})),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 17),
        f"HTTP/1.1 200 OK\r\nContent-Length: {LARGEST_ANSWER_BYTES + 1}\r\n\r\n".encode()
        + b" " * (LARGEST_ANSWER_BYTES + 1),
    ],
    ids=range(15),
)
def test_what_is_no_answer_of_a_gateway_is_none(tmp_path: Path, sent: bytes) -> None:
    with speaking(tmp_path, [sent]) as (url, host):
        host.closes = True
        connection = connected(tmp_path, url, timeout_seconds=10)
        with pytest.raises(KeepUnavailable):
            connection.ask("status")
        connection.close()


def test_an_answer_that_trickles_is_not_waited_for(tmp_path: Path) -> None:
    with speaking(tmp_path, [OK[at : at + 1] for at in range(len(OK))]) as (url, host):
        host.pause_seconds = 0.1
        connection = connected(tmp_path, url, timeout_seconds=0.5)
        with pytest.raises(KeepUnavailable, match="in time"):
            connection.ask("status")
        host.pause_seconds = 0


def test_a_deadline_counts_for_all_questions_together(tmp_path: Path) -> None:
    certified(tmp_path)
    soon = connected(tmp_path, "https://127.0.0.1:1").within(0)
    with pytest.raises(KeepUnavailable):
        soon.ask("status")


def test_a_host_with_another_certificate_is_told_nothing(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    certified(tmp_path)
    with speaking(tmp_path / "theirs", [OK]) as (url, host):
        with pytest.raises(GatewayImpostor):
            connected(tmp_path, url).ask("status")
        assert host.requests == []


@pytest.mark.parametrize(("host", "hours"), [("127.0.0.2", 1), ("127.0.0.1", -1)], ids=["another-host", "expired"])
def test_a_certificate_of_another_host_or_time_is_none(tmp_path: Path, host: str, hours: int) -> None:
    certified(tmp_path, host=host, hours=hours)
    with speaking(tmp_path, [OK]) as (url, heard):
        with pytest.raises(GatewayImpostor):
            connected(tmp_path, url).ask("status")
        assert heard.requests == []


def test_tls_before_1_2_is_not_spoken(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with speaking(tmp_path, [OK], context=context) as (url, heard):
        with pytest.raises(KeepUnavailable):
            connected(tmp_path, url).ask("status")
        assert heard.requests == []


def test_the_authority_is_the_one_that_was_told_and_no_other(tmp_path: Path) -> None:
    pem = certified(tmp_path)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()
    with speaking(tmp_path, [answer(pem)], [answer(pem)], [answer(b"nothing")]) as (url, _):
        assert fetch_ca(url, digest) == pem
        with pytest.raises(GatewayImpostor):
            fetch_ca(url, "0" * 64)
        with pytest.raises(KeepUnavailable):
            fetch_ca(url, digest)


@pytest.mark.parametrize(
    "text",
    [
        "https://127.0.0.1:8443#" + NAME,
        "https://keep.example.org#" + NAME + "&ca=" + "0a" * 32,
        "https://[::1]:8443#" + NAME,
        "/run/keep/socket#" + NAME,
    ],
)
def test_a_connection_string_reads_back(text: str) -> None:
    assert str(parse_place(text)) == text


def test_a_relative_socket_is_one_from_here() -> None:
    assert parse_place("run/socket#" + NAME) == Place(name=NAME, socket=Path("run/socket").absolute())


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME,
        "#" + NAME,
        "https://host",
        "https://host#" + NAME[:-1],
        "https://host#" + NAME + "&ca=",
        "https://host#" + NAME + "&ca=" + "0A" * 32,
        "https://host#" + NAME + "&more=1",
        "http://host#" + NAME,
        "ftp://host#" + NAME,
        "https://user@host#" + NAME,
        "https://host/path#" + NAME,
        "https://host?query#" + NAME,
        "https://HOST#" + NAME,
        "https://ho st#" + NAME,
        "/run/socket#" + NAME + "&ca=" + "0a" * 32,
    ],
)
def test_what_names_no_deployment_is_refused(text: str) -> None:
    with pytest.raises((BadRequest, BadName)):
        parse_place(text)

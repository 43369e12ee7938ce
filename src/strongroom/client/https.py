"""Https: a gateway, asked over TLS as the keep is asked at its socket.

TRUST: TLS shows that this is the host that was meant, which is worth little: a gateway may be compromised. What it says
is believed in nothing; `deployment` and `replica` find out what is proven. Nothing secret is ever sent to it.

One limit holds for a whole question, whatever trickles in: hence a sans-I/O parser (h11) and our own reads. Connections
are kept and used again; a question whose kept connection died before the first byte of an answer is asked once more,
which is safe: the same statement is never done twice. Redirects are not followed.
"""

from __future__ import annotations

import hashlib
import math
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from strongroom.client.connection import TIMEOUT_SECONDS, Answer, parse_answer, raise_refusal, seconds_left
from strongroom.client.looks import HEADER, Looker
from strongroom.client.pool import Kept, Pool
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, NotCanonical
from strongroom.terms.frames import LARGEST_ANSWER_BYTES
from strongroom.terms.outer_errors import GatewayImpostor, KeepUnavailable

SILENCE_SECONDS = 30.0
"""A stream that says nothing for so long is broken: a gateway shows its checkpoint every few seconds."""
_CHUNK_BYTES = 1 << 16
_LARGEST_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpsConnection:
    """The gateway at `url`, whose certificate `context` verifies. `looker` signs reads; without it only open ones work.

    Threads may share it.
    """

    def __init__(
        self,
        url: str,
        *,
        context: ssl.SSLContext,
        looker: Looker | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        deadline: float = math.inf,
        pool: Pool | None = None,
    ) -> None:
        self.url, self.context, self.timeout_seconds = url, context, timeout_seconds
        self._looker, self._deadline = looker, deadline
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None or parts.path not in {"", "/"} or parts.query:
            raise BadRequest(f"`{url[:200]}` is no gateway", hint="write it as `https://host:port`")
        self._host, self._port = parts.hostname, parts.port or 443
        self._netloc = parts.netloc.rpartition("@")[2]
        self._pool = Pool() if pool is None else pool

    @property
    def where(self) -> str:
        """The gateway's URL."""
        return self.url

    def within(self, seconds: float) -> HttpsConnection:
        """Return the same for questions that, all together, take at most so long from now."""
        return HttpsConnection(
            self.url,
            context=self.context,
            looker=self._looker,
            timeout_seconds=self.timeout_seconds,
            deadline=time.monotonic() + seconds,
            pool=self._pool,
        )

    # --- what the keep is asked ----------------------------------------------------------------

    def ask(self, what: str, /, *, since: int | None = None, **fields: Json) -> Answer:
        """Ask the keep through the gateway; see `connection.Asking`."""
        query = "" if since is None else f"?since={since}"
        match what:
            case "status":
                response = self.request("GET", f"/v1/status{query}")
            case "act":
                kind = parse_statement(parse_envelope(fields["statement"])).kind
                name = kind.partition("/")[0]
                response = self.request("POST", f"/v1/acts/{name}{query}", canonical.encode(fields))
            case "entries":
                target = f"/v1/log/entries?start={fields['start']}&count={fields['count']}"
                is_open = (fields["start"], fields["count"]) == (0, 1)
                response = self.request("GET", target, is_signed=not is_open)
            case "unseal" | "share":
                response = self.request("POST", f"/v1/{what}", canonical.encode(fields), is_signed=what == "share")
            case _:
                raise BadRequest(
                    f"a gateway takes no `{what}`", hint="a deployment is founded at the keep's own socket, on its host"
                )
        return parse_answer(self._read(response))

    def get(self, target: str) -> Json:
        """Return the JSON that the gateway shows at `target`, for a signed look; errors as for `request`."""
        return self._read(self.request("GET", target, is_signed=True))

    def post(self, target: str, value: Json) -> Json:
        """Return the JSON that the gateway answers when `value` is posted with a signed look."""
        return self._read(self.request("POST", target, canonical.encode(value), is_signed=True))

    def _read(self, response: Response) -> Json:
        """Return the JSON of an answer.

        Raises:
            StrongroomError: the problem that it says. KeepUnavailable: it is no answer of a gateway's.
        """
        try:
            value = canonical.parse(response.body)
        except NotCanonical as error:
            raise KeepUnavailable(
                f"what answers at `{self.url}` is no gateway: status {response.status}, {error.message}"
            ) from error
        if response.status >= 400 and isinstance(value, dict):
            told: dict[str, Json] = {"message": value.get("detail"), "code": value.get("code")}
            raise_refusal({**told, "hint": value.get("hint"), "family": value.get("family")})
        if response.status != 200:
            raise KeepUnavailable(f"what answers at `{self.url}` is no gateway: status {response.status}")
        return value

    def stream(self, target: str, headers: Mapping[str, str] | None = None) -> Stream:
        """Ask, with a signed look, for what the gateway sends at `target` as it comes; it is for the caller to close.

        Raises:
            GatewayImpostor, KeepUnavailable: as for `request`. Reading it raises what the gateway refuses with too, and
                `KeepUnavailable` when it falls silent or breaks off.
        """
        request = h11.Request(method="GET", target=target, headers=self._headers(target, b"", True, headers or {}))
        protocol = h11.Connection(h11.CLIENT, _LARGEST_HEADER_BYTES)
        with self._errors():
            connected = self._connect(time.monotonic() + self.timeout_seconds)
            return Stream(connected, self._streamed(connected, protocol, request))

    def _streamed(self, connected: ssl.SSLSocket, protocol: h11.Connection, request: h11.Request) -> Iterator[bytes]:
        with self._errors():
            connected.sendall((protocol.send(request) or b"") + (protocol.send(h11.EndOfMessage()) or b""))
            yield from self._pieces(connected, protocol)

    def _pieces(self, connected: ssl.SSLSocket, protocol: h11.Connection) -> Iterator[bytes]:
        status, refused = 0, bytearray()
        while True:
            match protocol.next_event():
                case h11.NEED_DATA:
                    connected.settimeout(SILENCE_SECONDS)
                    protocol.receive_data(connected.recv(_CHUNK_BYTES))
                case h11.Response(status_code=status):
                    pass
                case h11.Data(data=piece) if status == 200:
                    yield bytes(piece)
                case h11.Data(data=piece):
                    refused += piece
                    if len(refused) > LARGEST_ANSWER_BYTES:
                        raise KeepUnavailable(f"the gateway at `{self.url}` answers without end")
                case h11.EndOfMessage():
                    break
                case _:
                    continue
        if status != 200:
            self._read(Response(status=status, headers={}, body=bytes(refused)))

    # --- requests ------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        is_signed: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer to a request, whole, whatever its status.

        Raises:
            KeepUnavailable: none came, in time. GatewayImpostor: another host answers, or an unknown one.
        """
        deadline = min(time.monotonic() + self.timeout_seconds, self._deadline)
        sent = self._headers(target, body, is_signed, headers or {})
        with self._errors():
            return self._exchange(method, target, sent, body, deadline)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn every error of TLS, of the network and of HTTP into one of ours."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise GatewayImpostor(f"whatever answers at `{self.url}` is not it: {error.verify_message}") from error
        except TimeoutError as error:
            raise KeepUnavailable(f"the gateway at `{self.url}` has not answered in time") from error
        except (OSError, h11.RemoteProtocolError) as error:
            raise KeepUnavailable(f"the gateway at `{self.url}` cannot be reached: {error}") from error

    def _headers(self, target: str, body: bytes, is_signed: bool, more: Mapping[str, str]) -> list[tuple[str, str]]:
        sent = [("Host", self._netloc), ("Accept", "application/json, application/problem+json"), *more.items()]
        if is_signed:
            if self._looker is None:
                raise BadRequest("this needs a signed read, and nobody is here to sign it", hint="join or log in first")
            sent.append((HEADER, self._looker(target, body)))
        if body:
            sent.append(("Content-Type", "application/json"))
            sent.append(("Content-Length", str(len(body))))
        return sent

    def _exchange(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes, deadline: float
    ) -> Response:
        request = h11.Request(method=method, target=target, headers=headers)
        while (kept := self._pool.take()) is not None:
            try:
                kept.protocol.start_next_cycle()
                return self._converse(kept, request, body, deadline)
            except _Closed:
                kept.socket.close()  # it was idle for too long: the next one, or a new one
            except BaseException:
                kept.socket.close()
                raise
        kept = Kept(self._connect(deadline), h11.Connection(h11.CLIENT, _LARGEST_HEADER_BYTES), 0)
        try:
            return self._converse(kept, request, body, deadline)
        except _Closed as error:
            kept.socket.close()
            raise KeepUnavailable(f"the gateway at `{self.url}` closed before its answer") from error
        except BaseException:
            kept.socket.close()
            raise

    def _connect(self, deadline: float) -> ssl.SSLSocket:
        plain = socket.create_connection((self._host, self._port), timeout=seconds_left(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self.context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise

    def _converse(self, kept: Kept, request: h11.Request, body: bytes, deadline: float) -> Response:
        protocol, connected = kept.protocol, kept.socket
        data = protocol.send(request) or b""
        data += (protocol.send(h11.Data(data=body)) or b"") if body else b""
        data += protocol.send(h11.EndOfMessage()) or b""
        connected.settimeout(seconds_left(deadline))
        try:
            connected.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            raise _Closed from error
        status, received, has_begun = 0, bytearray(), False
        headers: dict[str, str] = {}
        while True:
            match protocol.next_event():
                case h11.NEED_DATA:
                    connected.settimeout(seconds_left(deadline))
                    try:
                        chunk = connected.recv(_CHUNK_BYTES)
                    except ConnectionResetError as error:
                        if has_begun:
                            raise
                        raise _Closed from error
                    if not chunk and not has_begun:
                        raise _Closed
                    has_begun = True
                    protocol.receive_data(chunk)
                case h11.Response(status_code=status, headers=told):
                    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in told}
                case h11.Data(data=piece):
                    received += piece
                    if len(received) > LARGEST_ANSWER_BYTES:
                        raise KeepUnavailable(f"the gateway at `{self.url}` answers without end")
                case h11.EndOfMessage():
                    self._pool.put_back(kept)
                    return Response(status=status, headers=headers, body=bytes(received))
                case _:
                    continue

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.close()


class Stream:
    """What a gateway sends, piece by piece, as it comes. One thread reads and closes it; any may stop it."""

    def __init__(self, connected: ssl.SSLSocket, pieces: Iterator[bytes]) -> None:
        self._connected, self._pieces = connected, pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def stop(self) -> None:
        """Have whoever reads wake up and find it broken off."""
        with suppress(OSError):
            self._connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close its connection."""
        self._connected.close()


class _Closed(Exception):
    """The other side had closed the connection before it answered anything."""


def client_context(ca: bytes | None) -> ssl.SSLContext:
    """Return what verifies a gateway: that one authority alone, or without it those that this system trusts.

    TLS 1.2 at least, and the host's name is checked.
    """
    context = ssl.create_default_context(cadata=None if ca is None else ca.decode("ascii"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def fetch_ca(url: str, digest: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """Return the certificate (PEM) of the gateway's own authority: the one whose `digest` came out of band.

    Raises:
        GatewayImpostor: another one is shown. KeepUnavailable: none is.
    """
    # TRUST: nobody's, for this one question; the digest decides.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HttpsConnection(url, context=context, timeout_seconds=timeout_seconds)
    response = connection.request("GET", "/v1/ca")
    connection.close()
    try:
        shown = ssl.PEM_cert_to_DER_cert(response.body.decode("ascii").strip())
    except ValueError as error:
        raise KeepUnavailable(f"what answers at `{url}` shows no certificate of its own") from error
    if hashlib.sha256(shown).hexdigest() != digest:
        raise GatewayImpostor(f"`{url}` shows another authority than the one that you were told")
    return ssl.DER_cert_to_PEM_cert(shown).encode("ascii")

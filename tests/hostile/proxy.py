"""A hostile gateway: a real HTTPS server, with a certificate that clients trust, in front of a real gateway and keep.

    with hostile_gateway(real) as mallory:
        mallory.place                       the connection string that victims were given
        mallory.attack = attack             (what was asked, how to ask the real gateway) -> what the victim is told
        mallory.asked, mallory.told         all that victims sent here, and all that the real gateway answered

Without an attack it passes everything on. What an attack needs most is made here: `only` asks a question of an attack
and lets the others pass, `edited` changes an honest answer, `says` and `refuses` make one up.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from strongroom.client.https import HttpsConnection, Response
from strongroom.client.looks import HEADER
from strongroom.client.place import Place, parse_place
from strongroom.gateway.problems import problem_body
from strongroom.terms import canonical
from strongroom.terms.errors import StrongroomError
from tests.gateway.world import RealGateway

PASSED_ON = (HEADER, "Range", "If-None-Match")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, as it came here."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def act(self) -> str:
        """The act that is asked for, as `release`; empty for a read."""
        return self.path.removeprefix("/v1/acts/") if self.path.startswith("/v1/acts/") else ""

    def json(self) -> Any:
        return canonical.parse(self.body)

    def payload(self) -> Any:
        """The statement that was sent."""
        return canonical.parse(base64.b64decode(self.json()["statement"]["payload"]))


Ask = Callable[[Asked], Response]
Attack = Callable[[Asked, Ask], Response]


def pass_on(asked: Asked, ask: Ask) -> Response:
    """Do what a gateway should."""
    return ask(asked)


@dataclass
class HostileGateway:
    """What a test tells it to do, and what came by."""

    real: RealGateway
    url: str
    attack: Attack = pass_on
    asked: list[Asked] = field(default_factory=list)
    told: list[Response] = field(default_factory=list)
    defects: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.upstream = HttpsConnection(self.real.url, context=self.real.context())

    @property
    def place(self) -> Place:
        """Where victims were told to connect to; of the right deployment, for nobody fooled them about that."""
        return parse_place(f"{self.url}#{self.real.deployment}&ca={self.real.ca}")

    def ask(self, asked: Asked) -> Response:
        """Ask the real gateway."""
        headers = {name: asked.headers[name] for name in PASSED_ON if name in asked.headers}
        response = self.upstream.request(asked.method, asked.target, asked.body, headers=headers)
        self.told.append(response)
        return response

    def answer(self, asked: Asked) -> Response:
        """Answer a victim."""
        self.asked.append(asked)
        try:
            return self.attack(asked, self.ask)
        except BaseException as error:  # a defect of the test's: it must not pass for an attack that was stopped
            self.defects.append(error)
            raise

    def asked_for(self, act: str) -> list[Asked]:
        """Return the requests for one act."""
        return [one for one in self.asked if one.act == act]

    def heard(self) -> Iterator[bytes]:
        """Yield everything that passed through here."""
        for asked in list(self.asked):
            yield asked.target.encode()
            yield from (value.encode() for value in asked.headers.values())
            yield asked.body
        for told in list(self.told):
            yield told.body


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    context: ssl.SSLContext
    gateway: HostileGateway
    connections: list[ssl.SSLSocket]

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        accepted.settimeout(30)
        # The handshake is made in the connection's own thread.
        wrapped = self.context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        self.connections.append(wrapped)
        return wrapped, address

    def hang_up(self) -> None:
        for one in self.connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: victims hang up on what they do not like, and defects are kept by `HostileGateway.answer`."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(method=self.command, target=self.path, headers=dict(self.headers.items()), body=body)
        response = self.server.gateway.answer(asked)
        self.send_response_only(response.status)
        for name, value in {**response.headers, "content-length": str(len(response.body))}.items():
            if name not in {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that the library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Write nothing."""


@contextmanager
def hostile_gateway(real: RealGateway) -> Iterator[HostileGateway]:
    """Serve at a port of its own, with the real gateway's certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(real.folder / "gateway" / "server.pem", real.folder / "gateway" / "server.key")
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.context, server.connections = context, []
        server.gateway = HostileGateway(real, f"https://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.gateway
        finally:
            server.shutdown()
            thread.join()
            server.hang_up()
            server.gateway.upstream.close()


# --- attacks -----------------------------------------------------------------------------------


def says(value: Any, status: int = 200) -> Response:
    """Return an answer in canonical JSON."""
    return Response(status=status, headers={"content-type": "application/json"}, body=canonical.encode(value))


def refuses(error: StrongroomError) -> Response:
    """Return a problem, as a gateway or a keep would tell it."""
    headers = {"content-type": "application/problem+json"}
    return Response(status=getattr(error, "http_status", 409), headers=headers, body=problem_body(error))


def only(which: str | Callable[[Asked], bool], attack: Attack) -> Attack:
    """Return an attack on one act, by its name, or on what `which` picks; the rest is passed on."""
    picks = (lambda asked: asked.act == which) if isinstance(which, str) else which
    return lambda asked, ask: attack(asked, ask) if picks(asked) else ask(asked)


def edited(change: Callable[[Any], Any]) -> Attack:
    """Return an attack that changes the honest answer. `change` gets it as JSON and returns another."""

    def attack(asked: Asked, ask: Ask) -> Response:
        honest = ask(asked)
        is_json = honest.status == 200 and honest.headers.get("content-type") == "application/json"
        return says(change(canonical.parse(honest.body))) if is_json else honest

    return attack


def is_log(asked: Asked) -> bool:
    """Whether entries of the log are asked for, beyond the founding."""
    return asked.path == "/v1/log/entries" and not asked.target.endswith("?start=0&count=1")


def is_status(asked: Asked) -> bool:
    """Whether the newest checkpoint is asked for."""
    return asked.path == "/v1/status"


def resent(change: Callable[[Any], Any]) -> Attack:
    """Return an attack that sends the keep another request. `change` gets its body as JSON and returns another."""

    def attack(asked: Asked, ask: Ask) -> Response:
        return ask(replace(asked, body=canonical.encode(change(asked.json()))))

    return attack


def said_otherwise(old: str, new: str) -> Attack:
    """Return an attack that edits the statement, and leaves the signatures."""

    def change(body: Any) -> Any:
        payload = base64.b64decode(body["statement"]["payload"])
        assert old.encode() in payload
        statement = {
            **body["statement"],
            "payload": base64.b64encode(payload.replace(old.encode(), new.encode(), 1)).decode(),
        }
        return {**body, "statement": statement}

    return resent(change)

"""A server that says what it is told to: for whatever a store, or whoever poses as one, may answer.

with Liar(script) as liar:      `script(asked)` returns an `Answer`, or None to close without one
    liar.url("/x")              where it is
    liar.asked                  every request: method, path, headers
"""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `number` counts from 0."""

    number: int
    method: str
    path: str
    headers: Headers
    body: bytes

    def range(self) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", dict(self.headers)["Range"])
        assert match is not None
        return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, word for word. With `cut`, the connection ends after it."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    cut: bool = False


def piece(data: bytes, asked: Asked, **other: str) -> Answer:
    """Return the honest answer to a range of `data`, with headers of which `other` are changed."""
    first, last = asked.range()
    found = data[first : last + 1]
    headers = {
        "Content-Range": f"bytes {first}-{first + len(found) - 1}/{len(data)}",
        "Content-Length": str(len(found)),
    }
    changed = {name.replace("_", "-").title(): value for name, value in other.items()}
    return Answer(206, list((headers | changed).items()), found)


Script = Callable[[Asked], Answer | None]


class Liar:
    """See the module. With `tls`, it has the certificate of that context."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.script, self.asked = script, list[Asked]()
        self.scheme = "https" if tls is not None else "http"
        self.connections = 0
        liar, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with lock:
                    liar.connections += 1

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    asked = Asked(len(liar.asked), self.command, self.path, self.headers.items(), body)
                    liar.asked.append(asked)
                answer = liar.script(asked)
                self.close_connection = answer is None or answer.cut
                if answer is not None:
                    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in answer.headers)]
                    self.wfile.write("\r\n".join([*lines, "", ""]).encode("ascii") + answer.body)

            def do_GET(self) -> None:
                self._any()

            def do_PUT(self) -> None:
                self._any()

            def do_POST(self) -> None:
                self._any()

            def do_DELETE(self) -> None:
                self._any()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
                """Keep the tests' output clean."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that closes is no error here."""

        self._server: socketserver.TCPServer = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def url(self, path: str = "/bucket/x") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Liar:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

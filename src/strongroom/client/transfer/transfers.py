"""Transfer: one HTTP request to wherever a URL leads, over connections that are kept and used again.

TRUST: nobody's. A gateway makes these URLs, and may be hostile; what is fetched is proven afterwards, what is sent is
sealed. So whoever a URL leads to gets the request and no more: no cookie, no credential, no signature of ours, and no
redirect is followed. Without TLS it leads nowhere but to this machine, and to what runs here only a gateway that does
so itself: what listens on loopback may do as it is told by whoever gets that far.

A URL is itself a right for a quarter of an hour: no message, and so no log, ever holds one.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPConnection, HTTPResponse, HTTPSConnection

from strongroom.objects.hosts import is_loopback
from strongroom.terms.errors import StoreUnavailable
from strongroom.terms.outer_errors import BadAnswer

STALLED_SECONDS = 20.0
MOST_KEPT = 64
LONGEST_URL = 8192
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<ip6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9._-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!$-~]*)\Z"
)
_AT_GATEWAY = re.compile(r"/v1/objects/[!$-~]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where URLs lead that name no host, and what its certificate is held against."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL in its parts, `path` with its query. `is_gateway` if it named no host."""

    scheme: str
    host: str
    port: int
    path: str
    is_gateway: bool = False

    @property
    def name(self) -> str:
        """What people may read of it."""
        return f"the store at `{self.host}:{self.port}`"


class _Answer(HTTPResponse):
    """An answer, and no other: we ask for no `100 Continue`, and the library would wait for what follows for ever."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc] # the library's types leave it out
        if status < 200:
            raise BadStatusLine(f"{status} before the answer")
        return version, status, reason


def _answered(connection: HTTPConnection) -> HTTPConnection:
    connection.response_class = _Answer
    return connection


class Transfers:
    """Requests to any number of hosts. Threads may share it; each request has a connection to itself."""

    def __init__(self, origin: Origin | None = None, *, stalled_seconds: float = STALLED_SECONDS) -> None:
        self._origin, self._stalled_seconds = origin, stalled_seconds
        self._kept: dict[tuple[str, str, int, bool], list[HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | memoryview | Iterable[bytes] | None = None,
    ) -> Iterator[HTTPResponse]:
        """Yield the answer, its body unread; the connection is kept if that is read to its end without an error.

        Raises:
            BadAnswer: the URL leads nowhere that we go.
            StoreUnavailable: there is no certificate, or a wrong one.
            OSError, HTTPException: no answer, or none that is HTTP.
        """
        target = parse_url(url, self._origin)
        connection = self._take(target)
        is_done = False
        try:
            if connection.sock is None:
                connection.connect()
            # A store that refuses need not read what is sent; why it does, it may have said before it closed.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target.path, body, dict(headers))
            with contextlib.closing(connection.getresponse()) as response:
                yield response
                is_done = response.isclosed() and not response.will_close
        except ssl.SSLCertVerificationError as error:
            raise StoreUnavailable(f"{target.name} is not it: {error.verify_message}") from error
        finally:
            if is_done:
                self._put_back(target, connection)
            else:
                connection.close()

    def forget(self) -> None:
        """Close what is kept: after one kept connection has failed, the others are as old."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for connections in kept.values():
            for connection in connections:
                connection.close()

    def __del__(self) -> None:
        self.forget()

    def _take(self, target: Target) -> HTTPConnection:
        with self._lock:
            if kept := self._kept.get(_key(target)):
                return kept.pop()
        if target.scheme == "http":
            return _answered(HTTPConnection(target.host, target.port, timeout=self._stalled_seconds))
        context = self._origin.context if target.is_gateway and self._origin is not None else self._public_context()
        return _answered(HTTPSConnection(target.host, target.port, timeout=self._stalled_seconds, context=context))

    def _put_back(self, target: Target, connection: HTTPConnection) -> None:
        with self._lock:
            kept = self._kept.setdefault(_key(target), [])
            if len(kept) < MOST_KEPT:
                kept.append(connection)
                return
        connection.close()

    def _public_context(self) -> ssl.SSLContext:
        """Return what certificates of stores are held against: this machine's authorities, and `AWS_CA_BUNDLE`."""
        with self._lock:
            if self._context is None:
                context = ssl.create_default_context()
                if bundle := os.environ.get("AWS_CA_BUNDLE"):
                    context.load_verify_locations(bundle)
                self._context = context
            return self._context


def parse_url(url: str, origin: Origin | None = None) -> Target:
    """Return where a URL leads.

    Raises:
        BadAnswer: it is none of ours, carries a credential, or leads to another machine without TLS.
    """
    if len(url) <= LONGEST_URL:
        if origin is not None and _AT_GATEWAY.match(url):
            return Target(scheme="https", host=origin.host, port=origin.port, path=url, is_gateway=True)
        if match := _URL.match(url):
            host = match["ip6"] or match["host"]
            port = int(match["port"] or (443 if match["scheme"] == "https" else 80))
            if match["scheme"] == "http" and not is_loopback(host):
                raise BadAnswer("the gateway names a store on another machine and without TLS")
            if origin is not None and is_loopback(host) and not is_loopback(origin.host):
                raise BadAnswer("the gateway, which is on another machine, names a store on this one")
            if 0 < port < 1 << 16:
                return Target(scheme=match["scheme"], host=host, port=port, path=match["path"])
    raise BadAnswer("the gateway names a store by what is no URL, or one with more than a host, a path and a query")


def _key(target: Target) -> tuple[str, str, int, bool]:
    return target.scheme, target.host, target.port, target.is_gateway

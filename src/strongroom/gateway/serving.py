"""Serving: HTTP/1.1 over TLS, with limits on what one client can take up, and nothing that could be read in two ways.

Every connection has a place among at most so many, from before its TLS handshake on. For one more, whoever has been
idle for longest goes; while none is idle, the new one. One request at a time: who sends a second one before the answer
to the first gets that answer and no other. A connection on which anything was refused here is not used again.

Refused, for every proxy and server has its own idea of it: any HTTP but 1.1, a target that is not a path, none or two
`Host`, `Content-Length` twice or together with `Transfer-Encoding`, any coding but `chunked`, `Upgrade`, `CONNECT`;
a header after the body; and by the parser, as it comes: bare CR or LF, folded lines, white space before a colon, junk
in or after a chunk.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import socket
import ssl
import struct
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httptools
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from strongroom.gateway.problems import HEADERS, NO_STORE, PROBLEM, problem_body
from strongroom.gateway.settings import Limits
from strongroom.terms.errors import BadRequest

Served = Callable[[Scope, Receive, Send], Awaitable[None]]

_TARGET = re.compile(rb"/(?!/)[!-\"$-~]*\Z")
_LENGTH = re.compile(rb"(?:0|[1-9][0-9]{0,17})\Z")

logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it quotes what was sent; `app` says what went wrong


class _Refusal(Exception):
    """Why a request is not read on."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Connection(HttpToolsProtocol):
    """One client. `idle_since` is when its last answer was out, while it asks nothing more."""

    def __init__(self, config: uvicorn.Config, state: ServerState, limits: Limits) -> None:
        super().__init__(config, state, {})
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self._limits = limits
        self._header_bytes = 0
        self._framing_bytes = 0
        """How much more of a body has come than is body: chunk sizes, and whatever stands beside them."""
        self._is_whole = True
        """Whether the request that was begun last is here to its end."""
        self._is_answering = False
        self._is_deaf = False
        self.gone = self.loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self.idle_since: float | None = None

    # --- the transport -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the parent has it
        super().connection_made(transport)
        self._limit(self._limits.header_seconds, "the header did not come in time")

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self.idle_since is not None:
            self.idle_since = None
            self._limit(self._limits.header_seconds, "the header did not come in time")
        try:
            self._feed(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, _Refusal) else _Refusal("this is no HTTP/1.1 request"))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(_Refusal("this is no HTTP/1.1 request"))
        except _Refusal as error:
            self._refuse(error)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(self._limits.reading_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        super().resume_writing()

    def _feed(self, data: bytes) -> None:
        if not self._is_whole and self._header_bytes == 0:
            self._feed_body(data)
            return
        # No more of a header goes to the parser than it may have: it holds what it has not seen the end of.
        room = self._limits.header_bytes - self._header_bytes
        self._header_bytes += min(len(data), room)
        self.parser.feed_data(data[:room])
        if len(data) > room:
            if self._header_bytes:
                raise _Refusal(f"a header of more than {self._limits.header_bytes} bytes", 431)
            self._feed_body(data[room:])

    def _feed_body(self, data: bytes) -> None:
        self._framing_bytes += len(data)
        self.parser.feed_data(data)
        # What is no body is held by the parser, or costs a turn for each byte: no more of it than of a header.
        if not self._is_whole and self._framing_bytes > self._limits.header_bytes:
            raise _Refusal("a body that is mostly something else")

    # --- the parser's calls --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_answering:
            raise _Refusal("a second request before the answer to the first")
        self._is_whole = False
        self._framing_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_answering:
            raise _Refusal("a header after the body")
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        # Half of what comes, at least, is body; or it is little.
        self._framing_bytes = max(0, self._framing_bytes - 2 * len(body))
        super().on_body(body)

    def on_headers_complete(self) -> None:
        length = self._check_header()
        self._header_bytes = 0
        seconds = self._limits.body_seconds + length / (1 << 20)
        self._limit(seconds, "the body did not come in time")
        self._is_answering = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_whole = True
        self._unlimit()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._is_answering = False
        if self._is_deaf or not self._is_whole:
            # What is left of the body would be read as the next request.
            self._hang_up()
            return
        super().on_response_complete()
        self._unset_keepalive_if_required()  # `_limit` has one timer for all
        self.idle_since = self.loop.time()
        self._limit(self._limits.idle_seconds, None)

    def _check_header(self) -> int:
        """Refuse what could be read in two ways, and return how long the body is said to be."""
        if self.parser.get_http_version() != "1.1":
            raise _Refusal("another HTTP than 1.1")
        if not _TARGET.match(self.url) or self.parser.get_method() == b"CONNECT":
            raise _Refusal("a target that is not a path")
        found: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            found.setdefault(name, []).append(value)
        lengths, codings = found.get(b"content-length", []), found.get(b"transfer-encoding", [])
        if len(found.get(b"host", [])) != 1:
            raise _Refusal("not exactly one `Host`")
        if len(lengths) + len(codings) > 1 or (codings and codings[0] != b"chunked"):
            raise _Refusal("a body whose length can be read in two ways")
        if lengths and not _LENGTH.match(lengths[0]):
            raise _Refusal("a body whose length is no number")
        if b"upgrade" in found:
            raise _Refusal("HTTP/1.1 is all that is spoken here")
        return int(lengths[0]) if lengths else 0

    # --- the end -------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Take no other request, and end with the answer that is under way, or at once where none is."""
        if self._is_answering or self.transport.is_closing() or self.is_unsent():
            super().shutdown()
        else:
            # Over TLS, to close is to wait for the client to close as well, and an idle one may not be listening.
            self.transport.abort()

    def is_unsent(self) -> bool:
        """Whether some of what was answered is not with the client yet: then the socket, at least, is full of it."""
        number = self.transport.get_extra_info("socket").fileno()
        (size_bytes,) = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
        return int(size_bytes) > 0

    def _refuse(self, refusal: _Refusal) -> None:
        """Say why, unless another answer is under way, and end the connection."""
        self._unlimit()
        self._is_deaf = True
        if self._is_answering:
            if self._is_whole:
                self.cycle.keep_alive = False
                return
            # Of the request that is being answered itself: there is no rest to wait for.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(_refusal(refusal))
        self._hang_up()

    def _hang_up(self) -> None:
        self._unlimit()
        self._is_deaf = True
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._timer = self.loop.call_later(self._limits.linger_seconds, self.transport.close)

    def _limit(self, seconds: float, message: str | None) -> None:
        """Refuse with `message`, or close without one, after so many seconds from now."""
        self._unlimit()
        self._timer = self.loop.call_later(seconds, self._late, message)

    def _unlimit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self, message: str | None) -> None:
        if message is None or (self._is_whole and self._header_bytes == 0):
            self.transport.close()
        else:
            self._refuse(_Refusal(message, 408))


class Listener:
    """Serves `app` at a listening socket, over TLS if there is a context for it. `run` does it, until cancelled."""

    def __init__(self, app: Served, listener: socket.socket, tls: ssl.SSLContext | None, limits: Limits) -> None:
        self._listener, self._tls, self._limits = listener, tls, limits
        self._config = uvicorn.Config(
            app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self._config.load()
        self._state = ServerState()
        self._handshakes: set[asyncio.Task[None]] = set()

    def count(self) -> int:
        """Return how many connections there are, those whose handshake is not done included."""
        return len(self._handshakes) + len(self._state.connections)

    def connections(self) -> list[_Connection]:
        """Return those whose handshake is done."""
        return [one for one in self._state.connections if isinstance(one, _Connection)]

    async def run(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listener)
            except OSError:  # no descriptor is left, or the client is gone already
                await asyncio.sleep(0.05)
                continue
            if not self._has_room():
                accepted.close()
                continue
            task = loop.create_task(self._serve(accepted))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def stop(self) -> None:
        """Let what is under way end, for some seconds, and close everything."""
        self._listener.close()
        for task in list(self._handshakes):
            task.cancel()
        connections = self.connections()
        for connection in connections:
            connection.shutdown()
        if connections:
            await asyncio.wait([one.gone for one in connections], timeout=self._limits.stop_seconds)
        for connection in self.connections():
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()

    async def _serve(self, accepted: socket.socket) -> None:
        limits, is_tls = self._limits, self._tls is not None
        with suppress(OSError):  # a handshake that failed, or took too long
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Connection(self._config, self._state, limits),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=limits.handshake_seconds if is_tls else None,
                ssl_shutdown_timeout=limits.linger_seconds if is_tls else None,
            )

    def _has_room(self) -> bool:
        """Make room for one more if need be: whoever has been idle for longest goes."""
        if self.count() < self._limits.connections:
            return True
        idle = {one.idle_since: one for one in self.connections()}
        idle.pop(None, None)
        if idle:
            idle[min(since for since in idle if since is not None)].transport.abort()
        return bool(idle)


def _refusal(refusal: _Refusal) -> bytes:
    body = problem_body(BadRequest(str(refusal), hint="see docs/spec/http.md"), status=refusal.status)
    lines = [STATUS_LINE[refusal.status], b"content-type: " + PROBLEM.encode("ascii") + b"\r\n"]
    lines += [name + b": " + value + b"\r\n" for name, value in (*HEADERS, NO_STORE)]
    return b"".join([*lines, b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body), body])

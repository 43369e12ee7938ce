"""Serving: HTTP/1.1 over TLS, with limits on what one client can take up, and nothing read in two ways.

One listener, one process. Every connection has a place among at most so many, from before its TLS handshake on. For one
more, whoever has been idle for longest goes; while none is idle, the new one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from strongroom.gateway.settings import Limits

_log = logging.getLogger("strongroom.gateway")


class Listener:
    """Serves `app` at a socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None, limits: Limits) -> None:
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
            timeout_keep_alive=int(limits.idle_seconds),
        )
        self._config.load()
        self._state = ServerState()
        self._handshakes: set[asyncio.Task[None]] = set()

    def _protocol(self) -> HttpToolsProtocol:
        return HttpToolsProtocol(self._config, self._state, {})

    async def run(self) -> None:
        """Accept until cancelled; then let what is under way end."""
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(self._listener)
            task = loop.create_task(self._serve(accepted))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._limits.handshake_seconds if self._tls else None,
            )

"""Relay: ends mutual TLS for a keep that gateways on other hosts use, and carries bytes to the keep's socket.

    gateway's host --TLS 1.3 or 1.2, certificates on both sides--> relay --Unix socket--> keep

It holds no key of the deployment and looks at nothing that it carries: whatever passes is signed, or wrapped, from end
to end. What it adds is that only the clients in its list get as far as the keep's first byte.

TRUST: the CA of clients' certificates for who is called what; it certifies nothing else. Nobody else for anything.

Bounded: handshakes and connections are counted apart, so that who has no certificate cannot use up the places of those
who have; a connection on which nothing moves is closed, whoever it is that does not; and it holds a chunk each way.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from strongroom.gateway.ciphers import CIPHERS
from strongroom.service.events import Events
from strongroom.service.settings import RelaySettings
from strongroom.service.supervisor import notify
from strongroom.terms.errors import BadRequest, NoSpace, UnknownSigner

HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
MOST_HANDSHAKES = 64
_CHUNK_BYTES = 1 << 16
_NAME = "relay"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def run_relay(settings: RelaySettings, events: Events) -> None:
    """Serve until a signal says to stop.

    Raises:
        BadRequest: it cannot listen there, or a certificate or key cannot be used.
    """
    context = server_context(settings)
    with listen(settings) as listener:
        asyncio.run(_until_told(Relay(settings, context, events).serve(listener)))
    events.tell("info", _NAME, "stopped")


class Relay:
    """Carries what comes to a listening socket."""

    def __init__(
        self,
        settings: RelaySettings,
        context: ssl.SSLContext,
        events: Events,
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        most_handshakes: int = MOST_HANDSHAKES,
    ) -> None:
        self._settings, self._context, self._events = settings, context, events
        self._handshake_seconds = handshake_seconds
        self._handshakes = asyncio.Semaphore(most_handshakes)
        self._serving: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; whatever is under way then is cut off."""
        host, port = listener.getsockname()[:2]
        self._events.tell("info", _NAME, "listening", host=host, port=port)
        notify("READY=1")
        try:
            await self._accept(listener)
        finally:
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._handshakes.acquire()
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError:  # no descriptor is left, or the client has gone
                self._handshakes.release()
                await asyncio.sleep(0.1)
                continue
            task = loop.create_task(self._serve(accepted))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        """Serve one connection, from its first byte to its last."""
        try:
            client = await self._handshake(accepted)
        except (OSError, TimeoutError) as error:
            self._tell_closed(error)
            return
        finally:
            self._handshakes.release()
        async with _closing(client):
            try:
                verify_client(client[1].get_extra_info("peercert"), self._settings.clients)
                with self._place():
                    keep = await asyncio.open_unix_connection(self._settings.keep, limit=_CHUNK_BYTES)
                    async with _closing(keep):
                        await self._carry(client, keep)
            except (OSError, TimeoutError, UnknownSigner, NoSpace) as error:
                self._tell_closed(error)

    async def _handshake(self, accepted: socket.socket) -> Streams:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(_CHUNK_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            accepted,
            ssl=self._context,
            ssl_handshake_timeout=self._handshake_seconds,
            ssl_shutdown_timeout=CLOSE_SECONDS,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Take one of the places that there are, while the block lasts."""
        if self._connections >= self._settings.connections:
            raise NoSpace(f"there are {self._connections} connections already")
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    def _tell_closed(self, error: Exception) -> None:
        self._events.tell("warning", _NAME, "closed", why=str(error) or "nothing came in time")

    async def _carry(self, client: Streams, keep: Streams) -> None:
        """Carry both ways until one side has said all, or nothing has moved for too long."""
        loop, idle_seconds = asyncio.get_running_loop(), self._settings.idle_seconds
        async with asyncio.timeout(idle_seconds) as limit:

            def moved() -> None:
                limit.reschedule(loop.time() + idle_seconds)

            async with _stopping(
                loop.create_task(_copy(client[0], keep[1], moved)), loop.create_task(_copy(keep[0], client[1], moved))
            ) as copies:
                done, _ = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                for copy in done:
                    copy.result()


def server_context(settings: RelaySettings) -> ssl.SSLContext:
    """Return a context that lets in nobody without a certificate of the clients' CA.

    Raises:
        BadRequest: a certificate or key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_ciphers(CIPHERS)
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=str)  # none: nobody is asked for one
        context.load_verify_locations(settings.client_ca)
    except (OSError, ValueError) as error:
        what = f"the relay's certificate, its key or its clients' CA cannot be used: {error}"
        raise BadRequest(
            what, hint="give three PEM files that this user can read, the key without a password"
        ) from error
    return context


def verify_client(certificate: Mapping[str, Any] | None, allowed: Collection[str]) -> str:
    """Return the name of a client whose certificate was verified.

    Raises:
        UnknownSigner: none of its DNS names is allowed.
    """
    names: list[str] = [name for kind, name in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]
    for name in names:
        if name in allowed:
            return name
    raise UnknownSigner(f"a client called {names} is not one of those that may connect")


def listen(settings: RelaySettings) -> socket.socket:
    """Return a socket that listens where the settings say; errors as for `run_relay`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=settings.connections)
    except OSError as error:
        raise BadRequest(
            f"cannot listen at `{settings.host}` port {settings.port}: {error}", hint="choose another address or port"
        ) from error
    listener.setblocking(False)
    return listener


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    loop, working = asyncio.get_running_loop(), asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    while data := await source.read(_CHUNK_BYTES):
        sink.write(data)
        await sink.drain()
        moved()


@asynccontextmanager
async def _stopping(*tasks: asyncio.Task[None]) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _closing(streams: Streams) -> AsyncIterator[Streams]:
    """Close a connection at the end, once what was written is read; but do not wait for that for long."""
    writer = streams[1]
    try:
        yield streams
    finally:
        writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()

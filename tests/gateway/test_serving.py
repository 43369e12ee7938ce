"""The server around the application, and the process: places for clients, unread answers, starts and stops."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from strongroom.client.https import client_context
from strongroom.gateway.__main__ import limits_of
from strongroom.gateway.serving import Listener, Served
from strongroom.gateway.settings import GatewaySettings, Limits
from strongroom.gateway.tls import credentials, server_context
from strongroom.terms.errors import BadRequest
from tests.gateway.raw import raw
from tests.gateway.world import RealGateway, real_gateway

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENT = Limits(linger_seconds=0.05, stop_seconds=0.2)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def short(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        await asyncio.sleep(0)


def serve(
    app: Served,
    limits: Limits,
    client: Callable[[Listener, int], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Run a client, given the listener and its port, against `app`."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            door.setblocking(False)
            listener = Listener(app, door, tls, limits)
            serving = asyncio.create_task(listener.run())
            try:
                await asyncio.wait_for(client(listener, door.getsockname()[1]), 60)
            finally:
                serving.cancel()
                await listener.stop()

    asyncio.run(run())


async def asked(port: int) -> Streams:
    """Return a connection on which one request was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    return reader, writer


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(6000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never did")


async def is_closed(streams: Streams) -> bool:
    """Wait until the other side closes."""
    try:
        return await streams[0].read() == b""
    except ConnectionResetError:
        return True


def test_for_one_more_than_there_may_be_whoever_was_idle_for_longest_goes() -> None:
    async def client(listener: Listener, port: int) -> None:
        first, second, third = await asked(port), await asked(port), await asked(port)
        assert await is_closed(first)
        for kept in (second, third):
            kept[1].write(REQUEST)
            assert await kept[0].readexactly(len(ANSWER)) == ANSWER
        assert listener.count() == 2
        for _, writer in (first, second, third):
            writer.close()

    serve(short, replace(PATIENT, connections=2), client)


def test_while_nobody_is_idle_one_more_than_there_may_be_is_turned_away() -> None:
    async def client(listener: Listener, port: int) -> None:
        busy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in busy:
            writer.write(REQUEST[:10])
        await until(lambda: listener.count() == 2)
        late = await asyncio.open_connection("127.0.0.1", port)
        assert await is_closed(late)
        for reader, writer in busy:
            writer.write(REQUEST[10:])
            assert await reader.readexactly(len(ANSWER)) == ANSWER
        for _, writer in (*busy, late):
            writer.close()

    serve(short, replace(PATIENT, connections=2), client)


def test_who_does_not_read_an_answer_is_cut_off() -> None:
    async def client(listener: Listener, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        writer.write(REQUEST)
        await until(lambda: listener.count() == 1)
        await until(lambda: listener.count() == 0)
        writer.close()

    serve(endless, replace(PATIENT, reading_seconds=0.5), client)


def test_an_answer_that_has_begun_is_broken_off_and_not_taken_for_whole() -> None:
    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def client(listener: Listener, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readuntil(b"begun")).startswith(b"HTTP/1.1 200")
        writer.write(b"junk\r\n")
        assert await is_closed((reader, writer))
        writer.close()

    serve(hasty, PATIENT, client)


def test_a_stop_lets_what_is_under_way_end_and_then_ends_all() -> None:
    async def client(listener: Listener, port: int) -> None:
        idle = await asked(port)
        half = await asyncio.open_connection("127.0.0.1", port)
        half[1].write(REQUEST[:10])
        await listener.stop()
        assert await is_closed(idle)
        assert await is_closed(half)
        assert listener.count() == 0
        for _, writer in (idle, half):
            writer.close()

    serve(short, PATIENT, client)


def test_a_stop_gives_its_time_to_what_is_under_way_and_to_an_answer_that_is_not_read_yet() -> None:
    stopping = asyncio.Event()
    size_bytes, asked = 16 << 20, 0

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        asked += 1
        if scope["path"] == "/late":
            await stopping.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size_bytes)]})
        await send({"type": "http.response.body", "body": bytes(size_bytes)})

    async def client(listener: Listener, port: int) -> None:
        unread, late = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 10) for _ in range(2)]
        unread[1].write(REQUEST)
        late[1].write(REQUEST.replace(b"GET /", b"GET /late"))
        assert await unread[0].readuntil(b"\r\n\r\n")
        await until(lambda: len(listener.connections()) == 2 and asked == 2)
        stop = asyncio.create_task(listener.stop())
        await asyncio.sleep(0)
        stopping.set()
        assert await unread[0].readexactly(size_bytes)
        assert await late[0].readuntil(b"\r\n\r\n")
        assert await late[0].readexactly(size_bytes)
        for _, writer in (unread, late):
            writer.close()
        await stop

    serve(large, replace(PATIENT, stop_seconds=60), client)


def test_a_stop_does_not_wait_for_whoever_is_idle_over_tls(tmp_path: Path) -> None:
    patient = Limits(linger_seconds=3600, stop_seconds=3600)
    given = credentials(GatewaySettings(deployment="sr1:", keep=tmp_path, folder=tmp_path / "own"), at=time.time())
    trusting = client_context(given.ca_pem)

    def connected(port: int, data: bytes) -> ssl.SSLSocket:
        """Return a connection of somebody who answers nothing by themselves."""
        plain = socket.create_connection(("127.0.0.1", port))
        found = trusting.wrap_socket(plain, server_hostname="127.0.0.1")
        found.sendall(data)
        return found

    async def client(listener: Listener, port: int) -> None:
        sent = (REQUEST, REQUEST[:10], b"")
        clients = [await asyncio.to_thread(connected, port, data) for data in sent]
        assert await asyncio.to_thread(clients[0].recv, 1 << 10)
        await until(lambda: len(listener.connections()) == len(clients))
        await until(lambda: not any(one.is_unsent() for one in listener.connections()))  # a kernel's word takes a while
        await asyncio.wait_for(listener.stop(), 30)
        for one in clients:
            one.close()

    serve(short, patient, client, tls=server_context(given))


@pytest.mark.parametrize("text", ["nothing=1", "idle_seconds", "idle_seconds=", "idle_seconds=x", "connections=1.5"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        limits_of([text])


@pytest.mark.parametrize("text", ["idle_seconds=0", "idle_seconds=-1", "idle_seconds=nan", "connections=0"])
def test_a_limit_that_would_end_everything_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        limits_of([text])


def test_limits_are_those_that_are_given_and_otherwise_as_ever() -> None:
    assert limits_of(["idle_seconds=7.5", "connections=3"]) == Limits(idle_seconds=7.5, connections=3)


def test_a_gateway_stops_in_order_and_comes_back_with_the_same_authority(tmp_path: Path) -> None:
    with real_gateway(tmp_path) as real:
        place = real.place
        with raw(real):
            assert real.gateway.stop() == 0
        assert "Traceback" not in real.gateway.log.read_text()
        real.start_gateway()
        assert real.place == place
        assert real.get("/readyz").status == 200


def test_with_an_operator_s_own_certificate_there_is_no_authority_to_ask_for(tmp_path: Path) -> None:
    with real_gateway(tmp_path) as real:
        real.gateway.stop()
        own = ["gateway/server.pem", "gateway/server.key"]
        real.flags = ["--certificate", own[0], "--key", own[1]]
        real.gateway.start()
        assert "; ca: " not in real.gateway.said
        assert real.get("/v1/ca").status == 404
        real.until(real.is_ready)


def test_a_port_that_is_taken_is_told_of(shared: RealGateway, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(mode=0o700)
    where = ["--deployment", shared.deployment, "--keep", str(shared.socket), "--folder", str(tmp_path / "own")]
    command = [sys.executable, "-m", "strongroom.gateway", *where, "--port", str(shared.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == BadRequest.exit_code
    assert done.stderr.startswith("gateway: malformed: ")
    assert "Traceback" not in done.stderr


def test_nothing_that_was_asked_stands_in_its_log(real: RealGateway) -> None:
    session = real.session()
    session.deployment.sync()
    real.get("/v1/log/entries?start=77777&count=1")
    real.get("/v1/nothing?token=abcdef")
    with raw(real) as connection:
        connection.send(b"GET /v1/secret HTTP/1.1\r\nHost: h\r\nHost: abcdef\r\n\r\n")
        connection.answer()
    said = real.gateway.log.read_text()
    assert len(said.splitlines()) == 1, said

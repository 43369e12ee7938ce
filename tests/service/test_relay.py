"""The relay: gateways that are in its list reach the keep, nobody else reaches its first byte, and all is bounded."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from strongroom.gateway.keep import Keep
from strongroom.gateway.relayed import relay_dial
from strongroom.gateway.settings import Relay as RelayPlace
from strongroom.service.events import Events
from strongroom.service.relay import Relay, listen, server_context, verify_client
from strongroom.service.settings import RelaySettings
from strongroom.terms.errors import BadKey, BadRequest, UnknownSigner
from strongroom.terms.outer_errors import KeepUnavailable
from tests.cli.command import COMMAND
from tests.keep.world import founded_keep
from tests.service.authority import SERVER, Authority, Pair

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SECONDS = 30.0
NAME = "gateway.example.org"


@dataclass
class Site:
    """A relay's files, its clients, and a socket in the keep's place at which `behind` answers."""

    folder: Path
    authority: Authority = field(init=False)
    others: Authority = field(init=False)
    events: list[dict[str, Any]] = field(default_factory=list)
    reached: int = 0
    behind: Callable[[Streams], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.authority = Authority(self.folder / "ours", "ours")
        self.others = Authority(self.folder / "theirs", "theirs")
        server = self.authority.issue("server", "127.0.0.1", use=SERVER)
        self.settings = RelaySettings(
            keep=str(self.folder / "keep"),
            certificate=str(server.certificate),
            key=str(server.key),
            client_ca=str(self.authority.path),
            clients=(NAME,),
            port=0,
        )

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[int]:
        """Run the relay, and what is behind it; give its port."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.reached += 1
            try:
                await (self.behind or echo)((reader, writer))
            finally:
                writer.close()

        events = Events(lambda: 0, lambda line: self.events.append(json.loads(line)))
        async with await asyncio.start_unix_server(answer, self.settings.keep):
            with listen(self.settings) as listener:
                relay = Relay(self.settings, server_context(self.settings), events, **options)
                serving = asyncio.create_task(relay.serve(listener))
                try:
                    yield listener.getsockname()[1]
                finally:
                    serving.cancel()
                    await asyncio.gather(serving, return_exceptions=True)

    def good(self) -> ssl.SSLContext:
        """Return what a client has that may connect."""
        return context_of(self, self.authority.issue("good", NAME))

    def closed(self) -> list[str]:
        return [one["why"] for one in self.events if one["event"] == "closed"]


async def echo(streams: Streams) -> None:
    while data := await streams[0].read(1 << 16):
        streams[1].write(data)
        await streams[1].drain()


def context_of(site: Site, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=site.authority.path)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


@asynccontextmanager
async def client(port: int, context: ssl.SSLContext | None) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def said(streams: Streams, data: bytes) -> bytes:
    """Say something and return what comes back, nothing if the connection is closed."""
    try:
        streams[1].write(data)
        return await asyncio.wait_for(streams[0].readexactly(len(data)), SECONDS)
    except (OSError, asyncio.IncompleteReadError):
        return b""


async def asked(port: int, context: ssl.SSLContext, data: bytes = b"hi") -> bytes:
    """Say something on a connection of its own; nothing comes back if there is none."""
    with suppress(OSError):
        async with client(port, context) as streams:
            return await said(streams, data)
    return b""


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_gateway_asks_a_real_keep_through_the_command(site: Site, tmp_path: Path) -> None:
    client = site.authority.issue("client", "other.example.org", NAME)
    config = tmp_path / "relay.toml"
    with founded_keep(tmp_path) as world:
        lines = [f'{name} = "{getattr(site.settings, name)}"' for name in ("certificate", "key", "client_ca")]
        config.write_text(
            "\n".join(["[relay]", *lines, f'keep = "{world.socket}"', f'clients = ["{NAME}"]', "port = 0"])
        )
        with subprocess.Popen(
            [*COMMAND, "relay", "--config", str(config)], stderr=subprocess.PIPE, text=True
        ) as running:
            try:
                assert running.stderr is not None
                port = json.loads(running.stderr.readline())["port"]
                place = RelayPlace(
                    url=f"tls://127.0.0.1:{port}",
                    ca=site.authority.path,
                    certificate=client.certificate,
                    key=client.key,
                )

                async def ask() -> Any:
                    dial, writers = relay_dial(place), []

                    async def dial_noted() -> Streams:
                        reader, writer = await dial()
                        writers.append(writer)
                        return reader, writer

                    keep = Keep(dial_noted)
                    answers = await asyncio.gather(*(keep.ask("status") for _ in range(20)))
                    keep.close()
                    await asyncio.gather(*(writer.wait_closed() for writer in writers))
                    return answers

                answers = asyncio.run(ask())
                assert {str(one.ok["deployment"]) for one in answers} == {world.deployment}
                assert all(one.checkpoint for one in answers)

                running.terminate()
                assert running.wait(SECONDS) == 0
                with pytest.raises(KeepUnavailable):
                    asyncio.run(Keep(relay_dial(place)).ask("status"))
            finally:
                running.kill()


def strangers(site: Site) -> dict[str, Pair | None]:
    return {
        "without a certificate": None,
        "of another authority": site.others.issue("stranger", NAME),
        "not in the list": site.authority.issue("colleague", "elsewhere.example.org"),
        "named so only in its subject": site.authority.issue("subject", "elsewhere.example.org", common_name=NAME),
        "without a name": site.authority.issue("nameless"),
        "named with a pattern": site.authority.issue("pattern", "*.example.org"),
        "whose time is over": site.authority.issue("late", NAME, days=-1),
        "with a certificate for servers": site.authority.issue("server-as-client", NAME, use=SERVER),
    }


def test_nobody_reaches_the_keep_but_those_in_the_list(site: Site) -> None:
    async def story() -> None:
        async with site.running() as port:
            for who, pair in strangers(site).items():
                assert await asked(port, context_of(site, pair)) == b"", who
            assert site.reached == 0
            assert await asked(port, site.good()) == b"hi"
            assert site.reached == 1

    asyncio.run(story())
    assert len(site.closed()) >= len(strangers(site))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(site: Site, version: ssl.TLSVersion) -> None:
    context = site.good()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version

    async def story() -> None:
        async with site.running() as port:
            assert await asked(port, context) == b""
            assert site.reached == 0

    asyncio.run(story())


def test_a_cipher_without_authenticated_encryption_is_refused(site: Site) -> None:
    context = site.good()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")

    async def story() -> None:
        async with site.running() as port:
            assert await asked(port, context) == b""
            assert site.reached == 0

    asyncio.run(story())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_all_that_is_said_arrives_both_ways(site: Site, version: ssl.TLSVersion) -> None:
    context = site.good()
    context.minimum_version = context.maximum_version = version
    large = bytes(range(256)) * (1 << 14)

    async def story() -> None:
        async with site.running() as port:
            assert await asked(port, context, large) == large

    asyncio.run(story())


def test_what_the_keep_says_last_arrives_before_the_end(site: Site) -> None:
    last = b"x" * (1 << 20)

    async def say_and_go(streams: Streams) -> None:
        await streams[0].readexactly(2)
        streams[1].write(last)
        await streams[1].drain()

    site.behind = say_and_go

    async def story() -> None:
        async with site.running() as port, client(port, site.good()) as (reader, writer):
            writer.write(b"hi")
            assert await asyncio.wait_for(reader.read(), SECONDS) == last

    asyncio.run(story())


def test_a_keep_that_is_not_there_closes_the_connection_and_not_the_relay(site: Site) -> None:
    good, keep = site.good(), Path(site.settings.keep)

    async def story() -> None:
        async with site.running() as port:
            os.rename(keep, keep.with_name("away"))
            assert await asked(port, good) == b""
            os.rename(keep.with_name("away"), keep)
            assert await asked(port, good) == b"hi"

    asyncio.run(story())


def test_a_connection_on_which_nothing_moves_is_closed(site: Site) -> None:
    site.settings = replace(site.settings, idle_seconds=1)

    async def story() -> None:
        async with site.running() as port, client(port, site.good()) as (reader, _):
            assert await asyncio.wait_for(reader.read(), SECONDS) == b""

    asyncio.run(story())
    assert site.closed() == ["nothing came in time"]


def test_who_does_not_read_is_closed_and_fills_no_memory(site: Site) -> None:
    site.settings = replace(site.settings, idle_seconds=1)
    written = 0

    async def flood(streams: Streams) -> None:
        nonlocal written
        with suppress(OSError):
            while True:
                streams[1].write(bytes(1 << 16))
                await streams[1].drain()
                written += 1 << 16

    async def is_closed() -> bool:
        return bool(site.closed())

    site.behind = flood

    async def story() -> None:
        async with site.running() as port:
            connected = socket.create_connection(("127.0.0.1", port))
            wrap = partial(site.good().wrap_socket, connected, server_hostname="127.0.0.1")
            with await asyncio.get_running_loop().run_in_executor(None, wrap):
                await until(is_closed)

    asyncio.run(story())
    assert written < 64 << 20


def test_who_never_ends_a_handshake_is_closed(site: Site) -> None:
    async def story() -> None:
        async with site.running(handshake_seconds=0.1) as port, client(port, None) as (reader, _):
            assert await asyncio.wait_for(reader.read(), SECONDS) == b""

    asyncio.run(story())


def test_strangers_who_fill_all_handshakes_hold_them_no_longer_than_one_takes(site: Site) -> None:
    good = site.good()

    async def story() -> None:
        async with site.running(handshake_seconds=0.5, most_handshakes=2) as port, AsyncExitStack() as stack:

            async def is_served() -> bool:
                return await asked(port, good) == b"hi"

            for _ in range(6):
                await stack.enter_async_context(client(port, None))
            await until(is_served)

    asyncio.run(story())


def test_one_connection_too_many_is_closed_and_a_place_that_is_free_again_is_given(site: Site) -> None:
    site.settings = replace(site.settings, connections=2)
    good = site.good()

    async def story() -> None:
        async with site.running() as port:

            async def is_served() -> bool:
                return await asked(port, good) == b"hi"

            async with client(port, good) as first, client(port, good) as second:
                assert [await said(one, b"hi") for one in (first, second)] == [b"hi", b"hi"]
                assert not await is_served()
                assert site.closed() == ["there are 2 connections already"]
            await until(is_served)

    asyncio.run(story())


def test_what_is_under_way_is_cut_off_at_a_stop(site: Site) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            async with site.running() as port:
                streams = await stack.enter_async_context(client(port, site.good()))
                assert await said(streams, b"hi") == b"hi"
            assert await said(streams, b"hi") == b""

    asyncio.run(story())


def test_a_relay_with_files_that_cannot_be_used_does_not_start(site: Site) -> None:
    locked = site.authority.issue("locked", "127.0.0.1", use=SERVER, password=b"secret")
    good = site.authority.issue("good", NAME)
    missing = str(site.folder / "missing")
    for bad in (
        replace(site.settings, key=missing),
        replace(site.settings, key=str(good.key)),
        replace(site.settings, client_ca=missing),
        replace(site.settings, client_ca=str(good.key)),
        replace(site.settings, certificate=str(locked.certificate), key=str(locked.key)),
    ):
        with pytest.raises(BadRequest):
            server_context(bad)
    with pytest.raises(BadRequest):
        listen(replace(site.settings, host="192.0.2.1"))


def test_a_client_without_any_certificate_has_no_name() -> None:
    for nothing in (None, {}, {"subjectAltName": (("IP Address", NAME), ("URI", NAME))}):
        with pytest.raises(UnknownSigner):
            verify_client(nothing, (NAME,))


def test_a_gateway_speaks_to_its_own_relay_alone(site: Site) -> None:
    good = site.authority.issue("good", NAME)
    place = RelayPlace(url="tls://127.0.0.1:1", ca=site.authority.path, certificate=good.certificate, key=good.key)

    async def story() -> None:
        async with site.running() as port:
            for url, ca in (
                (f"tls://localhost:{port}", site.authority.path),
                (f"tls://127.0.0.1:{port}", site.others.path),
            ):
                with pytest.raises(KeepUnavailable):
                    await Keep(relay_dial(replace(place, url=url, ca=ca))).ask("status")
            assert site.reached == 0

    asyncio.run(story())
    for url in (
        "tls://host",
        "tls://host:0",
        "tls://host:1/x",
        "https://host:1",
        "tls://me@host:1",
        "tls://[::1:1",
        "",
    ):
        with pytest.raises(BadRequest):
            relay_dial(replace(place, url=url))
    with pytest.raises(BadKey):
        relay_dial(replace(place, key=site.folder / "missing"))
    relay_dial(replace(place, url="tls://[::1]:8444"))

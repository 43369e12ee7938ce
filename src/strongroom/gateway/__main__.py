"""The gateway's process: `python -m strongroom.gateway --deployment sr1:… --keep SOCKET --folder DIR …`.

Says where it listens on standard error, and why it ends. It holds no key but that of its TLS certificate.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import signal
import socket
import ssl
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from strongroom.client.private_folder import PrivateFolder
from strongroom.gateway.app import make_app
from strongroom.gateway.gateway import Gateway, make_gateway
from strongroom.gateway.metrics import CONTENT_TYPE
from strongroom.gateway.relayed import SCHEME
from strongroom.gateway.serving import Listener
from strongroom.gateway.settings import GatewaySettings, Limits, Relay
from strongroom.gateway.tls import ca_digest, credentials, server_context, show
from strongroom.terms.errors import BadRequest, StrongroomError

RENEW_SECONDS = 86400
OWN_DESCRIPTORS = 256
"""For what is no client's: the keep, the log, the store, the listeners."""
_log = logging.getLogger("strongroom.gateway")


def main() -> None:
    """Run until a signal says to stop."""
    logging.basicConfig(stream=sys.stderr, format="gateway: %(levelname)s: %(message)s", level=logging.WARNING)
    try:
        uvloop.run(serve(settings_of(sys.argv[1:])))
    except StrongroomError as error:
        sys.stderr.write(f"gateway: {error.family.lower()}: {error.message}\n  hint: {error.hint}\n")
        sys.exit(error.exit_code)


def settings_of(arguments: list[str]) -> GatewaySettings:
    """Return the settings that the command line gives; it ends the process if they are none."""
    parser = argparse.ArgumentParser(prog="strongroom-gateway", description="The HTTPS API in front of a keep.")
    parser.add_argument("--deployment", required=True, metavar="sr1:…", help="the deployment's name")
    parser.add_argument("--era", type=int, default=1)
    parser.add_argument(
        "--keep", required=True, metavar="SOCKET", help="the keep's socket, or a relay: tls://host:port"
    )
    for what, text in (("ca", "of the relay's certificate"), ("certificate", "as the relay's client"), ("key", "")):
        parser.add_argument(f"--keep-{what}", type=Path, metavar="PEM", help=text)
    parser.add_argument("--folder", type=Path, required=True, help="its copy of the log and its certificates")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, default=8443, help="0 takes a free one")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="your own certificate chain, with `--key`")
    parser.add_argument("--key", type=Path, metavar="PEM")
    parser.add_argument(
        "--ca", type=Path, metavar="PEM", help="the CA that clients are to trust, if it is a private one"
    )
    parser.add_argument("--name", dest="names", action="append", default=[], help="a name for its own certificate")
    parser.add_argument("--store", metavar="URL", help="the object store")
    parser.add_argument("--metrics-port", type=int, help="a loopback port for /metrics; 0 takes a free one")
    parser.add_argument(
        "--limit", dest="limits", action="append", default=[], metavar="NAME=NUMBER", help="as `idle_seconds=120`"
    )
    given = vars(parser.parse_args(arguments))
    given["keep"] = keep_of(*(given.pop(name) for name in ("keep", "keep_ca", "keep_certificate", "keep_key")))
    return GatewaySettings(**{**given, "names": tuple(given["names"]), "limits": limits_of(given["limits"])})


def keep_of(where: str, ca: Path | None, certificate: Path | None, key: Path | None) -> Path | Relay:
    """Return where the keep is: its socket, or a relay with the files that one takes.

    Raises:
        BadRequest: a relay without one of them, or a socket with one.
    """
    if ca is not None and certificate is not None and key is not None and where.startswith(SCHEME):
        return Relay(url=where, ca=ca, certificate=certificate, key=key)
    if where.startswith(SCHEME) or any((ca, certificate, key)):
        raise BadRequest("a relay, and nothing else, takes `--keep-ca`, `--keep-certificate` and `--keep-key`")
    return Path(where)


def limits_of(texts: list[str]) -> Limits:
    """Return the limits, of which `texts`, as `idle_seconds=60`, change some.

    Raises:
        BadRequest: there is no such limit, or it is not a number above zero.
    """
    limits = Limits()
    known: dict[str, type[Any]] = {field.name: type(getattr(limits, field.name)) for field in fields(Limits)}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            value = known[name](number)
        except (KeyError, ValueError) as error:
            raise BadRequest(f"`{text}` is no limit", hint=f"limits are {', '.join(known)}") from error
        if not value > 0:
            raise BadRequest(f"`{text}` is no limit", hint="a limit is above zero")
        limits = replace(limits, **{name: value})
    return limits


def fitting(limits: Limits) -> Limits:
    """Have this process take as many descriptors as `limits` need, and return them with no more clients than fit.

    Without one left, nobody idle would go for who comes, and neither keep nor log could be opened.
    """
    needed = 2 * limits.connections + OWN_DESCRIPTORS  # each client's, and that of the object that it reads
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = limits.connections if soft == resource.RLIM_INFINITY else (soft - OWN_DESCRIPTORS) // 2
    return replace(limits, connections=max(1, min(limits.connections, room)))


async def serve(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StrongroomError: it cannot begin.
    """
    PrivateFolder(settings.folder)
    limits = fitting(settings.limits)
    given = credentials(settings, at=time.time())
    context = server_context(given)
    gateway = make_gateway(settings, ca_pem=given.ca_pem)
    door = _listen(settings.host, settings.port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listeners = [Listener(make_app(gateway), door, context, limits)]
    gateway.metrics.connections.set_function(listeners[0].count)
    where = f"https://{_address(door)}"
    ca = f"; ca: {ca_digest(given.ca_pem)}" if given.ca_pem is not None else ""
    if settings.metrics_port is not None:
        counts = _listen("127.0.0.1", settings.metrics_port)
        listeners.append(Listener(_metrics_app(gateway), counts, None, limits))
        ca += f"; metrics: http://{_address(counts)}/metrics"
    sys.stderr.write(f"gateway: listening on {where}{ca}\n")
    sys.stderr.flush()
    tasks = [asyncio.create_task(gateway.fold.run()), *(asyncio.create_task(one.run()) for one in listeners)]
    tasks.append(asyncio.create_task(_renew(settings, context)))
    for task in tasks:
        task.add_done_callback(lambda ended: stop.set() if not ended.cancelled() and ended.exception() else None)
    await stop.wait()
    gateway.stopping.set()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, *(one.stop() for one in listeners), return_exceptions=True)
    gateway.keep.close()
    gateway.strangers.close()
    for one in ended:
        if isinstance(one, Exception):
            raise one  # what nobody thought of: a new start is better than half a gateway


async def _renew(settings: GatewaySettings, context: ssl.SSLContext) -> None:
    """Show the certificate that there is now, once a day."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            show(context, credentials(settings, at=time.time()))
        except StrongroomError as error:
            _log.error("the certificate cannot be renewed: %s: %s", error.code, error.message)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise BadRequest(f"`{host}` port {port} cannot be listened at: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _metrics_app(gateway: Gateway) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_there = scope["type"] == "http" and scope["path"] == "/metrics"
        body = gateway.metrics.text() if is_there else b""
        await Response(body, 200 if is_there else 404, media_type=CONTENT_TYPE)(scope, receive, send)

    return app


if __name__ == "__main__":
    main()

"""Settings: what one gateway process is started with. No secret is among them: keys lie in files that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client can take up. Times are in seconds."""

    handshake_seconds: float = 10.0
    """For the TLS handshake."""
    header_seconds: float = 10.0
    """For a request's header, from its first byte; of a connection's first request, from the handshake on."""
    header_bytes: int = 16 << 10
    body_seconds: float = 30.0
    """For a request's body, and one second more for each MiB that was announced."""
    bodies_bytes: int = 64 << 20
    """Of the bodies of all requests together; see `asked.Bodies`."""
    reading_seconds: float = 30.0
    """How long an answer may lie unread before the connection is closed."""
    idle_seconds: float = 120.0
    """Between two requests."""
    linger_seconds: float = 1.0
    """For whoever is refused to read why: a socket that is closed with bytes unread takes the answer with it."""
    connections: int = 1024
    fresh_seconds: float = 10.0
    """How old the copy of the log may be that reads are answered from."""
    stop_seconds: float = 5.0
    """At the end, for requests that are under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where a relay to a keep on another host is, and the files (PEM) by which it and this gateway know each other."""

    url: str
    """`tls://host:port`."""
    ca: Path
    """Of the relay's certificate; no other is trusted."""
    certificate: Path
    """This gateway's, as a client, and what leads to its CA."""
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway. Without `certificate` and `key` it makes a CA and a certificate of its own in `folder`."""

    deployment: str
    """The deployment's name, `sr1:…`: the gateway serves no other."""
    keep: Path | Relay
    """The keep's Unix socket, or a relay to it."""
    folder: Path
    """Where its copy of the log and its own certificates rest, closed to everybody else."""
    era: int = 1
    host: str = "127.0.0.1"
    """The address to listen at."""
    port: int = 8443
    """0 takes a free one."""
    certificate: Path | None = None
    """PEM: the server's certificate and what leads to its CA."""
    key: Path | None = None
    ca: Path | None = None
    """PEM of a CA that clients are to trust, where it is none of those that every system trusts."""
    names: tuple[str, ...] = ()
    """More host names and addresses for the certificate that it makes itself, beside this machine's loopback. All that
    there will ever be: its CA is made for these alone."""
    store: str | None = None
    """URL of the object store."""
    metrics_port: int | None = None
    """A loopback port for `/metrics`, without TLS; 0 takes a free one. Without it there are none to read."""
    limits: Limits = field(default_factory=Limits)

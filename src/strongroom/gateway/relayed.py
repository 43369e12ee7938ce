"""Relayed: how a gateway reaches a keep on another host, through a relay there: TLS, with certificates on both sides.

The certificates keep strangers off the keep's first byte, and nothing else depends on them: what passes is signed, or
wrapped, from end to end.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from strongroom.gateway.ciphers import CIPHERS
from strongroom.gateway.keep import Dial
from strongroom.gateway.settings import Relay
from strongroom.terms.errors import BadKey, BadRequest

SCHEME = "tls://"
HANDSHAKE_SECONDS = 10.0


def relay_dial(relay: Relay) -> Dial:
    """Return what connects to the keep behind `relay`.

    Raises:
        BadRequest: it has no such address. BadKey: a file cannot be used.
    """
    (host, port), context = _address(relay.url), _client_context(relay)

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS)

    return dial


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or url != f"{SCHEME}{f'[{host}]' if ':' in host else host}:{port}":
        raise BadRequest(f"`{url[:200]}` is no relay", hint="write it as `tls://host:port`")
    return host, port


def _client_context(relay: Relay) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which checks the host's name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        context.load_verify_locations(relay.ca)
        context.load_cert_chain(relay.certificate, relay.key, password=str)  # none: nobody is asked for one
    except (OSError, ValueError) as error:
        raise BadKey(
            f"what this gateway shows to the relay, or the relay's CA, cannot be used: {error}",
            hint="give three PEM files that this user can read, the key without a password",
        ) from error
    return context

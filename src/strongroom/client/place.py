"""Place: where a deployment is, and its name, as somebody you trust gave both to you: the connection string.

    https://keep.example.org:8443#sr1:6251…968f                  a gateway, with a certificate that this system trusts
    https://127.0.0.1:8443#sr1:6251…968f&ca=0a1b…                 a gateway with an authority of its own
    /run/strongroom/keep/socket#sr1:6251…968f                     the keep itself, on this host

INVARIANT: nothing is trusted on first use. The name is the digest of the genesis; `ca` is that of the certificate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from strongroom.sealing.places import check_deployment
from strongroom.terms.errors import BadRequest

_HINT = "write it as `https://host:port#sr1:…`, with `&ca=…` where you were given that, or as `/run/keep/socket#sr1:…`"
_URL = re.compile(r"https://(?:[a-z0-9-]+(?:[.][a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?\Z")
_CA = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A deployment's name, and either the URL of a gateway or the socket of its keep."""

    name: str
    url: str | None = None
    socket: Path | None = None
    ca: str | None = None
    """The SHA-256, in hexadecimal, of the certificate (DER) of the gateway's own authority."""

    def __str__(self) -> str:
        at = self.url if self.url is not None else str(self.socket)
        return f"{at}#{self.name}" + (f"&ca={self.ca}" if self.ca is not None else "")


def parse_place(text: str) -> Place:
    """Return the place that a connection string names.

    Raises:
        BadRequest: it is none.
    """
    at, mark, rest = text.strip().rpartition("#")
    name, and_, ca = rest.partition("&ca=")
    if not mark or not at or (and_ and not _CA.match(ca)):
        raise BadRequest(f"`{text[:200]}` names no deployment", hint=_HINT)
    check_deployment(name)
    if "://" not in at:
        if and_:
            raise BadRequest("a socket has no certificate", hint=_HINT)
        return Place(name=name, socket=Path(at).absolute())
    if not _URL.match(at):
        raise BadRequest(f"`{at[:200]}` is no gateway", hint=_HINT)
    return Place(name=name, url=at, ca=ca or None)

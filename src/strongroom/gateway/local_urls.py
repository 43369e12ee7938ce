"""Local URLs: the right to one object of a store on the gateway's own disk, for a quarter of an hour.

    /v1/objects/o/<seal id>/0?until=1764057600&key=…            to GET
    /v1/objects/o/<seal id>/0?until=1764057600&size=4096&key=…  to PUT

`key` is HMAC-SHA-256 over method, name, time and size, by a secret that the gateway makes when it starts and keeps in
memory alone: a restart ends every URL, and its holder asks for another. So a local store is one gateway's: of several,
each refuses the others' URLs. Several stand before S3, or keep each client to themselves (docs/spec/http.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from strongroom.terms import canonical
from strongroom.terms.errors import AccessDenied

URL_SECONDS = 900
SECRET_BYTES = 32
PATH = "/v1/objects/"


class LocalUrls:
    """URLs for the objects of one store; see `stores`. `clock` gives seconds since 1970."""

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret, self._clock = secret, clock

    def read_url(self, name: str) -> str:
        """Return a URL to `GET`."""
        until = self._until()
        return f"{PATH}{name}?until={until}&key={self._key('GET', name, until, None)}"

    def write_url(self, name: str, size_bytes: int, *, is_fresh: bool) -> str:
        """Return a URL to `PUT` so many bytes. Where something is already, what takes them refuses them."""
        until = self._until()
        return f"{PATH}{name}?until={until}&size={size_bytes}&key={self._key('PUT', name, until, size_bytes)}"

    def check(self, method: str, name: str, *, until: int, size_bytes: int | None, key: str) -> None:
        """Refuse what no URL of ours asks for.

        Raises:
            AccessDenied: another method, object, time or size than its key is for; or it has lapsed.
        """
        if not hmac.compare_digest(key.encode(), self._key(method, name, until, size_bytes).encode()):
            raise AccessDenied("this URL was not made by this gateway since it started", hint="ask for a new one")
        if self._clock() > until:
            raise AccessDenied("this URL has lapsed", hint="ask for a new one")

    def _until(self) -> int:
        return int(self._clock()) + URL_SECONDS

    def _key(self, method: str, name: str, until: int, size_bytes: int | None) -> str:
        message = canonical.encode({"method": method, "name": name, "size": size_bytes, "until": until})
        digest = hmac.new(self._secret, message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

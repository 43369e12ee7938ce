"""Ranges: bytes of objects by URL, straight into memory of the caller; what breaks off is resumed where it stopped.

TRUST: nobody's. What comes must be the range that was asked for, by its own words and in its own length, as it is
stored; anything else ends the read. Whether they are the right bytes, decryption finds out.

A read ends in `StoreUnavailable` when no byte has come for `patience_seconds`, through however many attempts.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from itertools import count
from typing import NoReturn, TypeVar

from strongroom.client.transfer.transfers import Transfers
from strongroom.terms.errors import AccessDenied, NotFound, StoreUnavailable
from strongroom.terms.outer_errors import KeepUnavailable, ObjectSize

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
_FIRST_SECONDS, _LONGEST_SECONDS = 0.02, 2.0
_MOST_ATTEMPTS = 100
# What is lost of a piece that fails half-way, at most.
_PIECE_BYTES = 1 << 18
# Enough for the manifest of most versions, so that one request gets all of it.
_FIRST_BYTES = 1 << 18
_LATER = frozenset({408, 429, 500, 502, 503, 504})
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")

UrlOf = Callable[[str | None], str]
"""Returns the URL; given one that was refused, a newer one."""


class Later(Exception):
    """The store says that it cannot now."""


def persist(
    what: str,
    url_of: UrlOf,
    attempt: Callable[[str], T],
    transfers: Transfers,
    patience_seconds: float,
    done: Callable[[], int] = lambda: 0,
) -> T:
    """Return what `attempt` makes of a URL; after what may pass, try again, as long as `done` grows in time.

    A URL that is refused is renewed, once in the same place.

    Raises:
        StoreUnavailable: it has been tried for long enough. What `url_of` and `attempt` raise.
    """
    since, delay, reached = time.monotonic(), _FIRST_SECONDS, 0
    url, refused, refused_at = None, None, -1
    for attempts in count(1):
        try:
            url = url or url_of(refused)
            try:
                return attempt(url)
            except AccessDenied:
                if refused_at == done():
                    raise
                url, refused, refused_at = None, url, done()
        except (OSError, HTTPException, Later, KeepUnavailable) as error:
            transfers.forget()
            now = time.monotonic()
            if done() > reached:
                since, delay, reached = now, _FIRST_SECONDS, done()
            if now + delay - since > patience_seconds or attempts >= _MOST_ATTEMPTS:
                # No cause: the texts of foreign errors may quote what a URL holds.
                raise StoreUnavailable(f"{what}: {reason(error)}; tried {attempts} times") from None
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_SECONDS)
    raise AssertionError  # the loop has no end


class Ranges:
    """Reads through `transfers`, from any number of threads at once."""

    def __init__(self, transfers: Transfers, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._transfers, self._patience_seconds = transfers, patience_seconds

    def read_into(self, what: str, url_of: UrlOf, offset: int, view: memoryview) -> None:
        """Fill the whole of `view` from `offset` of the object that messages call `what`.

        Raises:
            NotFound, ObjectSize: it is not there, or ends before that. AccessDenied: a fresh URL is refused, too.
            StoreUnavailable: no answer in time, or none that is the range. What `url_of` raises.
        """
        done = 0

        def attempt(url: str) -> None:
            nonlocal done
            with self._answer(what, url, offset + done, len(view) - done) as (response, size_bytes, total):
                if size_bytes != len(view) - done:
                    raise ObjectSize(f"{what} has {total} bytes and ends before byte {offset + len(view)}")
                for size in _fill(response, view[done:]):
                    done += size

        if view:
            persist(what, url_of, attempt, self._transfers, self._patience_seconds, lambda: done)

    def begin(self, what: str, url_of: UrlOf, most_bytes: int) -> tuple[bytes, int]:
        """Return the first bytes of an object, and how many it has in all; errors as for `read_into`."""

        def attempt(url: str) -> tuple[bytes, int]:
            with self._answer(what, url, 0, most_bytes) as (response, size_bytes, total):
                data = bytearray(size_bytes)
                for _ in _fill(response, memoryview(data)):
                    pass
            return bytes(data), total

        return persist(what, url_of, attempt, self._transfers, self._patience_seconds)

    def read(self, what: str, url_of: UrlOf, most_bytes: int) -> bytes:
        """Return an object whole.

        Raises:
            ObjectSize: it has more than `most_bytes`. Others as for `read_into`.
        """
        first, total = self.begin(what, url_of, min(most_bytes, _FIRST_BYTES))
        if total > most_bytes:
            raise ObjectSize(f"{what} has {total} bytes where at most {most_bytes} are due")
        data = bytearray(first)
        data.extend(bytes(total - len(first)))
        self.read_into(what, url_of, len(first), memoryview(data)[len(first) :])
        return bytes(data)

    @contextlib.contextmanager
    def _answer(self, what: str, url: str, offset: int, most_bytes: int) -> Iterator[tuple[HTTPResponse, int, int]]:
        """Yield an answer that holds a range from `offset` on, the size of that, and of the whole object."""
        headers = {"Range": f"bytes={offset}-{offset + most_bytes - 1}"}
        with self._transfers.request("GET", url, headers=headers) as response:
            match response.status:
                case 206:
                    yield response, *_checked(what, response, offset, most_bytes)
                case 404:
                    raise NotFound(f"{what} is not there")
                case 416:
                    raise ObjectSize(f"{what} ends before byte {offset}")
                case status:
                    raise_refusal(what, status)


def raise_refusal(what: str, status: int) -> NoReturn:
    """Raise what a status means that is not the one due.

    Raises:
        Later: try again. AccessDenied: the URL is refused. StoreUnavailable: it makes no sense.
    """
    if status in _LATER:
        raise Later(f"the store answers {status}")
    if status in {401, 403}:
        raise AccessDenied(
            f"{what}: the store answers {status} to the gateway’s URL", hint="have the gateway’s store checked"
        )
    raise StoreUnavailable(f"{what}: the store answers {status}, which is no answer to this")


def _checked(what: str, response: HTTPResponse, offset: int, most_bytes: int) -> tuple[int, int]:
    """Return how many bytes come and how many there are, if it is just what was asked for, as far as that exists."""
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    encodings = {response.headers.get(name, "identity") for name in ("Content-Encoding", "Transfer-Encoding")}
    if found is not None and encodings == {"identity"}:
        first, last, total = int(found[1]), int(found[2]), int(found[3])
        size_bytes = last - first + 1
        due = (offset, min(offset + most_bytes, total) - 1, str(size_bytes))
        if (first, last, *response.headers.get_all("Content-Length", [])) == due:
            return size_bytes, total
    raise StoreUnavailable(f"{what}: what the store answers is not the range that was asked for")


def _fill(response: HTTPResponse, view: memoryview) -> Iterator[int]:
    """Fill `view`; yield how many bytes more are there, each time some are."""
    done = 0
    while done < len(view):
        if (size := response.readinto(view[done : done + _PIECE_BYTES])) == 0:
            raise ConnectionError("closed half-way")
        done += size
        yield size


def reason(error: Exception) -> str:
    """Return in a few words why an attempt failed; nothing of what was sent or answered is in them."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case Later():
            return str(error)
        case KeepUnavailable():
            return error.message
        case OSError(strerror=str(text)) if text:
            return text.lower()
        case _:
            return "no connection, or one that broke off"

"""Asked: what a request says, read strictly. What is not in its one form is refused before anything looks at it.

A query is names and values of letters, digits and `._~:-`, each name once: nothing that is asked here needs more, and
no escape can make two targets of one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from strongroom.terms import canonical
from strongroom.terms.canonical import LARGEST_INTEGER, Json
from strongroom.terms.errors import BadRequest
from strongroom.terms.outer_errors import KeepBusy

MOST_BODY_BYTES = 1 << 20
MOST_VALUES = 10_000
"""In one body; everything that is asked here has fewer. A body of nothing but values takes most of a second to read,
and its sender need not be anybody."""
HEADER = "strongroom-statement"
_PAIR = re.compile(r"([a-z][a-z0-9_-]{0,31})=([A-Za-z0-9._~:-]{1,512})\Z")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_JSON = "application/json"


class Bodies:
    """The bodies of all requests that are under way: `most_bytes` of them, and never twice as many.

    INVARIANT: who sends little is not refused for what others send. Beyond the limit, who has an equal part of it gets
    no more.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._all_bytes = most_bytes, 0
        self._held: dict[int, int] = {}

    @contextmanager
    def holding(self, scope: Scope) -> Iterator[None]:
        """Hold what is read of this request's body until the block ends."""
        scope["strongroom.bodies"], self._held[id(scope)] = self, 0
        try:
            yield
        finally:
            self._all_bytes -= self._held.pop(id(scope))

    def take(self, scope: Scope, size_bytes: int) -> None:
        """Hold so many bytes more.

        Raises:
            KeepBusy: they are too many.
        """
        own = self._held[id(scope)] + size_bytes
        if self._all_bytes + size_bytes > self._most_bytes and own > self._most_bytes // len(self._held):
            raise KeepBusy(f"this gateway holds {self._all_bytes} bytes of what others ask already")
        self._held[id(scope)], self._all_bytes = own, self._all_bytes + size_bytes


def target_of(request: Request) -> str:
    """Return the request's target, path and query, as it was sent."""
    path = request.scope["raw_path"].decode("ascii")
    query = request.scope["query_string"].decode("ascii", "backslashreplace")
    return f"{path}?{query}" if query else path


def parse_query(request: Request, known: Collection[str] = ()) -> dict[str, str]:
    """Return the parameters of the query, of which only those in `known` may be there, each once.

    Raises:
        BadRequest: anything else is there, or is written in another way.
    """
    found: dict[str, str] = {}
    text = request.scope["query_string"].decode("ascii", "backslashreplace")
    for pair in text.split("&") if text else ():
        if not (match := _PAIR.match(pair)) or match[1] not in known:
            allowed = ", ".join(f"`{name}`" for name in sorted(known)) or "none"
            raise BadRequest(f"`{pair[:80]}` cannot be asked here", hint=f"parameters here: {allowed}")
        if match[1] in found:
            raise BadRequest(f"`{match[1]}` is there twice", hint="give each parameter once")
        found[match[1]] = match[2]
    return found


def number_in(
    query: Mapping[str, str], name: str, *, least: int = 0, most: int = LARGEST_INTEGER, default: int | None = None
) -> int:
    """Return the number that the query gives for `name`.

    Raises:
        BadRequest: it is none from `least` to `most`, or is missing and has no default.
    """
    if (text := query.get(name)) is None and default is not None:
        return default
    return parse_number(text or "", name, least=least, most=most)


def parse_number(text: str, name: str, *, least: int = 0, most: int = LARGEST_INTEGER) -> int:
    """Return the number that `text` is, in digits alone; errors as for `number_in`."""
    if not _NUMBER.match(text) or not least <= int(text) <= most:
        raise BadRequest(f"`{name}` is not a number from {least} to {most}", hint="digits, without a leading zero")
    return int(text)


async def body_of(request: Request, *, most_bytes: int = MOST_BODY_BYTES) -> bytes:
    """Return the request's body; later the same again.

    Raises:
        BadRequest: it is longer than `most_bytes`, or ended early. KeepBusy: see `Bodies`.
    """
    held: bytes | None = request.scope.get("strongroom.body")
    if held is None:
        held = request.scope["strongroom.body"] = await _read(request, most_bytes)
    return held


async def json_of(request: Request) -> dict[str, Json]:
    """Return the object that the body is, in canonical JSON.

    Raises:
        BadRequest, NotCanonical: it is none, or is said to be something else.
    """
    if (said := request.headers.get("content-type")) != _JSON:
        raise BadRequest(f"a body of type `{(said or '')[:80]}`", hint=f"send canonical JSON as `{_JSON}`")
    body = await body_of(request)
    check_cost(body)
    value = canonical.parse(body)
    if not isinstance(value, dict):
        raise BadRequest("the body is not an object")
    return value


def check_cost(data: bytes) -> None:
    """Refuse JSON that takes long to read.

    Raises:
        BadRequest: it has more values, or commas in texts, than anything that is asked here.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise BadRequest(f"more than {MOST_VALUES} values", hint="send less at a time")


def check_fields(value: Mapping[str, Json], *needed: str, optional: Collection[str] = ()) -> None:
    """Refuse an object that lacks one of the fields `needed`, or has one that is unknown."""
    if missing := set(needed) - value.keys():
        raise BadRequest(f"the body has no `{min(missing)}`")
    if unknown := value.keys() - {*needed, *optional}:
        raise BadRequest(f"the body has an unknown field `{min(unknown)[:80]}`")


async def _read(request: Request, most_bytes: int) -> bytes:
    held, announced = bytearray(), request.headers.get("content-length", "0")
    too_long = BadRequest(f"a body of more than {most_bytes} bytes", hint="send less at a time")
    if int(announced) > most_bytes:  # `serving` has seen to it that it is a number
        raise too_long
    try:
        async for chunk in request.stream():
            request.scope["strongroom.bodies"].take(request.scope, len(chunk))
            held += chunk
            if len(held) > most_bytes:
                raise too_long
    except ClientDisconnect:
        raise BadRequest("the body ended early") from None
    return bytes(held)

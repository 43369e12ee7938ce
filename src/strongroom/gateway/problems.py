"""Problems: how the gateway refuses (RFC 9457), always by one of our errors, and the headers that every answer has.

    {"code": "denied", "detail": …, "family": "Refused", "hint": …, "status": 403, "title": …, "type": …}

The keep's refusals are passed on in its own words, with the checkpoint that came with them.
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, NotFound, StrongroomError

HEADERS = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE = (b"cache-control", b"no-store")
PROBLEM = "application/problem+json"


def json_answer(value: Json, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in canonical JSON."""
    return Response(canonical.encode(value), status, headers, "application/json")


def problem(
    error: StrongroomError,
    *,
    status: int | None = None,
    checkpoint: Json = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return `error` as an answer; with the status of its class, where HTTP has no better one."""
    return Response(problem_body(error, status=status, checkpoint=checkpoint), _status(error, status), headers, PROBLEM)


def problem_body(error: StrongroomError, *, status: int | None = None, checkpoint: Json = None) -> bytes:
    """Return the body of that answer."""
    told: dict[str, Json] = {
        "code": error.code,
        "detail": _clean(error.message),
        "family": error.family,
        "hint": _clean(error.hint),
        "status": _status(error, status),
        "title": (type(error).__doc__ or "").partition("\n")[0].rstrip("."),
        "type": f"urn:strongroom:error:{error.code}",
    }
    return canonical.encode(told if checkpoint is None else {**told, "checkpoint": checkpoint})


async def refused(request: Request, error: Exception) -> Response:
    """Answer what a route raised."""
    assert isinstance(error, StrongroomError)  # noqa: S101 - registered for these only
    return problem(error)


async def not_routed(request: Request, error: Exception) -> Response:
    """Answer a request for which there is no route, or not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these only
    if error.status_code == 405:
        wrong: StrongroomError = BadRequest("this is not asked with this method", hint="see `/v1/openapi.json`")
    else:
        wrong = NotFound("there is nothing here", hint="see `/v1/openapi.json`")
    return problem(wrong, status=error.status_code, headers=dict(error.headers or {}))


HANDLERS: dict[Any, Any] = {StrongroomError: refused, HTTPException: not_routed}


def _status(error: StrongroomError, status: int | None) -> int:
    return error.http_status if status is None else status


def _clean(text: str) -> str:
    """Return `text` with what has no canonical form escaped: it may quote what was sent."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

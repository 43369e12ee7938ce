"""Entries: the log itself, from the gateway's verified copy, for every enrolled key: it holds opaque identifiers."""

from __future__ import annotations

import asyncio
import base64

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strongroom.client.replica import MOST_ENTRIES
from strongroom.gateway.asked import number_in, parse_number, parse_query
from strongroom.gateway.fold import View
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.problems import json_answer
from strongroom.terms import canonical
from strongroom.terms.canonical import Json

MOST_BYTES = 1 << 20


def routes(gateway: Gateway) -> list[Route]:
    """Return the routes."""

    async def entries(request: Request) -> Response:
        query = parse_query(request, ("start", "count"))
        start, count = number_in(query, "start"), number_in(query, "count", least=1, most=MOST_ENTRIES)
        if (start, count) != (0, 1):  # the founding, which anybody may hold against the deployment's name
            await gateway.look(request)
        view = await gateway.view()
        if start >= view.size:  # another gateway may have told of more
            view = await gateway.fold.again()
        return Response(await asyncio.to_thread(_entries, view, start, count), media_type="application/json")

    async def entry(request: Request) -> Response:
        parse_query(request)
        index = parse_number(request.path_params["index"], "index")
        await gateway.look(request)
        view = await gateway.view()
        (leaf,) = await asyncio.to_thread(view.leaves, index, 1, most_bytes=MOST_BYTES)
        return json_answer(
            {
                "checkpoint": view.note.decode("utf-8"),
                "index": index,
                "leaf": text_of(leaf),
                "proof": view.inclusion(index),
            }
        )

    return [Route("/v1/log/entries", entries), Route("/v1/log/entries/{index}", entry)]


def text_of(data: bytes) -> str:
    """Return bytes as answers carry them."""
    return base64.b64encode(data).decode("ascii")


def _entries(view: View, start: int, count: int) -> bytes:
    leaves: list[Json] = []
    if start < view.size:
        leaves = [text_of(leaf) for leaf in view.leaves(start, count, most_bytes=MOST_BYTES)]
    return canonical.encode({"checkpoint": view.note.decode("utf-8"), "ok": {"entries": leaves}})

"""The application: all routes, and around them what every answer has: headers, a count, and a problem for a defect.

Pure ASGI: a signed read has to cost little more than its signature.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from strongroom.gateway import entries, objects, openapi, passing, streams, views
from strongroom.gateway.asked import Bodies, parse_query
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.problems import HANDLERS, HEADERS, NO_STORE, json_answer, problem
from strongroom.terms.errors import KeepSealed, NotFound
from strongroom.terms.outer_errors import GatewayFault, KeepUnavailable, LogDoubted

_PATH = re.compile(rb"[A-Za-z0-9._~/-]*\Z")
_log = logging.getLogger("strongroom.gateway")


def make_app(gateway: Gateway) -> Starlette:
    """Return the application that serves `gateway`."""
    rooms = (passing, entries, streams, views, objects, openapi)
    routes = [*_own(gateway), *(route for room in rooms for route in room.routes(gateway))]
    paths = {route.endpoint: route.path for route in routes}
    app = Starlette(
        routes=routes,
        exception_handlers=HANDLERS,
        middleware=[Middleware(Hull, gateway=gateway, paths=paths)],
    )
    app.router.redirect_slashes = False
    return app


def _own(gateway: Gateway) -> list[Route]:
    async def healthz(request: Request) -> Response:
        parse_query(request)
        return json_answer({"up": True})

    async def readyz(request: Request) -> Response:
        parse_query(request)
        fold = gateway.fold
        if not fold.is_fresh():
            raise LogDoubted(fold.doubt())
        if (state := fold.status.get("state")) != "open":
            raise KeepSealed("the keep is sealed") if state == "sealed" else KeepUnavailable("the keep is not open")
        return json_answer({"ready": True})

    async def authority(request: Request) -> Response:
        parse_query(request)
        if gateway.ca_pem is None:
            raise NotFound("this gateway's certificate comes from a public CA", hint="leave `&ca=…` out")
        return Response(gateway.ca_pem, media_type="application/x-pem-file")

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/v1/ca", authority)]


class Hull:
    """Around all routes: what every answer has."""

    def __init__(self, app: ASGIApp, *, gateway: Gateway, paths: dict[Any, str]) -> None:
        self._app, self._gateway, self._paths = app, gateway, paths
        self._bodies = Bodies(gateway.settings.limits.bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began, status = time.perf_counter(), 0
        if not _PATH.match(scope["raw_path"]):
            scope["path"] = ""  # of which there is no route: an escape could make two paths of one

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), *HEADERS]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(NO_STORE)
                message = {**message, "headers": headers}
            await send(message)

        try:
            with self._bodies.holding(scope):
                await self._app(scope, receive, sent)
        except Exception as error:
            # TRUST: the type alone is logged: what an exception says may quote what was sent.
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where is not None else "nowhere"
            _log.error("a defect: %s at %s", type(error).__name__, line)
            if status:
                raise
            await problem(GatewayFault("this request met a defect"))(scope, receive, sent)
        finally:
            route = self._paths.get(scope.get("endpoint"), "other")
            self._gateway.metrics.answered(route, status, time.perf_counter() - began)

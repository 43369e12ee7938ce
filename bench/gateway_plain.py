"""The least that a web server does: the same size of answer to whatever is asked, by the same server and over TLS.

    python bench/gateway_plain.py CERTIFICATE KEY SIZE

Starlette on uvicorn, with uvloop and httptools as the gateway has them. It reads no signature, and no body. Says its
port once it listens, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def serve(certificate: str, key: str, size: str) -> None:
    body = b"x" * int(size)

    async def hello(request: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", hello)])
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(
        app, ssl_certfile=certificate, ssl_keyfile=key, http="httptools", ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    print(listener.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))

"""The gateway: what its routes share. The keep, the verified copy of the log, the clock, the settings, the counts.

A module of routes has `routes(gateway) -> list[Route]`, and `app` lists them. What a route needs of a request:

    view = await gateway.view()             the directory, the checkpoint and the proofs, as of now
    viewer = await gateway.look(request)    who reads this, by the signature in the header; or a refusal
    value = await json_of(request)          the body (`asked`)
    query = parse_query(request, ("limit",))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from strongroom.client.looks import HEADER, Viewer, verify_look
from strongroom.client.replica import Clock
from strongroom.gateway.asked import body_of, target_of
from strongroom.gateway.fold import Fold, View
from strongroom.gateway.keep import Dial, Keep, socket_dial
from strongroom.gateway.metrics import Metrics
from strongroom.gateway.registry import Registry
from strongroom.gateway.relayed import relay_dial
from strongroom.gateway.settings import GatewaySettings
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, UnknownSigner

STRANGERS_CONNECTIONS, STRANGERS_WAITING = 8, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway; see `make_gateway`."""

    settings: GatewaySettings
    keep: Keep
    strangers: Keep
    """The same, for whoever says what the directory here does not know them by: a few lines of their own. However many
    they are, a freeze gets through."""
    fold: Fold
    status: Shared
    """The keep's answer to `status`, not older than the question."""
    metrics: Metrics
    copies: Registry = field(default_factory=Registry)
    ca_pem: bytes | None = None
    """The CA that clients are to trust, if it is a self-made one."""
    clock: Clock = time.time
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is about to end: streams end then."""

    def now(self) -> int:
        """Return the time, in whole seconds."""
        return int(self.clock())

    async def view(self) -> View:
        """Return the log and the directory as of now; of everything, at least, that this gateway told anybody of.

        Raises:
            LogDoubted: this gateway does not know how things are now.
        """
        return await self.fold.current()

    async def look(self, request: Request) -> Viewer:
        """Return who signed this very request, body included. Whom the log does not know yet is looked for once more.

        Raises:
            UnknownSigner, NotNow, BadSignature, …: nobody who may. LogDoubted: nobody can say now.
        """
        view = await self.view()
        headers = request.headers.getlist(HEADER)
        if not headers:
            raise UnknownSigner(
                "a read is signed: this request has no statement", hint=f"send `{HEADER}`, see docs/spec/http.md"
            )
        if len(headers) > 1:
            raise BadRequest(f"more than one `{HEADER}`")
        # ORDER: the body is read before it is known who sends it: the signature is about it. At most 1 MiB, for 30 s.
        body = await body_of(request)
        target = target_of(request)
        try:
            return verify_look(view.directory, headers[0], target=target, body=body, at=self.now())
        except UnknownSigner:
            # Enrolled or logged in through another gateway, or at the keep's socket, a moment ago?
            view = await self.fold.again()
        return verify_look(view.directory, headers[0], target=target, body=body, at=self.now())


class Shared:
    """A question that all who ask it, while the one before is under way, have asked once, together.

    INVARIANT: whoever waits gets an answer to a question that was put after they came.
    """

    def __init__(self, ask: Callable[[], Awaitable[Json]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[Json] | None = None
        self._next: asyncio.Task[Json] | None = None

    async def __call__(self) -> Json:
        """Return the answer."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._asking))
        # Whoever goes away must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[Json] | None) -> Json:
        if before is not None:
            await asyncio.wait({before})
        self._asking, self._next = self._next, None
        return await self._ask()


def make_gateway(settings: GatewaySettings, *, ca_pem: bytes | None = None, dial: Dial | None = None) -> Gateway:
    """Return a gateway, of which nothing runs yet but what asks the keep. `dial` reaches another keep than a socket."""
    if dial is None:
        dial = socket_dial(settings.keep) if isinstance(settings.keep, Path) else relay_dial(settings.keep)
    keep = Keep(dial)
    # A line of its own: however many wait for the keep, the fold goes on.
    fold = Fold(
        Keep(dial, most_connections=1),
        settings.folder / "log",
        settings.deployment,
        era=settings.era,
        fresh_seconds=settings.limits.fresh_seconds,
    )
    return Gateway(
        settings=settings,
        keep=keep,
        strangers=Keep(dial, most_connections=STRANGERS_CONNECTIONS, most_waiting=STRANGERS_WAITING),
        fold=fold,
        status=Shared(lambda: keep.exchange("status")),
        metrics=Metrics(fold),
        ca_pem=ca_pem,
    )

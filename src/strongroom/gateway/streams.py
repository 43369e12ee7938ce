"""Streams: the log as it grows, entry by entry, as server-sent events.

    event: entry        id: 51   data: {"index": 51, "leaf": base64}
    event: checkpoint            data: {"checkpoint": the newest signed note}     after entries, and every 5 s at least
    event: end                   data: {"code": …, "detail": …, "hint": …}        why nothing more comes

`GET /v1/log/stream?start=N` begins at entry N, without it at the next one there will be. A reader that comes again with
`Last-Event-ID: 51` goes on at 52. An entry counts once a checkpoint covers it: that is for the reader to verify.

A stream holds one batch at most and reads the log at the pace of its reader, whom the server closes who does not read
at all. It ends with the session, the device or the enrolment that asked for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from strongroom.client.looks import Viewer
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.gateway.asked import number_in, parse_number, parse_query
from strongroom.gateway.entries import text_of
from strongroom.gateway.fold import View
from strongroom.gateway.gateway import Gateway
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, NotFound, StrongroomError, UnknownSigner
from strongroom.terms.outer_errors import TooManyStreams

MEDIA_TYPE = "text/event-stream"
STREAMS_EACH, STREAMS_TOGETHER = 8, 512
BEAT_SECONDS = 5.0
RETRY_MILLISECONDS = 1000
BATCH_ENTRIES, BATCH_BYTES = 100, 256 << 10


def routes(gateway: Gateway) -> list[Route]:
    """Return the route."""
    slots = Slots()

    async def stream(request: Request) -> Response:
        query = parse_query(request, ("start",))
        viewer = await gateway.look(request)
        view = await gateway.view()
        start = _start(request, number_in(query, "start", default=view.size))
        if start > view.size:
            raise NotFound(f"no entry {start} in a log of {view.size}", hint="start at the next one at most")
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        return _Stream(slots, viewer.subject, events(gateway, viewer, view, start))

    return [Route("/v1/log/stream", stream)]


class Slots:
    """How many streams there may be."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def taken(self, subject: str) -> Iterator[None]:
        """Hold one of them.

        Raises:
            TooManyStreams: there is none left, of this subject's or at all.
        """
        if self._open[subject] >= STREAMS_EACH or self._open.total() >= STREAMS_TOGETHER:
            raise TooManyStreams(f"{self._open[subject]} of your streams are open, {self._open.total()} of everybody's")
        self._open[subject] += 1
        try:
            yield
        finally:
            self._open[subject] -= 1
            if not self._open[subject]:
                del self._open[subject]


class _Stream(StreamingResponse):
    """Events, as long as a slot for them is held."""

    def __init__(self, slots: Slots, subject: str, content: AsyncIterator[bytes]) -> None:
        super().__init__(content, media_type=MEDIA_TYPE)
        self._slots, self._subject = slots, subject

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, until they end or the reader goes away."""
        with self._slots.taken(self._subject):
            await super().__call__(scope, receive, send)


async def events(gateway: Gateway, viewer: Viewer, view: View, index: int) -> AsyncIterator[bytes]:
    """Yield the events from the entry `index` on, until `viewer` may look no longer or the gateway stops."""
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    try:
        while not gateway.stopping.is_set():
            check_viewer(view.directory, viewer, at=gateway.now())
            leaves: list[bytes] = []
            if index < view.size:
                leaves = await asyncio.to_thread(view.leaves, index, BATCH_ENTRIES, most_bytes=BATCH_BYTES)
            entries = (
                _event("entry", {"index": number, "leaf": text_of(leaf)}, number)
                for number, leaf in enumerate(leaves, index)
            )
            yield b"".join(entries) + _event("checkpoint", {"checkpoint": view.note.decode("utf-8")})
            index += len(leaves)
            if index == view.size:
                await _growth(gateway, view)
            view = await gateway.view()
    except StrongroomError as error:
        yield _event("end", {"code": error.code, "detail": error.message, "hint": error.hint})


def check_viewer(directory: Directory, viewer: Viewer, *, at: int) -> None:
    """Refuse whoever may look no longer: the session, the device or the enrolment has ended.

    Raises:
        UnknownSigner, NotFound: with what has ended.
    """
    find.check_subject(directory, viewer.subject)
    if viewer.device is not None:
        find.device(directory, viewer.device.device)
    if viewer.session is not None and (viewer.session.session not in directory.sessions or at > viewer.session.until):
        raise UnknownSigner("the session has ended")


async def _growth(gateway: Gateway, view: View) -> None:
    """Wait until the log is longer than in `view`, the next beat is due, or the gateway stops."""
    waits = {asyncio.ensure_future(_longer(gateway, view)), asyncio.ensure_future(gateway.stopping.wait())}
    try:
        done, _ = await asyncio.wait(waits, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for wait in done:
        wait.result()


async def _longer(gateway: Gateway, view: View) -> bool:
    size = view.size
    while view.size == size:
        view = await gateway.fold.newer(view)
    return True


def _start(request: Request, start: int) -> int:
    """Return where to begin: after what the reader has, where it says so."""
    given = request.headers.getlist("last-event-id")
    if len(given) > 1:
        raise BadRequest("more than one `Last-Event-ID`")
    return parse_number(given[0], "Last-Event-ID") + 1 if given else start


def _event(name: str, data: Json, number: int | None = None) -> bytes:
    # Canonical JSON has no line feeds: one line of data is all of it.
    identifier = b"" if number is None else b"id: %d\n" % number
    return b"event: %b\n%bdata: %b\n\n" % (name.encode("ascii"), identifier, canonical.encode(data))

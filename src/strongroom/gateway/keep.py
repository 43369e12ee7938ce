"""Keep: the gateway's connections to the keep's socket. Carries questions and answers, and believes none of them.

    at most 64 connections -> one question in flight on each -> at most 256 more wait -> `keep-busy`

A connection is kept for the next question. One on which anything went wrong is closed, and the question is refused:
whether an act happened then, nobody here knows, and it is not said again by itself. Whoever said it may.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from strongroom.client.connection import TIMEOUT_SECONDS, Answer, parse_answer
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadFrame, NotCanonical
from strongroom.terms.frames import LARGEST_ANSWER_BYTES, LARGEST_REQUEST_BYTES, encode_frame
from strongroom.terms.outer_errors import KeepBusy, KeepUnavailable

MOST_CONNECTIONS = 64
MOST_WAITING = 256
IDLE_SECONDS = 60.0
"""A connection that was left for longer is not used again: the keep closes idle ones, perhaps just now."""
_LENGTH_BYTES = 4

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(slots=True, kw_only=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float

    def is_usable(self) -> bool:
        return not self.reader.at_eof() and time.monotonic() - self.used_at < IDLE_SECONDS


class Keep:
    """The keep, as far as it can be asked. `dial` opens one more connection to it."""

    def __init__(
        self,
        dial: Dial,
        *,
        most_connections: int = MOST_CONNECTIONS,
        most_waiting: int = MOST_WAITING,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._dial, self._timeout_seconds, self._most_waiting = dial, timeout_seconds, most_waiting
        self._free = asyncio.Semaphore(most_connections)
        self._idle: list[_Line] = []
        self._waiting = 0

    async def ask(self, what: str, /, **fields: Json) -> Answer:
        """Ask for `what` and return the answer.

        Raises:
            KeepBusy: too many wait already; nothing was sent.
            KeepUnavailable: there is no answer, or it is none.
            StrongroomError: what the keep refused with.
        """
        return parse_answer(await self.exchange(what, **fields))

    async def exchange(self, what: str, /, **fields: Json) -> Json:
        """Ask for `what` and return the answer as it is, whether it grants or refuses; errors as for `ask`."""
        request = encode_frame(canonical.encode({"ask": what, **fields}), LARGEST_REQUEST_BYTES)
        try:
            async with asyncio.timeout(self._timeout_seconds), self._turn(), self._line() as line:
                return canonical.parse(await _exchange(line, request))
        except TimeoutError as error:
            raise KeepUnavailable(f"the keep has not answered for {self._timeout_seconds:.0f} s") from error
        except (OSError, EOFError) as error:
            raise KeepUnavailable("the keep cannot be reached, or closed before its answer was whole") from error
        except (BadFrame, NotCanonical) as error:
            raise KeepUnavailable(f"what answers in the keep's place is no keep: {error.message}") from error

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().writer.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise KeepBusy(f"{self._waiting} questions wait for the keep already")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        line = self._idle.pop() if self._idle else None
        if line is not None and not line.is_usable():
            line.writer.close()
            # ORDER: those below it were left earlier, but what broke one, such as the keep's new start, broke all.
            self.close()
            line = None
        if line is None:
            reader, writer = await self._dial()
            line = _Line(reader=reader, writer=writer, used_at=0)
        try:
            yield line
        except BaseException:
            # INVARIANT: on a line that waits for its next question, no answer to an earlier one can come.
            line.writer.close()
            raise
        line.used_at = time.monotonic()
        self._idle.append(line)


def socket_dial(path: Path) -> Dial:
    """Return what connects to the keep's Unix socket."""

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(path))

    return dial


async def _exchange(line: _Line, request: bytes) -> bytes:
    line.writer.write(request)
    await line.writer.drain()
    size = int.from_bytes(await line.reader.readexactly(_LENGTH_BYTES))
    if not 1 <= size <= LARGEST_ANSWER_BYTES:
        raise BadFrame(f"an answer of {size} bytes")
    return await line.reader.readexactly(size)

"""Connection: one question to the keep's Unix socket, and its answer.

TRUST: nobody's. Whoever sits at the socket may be the keep, a relay or an impostor; what an answer proves is found out
by `deployment`, not here. Here an answer only has to be one: canonical, of bounded size, whole, in time.

Each question has a connection of its own: nothing of an earlier one can be left in it, threads may share this object,
and a keep that closes idle connections disturbs nobody.
"""

from __future__ import annotations

import base64
import math
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadFrame, NotCanonical, StrongroomError, families
from strongroom.terms.frames import LARGEST_ANSWER_BYTES, LARGEST_REQUEST_BYTES, FrameReader, encode_frame
from strongroom.terms.outer_errors import KeepUnavailable, codes

TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16

_BY_CODE: dict[str, type[StrongroomError]] = {kind.code: kind for kind in codes()}
_BY_FAMILY: dict[str, type[StrongroomError]] = {kind.family: kind for kind in families()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; none of it verified. `checkpoint` is a signed note, absent before there is a deployment.

    `consistency` is a proof (RFC 6962 §2.1.2) from the size that was asked for with `since`, where there is one.
    """

    ok: dict[str, Json]
    checkpoint: bytes | None
    consistency: tuple[bytes, ...] | None = None


class Asking(Protocol):
    """Whatever carries a question to the keep: its socket here, or a gateway there (`https`)."""

    @property
    def where(self) -> str:
        """Where the question goes, for people to read."""

    def within(self, seconds: float) -> Asking:
        """Return the same for questions that, all together, take at most so long from now."""

    def ask(self, what: str, /, *, since: int | None = None, **fields: Json) -> Answer:
        """Ask for `what`, as `status` or `act`, and return the answer.

        With `since`, a size of the log, a gateway shows that its checkpoint continues that one; a keep cannot.

        Raises:
            KeepUnavailable: there is no answer, or it is none.
            StrongroomError: what the keep refused with, by its code; of an unknown one, by its family.
        """


class Connection:
    """The keep, or a relay to it, at the Unix socket `socket`.

    A whole question takes at most `timeout_seconds`, and nothing is asked after the monotonic time `deadline`.
    """

    def __init__(self, socket: Path, timeout_seconds: float = TIMEOUT_SECONDS, *, deadline: float = math.inf) -> None:
        self.socket, self.timeout_seconds, self._deadline = socket, timeout_seconds, deadline

    @property
    def where(self) -> str:
        """The socket's path."""
        return str(self.socket)

    def within(self, seconds: float) -> Connection:
        """Return the same connection for questions that, all together, take at most so long from now."""
        return Connection(self.socket, self.timeout_seconds, deadline=time.monotonic() + seconds)

    def ask(self, what: str, /, *, since: int | None = None, **fields: Json) -> Answer:
        """Ask for `what`; see `Asking`. The keep proves no consistency: whoever asks it takes the entries."""
        request = encode_frame(canonical.encode({"ask": what, **fields}), LARGEST_REQUEST_BYTES)
        began = time.monotonic()
        try:
            value = canonical.parse(self._exchange(request, began))
        except TimeoutError as error:
            took = time.monotonic() - began
            raise KeepUnavailable(f"the keep at `{self.socket}` has not answered for {took:.1f} s") from error
        except OSError as error:
            raise KeepUnavailable(f"the keep at `{self.socket}` cannot be reached: {error}") from error
        except (BadFrame, NotCanonical) as error:
            raise KeepUnavailable(f"what answers at `{self.socket}` is no keep: {error.message}") from error
        return parse_answer(value)

    def _exchange(self, request: bytes, began: float) -> bytes:
        # One limit for all of it: a byte now and then does not buy more time.
        deadline = min(began + self.timeout_seconds, self._deadline)
        reader = FrameReader(LARGEST_ANSWER_BYTES)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
            connected.settimeout(seconds_left(deadline))
            connected.connect(str(self.socket))
            connected.sendall(request)
            while (body := reader.take()) is None:
                connected.settimeout(seconds_left(deadline))
                if not (data := connected.recv(_CHUNK_BYTES)):
                    raise KeepUnavailable(f"the keep at `{self.socket}` closed before its answer was whole")
                reader.feed(data)
            return body


def seconds_left(deadline: float) -> float:
    """Return how long it still is until a monotonic time.

    Raises:
        TimeoutError: it has come.
    """
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def parse_answer(value: Json) -> Answer:
    """Return the answer that `value` is.

    Raises:
        KeepUnavailable: it is none. StrongroomError: what it refuses with.
    """
    match value:
        case {"ok": dict(ok), "checkpoint": str(note), "consistency": list(proof), **rest} if not rest:
            try:
                hashes = tuple(base64.b64decode(str(one), validate=True) for one in proof)
            except ValueError as error:
                raise KeepUnavailable("a proof that is not base64") from error
            return Answer(ok=ok, checkpoint=note.encode("utf-8"), consistency=hashes)
        case {"ok": dict(ok), "checkpoint": str(note), **rest} if not rest:
            return Answer(ok=ok, checkpoint=note.encode("utf-8"))
        case {"ok": dict(ok), **rest} if not rest:
            return Answer(ok=ok, checkpoint=None)
        case {"error": dict(told)}:
            return raise_refusal(told)
        case _:
            raise KeepUnavailable("what answers is no keep: neither a result nor an error")


def raise_refusal(told: dict[str, Json]) -> NoReturn:
    """Raise what was refused, by its code; of an unknown one, by its family.

    Raises:
        KeepUnavailable: it says nothing that this release knows.
    """
    match told:
        case {"code": str(code), "message": str(message), "hint": str(hint)}:
            known = _BY_CODE.get(code) or _BY_FAMILY.get(str(told.get("family")))
            if known is not None:
                raise known(message, hint=hint)
            raise KeepUnavailable(f"the keep refuses in words that this release does not know: `{code[:80]}`")
        case _:
            raise KeepUnavailable("what answers is no keep: an error without code, message and hint")

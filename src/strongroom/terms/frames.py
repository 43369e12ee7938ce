"""Frames: how the keep and its clients cut a Unix socket's bytes into messages. No I/O here.

    frame = length (4 bytes, big-endian) || body: that many bytes of canonical JSON, at least one

An answer that is an error is {"error": {"code", "hint", "message"}}.
"""

from collections.abc import Iterator

from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadFrame, StrongroomError

LARGEST_REQUEST_BYTES = 1 << 20
LARGEST_ANSWER_BYTES = 16 << 20
_LENGTH_BYTES = 4


def encode_frame(body: bytes, largest_bytes: int) -> bytes:
    """Return the frame of `body`.

    Raises:
        BadFrame: an empty body, or one longer than `largest_bytes`.
    """
    _check_length(len(body), largest_bytes)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameReader:
    """Takes bytes as they come and gives whole frames' bodies, none of them longer than `largest_bytes`."""

    def __init__(self, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take `data` at once, and return the bodies that are whole, each cut off when it is asked for.

        Raises:
            BadFrame: a length of none or too many, as soon as it is next; nothing can be read after it.
        """
        self._held += data
        return iter(self.take, None)

    def take(self) -> bytes | None:
        """Return the next body if it is whole."""
        if len(self._held) < _LENGTH_BYTES:
            return None
        size = int.from_bytes(self._held[:_LENGTH_BYTES], "big")
        _check_length(size, self._largest_bytes)
        end = _LENGTH_BYTES + size
        if len(self._held) < end:
            return None
        body = bytes(self._held[_LENGTH_BYTES:end])
        del self._held[:end]
        return body

    def __len__(self) -> int:
        return len(self._held)


def error_answer(error: StrongroomError) -> dict[str, Json]:
    """Return the answer that says `error`; what of its text has no canonical form is escaped."""
    told = {"code": error.code, "hint": error.hint, "message": error.message}
    return {"error": {key: text.encode("utf-8", "backslashreplace").decode("utf-8") for key, text in told.items()}}


def _check_length(size: int, largest_bytes: int) -> None:
    if not 1 <= size <= largest_bytes:
        raise BadFrame(f"a frame of {size} bytes: at least 1 and at most {largest_bytes} can be")

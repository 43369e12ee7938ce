"""One question, one answer: whatever else comes from the socket is one of our errors."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.client.connection import Connection
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import Denied, Refused, StrongroomError
from strongroom.terms.frames import LARGEST_ANSWER_BYTES
from strongroom.terms.outer_errors import KeepUnavailable, codes


@contextmanager
def answering(folder: Path, *pieces: bytes, pause_seconds: float = 0.0) -> Iterator[Path]:
    """Answer one connection with `pieces`, a pause before each, and close it."""
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(1 << 16)
                for piece in pieces:
                    time.sleep(pause_seconds)
                    try:
                        accepted.sendall(piece)
                    except OSError:
                        return

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield path
        finally:
            thread.join()


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body


def answered(value: Json) -> bytes:
    return framed(canonical.encode(value))


def test_an_answer_comes_back_whole_however_it_is_cut(tmp_path: Path) -> None:
    whole = answered({"ok": {"size": 7}, "checkpoint": "a note — signed\n"})
    with answering(tmp_path, *(whole[at : at + 1] for at in range(len(whole)))) as path:
        answer = Connection(path).ask("status")
    assert answer.ok == {"size": 7}
    assert answer.checkpoint == "a note — signed\n".encode()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0\0",
        framed(b'{"ok":{}}')[:-1],
        framed(b""),
        (LARGEST_ANSWER_BYTES + 1).to_bytes(4),
        framed(b'{"ok": {}}'),
        framed(b'{"ok":{},"ok":{}}'),
        framed(b'{"ok":{"size":1.5}}'),
        framed(b"\xff"),
        answered([]),
        answered({"ok": []}),
        answered({"ok": {}, "checkpoint": 7}),
        answered({"ok": {}, "more": {}}),
        answered({"error": {"code": "denied"}}),
        answered({"error": {"code": "from-the-future", "message": "m", "hint": "h", "family": "Nonsense"}}),
    ],
)
def test_what_is_no_answer_is_none(tmp_path: Path, sent: bytes) -> None:
    with answering(tmp_path, sent) as path, pytest.raises(KeepUnavailable):
        Connection(path).ask("status")


@pytest.mark.parametrize("kind", list(codes()), ids=lambda kind: kind.code)
def test_every_error_comes_back_as_itself(tmp_path: Path, kind: type[StrongroomError]) -> None:
    told = {"code": kind.code, "message": "why", "hint": "what to do", "family": kind.family}
    with answering(tmp_path, answered({"error": told})) as path, pytest.raises(kind) as raised:
        Connection(path).ask("act")
    assert (type(raised.value), raised.value.message, raised.value.hint) == (kind, "why", "what to do")


def test_an_error_of_a_later_release_is_one_of_its_family(tmp_path: Path) -> None:
    told = {"code": "too-late-in-the-day", "message": "why", "hint": "wait", "family": "Refused"}
    with answering(tmp_path, answered({"error": told})) as path, pytest.raises(Refused) as raised:
        Connection(path).ask("act")
    assert type(raised.value) is Refused
    assert not isinstance(raised.value, Denied)


def test_nobody_at_the_socket_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(KeepUnavailable) as raised:
        Connection(tmp_path / "nothing").ask("status")
    assert str(tmp_path / "nothing") in raised.value.message


def test_an_answer_that_trickles_is_not_waited_for(tmp_path: Path) -> None:
    """For a minute there is a byte each tenth of a second: a limit for each of them would never be reached."""
    whole = answered({"ok": {"long": "x" * 600}})
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    with answering(tmp_path, *pieces, pause_seconds=0.1) as path, pytest.raises(KeepUnavailable):
        Connection(path, timeout_seconds=0.3).ask("status")


def test_a_deadline_counts_for_all_questions_together(tmp_path: Path) -> None:
    soon = Connection(tmp_path / "nothing", 30).within(0.05)
    time.sleep(0.06)
    with pytest.raises(KeepUnavailable, match="has not answered"):
        soon.ask("status")


@pytest.mark.parametrize("sent", [b"", b"\0\0", framed(b'{"ok":{}}')[:-1]])
def test_a_socket_that_closes_early_is_not_waited_for(tmp_path: Path, sent: bytes) -> None:
    with answering(tmp_path, sent) as path, pytest.raises(KeepUnavailable, match="closed before"):
        Connection(path).ask("status")

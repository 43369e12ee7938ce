"""Attacks on the keep's socket: none of them stalls anybody else, and nobody else gets in."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from strongroom.keep.server import MOST_CONNECTIONS, MOST_HELD_BYTES, Server
from strongroom.terms.canonical import Json
from strongroom.terms.errors import KeepRunning, UnsafePlace
from strongroom.terms.frames import encode_frame
from tests.keep.raw import Client, Clock, Served, echo, serving, until
from tests.keep.test_server import code

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
NOBODY = 65534


# --- bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, (1 << 20) + 1, 1 << 30, 2**32 - 1])
def test_a_length_that_cannot_be_is_answered_with_an_error_and_the_end(tmp_path: Path, size: int) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        client.send_bytes(size.to_bytes(4, "big"))
        assert code(client.receive()) == "bad-frame"
        assert client.is_closed()


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"{",
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b" 1",
        b"1.5",
        b"NaN",
        b"1" * 100_000,
        b'"\\ud800"',
        b"[" * 1000 + b"]" * 1000,
        b"[" * 500_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_canonical_is_answered_with_an_error_and_the_end(tmp_path: Path, body: bytes) -> None:
    """What stands behind it is not answered: sender and keep may not agree on what was meant."""
    with serving(tmp_path) as served:
        client = served.connect()
        client.send_bytes(encode_frame(body, 1 << 20) + encode_frame(b'"behind"', 100))
        assert code(client.receive()) == "not-canonical"
        assert client.is_closed()
        assert served.connect().ask("alive") == "alive"


# --- time --------------------------------------------------------------------------------------


def test_a_slow_loris_is_closed_ten_seconds_after_its_first_byte(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        loris = served.connect()
        for byte in b"\0\0\0":
            loris.send_bytes(bytes([byte]))
            served.pass_seconds(3)
            assert loris.is_open()
        served.pass_seconds(1.5)
        assert loris.is_closed()


def test_four_hundred_slow_lorises_stall_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        lorises = [served.connect() for _ in range(400)]
        for loris in lorises:
            loris.send_bytes(b"\0\0\1")
        client = served.connect()
        for number in range(200):
            lorises[number].send_bytes(b"\0")
            assert client.ask(number) == number
        served.pass_seconds(11)
        assert all(loris.is_closed() for loris in lorises)


def much(batch: object) -> list[Json]:
    assert isinstance(batch, list)
    return ["a" * (15 << 20) if request == "much" else request for request in batch]


def test_a_client_that_never_reads_keeps_nobody_from_a_thousand_answers(tmp_path: Path) -> None:
    with serving(tmp_path, much) as served:
        deaf, client = served.connect(), served.connect()
        deaf.send("much", *["ahead"] * 1000)
        assert [client.ask(number) for number in range(1000)] == list(range(1000))
        assert deaf.is_open()
        served.pass_seconds(11)
        with pytest.raises(EOFError):
            deaf.receive()


def test_a_client_that_never_reads_many_small_answers_keeps_nobody_waiting(tmp_path: Path) -> None:
    with serving(tmp_path, lambda batch: ["a" * 2000 if request == "some" else request for request in batch]) as served:
        deaf, client = served.connect(), served.connect()
        deaf.send(*["some"] * 2000)
        assert [client.ask(number) for number in range(100)] == list(range(100))
        assert [deaf.receive() for _ in range(2000)] == ["a" * 2000] * 2000


def test_a_client_that_reads_a_byte_now_and_then_is_closed_as_well(tmp_path: Path) -> None:
    with serving(tmp_path, much) as served:
        slow = served.connect()
        slow.send("much")
        served.settle()
        for _ in range(3):
            assert len(slow.socket.recv(300_000)) > 0
            served.pass_seconds(3)
        assert slow.is_open()
        served.pass_seconds(2)
        rest = 0
        while data := slow.socket.recv(1 << 20):
            rest += len(data)
        assert rest < 1 << 20


def test_a_client_that_sends_without_end_fills_no_memory(tmp_path: Path) -> None:
    """What it sends ahead of its turn stays in the kernel, and fills up there."""
    with serving(tmp_path, much) as served:
        flood, client = served.connect(), served.connect()
        flood.send("much")
        served.settle()
        flood.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            flood.send_bytes(encode_frame(b'"ahead"', 100) * 400_000)
        assert client.ask("a") == "a"


# --- numbers -----------------------------------------------------------------------------------


def test_six_hundred_idle_connections_drop_the_oldest_and_not_the_newest(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        clients = [served.connect() for _ in range(600)]
        assert clients[-1].ask("newest") == "newest"
        until(lambda: sum(client.is_open() for client in clients) == MOST_CONNECTIONS)
        assert not any(client.is_open() for client in clients[: 600 - MOST_CONNECTIONS])


def test_a_connection_at_work_is_not_dropped_for_a_new_one(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        at_work = [served.connect() for _ in range(MOST_CONNECTIONS)]
        for client in at_work:
            client.send_bytes(encode_frame(b'"whole"', 100) + b"\0\0\0\1")
            assert client.receive() == "whole"  # so the half behind it has been read as well
        for _ in range(20):
            assert served.connect().is_closed()
        for number, client in enumerate(at_work):
            client.send_bytes(str(number % 10).encode())
            assert client.receive() == number % 10


def test_answers_that_nobody_reads_fill_no_more_than_so_much_memory(tmp_path: Path) -> None:
    with serving(tmp_path, much) as served:
        deaf = [served.connect() for _ in range(MOST_HELD_BYTES // (15 << 20) + 2)]
        for client in deaf:
            client.send("much")
            served.settle()
        lost = 0
        for client in deaf:
            try:
                client.receive()
            except EOFError:
                lost += 1
        assert lost == 2
        assert served.connect().ask("a") == "a"


# --- who ---------------------------------------------------------------------------------------


def test_a_user_that_is_not_named_is_not_answered(tmp_path: Path) -> None:
    with serving(tmp_path, allowed_uids=frozenset({os.geteuid() + 1})) as served:
        client = served.connect()
        assert client.is_closed()


@needs_root
@pytest.mark.parametrize(("allowed", "answered"), [(None, False), (frozenset({NOBODY}), True)])
def test_another_user_is_answered_only_if_named(allowed: frozenset[int] | None, answered: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = folder / "keep.sock"
        served = Served(path, Server(path, echo, clock=time.monotonic, allowed_uids=allowed), Clock())
        # As if the folder had been opened up after the start: the kernel's word on the peer is all that is left.
        folder.chmod(0o755)
        path.chmod(0o666)
        os.seteuid(NOBODY)
        try:
            client = Client(path)
        finally:
            os.seteuid(0)
        thread = threading.Thread(target=served.run)
        thread.start()
        try:
            client.send_bytes(encode_frame(b'"a"', 10))
            if answered:
                assert client.receive() == "a"
            else:
                assert client.is_closed()
        except BrokenPipeError:
            assert not answered
        finally:
            client.close()
            served.stop(thread)


# --- where -------------------------------------------------------------------------------------


def start(path: Path) -> None:
    Server(path, echo, clock=time.monotonic).close()


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o750, 0o755, 0o770, 0o777, 0o1777])
def test_a_loose_folder_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(UnsafePlace, match="others have rights"):
        start(tmp_path / "keep.sock")
    tmp_path.chmod(0o700)
    start(tmp_path / "keep.sock")


def test_a_symlinked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(UnsafePlace):
        start(tmp_path / "link" / "keep.sock")


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch(mode=0o700)
    with pytest.raises(UnsafePlace):
        start(tmp_path / folder / "keep.sock")


@needs_root
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.chown(tmp_path, NOBODY, NOBODY)
    try:
        with pytest.raises(UnsafePlace):
            start(tmp_path / "keep.sock")
    finally:
        os.chown(tmp_path, os.geteuid(), os.getegid())


def test_a_second_keep_does_not_take_the_first_ones_socket(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for name in ("keep.sock", "another.sock"):
            with pytest.raises(KeepRunning, match="another keep"):
                start(tmp_path / name)
        assert served.connect().ask("first") == "first"


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_socket_that_anybody_listens_at_is_not_removed(tmp_path: Path, waiting: int) -> None:
    """Busy or not: with a full queue, connecting fails as well, but otherwise than at a dead one."""
    tmp_path.chmod(0o700)
    path = tmp_path / "keep.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        queue = [socket.socket(socket.AF_UNIX) for _ in range(waiting)]
        for client in queue:
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(KeepRunning, match="somebody listens"):
            start(path)
        for client in queue:
            client.close()
    assert path.exists()
    start(path)

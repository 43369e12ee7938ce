"""The keep's socket: batches, states, starting and stopping. What is done against others stands in `tests/attacks`."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.keep.server import MOST_REQUESTS, Server
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, KeepRunning, UnsafePlace
from strongroom.terms.frames import encode_frame
from tests.keep.raw import Client, Served, echo, serving, until


class Gate:
    """A handler that echoes, notes the size of each batch, and waits while it is shut."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.entered = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, batch: Sequence[Json]) -> Sequence[Json]:
        self.batches.append(len(batch))
        self.entered.set()
        assert self.free.wait(10)
        return batch

    def shut_behind(self, client: Client) -> None:
        """Have the handler at work on a request of `client`, until `free` is set again."""
        self.free.clear()
        self.entered.clear()
        client.send("first")
        assert self.entered.wait(60)


def test_a_request_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        values: list[Json] = [{"a": [1, "ä"]}, None, ""]
        assert [client.ask(value) for value in values] == values


def test_a_request_that_comes_one_byte_at_a_time_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        for byte in encode_frame(b'{"a":1}', 100):
            client.send_bytes(bytes([byte]))
        assert client.receive() == {"a": 1}


def test_requests_and_answers_of_the_largest_sizes_pass(tmp_path: Path) -> None:
    answer = "a" * ((16 << 20) - 2)
    with serving(tmp_path, lambda batch: [answer for _ in batch]) as served:
        assert served.connect().ask("r" * ((1 << 20) - 2)) == answer


def test_a_connection_that_waits_costs_nothing_before_and_after_a_large_answer(tmp_path: Path) -> None:
    with serving(tmp_path, lambda _: ["a" * (4 << 20)]) as served:
        client = served.connect()
        for _ in range(2):
            client.ask("much")
            looks, began = served.clock.looks, time.monotonic()
            time.sleep(0.2)
            looks, took = served.clock.looks - looks, time.monotonic() - began
            assert looks < 10 + 20 * took  # it turns twice a second, and does not spin


def test_all_that_wait_are_one_batch(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate) as served:
        clients = [served.connect() for _ in range(41)]
        gate.shut_behind(clients[0])
        for number, client in enumerate(clients[1:]):
            client.send(number)
        gate.free.set()
        assert [client.receive() for client in clients] == ["first", *range(40)]
    assert gate.batches == [1, 40]


def test_a_batch_has_at_most_so_many_requests(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate) as served:
        clients = [served.connect() for _ in range(MOST_REQUESTS + 45)]
        gate.shut_behind(clients[0])
        for client in clients[1:]:
            client.send("next")
        gate.free.set()
        assert {client.receive() for client in clients[1:]} == {"next"}
    assert gate.batches == [1, MOST_REQUESTS, 44]


def test_a_batch_of_large_requests_is_short(tmp_path: Path) -> None:
    """Otherwise whoever sends many megabytes at once has everybody wait until they are all read."""
    gate = Gate()
    with serving(tmp_path, gate) as served:
        clients = [served.connect() for _ in range(6)]
        senders = [threading.Thread(target=client.send, args=("x" * 600_000,)) for client in clients[1:]]
        gate.shut_behind(clients[0])
        for sender in senders:
            sender.start()
        gate.free.set()
        assert all(client.receive() for client in clients)
        for sender in senders:
            sender.join()
    assert max(gate.batches) <= 2
    assert sum(gate.batches) == 6


def test_what_a_connection_sends_ahead_waits_for_its_turn(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate) as served:
        client = served.connect()
        client.send(*range(50))
        assert [client.receive() for _ in range(50)] == list(range(50))
    assert gate.batches == [1] * 50


def test_a_connection_is_in_a_batch_once_even_if_more_comes_while_it_waits(tmp_path: Path) -> None:
    batches: list[Sequence[Json]] = []
    entered, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def handle(batch: Sequence[Json]) -> Sequence[Json]:
        batches.append(batch)
        entered.release()
        assert go_on.acquire(timeout=60)
        return batch

    with serving(tmp_path, handle) as served:
        clients = [served.connect() for _ in range(MOST_REQUESTS + 45)]
        clients[0].send(0)
        assert entered.acquire(timeout=60)
        for _ in range(2):  # what is sent the second time comes while the last 44 wait for their turn
            for number, client in enumerate(clients):
                client.send(number)
            go_on.release()
            assert entered.acquire(timeout=60)
        go_on.release(10)
        for number, client in enumerate(clients):
            assert [client.receive(), client.receive()] == [number, number]
    assert len(batches[1]) == MOST_REQUESTS
    assert all(len(set(map(str, batch))) == len(batch) for batch in batches)


def test_every_request_gets_its_own_answer(tmp_path: Path) -> None:
    def ask(client: Client, name: str, wrong: list[str]) -> None:
        wrong.extend(f"{name}/{n}" for n in range(200) if client.ask(f"{name}/{n}") != f"{name}/{n}")

    wrong: list[str] = []
    with serving(tmp_path) as served:
        threads = [threading.Thread(target=ask, args=(served.connect(), str(n), wrong)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# --- the handler's part ------------------------------------------------------------------------


def boom(batch: Sequence[Json]) -> Sequence[Json]:
    raise ZeroDivisionError(len(batch))


@pytest.mark.parametrize(
    ("handle", "error"), [(boom, ZeroDivisionError), (lambda _: [], ValueError), (lambda _: ["a", "b"], ValueError)]
)
def test_what_the_handler_does_wrong_ends_the_keep(tmp_path: Path, handle: object, error: type[Exception]) -> None:
    assert callable(handle)
    with serving(tmp_path, handle) as served:
        client = served.connect()
        client.send("a")
        assert client.is_closed()
        until(lambda: served.errors != [])
        assert not served.path.exists()
    assert [type(found) for found in served.errors] == [error]


def test_an_answer_that_is_too_long_is_an_error_of_that_request_alone(tmp_path: Path) -> None:
    def handle(batch: Sequence[Json]) -> Sequence[Json]:
        return ["a" * (16 << 20) if request == "long" else request for request in batch]

    with serving(tmp_path, handle) as served:
        client = served.connect()
        assert code(client.ask("long")) == "bad-frame"
        assert client.ask("short") == "short"
        assert served.errors == []


def test_an_answer_without_canonical_form_is_an_error_of_that_request_alone(tmp_path: Path) -> None:
    with serving(tmp_path, lambda batch: ["\ud800" if request == "bad" else request for request in batch]) as served:
        client = served.connect()
        assert code(client.ask("bad")) == "not-canonical"
        assert client.ask("good") == "good"


def code(answer: Json) -> str:
    match answer:
        case {"error": {"code": str(code), "hint": str(), "message": str()}}:
            return code
        case _:
            raise AssertionError(f"{answer!r} is no error")


# --- patience ----------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_after_two_minutes(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client, silent = served.connect(), served.connect()
        served.pass_seconds(115)
        assert client.ask("still here") == "still here"
        served.pass_seconds(10)
        assert silent.is_closed()
        assert client.is_open()
        served.pass_seconds(111)
        assert client.is_closed()


def test_after_each_request_a_connection_is_fresh(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        for number in range(4):
            client.send_bytes(b"\0\0")
            served.pass_seconds(9)
            client.send_bytes(b"\0\1" + str(number).encode())
            assert client.receive() == number
            served.pass_seconds(100)


def test_the_handlers_time_counts_against_nobody(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate) as served:
        busy, half = served.connect(), served.connect()
        half.send_bytes(b"\0\0\0\1")
        served.settle()
        gate.shut_behind(busy)
        served.clock.added_seconds += 1000
        gate.free.set()
        assert busy.receive() == "first"
        served.pass_seconds(5)
        half.send_bytes(b"7")
        assert half.receive() == 7
        assert busy.is_open()


# --- ends --------------------------------------------------------------------------------------


def test_a_client_that_has_no_more_to_say_still_gets_its_answers(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        client.send(1, 2, 3)
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.receive() for _ in range(3)] == [1, 2, 3]
        assert client.is_closed()


def test_a_client_that_goes_in_the_middle_of_a_request_is_forgotten(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        client.send_bytes(b"\0\0\0\5ab")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_client_that_goes_before_its_answer_disturbs_nobody(tmp_path: Path, size: int) -> None:
    gate = Gate()
    with serving(tmp_path, gate) as served:
        first = served.connect()
        assert first.ask("here") == "here"
        before = open_descriptors()
        gone = served.connect()
        sender = threading.Thread(target=gone.send, args=("x" * size,))
        gate.shut_behind(first)
        sender.start()
        sender.join()
        gone.close()
        gate.free.set()
        assert first.receive() == "first"
        assert first.ask("again") == "again"
        until(lambda: open_descriptors() == before)  # at once, not when it is late
        assert served.errors == []


def test_a_client_that_goes_while_it_reads_disturbs_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, lambda batch: ["a" * (4 << 20) if request == "much" else request for request in batch]) as s:
        gone, other = s.connect(), s.connect()
        gone.send("much")
        gone.socket.recv(1000)
        gone.close()
        assert other.ask("a") == "a"
        assert s.errors == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.binary(max_size=80) | st.binary(max_size=40).map(lambda body: len(body).to_bytes(4, "big") + body))
def test_any_bytes_end_in_an_answer_an_error_or_nothing(served_once: Served, data: bytes) -> None:
    client = Client(served_once.path)
    client.send_bytes(data)
    client.socket.shutdown(socket.SHUT_WR)
    answers = client.receive_all()
    client.close()
    assert all(code(answer) in {"bad-frame", "not-canonical"} for answer in answers if isinstance(answer, dict))
    assert served_once.errors == []


@pytest.fixture
def served_once(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served
        assert served.connect().ask("alive") == "alive"


# --- starting ----------------------------------------------------------------------------------


def server(path: Path) -> Server:
    return Server(path, echo, clock=time.monotonic)


def test_the_socket_is_ours_alone(tmp_path: Path) -> None:
    earlier = os.umask(0)
    try:
        with serving(tmp_path) as served:
            assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    finally:
        os.umask(earlier)


def test_a_socket_that_a_dead_keep_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "keep.sock"))
        dead.listen()
    assert (tmp_path / "keep.sock").exists()
    with serving(tmp_path) as served:
        assert served.connect().ask("a") == "a"


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "keep.sock").write_text("precious")
    with pytest.raises(UnsafePlace, match="in the way"):
        server(tmp_path / "keep.sock")
    assert (tmp_path / "keep.sock").read_text() == "precious"


def test_a_start_that_was_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    open_before = open_descriptors()
    (tmp_path / "keep.sock").mkdir()
    with pytest.raises(UnsafePlace, match="in the way"):
        server(tmp_path / "keep.sock")
    (tmp_path / "keep.sock").rmdir()
    tmp_path.chmod(0o755)
    with pytest.raises(UnsafePlace, match="others have rights"):
        server(tmp_path / "keep.sock")
    tmp_path.chmod(0o700)
    server(tmp_path / "keep.sock").close()
    assert list(tmp_path.iterdir()) == []
    assert open_descriptors() == open_before


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(BadRequest, match="too long"):
        server(tmp_path / ("a" * 120))


# --- stopping ----------------------------------------------------------------------------------


def test_a_stop_removes_the_socket_and_closes_who_is_idle(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        client = served.connect()
        client.ask("a")
        served.stopping.set()
        served.server.wake()
        assert client.is_closed()  # at once: the clock of what is waited for stands still
        until(lambda: not served.path.exists())
    assert served.errors == []


def test_a_stop_is_seen_at_once_when_woken_and_soon_when_not(tmp_path: Path) -> None:
    def stopped(*, woken: bool) -> float:
        """Return how many seconds a stop took."""
        with serving(tmp_path) as served:
            served.settle()
            time.sleep(0.05)
            began = time.monotonic()
            served.stopping.set()
            if woken:
                served.server.wake()
            until(lambda: not served.path.exists())
            return time.monotonic() - began

    stopped(woken=False)
    # On a machine that has much else to do not each is quick. Not woken, the quickest would take 0.4 s.
    assert any(stopped(woken=True) < 0.3 for _ in range(50))


def test_a_signal_can_wake_it(tmp_path: Path) -> None:
    with serving(tmp_path) as served:

        def on_signal(*_: object) -> None:
            served.stopping.set()
            served.server.wake()

        earlier = signal.signal(signal.SIGUSR1, on_signal)
        try:
            signal.raise_signal(signal.SIGUSR1)
            until(lambda: not served.path.exists())
        finally:
            signal.signal(signal.SIGUSR1, earlier)


def test_waking_never_blocks_and_does_no_harm_after_the_end(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    idle = server(tmp_path / "keep.sock")
    for _ in range(5000):
        idle.wake()
    idle.close()
    idle.wake()
    idle.close()


def test_at_a_stop_answers_are_still_read_to_their_end(tmp_path: Path) -> None:
    answer = "a" * (3 << 20)
    with serving(tmp_path, lambda batch: [answer if request == "much" else request for request in batch]) as served:
        client = served.connect()
        client.send("much", "never answered")
        served.settle()
        served.stopping.set()
        served.server.wake()
        until(lambda: not served.path.exists())
        assert client.receive() == answer
        assert client.is_closed()  # and no longer waited for: the clock stands still
    assert served.errors == []


def test_a_stop_does_not_wait_long_for_who_does_not_read(tmp_path: Path) -> None:
    answer = "a" * (3 << 20)
    with serving(tmp_path, lambda batch: [answer if request == "much" else request for request in batch]) as served:
        client = served.connect()
        client.send("much")
        served.settle()
        served.stopping.set()
        served.server.wake()
        until(lambda: not served.path.exists())
        time.sleep(0.1)
        assert client.is_open()
        with pytest.raises(KeepRunning):
            server(served.path)
        served.clock.added_seconds += 2
        until(lambda: not is_locked(served.path))


def is_locked(path: Path) -> bool:
    try:
        server(path).close()
    except KeepRunning:
        return True
    return False

"""The log as a stream: whole, in order, from where the reader was, for as long as the reader may look."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.session_close import SessionClose
from strongroom.acts.workload_remove import WorkloadRemove
from strongroom.client.joining import looker_of
from strongroom.client.looks import HEADER, Viewer
from strongroom.client.names import new_detail
from strongroom.client.requests import propose, request_access
from strongroom.client.session import Session
from strongroom.gateway import streams
from strongroom.gateway.streams import STREAMS_EACH, STREAMS_TOGETHER, Slots, check_viewer
from strongroom.terms import canonical
from strongroom.terms.errors import NotFound, UnknownSigner
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import TooManyStreams
from strongroom.tlog.checkpoints import parse_checkpoint
from strongroom.tlog.notes import parse_note
from tests.acts.world import HOUR, House, a_house, text
from tests.gateway.furnished import Furnished, furnished, problem
from tests.gateway.world import RealGateway

STREAM = "/v1/log/stream"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is empty where it has none."""

    kind: str
    id: str
    data: Any


class Reader:
    """Reads events one by one."""

    def __init__(self, real: RealGateway, target: str, headers: Mapping[str, str] | None = None) -> None:
        self.pieces: Any = real.https(real.ada).stream(target, headers)
        self.held = b""

    def close(self) -> None:
        self.pieces.close()

    def __iter__(self) -> Iterator[Event]:
        for piece in self.pieces:
            self.held += piece
            *whole, self.held = self.held.split(b"\n\n")
            for block in whole:
                lines = dict(line.split(b": ", 1) for line in block.split(b"\n"))
                if b"event" not in lines:
                    assert lines.keys() == {b"retry"}
                    continue
                data = canonical.parse(lines[b"data"])
                yield Event(lines[b"event"].decode(), lines.get(b"id", b"").decode(), data)

    def entries(self, stop: int) -> list[Event]:
        """Read until the entry before `stop` was there and a checkpoint covers it."""
        found: list[Event] = []
        for event in self:
            if event.kind == "entry":
                found.append(event)
            elif event.kind == "checkpoint" and found and found[-1].data["index"] == stop - 1:
                assert size_of(event) >= stop
                return found
        raise AssertionError("the stream has ended")


def size_of(event: Event) -> int:
    return parse_checkpoint(parse_note(event.data["checkpoint"].encode()).text).size


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with furnished(tmp_path_factory.mktemp("streams", numbered=True)) as trial:
        yield trial


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def reading(opened: ExitStack, real: RealGateway, query: str, headers: Mapping[str, str] | None = None) -> Reader:
    return opened.enter_context(closing(Reader(real, f"{STREAM}{query}", headers)))


def add_model(session: Session) -> int:
    """Have something happen, and return the size of the log then."""
    detail = new_detail(f"acme/{os.urandom(4).hex()}", os.urandom)
    model = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=0)
    propose(session, "model.enrol", model, "to have one", details=[detail])
    return session.deployment.sync().size


# --- what comes --------------------------------------------------------------------------------


def test_a_stream_is_the_log_in_order_and_checkpoints_cover_it(trial: Furnished, opened: ExitStack) -> None:
    size = trial.session.deployment.sync().size
    found = reading(opened, trial.real, "?start=0").entries(size)
    leaves = [trial.session.deployment.replica.leaf(index) for index in range(size)]
    assert [base64.b64decode(one.data["leaf"]) for one in found] == leaves
    assert [(one.id, one.data["index"]) for one in found] == [(str(index), index) for index in range(size)]


def test_what_happens_while_somebody_reads_comes_at_once_and_once(trial: Furnished, opened: ExitStack) -> None:
    begin = trial.session.deployment.sync().size
    late, early = reading(opened, trial.real, ""), reading(opened, trial.real, f"?start={begin - 1}")
    for reader in (late, early):
        assert "checkpoint" in (event.kind for event in reader)
    size = add_model(trial.session)
    assert [one.data["index"] for one in late.entries(size)] == list(range(begin, size))
    assert [one.data["index"] for one in early.entries(size)] == list(range(begin, size))
    again = reading(opened, trial.real, "?start=0", {"Last-Event-ID": str(begin)})
    assert [one.data["index"] for one in again.entries(size)] == list(range(begin + 1, size))


def test_while_nothing_happens_the_reader_is_shown_that_nothing_does(trial: Furnished, opened: ExitStack) -> None:
    size = trial.session.deployment.sync().size
    events = iter(reading(opened, trial.real, ""))
    assert [(event.kind, size_of(event)) for event in (next(events), next(events))] == [("checkpoint", size)] * 2


def test_a_long_log_comes_in_pieces(tmp_path: Path, opened: ExitStack) -> None:
    with furnished(tmp_path) as trial:
        long = write_much(trial, 12)
        found = reading(opened, trial.real, "?start=0").entries(long)
        assert [one.data["index"] for one in found] == list(range(long))
        assert sum(len(one.data["leaf"]) for one in found) > 2 * streams.BATCH_BYTES


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("?start=-1", {}, "bad-request"),
        ("?start=00", {}, "bad-request"),
        ("?begin=0", {}, "bad-request"),
        ("?start=1000000", {}, "not-found"),
        ("", {"Last-Event-ID": "x"}, "bad-request"),
        ("", {"Last-Event-ID": ""}, "bad-request"),
        ("", {"Last-Event-ID": "999999"}, "not-found"),
        ("", {"Last-Event-ID": "1", "last-event-id": "2"}, "bad-request"),
    ],
)
def test_a_stream_begins_where_an_entry_is_or_will_be(
    trial: Furnished, query: str, headers: dict[str, str], code: str
) -> None:
    assert problem(trial.ask(f"{STREAM}{query}", headers))["code"] == code


def test_a_stream_is_for_whoever_is_enrolled(trial: Furnished) -> None:
    assert problem(trial.real.get(f"{STREAM}?start=0"))["code"] == "unknown-signer"


def test_asking_for_the_headers_alone_begins_no_stream(trial: Furnished) -> None:
    answer = trial.ask(STREAM, method="HEAD")
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        200,
        "text/event-stream; charset=utf-8",
        b"",
    )


# --- how it ends -------------------------------------------------------------------------------


def test_a_stream_ends_with_the_session_that_asked_for_it(trial: Furnished, opened: ExitStack) -> None:
    reader = reading(opened, trial.real, "")
    assert next(iter(reader)).kind == "checkpoint"
    before = trial.session
    trial.session = trial.real.session()
    old = before._key.session
    trial.session.close_session(old)
    *_, last = reader
    assert (last.kind, last.data["code"]) == ("end", "unknown-signer")


def test_a_stream_ends_when_the_gateway_stops(tmp_path: Path, opened: ExitStack) -> None:
    with furnished(tmp_path, flags=("--limit", "stop_seconds=1")) as trial:
        reader = reading(opened, trial.real, "")
        assert next(iter(reader)).kind == "checkpoint"
        rest: list[Event] = []
        thread = Thread(target=lambda: rest.extend(reader))
        thread.start()
        assert trial.real.gateway.stop() == 0
        thread.join()
        assert {event.kind for event in rest} <= {"checkpoint"}


def viewer(house: House) -> Viewer:
    session = house.directory.sessions[house.session("Dan").subject]
    assert session.device is not None
    return Viewer(
        subject=session.person, until=house.at, session=session, device=house.directory.devices[session.device]
    )


def test_whoever_is_enrolled_and_logged_in_may_look() -> None:
    house = a_house()
    check_viewer(house.directory, viewer(house), at=house.at)
    check_viewer(house.directory, Viewer(subject=house.job.subject, until=0), at=house.at)
    check_viewer(house.directory, Viewer(subject=house.attester.subject, until=0), at=house.at)


def lapse(house: House) -> None:
    house.at += HOUR + 1


ENDS: dict[str, Any] = {
    "the session has lapsed": lapse,
    "the session was closed": lambda h: h.do("Ada", SessionClose(session=h.session("Dan").subject)),
    "the device was removed": lambda h: h.govern(DeviceRemove(device=h.people["Dan"].device.subject)),
    "the person was removed": lambda h: h.govern(PersonRemove(person=h.person("Dan"))),
    "the key was reported": lambda h: h.do(
        "Ada", CredentialReport(credential=h.people["Dan"].keys[0].credential, reason=text("lost"))
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_nobody_goes_on_looking_after(how: str) -> None:
    house = a_house()
    dan = viewer(house)
    ENDS[how](house)
    with pytest.raises((UnknownSigner, NotFound)):
        check_viewer(house.directory, dan, at=house.at)


def test_a_device_alone_looks_no_longer_once_it_or_its_person_is_removed() -> None:
    for change in ("device", "person"):
        house = a_house()
        dan, device = house.person("Dan"), house.people["Dan"].device.subject
        looks = Viewer(subject=dan, until=0, device=house.directory.devices[device])
        check_viewer(house.directory, looks, at=house.at)
        house.govern(DeviceRemove(device=device) if change == "device" else PersonRemove(person=dan))
        with pytest.raises(NotFound):
            check_viewer(house.directory, looks, at=house.at)


def test_a_workload_that_was_removed_looks_no_longer() -> None:
    house = a_house()
    house.govern(WorkloadRemove(workload=house.job.subject))
    with pytest.raises(NotFound):
        check_viewer(house.directory, Viewer(subject=house.job.subject, until=0), at=house.at)


# --- how much ----------------------------------------------------------------------------------


def test_nobody_holds_more_streams_than_their_share(opened: ExitStack) -> None:
    slots = Slots()
    for _ in range(STREAMS_EACH):
        opened.enter_context(slots.taken("ada"))
    with pytest.raises(TooManyStreams), slots.taken("ada"):
        pass
    with slots.taken("ben"):
        pass
    opened.close()
    with slots.taken("ada"):
        pass


def test_all_together_hold_no_more_streams_than_there_are(opened: ExitStack) -> None:
    slots = Slots()
    for number in range(STREAMS_TOGETHER):
        opened.enter_context(slots.taken(f"person {number}"))
    with pytest.raises(TooManyStreams), slots.taken("one more"):
        pass


def test_a_reader_who_goes_away_gives_the_stream_back(trial: Furnished, opened: ExitStack) -> None:
    real = trial.real
    held: list[Reader] = []

    def hold_one_more() -> bool:
        reader = reading(opened, real, "")
        if is_open := begins(reader):
            held.append(reader)
        return is_open

    for _ in range(STREAMS_EACH):
        real.until(hold_one_more)  # those of other tests may have to end first
    told = problem(trial.ask(STREAM))
    assert (told["status"], told["code"]) == (429, "too-many-streams")
    held[0].close()
    real.until(hold_one_more)


def begins(reader: Reader) -> bool:
    """Tell whether this stream is to be had."""
    try:
        return next(iter(reader)).kind == "checkpoint"
    except TooManyStreams:
        return False


def test_a_reader_who_does_not_read_is_closed_and_nothing_piles_up_for_them(tmp_path: Path, opened: ExitStack) -> None:
    with furnished(tmp_path, flags=("--limit", "reading_seconds=5")) as trial:
        real, size = trial.real, write_much(trial, 60)
        whole = sum(len(one.data["leaf"]) for one in reading(opened, real, "?start=0").entries(size))
        ended = answered(real)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", real.port))
        slow = opened.enter_context(real.context().wrap_socket(plain, server_hostname="127.0.0.1"))
        target = f"{STREAM}?start=0"
        look = looker_of(real.ada, real.deployment)(target, b"")
        slow.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{real.port}\r\n{HEADER}: {look}\r\n\r\n".encode())
        real.until(lambda: answered(real) > ended)
        slow.settimeout(60)
        came = 0
        with suppress(OSError):
            while data := slow.recv(1 << 16):
                came += len(data)
        assert came < whole


def answered(real: RealGateway) -> float:
    """Return how many streams have ended."""
    return real.metrics().get(f'strongroom_gateway_requests_total{{route="{STREAM}",status="200"}}', 0)


def write_much(trial: Furnished, times: int) -> int:
    """Write entries of about 60 KB, and return the size of the log then."""
    for _ in range(times):
        request_access(trial.session, trial.version, 1, "many files", [f"{n:0100d}" for n in range(420)])
    return trial.session.deployment.sync().size

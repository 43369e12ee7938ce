"""Asking the keep: on lines that are kept, bounded in number, no answer reaches a question that it is not for."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from strongroom.gateway.keep import Keep, socket_dial
from strongroom.terms.canonical import Json
from strongroom.terms.errors import Denied
from strongroom.terms.outer_errors import KeepBusy, KeepUnavailable
from tests.client_keep.logs import served

Stream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def echoed(batch: Sequence[Json]) -> list[Json]:
    """Answer each request with what it asks."""
    return [{"ok": {"asked": request}} for request in batch]


def test_many_questions_get_each_its_own_answer(tmp_path: Path) -> None:
    async def ask_all(socket: Path) -> None:
        keep = Keep(socket_dial(socket), most_connections=4)
        answers = await asyncio.gather(*(keep.ask("entries", start=number, count=1) for number in range(100)))
        assert [answer.ok["asked"] for answer in answers] == [
            {"ask": "entries", "count": 1, "start": number} for number in range(100)
        ]
        keep.close()

    with served(echoed, tmp_path / "keep" / "socket") as socket:
        asyncio.run(ask_all(socket))


def test_a_late_answer_is_never_that_to_the_next_question(tmp_path: Path) -> None:
    release = threading.Event()

    def slow(batch: Sequence[Json]) -> list[Json]:
        if {"ask": "first"} in batch:
            release.wait(30)
        return echoed(batch)

    async def ask_two(socket: Path) -> None:
        keep = Keep(socket_dial(socket), most_connections=1, timeout_seconds=0.2)
        with pytest.raises(KeepUnavailable):
            await keep.ask("first")
        release.set()
        for _ in range(100):  # until the keep has answered what it was asked first
            try:
                answer = await keep.ask("second")
            except KeepUnavailable:
                continue
            assert answer.ok["asked"] == {"ask": "second"}
            break
        else:
            pytest.fail("no answer")
        keep.close()

    with served(slow, tmp_path / "keep" / "socket") as socket:
        asyncio.run(ask_two(socket))


def test_more_questions_than_may_wait_are_refused_and_not_sent(tmp_path: Path) -> None:
    release = threading.Event()
    seen: list[Json] = []

    def slow(batch: Sequence[Json]) -> list[Json]:
        seen.extend(batch)
        release.wait(30)
        return echoed(batch)

    async def ask_many(socket: Path) -> None:
        keep = Keep(socket_dial(socket), most_connections=2, most_waiting=3)
        asked = [asyncio.create_task(keep.ask("entries", number=number)) for number in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(KeepBusy):
            await keep.ask("entries", number=5)
        release.set()
        assert len(await asyncio.gather(*asked)) == 5
        assert (await keep.ask("entries", number=6)).ok
        keep.close()

    with served(slow, tmp_path / "keep" / "socket") as socket:
        asyncio.run(ask_many(socket))
    assert {"ask": "entries", "number": 5} not in seen


def test_what_the_keep_refuses_is_raised_in_its_own_words(tmp_path: Path) -> None:
    def refusing(batch: Sequence[Json]) -> list[Json]:
        return [{"error": {"code": "denied", "hint": "ask Ben", "message": "not today"}} for _ in batch]

    async def ask(socket: Path) -> None:
        keep = Keep(socket_dial(socket))
        with pytest.raises(Denied, match="not today") as refused:
            await keep.ask("act")
        assert refused.value.hint == "ask Ben"
        keep.close()

    with served(refusing, tmp_path / "keep" / "socket") as socket:
        asyncio.run(ask(socket))


def test_a_question_on_a_line_that_the_keep_closed_goes_to_a_new_one(tmp_path: Path) -> None:
    async def ask_around(socket: Path) -> None:
        keep = Keep(socket_dial(socket))
        with served(echoed, socket):
            assert (await keep.ask("one")).ok
        with pytest.raises(KeepUnavailable):
            await keep.ask("two")
        with served(echoed, socket):
            assert (await keep.ask("three")).ok
        keep.close()

    asyncio.run(ask_around(tmp_path / "keep" / "socket"))


def test_an_act_whose_answer_did_not_come_is_not_said_again(tmp_path: Path) -> None:
    counted = itertools.count()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4))
        await reader.readexactly(size)
        next(counted)
        writer.close()

    async def ask(keep: Keep) -> None:
        with pytest.raises(KeepUnavailable):
            await keep.ask("act")

    asyncio.run(against(tmp_path, closing, ask))
    assert next(counted) == 1


@pytest.mark.parametrize("length", [0, (16 << 20) + 1, (1 << 32) - 1])
def test_an_answer_of_a_length_that_none_has_is_not_waited_for(tmp_path: Path, length: int) -> None:
    asked = asyncio.Event()

    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(length.to_bytes(4))
        await asked.wait()
        writer.close()

    async def ask(keep: Keep) -> None:
        with pytest.raises(KeepUnavailable, match=f"an answer of {length} bytes"):
            await keep.ask("status")
        asked.set()

    asyncio.run(against(tmp_path, strange, ask))


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x00\x00\x02{",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x03{ }",
        b"\x00\x00\x00\x07no json",
        b'\x00\x00\x00\x08{"ok":1}',
        b'\x00\x00\x00\x0a{"error":1}',
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_answers_and_is_no_keep_is_told_apart(tmp_path: Path, answer: bytes) -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(answer)
        writer.close()

    async def ask(keep: Keep) -> None:
        with pytest.raises(KeepUnavailable):
            await keep.ask("status")

    asyncio.run(against(tmp_path, strange, ask))


async def against(folder: Path, serve: Stream, ask: Callable[[Keep], Awaitable[None]]) -> None:
    """Have `ask` ask what `serve` answers."""
    path = folder / "socket"
    async with await asyncio.start_unix_server(serve, path):
        keep = Keep(socket_dial(path))
        await asyncio.wait_for(ask(keep), 30)
        keep.close()
        await asyncio.sleep(0)  # for what was closed to go

"""Frames: whatever pieces the bytes come in, the same messages; no length is believed before it is checked."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms import canonical
from strongroom.terms.errors import BadFrame, NotFound
from strongroom.terms.frames import (
    LARGEST_ANSWER_BYTES,
    LARGEST_REQUEST_BYTES,
    FrameReader,
    encode_frame,
    error_answer,
)


def test_a_frame_is_a_length_and_that_many_bytes() -> None:
    assert encode_frame(b"{}", 2) == b"\0\0\0\2{}"
    assert (LARGEST_REQUEST_BYTES, LARGEST_ANSWER_BYTES) == (1_048_576, 16_777_216)


@given(bodies=st.lists(st.binary(min_size=1, max_size=40), max_size=6), data=st.data())
def test_frames_are_read_as_written_whatever_pieces_they_come_in(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(encode_frame(body, 40) for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader(40)
    read = [body for start, end in pairwise([0, *cuts, len(stream)]) for body in reader.feed(stream[start:end])]
    assert read == bodies
    assert len(reader) == 0


def test_bytes_are_taken_even_if_nobody_looks_at_the_frames_yet() -> None:
    reader = FrameReader(10)
    reader.feed(b"\0\0\0\1a\0\0\0\1b")
    assert (reader.take(), reader.take(), reader.take()) == (b"a", b"b", None)


@pytest.mark.parametrize("size", [0, 11, 1 << 30, 2**32 - 1])
def test_a_length_of_nothing_or_too_much_is_refused_before_its_bytes_come(size: int) -> None:
    reader = FrameReader(10)
    with pytest.raises(BadFrame, match=f"a frame of {size} bytes"):
        list(reader.feed(size.to_bytes(4, "big")))


def test_after_a_bad_length_nothing_more_is_read() -> None:
    reader = FrameReader(10)
    with pytest.raises(BadFrame):
        list(reader.feed(b"\0\0\0\0"))
    with pytest.raises(BadFrame):
        list(reader.feed(b"\0\0\0\1a"))


def test_the_longest_frame_is_read() -> None:
    body = bytes(LARGEST_REQUEST_BYTES)
    assert list(FrameReader(LARGEST_REQUEST_BYTES).feed(encode_frame(body, LARGEST_REQUEST_BYTES))) == [body]


@pytest.mark.parametrize("body", [b"", bytes(11)])
def test_a_body_that_no_reader_would_take_is_not_written(body: bytes) -> None:
    with pytest.raises(BadFrame):
        encode_frame(body, 10)


@given(data=st.binary(max_size=60))
def test_any_bytes_end_in_frames_or_bad_frame(data: bytes) -> None:
    try:
        bodies = list(FrameReader(20).feed(data))
    except BadFrame:
        return
    assert data.startswith(b"".join(encode_frame(body, 20) for body in bodies))


def test_a_megabyte_one_byte_at_a_time_is_held_once() -> None:
    reader, frame = FrameReader(1 << 20), encode_frame(bytes(300_000), 1 << 20)
    tracemalloc.start()
    try:
        read = [body for place in range(len(frame)) for body in reader.feed(frame[place : place + 1])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [len(body) for body in read] == [300_000]
    assert peak < 2_000_000


def test_an_error_is_told_with_its_code_and_hint() -> None:
    told = error_answer(NotFound("no model `x`", hint="look again"))
    assert told == {"error": {"code": "not-found", "hint": "look again", "message": "no model `x`"}}


def test_no_text_of_an_error_can_keep_it_from_being_told() -> None:
    told = error_answer(NotFound("no model `\ud800`"))
    assert b"\\\\ud800" in canonical.encode(told)

"""Tensors: the same index as safetensors' own reader, and no index that reads where it should not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from strongroom.sealing.tensors import (
    DTYPE_BITS,
    LENGTH_BYTES,
    TensorIndex,
    index_json,
    parse_header,
    parse_header_length,
    parse_index,
)
from strongroom.terms import canonical
from strongroom.terms.outer_errors import BadTensors

deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize
NUMPY = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "u2", "I16": "i2", "U32": "u4", "I32": "i4", "U64": "u8", "I64": "i8",
    "F16": "f2", "F32": "f4", "F64": "f8", "C64": "c8",
}  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name != "__metadata__"
)
METADATA = st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1)
ARRAYS = st.builds(
    lambda dtype, shape: np.zeros(shape, dtype),
    st.sampled_from(list(NUMPY.values())),
    st.lists(st.integers(0, 4), max_size=4).map(tuple),
)


def parse(file: bytes) -> TensorIndex:
    length = parse_header_length(file[:LENGTH_BYTES], len(file))
    return parse_header(file[LENGTH_BYTES : LENGTH_BYTES + length], len(file))


def file_of(header: Any, data_bytes: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data_bytes)


def entry(dtype: Any, shape: Any, start: Any, stop: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@given(arrays=st.dictionaries(NAMES, ARRAYS, max_size=5), metadata=st.none() | METADATA)
def test_files_that_the_library_writes_are_read_as_the_library_reads_them(
    arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str] | None
) -> None:
    numbered = {name: array.copy() for name, array in arrays.items()}
    for number, array in enumerate(numbered.values()):
        array.reshape(-1).view(np.uint8)[:] = number + 1
    file = safetensors.numpy.save(numbered, metadata)
    index = parse(file)
    theirs = dict(deserialize(file))
    assert index.tensors.keys() == theirs.keys()
    for name, tensor in index.tensors.items():
        assert tensor.name == name
        assert tensor.dtype == theirs[name]["dtype"]
        assert list(tensor.shape) == theirs[name]["shape"]
        assert file[tensor.start : tensor.stop] == theirs[name]["data"] == numbered[name].tobytes()
        assert tensor.size_bytes == numbered[name].nbytes
    assert index.metadata == (metadata or {})
    assert parse_index(canonical.parse(canonical.encode(index_json(index))), len(file)) == index


def test_every_type_of_the_library_is_known_with_its_size() -> None:
    for dtype, code in NUMPY.items():
        assert DTYPE_BITS[dtype] == 8 * np.dtype(code).itemsize
    for dtype, bits in DTYPE_BITS.items():
        size = bits  # of eight elements
        file = file_of({"a": entry(dtype, [8], 0, size)}, size)
        assert deserialize(file)[0][1]["dtype"] == dtype
        assert parse(file).tensors["a"].size_bytes == size


U16 = entry("U8", [16], 0, 16)
MALFORMED: dict[str, Any] = {
    "no JSON": b"nope",
    "no object": b"[]",
    "leading space": b' {"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}',
    "duplicate name": b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
    b'"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}',
    "duplicate field": b'{"a":{"dtype":"U8","shape":[16],"shape":[16],"data_offsets":[0,16]}}',
    "lone surrogate": b'{"\\ud800":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}',
    "lone surrogate in metadata": b'{"__metadata__":{"a":"\\udc00"},"a":{"dtype":"U8","shape":[16],'
    b'"data_offsets":[0,16]}}',
    "float": b'{"a":{"dtype":"U8","shape":[16.0],"data_offsets":[0,16]}}',
    "nested deeply": b'{"a":' + b"[" * 100_000,
    "nested forty levels": b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    "not UTF-8": b'{"\xff":{}}',
    "no tensors, bytes": {},
    "overlap": {"a": entry("U8", [9], 0, 9), "b": entry("U8", [8], 8, 16)},
    "same bytes": {"a": U16, "b": U16},
    "gap": {"a": entry("U8", [7], 0, 7), "b": entry("U8", [8], 8, 16)},
    "gap first": {"a": entry("U8", [15], 1, 16)},
    "short": {"a": entry("U8", [15], 0, 15)},
    "beyond": {"a": entry("U8", [17], 0, 17)},
    "backwards": {"a": entry("U8", [0], 16, 0)},
    "negative": {"a": entry("U8", [24], -8, 16)},
    "wrong size": {"a": entry("F32", [5], 0, 16)},
    "unknown type": {"a": entry("F128", [1], 0, 16)},
    "lower case type": {"a": entry("u8", [16], 0, 16)},
    "type not text": {"a": entry(8, [16], 0, 16)},
    "fraction of a byte": {"a": entry("F4", [33], 0, 16)},
    "negative shape": {"a": entry("U8", [-4, -4], 0, 16)},
    "shape of 2^64": {"a": U16, "b": entry("U8", [2**32, 2**32], 16, 16)},
    "shape beyond 2^53": {"a": entry("U8", [2**53], 0, 16)},
    "boolean shape": {"a": entry("U8", [16, True], 0, 16)},
    "boolean offset": {"a": entry("U8", [16], False, 16)},
    "null shape": {"a": entry("U8", None, 0, 16)},
    "one offset": {"a": {"dtype": "U8", "shape": [16], "data_offsets": [16]}},
    "field more": {"a": {**U16, "x": 1}},
    "field less": {"a": {"dtype": "U8", "shape": [16]}},
    "null entry": {"a": None},
    "metadata not text": {"__metadata__": {"a": 1}, "a": U16},
    "metadata a list": {"__metadata__": [], "a": U16},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_header_is_refused(name: str) -> None:
    file = file_of(MALFORMED[name], 16)
    with pytest.raises(BadTensors):
        parse(file)


def test_the_malformed_ones_are_one_fault_away_from_a_right_one() -> None:
    assert parse(file_of({"a": U16}, 16)).tensors["a"].shape == (16,)
    assert parse(file_of({"__metadata__": {"a": "b"}, "a": U16}, 16)).metadata == {"a": "b"}
    empty = {"a": entry("U8", [0, 2**40], 0, 0), "b": U16, "c": entry("I64", [0], 16, 16)}
    assert parse(file_of(empty, 16)).tensors["c"].start == parse(file_of(empty, 16)).data_start + 16


@pytest.mark.parametrize("start", [b"", b"\0" * 7, b"\xff" * 8, (101).to_bytes(8, "little"), b"version https://git"])
def test_a_length_beyond_the_file_is_refused_before_anything_is_read(start: bytes) -> None:
    with pytest.raises(BadTensors):
        parse_header_length(start, 108)


def test_the_longest_header_is_that_of_the_library() -> None:
    assert parse_header_length((100_000_000).to_bytes(8, "little"), 1 << 40) == 100_000_000
    with pytest.raises(BadTensors):
        parse_header_length((100_000_001).to_bytes(8, "little"), 1 << 40)


def test_an_endless_shape_takes_no_time_to_refuse() -> None:
    """The attack: a product of 100,000 numbers of 53 bits keeps a reader busy for a quarter of a minute."""
    file = file_of({"a": entry("U8", [2**53 - 1] * 100_000, 0, 16)}, 16)
    begun = time.process_time()
    with pytest.raises(BadTensors):
        parse(file)
    assert time.process_time() - begun < 8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.sampled_from(["U8", "F32", "a", ""]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "dtype", "shape", "data_offsets", "__metadata__"]), children, max_size=4
        )
    ),
    max_leaves=12,
)


@given(header=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), size=st.integers(0, 200))
def test_any_header_is_parsed_or_refused_and_nothing_else_happens(header: bytes, size: int) -> None:
    try:
        index = parse_header(header, size)
    except BadTensors:
        return
    assert sum(tensor.size_bytes for tensor in index.tensors.values()) == size - index.data_start


@given(value=JSON, size=st.integers(0, 200))
def test_any_index_is_parsed_or_refused_and_nothing_else_happens(value: Any, size: int) -> None:
    for candidate in (value, {"data_start": 8, "metadata": {}, "tensors": value}):
        try:
            parse_index(candidate, size)
        except BadTensors:
            continue


@given(start=st.binary(max_size=12), size=st.integers(0, 2**60))
def test_any_start_is_parsed_or_refused_and_nothing_else_happens(start: bytes, size: int) -> None:
    try:
        length = parse_header_length(start, size)
    except BadTensors:
        return
    assert length <= min(size - 8, 100_000_000)


@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_no_changed_header_makes_two_readers_disagree(at: int, byte: int) -> None:
    """What we accept, the library accepts, and finds the same tensors at the same bytes."""
    arrays = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.arange(4, dtype="u1")}
    file = bytearray(safetensors.numpy.save(arrays, {"k": "v"}))
    file[at % len(file)] = byte
    try:
        index = parse(bytes(file))
    except BadTensors:
        return
    theirs = dict(deserialize(bytes(file)))
    assert index.tensors.keys() == theirs.keys()
    for name, tensor in index.tensors.items():
        assert (tensor.dtype, list(tensor.shape)) == (theirs[name]["dtype"], theirs[name]["shape"])
        assert file[tensor.start : tensor.stop] == theirs[name]["data"]

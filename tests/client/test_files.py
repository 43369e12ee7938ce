"""Files: an open version's files behave as files of Python's, and each read decrypts what it needs."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.client import OpenVersion
from strongroom.client.files import SealedReader
from strongroom.terms.errors import BadRequest, NotFound, ObjectTampered
from tests.client.sealed import SealedForTest, seal

TEXT = "erste Zeile äöü\nzweite Zeile\n"
DATA = bytes(at * at % 251 for at in range(50_000))
FILES = {"data.bin": DATA, "docs/read me.txt": TEXT.encode(), "empty": b"", "full": DATA[: 2 * 4064]}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), FILES)


@pytest.fixture
def model(sealed: SealedForTest) -> OpenVersion:
    return sealed.open()


def reader(model: OpenVersion, path: str = "data.bin") -> SealedReader:
    return SealedReader(model._sealed, path)


def test_all_files_are_listed_and_read(model: OpenVersion) -> None:
    assert model.files() == sorted(FILES)
    assert {path: model.read_bytes(path) for path in model.files()} == FILES
    assert {path: model.open(path).read() for path in model.files()} == FILES
    assert model.read_text("docs/read me.txt") == TEXT
    assert model.size_bytes("data.bin") == len(DATA)
    assert model.read_bytes("data.bin", 4000, 200) == DATA[4000:4200]


@pytest.mark.parametrize("path", ["missing", "docs", "", "/data.bin", "../data.bin"])
def test_a_file_that_is_not_there_is_not_found(model: OpenVersion, path: str) -> None:
    for read in (model.open, model.read_bytes, model.read_text):
        with pytest.raises(NotFound):
            read(path)


def test_a_range_beyond_the_end_is_refused(model: OpenVersion) -> None:
    for offset, size in [(0, len(DATA) + 1), (len(DATA), 1), (-1, 1)]:
        with pytest.raises(BadRequest):
            model.read_bytes("data.bin", offset, size)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(-60_000, 60_000), st.sampled_from([0, 1, 2, 9])),
        st.tuples(st.just("read"), st.integers(-1, 60_000)),
        st.tuples(st.just("readinto"), st.integers(0, 9000)),
        st.tuples(st.just("read1"), st.integers(0, 9000)),
        st.tuples(st.just("peek")),
        st.tuples(st.just("readline")),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.booleans())
def test_any_steps_give_what_they_give_on_a_plain_file(
    sealed: SealedForTest, plain: Path, steps: list[tuple[object, ...]], buffered: bool
) -> None:
    with sealed.open() as model, plain.open("rb", buffering=-1 if buffered else 0) as theirs:
        ours = model.open("data.bin") if buffered else reader(model)
        for step in steps:
            if step == ("readline",) and not buffered:
                continue  # which Python does byte by byte
            assert take(ours, *step) == take(theirs, *step)
            assert ours.tell() == theirs.tell()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "data.bin"
    path.write_bytes(DATA)
    return path


def take(file: Any, verb: object, *arguments: object) -> object:
    if verb == "readinto":
        assert isinstance(arguments[0], int)
        buffer = bytearray(arguments[0])
        return file.readinto(buffer), bytes(buffer)
    if verb in ("peek", "read1"):
        return None  # how much they give is the buffer's business
    try:
        return getattr(file, str(verb))(*arguments)
    except (ValueError, OSError):
        return "refused"


def test_it_is_readable_and_seekable_and_nothing_else(model: OpenVersion) -> None:
    with model.open("data.bin") as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert (file.name, file.mode) == ("data.bin", "rb")
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
        with pytest.raises(io.UnsupportedOperation):
            file.truncate(0)
    assert file.closed


@pytest.mark.parametrize("method", ["read", "readall", "tell", "readable", "seekable"])
def test_a_closed_file_refuses(model: OpenVersion, method: str) -> None:
    file = reader(model)
    file.close()
    with pytest.raises(ValueError, match="closed file"):
        getattr(file, method)()
    with pytest.raises(ValueError, match="closed file"):
        file.seek(0)
    with pytest.raises(ValueError, match="closed file"):
        file.readinto(bytearray(1))


def test_a_file_outlives_its_version_without_its_keys(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        file = model.open("data.bin")
        assert file.read(10) == DATA[:10]
    file.seek(20_000)
    with pytest.raises(BadRequest, match="is closed"):
        file.read(10)


def test_readinto_takes_any_writable_buffer(model: OpenVersion) -> None:
    array: Any = np.zeros((50, 10), np.uint32)
    with model.open("data.bin") as file:
        assert file.readinto(array) == array.nbytes
        assert array.tobytes() == DATA[: array.nbytes]
        assert reader(model).readinto(array) == array.nbytes
        with pytest.raises(TypeError):
            file.readinto(b"constant")


def test_small_reads_in_order_fetch_each_segment_once(sealed: SealedForTest) -> None:
    with sealed.open() as model, model.open("data.bin") as file:
        while file.read(100):
            pass
        assert len(sealed.store.reads) == len(sealed.store.segments_read()) == -(-len(DATA) // 4064)


def test_a_seek_reads_nothing_and_a_read_only_its_segments(sealed: SealedForTest) -> None:
    with sealed.open() as model, model.open("data.bin") as file:
        file.seek(-10, os.SEEK_END)
        assert not sealed.store.reads
        assert file.read() == DATA[-10:]
        assert len(sealed.store.segments_read()) == 1


def test_text_and_lines_and_json_are_read_through_it(tmp_path: Path) -> None:
    with seal(tmp_path, {"config.json": b'{"a": 1}', "lines.txt": TEXT.encode()}).open() as model:
        assert json.load(model.open("config.json")) == {"a": 1}
        assert list(io.TextIOWrapper(model.open("lines.txt"), encoding="utf-8")) == TEXT.splitlines(keepends=True)


def test_damage_is_noticed_where_it_is_read(tmp_path: Path) -> None:
    sealed = seal(tmp_path, FILES)
    sealed.flip("data.bin", 20_000)
    with sealed.open() as model, model.open("data.bin") as file:
        assert file.read(1000) == DATA[:1000]
        file.seek(20_000)
        with pytest.raises(ObjectTampered):
            file.read(10)
        with pytest.raises(ObjectTampered):
            model.read_bytes("data.bin")

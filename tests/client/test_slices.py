"""Slices: any part of a tensor is what numpy and safetensors pick, and only its rows are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from strongroom.client.regions import find_region
from strongroom.terms.errors import (
    BadRequest,
)
from tests.client.sealed import SealedForTest, seal
from tests.client.tensors import PLAIN, TENSORS, same


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), {"model.safetensors": PLAIN, "config.json": b"{}"})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "model.safetensors"
    path.write_bytes(PLAIN)
    return path


@pytest.fixture(params=["np", pytest.param("pt", marks=pytest.mark.torch)])
def framework(request: pytest.FixtureRequest) -> str:
    if request.param == "pt":
        pytest.importorskip("torch")
    return str(request.param)


@pytest.mark.parametrize(
    "index", [(), ..., 0, -1, (1, 2), (slice(None), 3), (..., 0), (0, ...), (slice(1, 3), slice(1, 7, 3))]
)
def test_slices_are_those_of_safetensors(sealed: SealedForTest, plain: Path, framework: str, index: Any) -> None:
    with sealed.open(framework) as ours, safe_open(plain, framework) as theirs:
        for name in ("F32", "BF16", "I64", "BOOL"):
            assert same(ours.get_slice(name)[index], theirs.get_slice(name)[index])


def indices(size: int) -> st.SearchStrategy[int | slice]:
    bounds = st.none() | st.integers(-size - 3, size + 3)
    slices = st.builds(slice, bounds, bounds, st.none() | st.integers(1, size + 2))
    return slices if size == 0 else slices | st.integers(-size, size - 1)


@st.composite
def asked(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    shape = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
    index: list[Any] = [draw(indices(size)) for size in shape]
    start, stop = sorted(draw(st.tuples(st.integers(0, len(shape)), st.integers(0, len(shape)))))
    if draw(st.booleans()):
        index[start:stop] = [...]
    elif draw(st.booleans()):
        index = index[:stop]
    return shape, index[0] if len(index) == 1 and draw(st.booleans()) else tuple(index)


@given(asked())
def test_any_region_holds_what_numpy_picks_and_no_row_too_many(question: tuple[tuple[int, ...], Any]) -> None:
    shape, index = question
    whole = np.arange(math.prod(shape)).reshape(shape)
    region = find_region(shape, index)
    run = whole.reshape(-1)[region.first : region.first + region.count].reshape(region.shape)
    expected = np.asarray(whole[index])
    assert np.array_equal(run[(*region.index, ...)], expected)
    if expected.size:
        first, last = expected.min(), expected.max()
        inner = math.prod(region.shape[next((d for d, size in enumerate(region.shape) if size > 1), 0) + 1 :])
        assert region.first <= first < region.first + inner
        assert last < region.first + region.count <= last + inner


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_slice_is_that_of_numpy(sealed: SealedForTest, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["wide", "tall", "after odd", "nothing", "scalar", "F8_E5M2"]))
    with sealed.open() as model:
        whole = model.get_tensor(name)
        index = tuple(data.draw(indices(size)) for size in whole.shape)
        part = model.get_slice(name)[index]
    assert same(part, np.asarray(whole[(*index, ...)]))


@pytest.mark.parametrize(
    "index",
    [
        3,
        -4,
        (0, 8),
        (0, 0, 0),
        (..., ...),
        slice(None, None, -1),
        slice(None, None, 0),
        None,
        True,
        "a",
        1.0,
        [0, 2],
        slice("a"),
    ],
)
def test_an_index_that_cannot_be_read_in_part_is_refused(sealed: SealedForTest, index: Any) -> None:
    with sealed.open() as model, pytest.raises(BadRequest):
        model.get_slice("F32")[index]


def test_a_tensor_read_touches_its_segments_alone(sealed: SealedForTest) -> None:
    plain_bytes = sealed.segment_bytes - 32
    with sealed.open() as model:
        start = PLAIN.index(TENSORS["wide"][2])
        model.get_tensor("wide")
        touched = sealed.store.segments_read()
        assert touched == {(0, n) for n in range(start // plain_bytes, (start + 36_000 - 1) // plain_bytes + 1)}
        sealed.store.reads.clear()
        model.get_slice("wide")[4]
        assert sealed.store.segments_read() == {
            (0, n) for n in range((start + 24_000) // plain_bytes, (start + 29_999) // plain_bytes + 1)
        }
        sealed.store.reads.clear()
        model.get_slice("wide")[4, 10:20]
        assert len(sealed.store.segments_read()) == 1
        sealed.store.reads.clear()
        model.get_slice("wide")[2:2]
        assert not sealed.store.reads


def test_a_part_does_not_hold_on_to_the_rows_that_were_read_for_it(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        part = model.get_slice("wide")[:, 3]
    assert part.flags.c_contiguous
    assert part.base is None

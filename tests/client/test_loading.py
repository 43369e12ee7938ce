"""Loading: all tensors at once, into one stretch of new memory or into arrays of the caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import strongroom
from strongroom.client import OpenVersion
from strongroom.terms.errors import (
    BadRequest,
    NotFound,
)
from tests.client.sealed import IDENTITY, NAME, SealedForTest, real_model, seal
from tests.client.tensors import PLAIN, TENSORS, WHOLE_BYTES, raw, same


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), {"model.safetensors": PLAIN, "config.json": b"{}"})


@pytest.fixture(params=["np", pytest.param("pt", marks=pytest.mark.torch)])
def framework(request: pytest.FixtureRequest) -> str:
    if request.param == "pt":
        pytest.importorskip("torch")
    return str(request.param)


def test_load_all_lays_a_shard_out_in_one_stretch_of_memory(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        loaded = model.load_all()
    start = loaded[WHOLE_BYTES[0]].ctypes.data
    assert start % 4096 == 0
    before_last = sum(len(TENSORS[dtype][2]) for dtype in WHOLE_BYTES[:-1])
    assert loaded[WHOLE_BYTES[-1]].ctypes.data == start + before_last


def test_load_all_reads_every_segment_once(sealed: SealedForTest) -> None:
    told: list[int] = []
    with sealed.open() as model:
        model.keys()
        sealed.store.reads.clear()
        model.load_all(progress=told.append)
    assert len(sealed.store.reads) == len(sealed.store.segments_read())
    assert sum(told) == sum(len(data) for _, _, data in TENSORS.values())


def empty_like(model: OpenVersion, framework: str) -> dict[str, Any]:
    if framework == "np":
        return {name: np.full_like(array, 1) for name, array in model.load_all().items()}
    import torch

    return {name: torch.empty_like(tensor) for name, tensor in model.load_all().items()}


def test_load_all_fills_the_arrays_of_the_caller(sealed: SealedForTest, framework: str) -> None:
    with sealed.open(framework) as model:
        out = empty_like(model, framework)
        filled_out = model.load_all(out)
        assert all(filled_out[name] is out[name] for name in model)
        assert {name: raw(array) for name, array in out.items()} == {
            name: data for name, (_, _, data) in TENSORS.items()
        }
        some = {"wide": out["wide"] * 0}
        assert raw(model.load_all(some)["wide"]) == TENSORS["wide"][2]


def test_an_array_that_cannot_take_its_tensor_is_refused_before_anything_is_read(sealed: SealedForTest) -> None:
    readonly = np.empty((3, 8), np.float32)
    readonly.flags.writeable = False
    unfit: list[Any] = [
        np.empty((3, 8), np.float64),
        np.empty((8, 3), np.float32),
        np.empty((8, 3), np.float32).T,
        np.empty((3, 16), np.float32)[:, ::2],
        np.empty((3, 8), ">f4"),
        readonly,
        [[0.0] * 8] * 3,
    ]
    with sealed.open() as model:
        for array in unfit:
            with pytest.raises(BadRequest, match="`out` for tensor `F32`"):
                model.load_all({"F64": np.empty((3, 8)), "F32": array})
        with pytest.raises(NotFound):
            model.load_all({"no such": np.empty(3)})
    assert not sealed.store.reads


@pytest.mark.torch
def test_a_torch_tensor_that_cannot_take_its_tensor_is_refused(sealed: SealedForTest) -> None:
    torch = pytest.importorskip("torch")
    unfit = [
        torch.empty((3, 8), device="meta"),
        torch.empty((8, 3)).T,
        torch.empty((3, 8)).to_sparse(),
        np.empty((3, 8), np.float32),
    ]
    with sealed.open("pt") as model:
        for tensor in unfit:
            with pytest.raises(BadRequest, match="`out` for tensor `F32`"):
                model.load_all({"F32": tensor})
        with pytest.raises(BadRequest, match="conjugate"):
            model.load_all({"C64": torch.empty((3, 8), dtype=torch.complex64).conj()})
        trained = torch.nn.Parameter(torch.empty((3, 8)))
        model.load_all({"F32": trained})
        assert raw(trained.detach()) == TENSORS["F32"][2]


def test_real_weights_are_those_of_safetensors(tmp_path: Path) -> None:
    plain = real_model() / "model.safetensors"
    sealed = seal(tmp_path, {"model.safetensors": plain.read_bytes()}, segment_bytes=1 << 20)
    with sealed.open() as ours, safe_open(plain, "np") as theirs:
        loaded = ours.load_all()
        assert len(loaded) == len(theirs.keys()) == 104
        assert all(same(loaded[name], theirs.get_tensor(name)) for name in theirs.keys())  # noqa: SIM118
        words = "embeddings.word_embeddings.weight"
        assert same(ours.get_slice(words)[100:200], theirs.get_slice(words)[100:200])


def test_the_example_of_the_readme(tmp_path: Path, sealed: SealedForTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("identity.key").write_text(IDENTITY.encode() + "\n")
    Path("identity.key").chmod(0o600)
    with strongroom.open_version(NAME, identity="identity.key", store=sealed.store.url) as model:
        weights = model.load_all()
    assert raw(weights["wide"]) == TENSORS["wide"][2]

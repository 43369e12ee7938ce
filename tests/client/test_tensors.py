"""Tensors: what `safetensors.safe_open` gives from plaintext, an open version gives from sealed bytes."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import pytest
from safetensors import safe_open

import strongroom
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.outer_errors import BadTensors
from tests.client.sealed import IDENTITY, NAME, SealedForTest, filled, safetensors, seal
from tests.client.tensors import FLOAT8, PACKED, PLAIN, TENSORS, raw, same


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "model.safetensors"
    path.write_bytes(PLAIN)
    return path


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), {"model.safetensors": PLAIN, "config.json": b"{}"})


@pytest.fixture(params=["np", pytest.param("pt", marks=pytest.mark.torch)])
def framework(request: pytest.FixtureRequest) -> str:
    if request.param == "pt":
        pytest.importorskip("torch")
    return str(request.param)


def test_names_metadata_and_order_are_those_of_safetensors(sealed: SealedForTest, plain: Path) -> None:
    with sealed.open() as ours, safe_open(plain, "np") as theirs:
        assert ours.keys() == theirs.keys()
        assert ours.offset_keys() == theirs.offset_keys()
        assert ours.metadata() == theirs.metadata()
        assert len(ours) == len(list(ours)) == len(TENSORS)
        assert "wide" in ours
        assert "missing" not in ours


def test_every_tensor_is_that_of_safetensors_bit_for_bit(sealed: SealedForTest, plain: Path, framework: str) -> None:
    with sealed.open(framework) as ours, safe_open(plain, framework) as theirs:
        loaded = ours.load_all()
        assert list(loaded) == list(ours.get_tensors()) == ours.keys()
        compared = 0
        for name in ours:
            tensor, part = ours.get_tensor(name), ours.get_slice(name)
            assert same(tensor, loaded[name])
            assert part.get_shape() == theirs.get_slice(name).get_shape()
            assert part.get_dtype() == theirs.get_slice(name).get_dtype()
            if framework == "np" and name in FLOAT8:  # which safetensors itself cannot give to numpy
                assert tensor.dtype == FLOAT8[name]
                assert raw(tensor) == TENSORS[name][2]
            else:
                assert same(tensor, theirs.get_tensor(name)), name
                compared += 1
        assert compared == len(TENSORS) - (len(FLOAT8) if framework == "np" else 0)


def test_arrays_are_writable_aligned_and_outlive_the_version(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        arrays = {**model.load_all(), "again": model.get_tensor("wide"), "part": model.get_slice("wide")[1:3]}
    for array in arrays.values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.flags.c_contiguous
    arrays["wide"][0, 0] = 7
    assert arrays["wide"][0, 0] == 7


def test_a_missing_tensor_is_named_with_those_that_come_close(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        for read in (model.get_tensor, model.get_slice):
            with pytest.raises(NotFound, match="no tensor `wid`") as caught:
                read("wid")
            assert "`wide`" in caught.value.hint


def test_a_closed_version_reads_nothing_more(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        part = model.get_slice("wide")
    for read in (model.keys, model.load_all, model.files, lambda: model.get_tensor("F32"), lambda: part[0]):
        with pytest.raises(BadRequest, match="is closed"):
            read()
    with pytest.raises(BadRequest, match="is closed"), model:
        pass
    assert repr(model) == f"OpenVersion({NAME}, closed)"


def test_keys_go_into_no_pickle_and_no_text(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(model)
        assert repr(model) == f"OpenVersion({NAME})"


def test_many_threads_read_one_version(sealed: SealedForTest) -> None:
    wrong: list[str] = []
    with sealed.open() as model:

        def read(name: str) -> None:
            for _ in range(5):
                if raw(model.get_tensor(name)) != TENSORS[name][2]:
                    wrong.append(name)

        threads = [threading.Thread(target=read, args=(name,)) for name in TENSORS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.torch
def test_torch_tensors_go_to_the_device_that_was_asked_for(sealed: SealedForTest) -> None:
    pytest.importorskip("torch")
    with strongroom.open_version(NAME, identity=IDENTITY, store=sealed.store, framework="pt", device="meta") as model:
        assert model.get_tensor("F32").device.type == model.load_all()["wide"].device.type == "meta"
        assert model.get_slice("F32")[0].device.type == "meta"


@pytest.mark.parametrize("arguments", [{"framework": "tf"}, {"framework": "np", "device": "cuda"}])
def test_an_unknown_framework_or_device_is_refused(sealed: SealedForTest, arguments: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        strongroom.open_version(NAME, identity=IDENTITY, store=sealed.store, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", sorted(PACKED))
def test_a_type_that_numpy_lacks_is_refused_with_where_its_bytes_are(tmp_path: Path, dtype: str) -> None:
    plain = safetensors({"packed": filled(dtype, 3, 8)})
    with seal(tmp_path, {"model.safetensors": plain}).open() as model:
        for read in (lambda: model.get_tensor("packed"), model.load_all, lambda: model.get_slice("packed")[0]):
            with pytest.raises(BadRequest, match=dtype) as caught:
                read()
            assert f"{len(plain) - len(filled(dtype, 3, 8)[2])} to {len(plain)}" in caught.value.hint


@pytest.mark.torch
def test_torch_gets_4_bit_floats_two_in_a_byte_as_from_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    plain = tmp_path / "plain.safetensors"
    plain.write_bytes(safetensors({"packed": filled("F4", 3, 8)}))
    sealed = seal(tmp_path / "store", {"model.safetensors": plain.read_bytes()})
    with sealed.open("pt") as ours, safe_open(plain, "pt") as theirs:
        assert same(ours.get_tensor("packed"), theirs.get_tensor("packed"))
        assert same(ours.load_all()["packed"], theirs.get_tensor("packed"))
        with pytest.raises(BadRequest, match="cannot be read in part"):
            ours.get_slice("packed")[0]


def test_a_file_whose_index_the_manifest_lacks_is_read_by_its_own_header(tmp_path: Path) -> None:
    with seal(tmp_path, {"model.safetensors": PLAIN}, indexed=False).open() as model:
        assert raw(model.get_tensor("wide")) == TENSORS["wide"][2]


def test_a_file_that_is_no_safetensors_file_is_refused_by_name(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\n"
    with seal(tmp_path, {"lfs.safetensors": pointer}, indexed=False).open() as model:
        assert model.read_bytes("lfs.safetensors") == pointer
        with pytest.raises(BadTensors, match=r"lfs\.safetensors"):
            model.keys()

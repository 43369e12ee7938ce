"""Attacks on tensors: damage, lies of the manifest, and what is left in memory after them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import strongroom
from strongroom.sealing.tensors import Tensor, TensorIndex
from strongroom.terms.errors import ObjectTampered
from strongroom.terms.outer_errors import BadTensors, ObjectMissing, ObjectSize, WrongManifest
from tests.client.sealed import IDENTITY, NAME, SealedForTest, filled, safetensors, seal
from tests.client.tensors import PLAIN, TENSORS, raw


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), {"model.safetensors": PLAIN, "config.json": b"{}"})


def test_damage_is_noticed_by_what_reads_it_and_by_nothing_else(tmp_path: Path) -> None:
    sealed = seal(tmp_path, {"model.safetensors": PLAIN})
    sealed.flip("model.safetensors", PLAIN.index(TENSORS["tall"][2]) + 9000)
    with sealed.open() as model:
        assert raw(model.get_tensor("wide")) == TENSORS["wide"][2]
        assert raw(model.get_slice("tall")[:400]) == TENSORS["tall"][2][: 400 * 12]
        for read in (lambda: model.get_tensor("tall"), model.load_all, lambda: model.get_slice("tall")[700:900]):
            with pytest.raises(ObjectTampered):
                read()


def test_nothing_unauthentic_is_left_in_the_memory_of_the_caller(tmp_path: Path) -> None:
    """Every byte is as sealed, zero, or as the caller had it; the segment that is damaged is all zeros."""
    sealed = seal(tmp_path, {"model.safetensors": PLAIN})
    start = PLAIN.index(TENSORS["tall"][2])
    segment = sealed.flip("model.safetensors", start + 9000)
    out = np.full((3000, 2, 3), 0x7777, np.int16)
    with sealed.open(threads=1) as model, pytest.raises(ObjectTampered):
        model.load_all({"tall": out})
    left, true = raw(out), TENSORS["tall"][2]
    first, last = segment * 4064 - start, (segment + 1) * 4064 - start
    assert left[:first] == true[:first]
    assert left[first:last] == bytes(4064)
    assert left[last:] == b"w" * (len(true) - last)


DAMAGE: list[tuple[Any, type[Exception], type[Exception] | None]] = [
    (lambda path: path.unlink(), ObjectMissing, ObjectMissing),
    (lambda path: path.write_bytes(path.read_bytes()[:-1]), ObjectSize, ObjectSize),
    (lambda path: path.write_bytes(path.read_bytes() + b"x"), ObjectSize, None),  # what was appended is never read
]


@pytest.mark.parametrize(("damage", "on_opening", "on_reading"), DAMAGE)
def test_a_missing_cut_or_grown_object_is_refused(
    tmp_path: Path, damage: Any, on_opening: type[Exception], on_reading: type[Exception] | None
) -> None:
    sealed = seal(tmp_path, {"model.safetensors": PLAIN})
    with sealed.open() as model:
        damage(sealed.stored("model.safetensors"))
        with pytest.raises(on_opening):
            sealed.open()
        if on_reading is None:
            assert raw(model.load_all()["tall"]) == TENSORS["tall"][2]
        else:
            with pytest.raises(on_reading):
                model.load_all()


def test_another_manifest_than_the_one_asked_for_is_refused(sealed: SealedForTest) -> None:
    arguments: dict[str, Any] = {"identity": IDENTITY, "store": sealed.store}
    with strongroom.open_version(NAME, manifest=sealed.digest, **arguments) as model:
        assert model.manifest == sealed.digest
    with pytest.raises(WrongManifest):
        strongroom.open_version(NAME, manifest="sha256:" + "0" * 64, **arguments)


def test_an_index_that_reaches_outside_its_file_is_refused(tmp_path: Path) -> None:
    """The writer is the attacker: whoever has the public key can seal any manifest."""
    plain = safetensors({"a": filled("U8", 64)})
    start = len(plain) - 64
    for number, (first, last, shape) in enumerate(
        [
            (start, start + 1024, (1024,)),
            (start - 64, start, (64,)),
            (start, start + 32, (64,)),
            (start, start + 32, (32,)),
        ]
    ):
        tensor = Tensor(name="a", dtype="U8", shape=shape, start=first, stop=last)
        index = TensorIndex(data_start=start, tensors={"a": tensor}, metadata={})
        sealed = seal(tmp_path / str(number), {"model.safetensors": plain}, indexes={"model.safetensors": index})
        with pytest.raises(BadTensors):
            sealed.open()


@pytest.mark.parametrize("shape", [(0, 2**52, 2**52, 2**52), (1,) * 70])
def test_a_shape_beyond_all_bounds_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    plain = safetensors({"a": ("U8", shape, b"x" * math.prod(shape))})
    with seal(tmp_path, {"model.safetensors": plain}).open() as model:
        for read in (lambda: model.get_tensor("a"), model.load_all, lambda: model.get_slice("a")[...]):
            with pytest.raises(BadTensors, match="beyond all bounds"):
                read()

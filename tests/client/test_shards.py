"""Shards: which file each tensor comes from, and every doubt about it refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strongroom.client.patterns import matches
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.outer_errors import BadTensors
from tests.client.sealed import filled, safetensors, seal

A, B, C = (filled("F32", 40, 50, seed=seed) for seed in (1, 2, 3))
FIRST = safetensors({"layer.0": A, "layer.1": B}, {"format": "pt", "part": "1"})
SECOND = safetensors({"layer.2": C}, {"format": "pt", "part": "2"})


def index(**weight_map: str) -> bytes:
    named = {name.replace("_", "."): shard for name, shard in weight_map.items()}
    return json.dumps({"metadata": {"total_size": 24000.0}, "weight_map": named}).encode()


INDEX = index(layer_0="a.safetensors", layer_1="a.safetensors", layer_2="b.safetensors")
INDEX_PATH = "model.safetensors.index.json"


@pytest.mark.parametrize("files", [{}, {INDEX_PATH: INDEX}])
@pytest.mark.parametrize("indexed", [True, False])
def test_tensors_of_all_shards_are_one_model(tmp_path: Path, files: dict[str, bytes], indexed: bool) -> None:
    sealed = seal(tmp_path, {"a.safetensors": FIRST, "b.safetensors": SECOND, **files}, indexed=indexed)
    with sealed.open() as model:
        assert model.keys() == model.offset_keys() == ["layer.0", "layer.1", "layer.2"]
        assert model.metadata() == {"format": "pt"}
        assert {name: array.tobytes() for name, array in model.load_all().items()} == {
            "layer.0": A[2],
            "layer.1": B[2],
            "layer.2": C[2],
        }
        assert model.get_slice("layer.2")[3:5].tobytes() == C[2][600:1000]


def test_an_index_in_a_folder_names_shards_beside_it(tmp_path: Path) -> None:
    files = {
        f"text/{path}": data
        for path, data in {"a.safetensors": FIRST, "b.safetensors": SECOND, INDEX_PATH: INDEX}.items()
    }
    with seal(tmp_path, files).open() as model:
        assert len(model) == 3


def test_an_index_decides_between_two_shards_and_leaves_out_what_it_does_not_name(tmp_path: Path) -> None:
    files = {
        "a.safetensors": FIRST,
        "b.safetensors": safetensors({"layer.1": C, "layer.2": C, "extra": A}),
        "consolidated.safetensors": FIRST,
        INDEX_PATH: INDEX,
    }
    with seal(tmp_path, files).open() as model:
        assert model.get_tensor("layer.1").tobytes() == B[2]
        assert model.keys() == ["extra", "layer.0", "layer.1", "layer.2"]


CONTRADICTIONS = {
    "a tensor in two shards": {"a.safetensors": FIRST, "b.safetensors": FIRST},
    "a tensor in two shards of which the index says nothing": {
        "a.safetensors": FIRST,
        "b.safetensors": safetensors({"layer.1": C, "layer.2": C}),
        INDEX_PATH: index(layer_0="a.safetensors", layer_2="b.safetensors"),
    },
    "an index that names a shard that is not there": {"a.safetensors": FIRST, INDEX_PATH: INDEX},
    "an index that names a tensor that is not there": {
        "a.safetensors": FIRST,
        INDEX_PATH: index(layer_7="a.safetensors"),
    },
    "an index that names a shard outside its folder": {
        "a.safetensors": FIRST,
        INDEX_PATH: index(layer_0="../a.safetensors"),
    },
    "an index that names a file of another kind": {
        "a.safetensors": FIRST,
        "b.bin": SECOND,
        INDEX_PATH: index(layer_2="b.bin"),
    },
    "an index that is no JSON": {"a.safetensors": FIRST, INDEX_PATH: b"{"},
    "an index nested beyond all bounds": {"a.safetensors": FIRST, INDEX_PATH: b"[" * 100_000},
    "an index with a tensor twice": {
        "a.safetensors": FIRST,
        INDEX_PATH: b'{"weight_map": {"layer.0": "a.safetensors", "layer.0": "a.safetensors"}}',
    },
    "an index without a weight map": {"a.safetensors": FIRST, INDEX_PATH: b'{"metadata": {}}'},
    "an index of something other than names": {"a.safetensors": FIRST, INDEX_PATH: b'{"weight_map": {"layer.0": 1}}'},
}


@pytest.mark.parametrize("fault", CONTRADICTIONS)
def test_contradictions_are_refused(tmp_path: Path, fault: str) -> None:
    with seal(tmp_path, CONTRADICTIONS[fault]).open() as model, pytest.raises(BadTensors):
        model.keys()


def test_several_models_in_one_version_are_told_apart_by_files(tmp_path: Path) -> None:
    half = safetensors({"layer.0": B, "layer.1": A})
    files = {
        "a.safetensors": FIRST,
        "b.safetensors": SECOND,
        INDEX_PATH: INDEX,
        "fp16/a.safetensors": half,
        "fp16/b.safetensors": SECOND,
        f"fp16/{INDEX_PATH}": INDEX,
    }
    sealed = seal(tmp_path, files)
    with sealed.open() as model, pytest.raises(BadRequest, match="several indexes") as caught:
        model.keys()
    assert "files=" in caught.value.hint
    with sealed.open(files="fp16/*") as model:
        assert model.get_tensor("layer.0").tobytes() == B[2]
    with sealed.open(files="[ab].safetensors") as model:
        assert model.get_tensor("layer.0").tobytes() == A[2]
    with sealed.open(files="a.safetensors") as model, pytest.raises(BadTensors, match="leaves out"):
        model.keys()
    with sealed.open(files="*.gguf") as model, pytest.raises(NotFound, match=r"\*\.gguf"):
        model.keys()


def test_an_index_does_not_speak_for_another_folder(tmp_path: Path) -> None:
    files = {
        "a.safetensors": FIRST,
        "b.safetensors": SECOND,
        INDEX_PATH: INDEX,
        "vae/c.safetensors": safetensors({"vae": A}),
    }
    sealed = seal(tmp_path, files)
    with sealed.open() as model, pytest.raises(BadRequest, match="another folder"):
        model.keys()
    with sealed.open(files="vae/*") as model:
        assert model.keys() == ["vae"]


def test_a_version_without_tensors_opens_and_has_none(tmp_path: Path) -> None:
    with seal(tmp_path, {"model.gguf": b"GGUF"}).open() as model:
        assert model.files() == ["model.gguf"]
        with pytest.raises(NotFound, match=r"no `\*\.safetensors` file"):
            model.keys()


@pytest.mark.parametrize(
    "patterns", ["*", "sub/", "sub/*", "*.txt", "sub/?.txt", "[ab].txt", "A.txt", "sub", "", ["x", "a.*"]]
)
def test_patterns_match_as_those_of_huggingface(patterns: str | list[str]) -> None:
    hub = pytest.importorskip("huggingface_hub.utils")
    paths = ["a.txt", "b.txt", "A.txt", "sub/a.txt", "sub/deep/c.txt", "subway.txt", "config.json"]
    ours = [path for path in paths if matches(path, patterns)]
    assert ours == list(hub.filter_repo_objects(paths, allow_patterns=patterns))

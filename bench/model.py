"""Models to measure with: random bytes as safetensors, in one file or in many, their headers made by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

MIB = 1 << 20
PROBE = "probe"
PROBE_BYTES = 16 * MIB
_LAYER_BYTES = (32 * MIB, 8 * MIB, 8 * MIB, 8192, 24 * MIB, 8192)
_ROW_BYTES = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A folder with a model; `files` are its weights. With a probe, one tensor has exactly `PROBE_BYTES`."""

    name: str
    folder: Path
    files: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """Length of all weights."""
        return sum(file.stat().st_size for file in self.files)


def make_single(folder: Path, size_mib: int) -> Model:
    """Return a model of `size_mib` in one file, with a probe if it is large enough."""
    folder.mkdir(parents=True)
    file = folder / "model.safetensors"
    _write(file, dict(_layout(size_mib * MIB, "", probe=size_mib >= 64)), seed=size_mib)
    return Model(name=f"one file of {size_mib} MiB", folder=folder, files=(file,))


def make_sharded(folder: Path, size_mib: int, shards: int = 32) -> Model:
    """Return a model of `size_mib` in `shards` files, with the index that names the shard of each tensor."""
    folder.mkdir(parents=True)
    files: list[Path] = []
    weight_map: dict[str, str] = {}
    for number in range(shards):
        file = folder / f"model-{number + 1:05}-of-{shards:05}.safetensors"
        sizes = dict(_layout(size_mib * MIB // shards, f"shard{number}.", probe=False))
        _write(file, sizes, seed=number)
        weight_map |= dict.fromkeys(sizes, file.name)
        files.append(file)
    index = {"metadata": {"total_size": size_mib * MIB}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return Model(name=f"{shards} shards of {size_mib // shards} MiB", folder=folder, files=tuple(files))


def _layout(data_bytes: int, prefix: str, *, probe: bool) -> Iterator[tuple[str, int]]:
    """Yield names and sizes of tensors: layers, the probe among them, and at the end one that takes the rest."""
    done = number = 0
    while done < data_bytes:
        size = _LAYER_BYTES[number % len(_LAYER_BYTES)]
        if probe and done >= data_bytes // 2:
            yield PROBE, PROBE_BYTES
            done, probe = done + PROBE_BYTES, False
        size = min(size, data_bytes - done)
        yield f"{prefix}layer{number // len(_LAYER_BYTES)}.weight{number % len(_LAYER_BYTES)}", size
        done, number = done + size, number + 1


def _write(path: Path, sizes: Mapping[str, int], *, seed: int) -> None:
    start = 0
    header: dict[str, object] = {}
    for name, size in sizes.items():
        shape = [size // _ROW_BYTES, _ROW_BYTES // 2]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    # A keystream is as random as compression and deduplication could wish, and made faster than it is written.
    random = Cipher(AES(seed.to_bytes(32, "big")), CTR(bytes(16))).encryptor()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        while start:
            block = min(start, 16 * MIB)
            file.write(random.update(bytes(block)))
            start -= block


def check_same(model: Model, folder: Path) -> None:
    """Refuse a folder that does not hold the files of `model`, byte for byte: a fast tool must also be right."""
    for file in sorted(model.folder.iterdir()):
        with file.open("rb") as left, (folder / file.name).open("rb") as right:
            assert os.fstat(left.fileno()).st_size == os.fstat(right.fileno()).st_size, file.name
            while block := left.read(8 * MIB):
                assert block == right.read(8 * MIB), f"{file.name} came back changed"

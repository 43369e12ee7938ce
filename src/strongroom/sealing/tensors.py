"""The tensor index of a safetensors file: what its header says, checked in full.

    file = length of the header, 8 bytes little-endian | header, JSON | data

Other readers accept more; here every tensor fills exactly the bytes that its type and shape ask for, and
the tensors fill the data from end to end, so that no byte of it is anybody's secret channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotCanonical
from strongroom.terms.outer_errors import BadTensors

LENGTH_BYTES = 8
LARGEST_HEADER_BYTES = 100_000_000

DTYPE_BITS: Mapping[str, int] = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "U16": 16,
    "I16": 16,
    "U32": 32,
    "I32": 32,
    "U64": 64,
    "I64": 64,
    "F16": 16,
    "BF16": 16,
    "F32": 32,
    "F64": 64,
    "C64": 64,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor: `dtype` as safetensors names it, `shape` in elements, `start` and `stop` in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def size_bytes(self) -> int:
        """Length of the tensor's data."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorIndex:
    """All tensors of one file by name, where its data starts, and the header's free text."""

    data_start: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def parse_header_length(start: bytes, file_bytes: int) -> int:
    """Return the length of the JSON after the first 8 bytes of a safetensors file of `file_bytes`.

    Raises:
        BadTensors: no safetensors file starts so.
    """
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    if len(start) < LENGTH_BYTES or length > min(LARGEST_HEADER_BYTES, file_bytes - LENGTH_BYTES):
        raise BadTensors("not a safetensors file: the stated header is longer than the file")
    return length


def parse_header(header: bytes, file_bytes: int) -> TensorIndex:
    """Return the index of a safetensors file of `file_bytes` from the JSON of its header.

    Raises:
        BadTensors: not such JSON, or what it says does not fit the file.
    """
    try:
        value = canonical.parse_any(header)
    except NotCanonical as error:
        raise BadTensors(f"not a safetensors header: {error.message}") from error
    if not isinstance(value, dict) or not header.startswith(b"{"):
        raise BadTensors("not a safetensors header: no JSON object")
    metadata = value.pop("__metadata__", {})
    return parse_index({"data_start": LENGTH_BYTES + len(header), "metadata": metadata, "tensors": value}, file_bytes)


def parse_index(value: Json, file_bytes: int) -> TensorIndex:
    """Return the index that a manifest holds for a file of `file_bytes`, checked as a header is.

    Raises:
        BadTensors: unknown types, shapes that do not fit their bytes, tensors that overlap, leave gaps or
            pass the end.
    """
    match value:
        case {"data_start": int(data_start), "metadata": dict(metadata), "tensors": dict(entries), **rest} if not rest:
            pass
        case _:
            raise BadTensors("a tensor index of another shape")
    if not LENGTH_BYTES <= data_start <= file_bytes:
        raise BadTensors("the tensors start outside the file")
    if not all(isinstance(text, str) for text in metadata.values()):
        raise BadTensors("`__metadata__` holds something other than text")
    tensors = {name: _parse_tensor(name, entry, data_start) for name, entry in entries.items()}
    end = data_start
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.start, tensor.stop)):
        if tensor.start != end:
            raise BadTensors(f"tensor `{tensor.name}` overlaps another or leaves a gap")
        end = tensor.stop
    if end != file_bytes:
        raise BadTensors(f"the tensors end at byte {end}, the file at {file_bytes}")
    return TensorIndex(data_start=data_start, tensors=tensors, metadata=metadata)


def index_json(index: TensorIndex) -> Json:
    """Return `index` as a manifest holds it: offsets count from the start of the data, as in the header."""
    return {
        "data_start": index.data_start,
        "metadata": dict(index.metadata),
        "tensors": {
            tensor.name: {
                "data_offsets": [tensor.start - index.data_start, tensor.stop - index.data_start],
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
            }
            for tensor in index.tensors.values()
        },
    }


def _parse_tensor(name: str, entry: Json, data_start: int) -> Tensor:
    match entry:
        case {"data_offsets": [int(start), int(stop)], "dtype": str(dtype), "shape": list(shape), **rest} if not rest:
            pass
        case _:
            raise BadTensors(f"tensor `{name}`: not an entry of type, shape and offsets")
    if (bits := DTYPE_BITS.get(dtype)) is None:
        raise BadTensors(f"tensor `{name}`: unknown type `{dtype}`")
    if not all(type(size) is int and size >= 0 for size in shape) or type(start) is not int or type(stop) is not int:
        raise BadTensors(f"tensor `{name}`: a size that is no natural number")
    if not 0 <= start <= stop or not _is_filled(shape, bits, (stop - start) * 8):
        raise BadTensors(f"tensor `{name}`: its shape and type do not fill its bytes")
    return Tensor(name=name, dtype=dtype, shape=tuple(shape), start=data_start + start, stop=data_start + stop)


def _is_filled(shape: Sequence[int], bits: int, due: int) -> bool:
    # Zeros first, and an end once it is too much: a whole long product takes time that grows with its square.
    for size in sorted(shape):
        bits *= size
        if bits > due:
            return False
    return bits == due

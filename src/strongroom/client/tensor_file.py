"""Tensor file: arrays of numpy or torch written as one safetensors file, straight from the memory that they are in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strongroom.client.frameworks import NAMES, PACKED
from strongroom.terms.errors import BadRequest

_DTYPES = {name: dtype for dtype, name in NAMES.items() if dtype not in PACKED}
_ALIGNMENT = 8


def write_tensors(place: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> int:
    """Write `tensors` to the new file at `place`, for its owner alone; return its size in bytes.

    What is on another device is copied from there one tensor at a time; what is contiguous here, not at all.

    Raises:
        BadRequest: something is no array, or of a type that safetensors lacks. OSError: it cannot be written.
    """
    # The widest first: each then lies where its type wants it.
    order = sorted(tensors, key=lambda name: (-_itemsize(name, tensors[name]), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        start, end = end, end + _size_bytes(tensors[name])
        shape = [int(length) for length in tensors[name].shape]
        header[name] = {"dtype": _dtype(name, tensors[name]), "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(_memory(tensors[name]))
    return 8 + len(text) + end


def _dtype(name: str, array: Any) -> str:
    known = _DTYPES.get(str(array.dtype).removeprefix("torch.")) if hasattr(array, "dtype") else None
    if known is None or not hasattr(array, "shape"):
        what = getattr(array, "dtype", type(array).__name__)
        raise BadRequest(f"`{name}` is `{what}`, which safetensors cannot hold", hint="save arrays and tensors only")
    return known


def _itemsize(name: str, array: Any) -> int:
    _dtype(name, array)
    return int(array.element_size() if hasattr(array, "element_size") else array.itemsize)


def _size_bytes(array: Any) -> int:
    return int(array.nbytes)


def _memory(array: Any) -> memoryview:
    """Return the bytes of `array` as one run."""
    if not array.nbytes:
        return memoryview(b"")
    if hasattr(array, "detach"):
        torch: Any = sys.modules["torch"]
        return memoryview(array.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    import numpy as np

    flat: Any = np.ascontiguousarray(array).reshape(-1)
    return memoryview(flat.view(np.uint8))

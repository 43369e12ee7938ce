"""Frameworks: arrays of numpy or torch over memory that decryption writes to. Nothing here knows of sealing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from strongroom.client.regions import Region
from strongroom.sealing.tensors import DTYPE_BITS, Tensor
from strongroom.terms.errors import BadRequest
from strongroom.terms.outer_errors import BadTensors

if sys.byteorder != "little":
    # safetensors are little-endian, and every array here is the very bytes of the file.
    raise ImportError("Strongroom reads tensors on little-endian machines only")

NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F4": "float4_e2m1fn_x2",
}
"""How libraries call what safetensors calls so."""
PACKED = {"F4"}
"""Only torch holds two elements in a byte; nobody holds the 6-bit types."""


class Framework(Protocol):
    """How one library lays arrays over memory. `dtype` is always safetensors' name of a type."""

    def check_type(self, tensor: Tensor) -> None:
        """Refuse a tensor whose type the library does not have."""

    def empty(self, tensor: Tensor, shape: tuple[int, ...]) -> Any:
        """Return a new array of the tensor's type and of `shape`, not filled."""

    def place(self, tensor: Tensor, memory: memoryview) -> Any:
        """Return the whole tensor over `memory`, which holds its bytes, or over a copy that is aligned for its type."""

    def memory(self, array: Any) -> memoryview:
        """Return the bytes of a contiguous array that holds any: one writable run."""

    def check_out(self, tensor: Tensor, array: Any) -> None:
        """Refuse an array of the caller that cannot take `tensor` as it is."""

    def pick(self, array: Any, region: Region) -> Any:
        """Return what is asked for out of the array of `region`, contiguous, without holding on to the rest."""

    def deliver(self, array: Any) -> Any:
        """Return the array as the caller gets it: on the device that was asked for."""


def choose_framework(name: str, device: str | None) -> Framework:
    """Return the framework that `safetensors` knows by `name`.

    Raises:
        BadRequest: another name, or a device where only torch has devices.
    """
    match name:
        case "np" | "numpy":
            if device not in (None, "cpu"):
                raise BadRequest(f"numpy has no device `{device}`", hint='devices need `framework="pt"`')
            return _Numpy()
        case "pt" | "torch":
            return _Torch(device)
        case _:
            raise BadRequest(f"unknown framework `{name}`", hint='use `framework="np"` or `framework="pt"`')


class _Numpy:
    """numpy, with `ml_dtypes` for the types that numpy lacks."""

    def __init__(self) -> None:
        import ml_dtypes
        import numpy as np

        self._np = np
        self._types = {
            dtype: getattr(np, name, None) or getattr(ml_dtypes, name)
            for dtype, name in NAMES.items()
            if dtype not in PACKED
        }

    def check_type(self, tensor: Tensor) -> None:
        if tensor.dtype not in self._types:
            raise _no_type(tensor, "numpy")

    def empty(self, tensor: Tensor, shape: tuple[int, ...]) -> Any:
        with _impossible_shape(tensor):
            return self._np.empty(shape, self._types[tensor.dtype])

    def place(self, tensor: Tensor, memory: memoryview) -> Any:
        if not tensor.size_bytes:
            return self.empty(tensor, tensor.shape)
        with _impossible_shape(tensor):
            array = self._np.frombuffer(memory, self._types[tensor.dtype]).reshape(tensor.shape)
        return array if array.flags.aligned else array.copy()

    def memory(self, array: Any) -> memoryview:
        return memoryview(array.reshape(-1).view(self._np.uint8))

    def check_out(self, tensor: Tensor, array: Any) -> None:
        if not isinstance(array, self._np.ndarray):
            raise BadRequest(f"`out` for tensor `{tensor.name}` is a {type(array).__name__}, not a numpy array")
        flags = array.flags
        _check_form(tensor, array, self._np.dtype(self._types[tensor.dtype]), tensor.shape)
        if not (flags.c_contiguous and flags.aligned and flags.writeable):
            raise BadRequest(f"`out` for tensor `{tensor.name}` is not contiguous, aligned and writable")

    def pick(self, array: Any, region: Region) -> Any:
        # With `...`, a single element stays an array of no dimensions.
        picked = array[(*region.index, ...)]
        return picked if picked.size == array.size else picked.copy()

    def deliver(self, array: Any) -> Any:
        return array


class _Torch:
    """torch, imported when it is first asked for."""

    def __init__(self, device: str | None) -> None:
        try:
            import torch
        except ImportError as error:
            raise BadRequest('`framework="pt"` without torch', hint='install it, or use `framework="np"`') from error
        self._torch: Any = torch
        self._device = device
        self._types = {dtype: getattr(torch, name) for dtype, name in NAMES.items() if hasattr(torch, name)}

    def check_type(self, tensor: Tensor) -> None:
        # Two elements of F4 share a byte: torch halves the last dimension, which must be even for that.
        if tensor.dtype not in self._types or (tensor.dtype in PACKED and tensor.shape[-1] % 2):
            raise _no_type(tensor, "torch")

    def empty(self, tensor: Tensor, shape: tuple[int, ...]) -> Any:
        with _impossible_shape(tensor):
            return self._torch.empty(_packed(tensor, shape), dtype=self._types[tensor.dtype])

    def place(self, tensor: Tensor, memory: memoryview) -> Any:
        if not tensor.size_bytes:
            return self.empty(tensor, tensor.shape)
        array = self._torch.frombuffer(memory, dtype=self._types[tensor.dtype])
        if array.data_ptr() % array.element_size():
            array = array.clone()
        with _impossible_shape(tensor):
            return array.view(_packed(tensor, tensor.shape))

    def memory(self, array: Any) -> memoryview:
        return memoryview(array.detach().view(-1).view(self._torch.uint8).numpy())

    def check_out(self, tensor: Tensor, array: Any) -> None:
        if not isinstance(array, self._torch.Tensor):
            raise BadRequest(f"`out` for tensor `{tensor.name}` is a {type(array).__name__}, not a torch tensor")
        _check_form(tensor, array, self._types[tensor.dtype], _packed(tensor, tensor.shape))
        if array.device.type != "cpu" or array.layout != self._torch.strided or not array.is_contiguous():
            raise BadRequest(f"`out` for tensor `{tensor.name}` is not contiguous memory of the processor's")
        if array.is_conj() or array.is_neg():
            raise BadRequest(f"`out` for tensor `{tensor.name}` is a conjugate or negative view")

    def pick(self, array: Any, region: Region) -> Any:
        picked = array[(*region.index, ...)]
        same = picked.numel() == array.numel()
        return picked if same else picked.clone(memory_format=self._torch.contiguous_format)

    def deliver(self, array: Any) -> Any:
        return array if self._device is None else array.to(self._device)


def element_bytes(tensor: Tensor) -> int:
    """Return the size of one element.

    Raises:
        BadRequest: elements of this type share bytes, so that a part of the tensor is no run of bytes.
    """
    bits = DTYPE_BITS[tensor.dtype]
    if bits % 8:
        raise BadRequest(
            f"tensor `{tensor.name}` of type `{tensor.dtype}` cannot be read in part", hint="read it with `get_tensor`"
        )
    return bits // 8


def _packed(tensor: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], shape[-1] // 2) if tensor.dtype in PACKED else shape


def _check_form(tensor: Tensor, array: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or tuple(array.shape) != shape:
        raise BadRequest(
            f"`out` for tensor `{tensor.name}` is {array.dtype} {list(array.shape)} where {dtype} {list(shape)} is due"
        )


def _no_type(tensor: Tensor, library: str) -> BadRequest:
    return BadRequest(
        f"tensor `{tensor.name}` has type `{tensor.dtype}` and shape {list(tensor.shape)}, which {library} cannot hold",
        hint=f"its raw data are bytes {tensor.start} to {tensor.stop} of its file: read them with `open`",
    )


@contextmanager
def _impossible_shape(tensor: Tensor) -> Iterator[None]:
    """A shape can fit its bytes and still be none: too many dimensions, or without elements beyond all bounds."""
    try:
        yield
    except (ValueError, OverflowError, TypeError) as error:
        raise BadTensors(f"tensor `{tensor.name}` has a shape beyond all bounds") from error
    except RuntimeError as error:
        if tensor.size_bytes:  # which is torch's way to say that there is no memory
            raise
        raise BadTensors(f"tensor `{tensor.name}` has a shape beyond all bounds") from error

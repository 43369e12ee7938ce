"""One file with tensors of every type, of no elements, without dimensions, unaligned, and over many segments."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from strongroom.sealing.tensors import DTYPE_BITS
from tests.client.sealed import filled, safetensors

FLOAT8 = {
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
}


PACKED = {"F4", "F6_E2M3", "F6_E3M2"}


WHOLE_BYTES = sorted(DTYPE_BITS.keys() - PACKED)


# Unaligned on purpose: `odd` moves all that follow it. Sizes of more than one segment, and of none.
TENSORS = {
    **{dtype: filled(dtype, 3, 8, seed=number) for number, dtype in enumerate(WHOLE_BYTES)},
    "odd": filled("U8", 3),
    "after odd": filled("F32", 5, 7),
    "scalar": filled("F32"),
    "nothing": filled("F16", 0, 4),
    "wide": filled("F32", 6, 1500),
    "tall": filled("I16", 3000, 2, 3, seed=3),
}


PLAIN = safetensors(TENSORS, {"format": "np", "made by": "a test"})


def raw(array: Any) -> bytes:
    """Return the bytes of an array of either framework."""
    if isinstance(array, np.ndarray):
        return array.tobytes()
    import torch

    return b"" if not array.numel() else array.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def same(ours: Any, theirs: Any) -> bool:
    return (
        type(ours) is type(theirs)
        and ours.dtype == theirs.dtype
        and tuple(ours.shape) == tuple(theirs.shape)
        and raw(ours) == raw(theirs)
    )

"""Regions: which bytes of a tensor an index expression needs, and how to pick the answer out of them. Pure."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

from strongroom.terms.errors import BadRequest

Index = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A run of whole rows: `count` elements from element `first`, seen as `shape`; `index` picks the answer there."""

    first: int
    shape: tuple[int, ...]
    index: Index

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def find_region(shape: tuple[int, ...], index: Any) -> Region:
    """Return the smallest run of elements of a tensor of `shape`, row by row, that holds what `index` asks for.

    `index` is what stands between the brackets: integers, slices of positive step and at most one `...`, meaning
    what they mean to numpy.

    Raises:
        BadRequest: anything else, too many of them, or an integer out of range.
    """
    asked = [_resolve(one, size, shape) for one, size in zip(_spread(shape, index), shape, strict=True)]
    if not all(len(picked) for picked, _ in asked):
        # Nothing is wanted: a region without elements, of the rank that the index expects.
        empty = tuple(len(picked) for picked, _ in asked)
        return Region(first=0, shape=empty, index=tuple(0 if single else slice(None) for _, single in asked))
    first, region, narrowing = 0, list(shape), True
    local: list[int | slice] = []
    for dimension, (picked, single) in enumerate(asked):
        # Rows are in one run for as long as every dimension outside of them is down to one position.
        if narrowing:
            first += picked[0] * math.prod(shape[dimension + 1 :])
            region[dimension] = picked[-1] - picked[0] + 1
            local.append(0 if single else slice(0, region[dimension], picked.step))
            narrowing = len(picked) == 1
        else:
            local.append(picked[0] if single else slice(picked[0], picked[-1] + 1, picked.step))
    return Region(first=first, shape=tuple(region), index=tuple(local))


def _spread(shape: tuple[int, ...], index: Any) -> list[Any]:
    """Return one index for each dimension: `...` and what is left out stand for whole dimensions."""
    given = list(index) if isinstance(index, tuple) else [index]
    dots = [position for position, one in enumerate(given) if one is ...]
    if len(dots) > 1:
        raise BadRequest("an index with more than one `...`", hint="write `:` for each dimension instead")
    missing = len(shape) - (len(given) - len(dots))
    if missing < 0:
        raise BadRequest(f"{len(given) - len(dots)} indices for a tensor of {len(shape)} dimensions")
    at = dots[0] if dots else len(given)
    return given[:at] + [slice(None)] * missing + given[at + 1 :]


def _resolve(one: Any, size: int, shape: tuple[int, ...]) -> tuple[range, bool]:
    """Return the positions that `one` means in a dimension of `size`, and whether it is an integer."""
    if isinstance(one, slice):
        return _positions(one, size), False
    if isinstance(one, bool):
        raise BadRequest("a boolean index", hint="read the tensor, then index it")
    try:
        position = operator.index(one)
    except TypeError as error:
        raise BadRequest(
            f"an index of type {type(one).__name__}: only integers, slices and `...` can be read in part",
            hint="read the tensor, then index it",
        ) from error
    if not -size <= position < size:
        raise BadRequest(f"index {position} in a dimension of {size}, of shape {list(shape)}")
    position %= size
    return range(position, position + 1), True


def _positions(one: slice, size: int) -> range:
    try:
        positions = range(*one.indices(size))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"slice {one}: {error}") from error
    if positions.step < 0:
        raise BadRequest(f"slice {one} steps backwards", hint="read it forwards, then turn it round")
    return positions

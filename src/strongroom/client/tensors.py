"""Tensors: the tensors of an open version, one, a part of one, or all, decrypted into the memory of their arrays."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from strongroom.client import arena
from strongroom.client.frameworks import Framework, element_bytes
from strongroom.client.regions import find_region
from strongroom.client.shards import Shards, find_shards
from strongroom.client.threads import Progress
from strongroom.client.version import SealedVersion, Wanted
from strongroom.sealing.tensors import Tensor
from strongroom.terms.errors import NotFound

Source = Callable[[], SealedVersion]
"""Gives the version for as long as it is open; raises afterwards."""


class Tensors:
    """The tensors of a version, as arrays of one framework. Used from any number of threads at once."""

    def __init__(self, source: Source, framework: Framework, files: str | None) -> None:
        self._source = source
        self._framework = framework
        self._files = files
        self._found: Shards | None = None

    @property
    def shards(self) -> Shards:
        """What tensors there are; found when first asked for, so that a version without tensors can be opened."""
        version = self._source()
        if self._found is None:  # two threads may both look: they find the same
            self._found = find_shards(version, self._files)
        return self._found

    def get(self, name: str) -> Any:
        """Return one tensor, in memory of its own."""
        path, tensor = self._find(name)
        self._framework.check_type(tensor)
        array = self._framework.empty(tensor, tensor.shape)
        self._fill(path, tensor, tensor.start, array)
        return self._framework.deliver(array)

    def slice(self, name: str) -> TensorSlice:
        """Return what reads parts of one tensor."""
        path, tensor = self._find(name)
        return TensorSlice(self, path, tensor)

    def get_part(self, path: str, tensor: Tensor, index: Any) -> Any:
        """Return what `index` picks from a tensor, reading only the rows that it needs."""
        self._framework.check_type(tensor)
        element = element_bytes(tensor)
        region = find_region(tensor.shape, index)
        array = self._framework.empty(tensor, region.shape)
        if region.count:
            self._fill(path, tensor, tensor.start + region.first * element, array)
        return self._framework.deliver(self._framework.pick(array, region))

    def load(self, progress: Progress) -> dict[str, Any]:
        """Return every tensor, over one stretch of new memory for each shard."""
        shards = self.shards
        for _, tensor in shards.tensors.values():
            self._framework.check_type(tensor)
        version = self._source()
        starts = {path: index.data_start for path, index in shards.indexes.items()}
        memories = {path: arena.allocate(version.file(path).size_bytes - start) for path, start in starts.items()}
        version.read_into(
            [Wanted(path=path, offset=starts[path], into=memory) for path, memory in memories.items()],
            progress=progress,
        )
        return {
            name: self._framework.deliver(
                self._framework.place(tensor, memories[path][tensor.start - starts[path] : tensor.stop - starts[path]])
            )
            for name, (path, tensor) in shards.tensors.items()
        }

    def load_into(self, out: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Fill the arrays of `out`, each with the tensor of its name, and return them."""
        wanted = []
        for name, array in out.items():
            path, tensor = self._find(name)
            self._framework.check_type(tensor)
            self._framework.check_out(tensor, array)
            if tensor.size_bytes:
                wanted.append(Wanted(path=path, offset=tensor.start, into=self._framework.memory(array)))
        self._source().read_into(wanted, progress=progress)
        return dict(out)

    def _fill(self, path: str, tensor: Tensor, offset: int, array: Any) -> None:
        if tensor.size_bytes:
            self._source().read_into([Wanted(path=path, offset=offset, into=self._framework.memory(array))])

    def _find(self, name: str) -> tuple[str, Tensor]:
        tensors = self.shards.tensors
        try:
            return tensors[name]
        except (KeyError, TypeError):
            version = self._source()
            version.check_released(
                path for path, file in version.withheld.items() if file.tensors and name in file.tensors.tensors
            )
            close = difflib.get_close_matches(str(name)[:200], tensors, n=3)
            hint = "did you mean " + " or ".join(f"`{one}`" for one in close) + "?" if close else "see `keys()`"
            raise NotFound(f"no tensor `{str(name)[:200]}`", hint=hint) from None


class TensorSlice:
    """One tensor that is read in part: `part = model.get_slice("name")[10:20, ..., 0]`."""

    def __init__(self, tensors: Tensors, path: str, tensor: Tensor) -> None:
        self._tensors = tensors
        self._path = path
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        """Return the number of elements in each dimension."""
        return list(self._tensor.shape)

    def get_dtype(self) -> str:
        """Return the type as safetensors names it, such as `BF16`."""
        return self._tensor.dtype

    def __getitem__(self, index: Any) -> Any:
        """Return the part that integers, slices of positive step and `...` pick, as numpy would.

        Reads the run of rows from the first to the last that is wanted, in the outermost dimension that is not
        down to one position.

        Raises:
            BadRequest: another kind of index, one out of range, or a type whose elements share bytes.
        """
        return self._tensors.get_part(self._path, self._tensor, index)

"""Shards: which file of a version each tensor comes from.

One `*.safetensors` file, several of them, or several with an index (`model.safetensors.index.json`), which then
decides. What leaves room for doubt is refused, and the caller chooses with `files`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strongroom.client.patterns import matches
from strongroom.client.version import SealedVersion
from strongroom.sealing import tensors
from strongroom.sealing.tensors import LENGTH_BYTES, Tensor, TensorIndex
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.outer_errors import BadTensors

_SUFFIX = ".safetensors"
_INDEX_PATTERNS = ("*.safetensors.index.json", "*.safetensors.index.*.json")
_LARGEST_INDEX_BYTES = 1 << 28
_CHOOSE = 'choose among them, as with `files="fp16/*"`'


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """The tensors of a version by name, in the order of names, each with the path of its file."""

    tensors: Mapping[str, tuple[str, Tensor]]
    indexes: Mapping[str, TensorIndex]
    """The shards themselves, by path, in the order of paths."""

    @property
    def metadata(self) -> dict[str, str] | None:
        """What the shards' headers say in free text, as far as none contradicts another; `None` if that is nothing."""
        entries = [entry for index in self.indexes.values() for entry in index.metadata.items()]
        agreed = dict(entries)
        for key, text in entries:
            if agreed.get(key, text) != text:
                del agreed[key]
        return agreed or None


def find_shards(version: SealedVersion, files: str | None) -> Shards:
    """Return the shards of `version`, all of them or those whose path matches the pattern `files`.

    Raises:
        NotFound: no such file.
        BadRequest: they are several models.
        BadTensors: headers or index contradict themselves or each other.
    """
    chosen = [path for path in sorted(version.files) if _is_chosen(path, files)]
    if not chosen:
        version.check_released(path for path in sorted(version.withheld) if _is_chosen(path, files))
        which = "" if files is None else f" that matches `{files}`"
        raise NotFound(f"version {version.name} has no `*{_SUFFIX}` file{which}", hint="see `files()` for what it has")
    weight_maps = _read_weight_maps(version, set(chosen), files)
    match list(weight_maps.items()):
        case []:
            return _join(version, chosen, {})
        case [(path, weight_map)]:
            _check_same_folder(path, chosen)
            return _join(version, sorted(set(weight_map.values()) - version.withheld.keys()), weight_map)
        case several:
            raise BadRequest("several indexes: " + ", ".join(f"`{path}`" for path, _ in several), hint=_CHOOSE)


def _is_chosen(path: str, files: str | None) -> bool:
    return path.endswith(_SUFFIX) and (files is None or matches(path, files))


def _read_weight_maps(version: SealedVersion, chosen: set[str], files: str | None) -> dict[str, Mapping[str, str]]:
    """Return, for every index that names a chosen file, the path of the file that holds each tensor."""
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(version.files):
        if matches(path, _INDEX_PATTERNS):
            folder = posixpath.dirname(path)
            weight_map = {
                name: posixpath.join(folder, shard) for name, shard in _read_weight_map(version, path).items()
            }
            # Nothing can be had of shards that were not released: the others are read without them.
            shards = set(weight_map.values()) - version.withheld.keys()
            if weight_map and not shards:
                continue
            # Without `files`, every index counts, so that one whose shards are all missing is refused.
            if files is None or shards & chosen:
                for shard in sorted(shards - chosen):
                    why = "`files` leaves out" if shard in version.files else "is not there"
                    raise BadTensors(f"`{path}` names the shard `{shard}`, which {why}")
                found[path] = weight_map
    return found


def _read_weight_map(version: SealedVersion, path: str) -> Mapping[str, str]:
    if version.file(path).size_bytes > _LARGEST_INDEX_BYTES:
        raise BadTensors(f"`{path}` is too large for an index")
    try:
        # Not as strict as our own JSON: others write these, with sizes that are no integers.
        value = json.loads(version.read(path), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadTensors(f"`{path}` is not an index: {error}") from error
    match value:
        case {"weight_map": dict(weight_map)} if all(type(shard) is str for shard in weight_map.values()):
            return weight_map
        case _:
            raise BadTensors(f"`{path}` is not an index: it has no `weight_map` of names")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _check_same_folder(path: str, chosen: Sequence[str]) -> None:
    """An index speaks for its own folder; files elsewhere may be parts of it, copies of it or another model."""
    folder = posixpath.dirname(path)
    if other := [shard for shard in chosen if posixpath.dirname(shard) != folder]:
        raise BadRequest(f"`{path}` says nothing of `{other[0]}` in another folder", hint=_CHOOSE)


def _join(version: SealedVersion, paths: Sequence[str], weight_map: Mapping[str, str]) -> Shards:
    indexes = {path: _tensor_index(version, path) for path in paths}
    for name, path in weight_map.items():
        if path in indexes and name not in indexes[path].tensors:
            raise BadTensors(f"the index says that `{path}` holds tensor `{name}`, which it does not")
    found: dict[str, tuple[str, Tensor]] = {}
    for path, index in indexes.items():
        for name, tensor in index.tensors.items():
            if weight_map.get(name, path) != path:
                continue
            if name in found:
                raise BadTensors(f"tensor `{name}` is both in `{found[name][0]}` and in `{path}`", hint=_CHOOSE)
            found[name] = (path, tensor)
    return Shards(tensors=dict(sorted(found.items())), indexes=indexes)


def _tensor_index(version: SealedVersion, path: str) -> TensorIndex:
    """Return the index that the manifest holds of a file, or else the one in the file's header."""
    file = version.file(path)
    if file.tensors is not None:
        return file.tensors
    start = version.read(path, 0, min(LENGTH_BYTES, file.size_bytes))
    try:
        length = tensors.parse_header_length(start, file.size_bytes)
        return tensors.parse_header(version.read(path, LENGTH_BYTES, length), file.size_bytes)
    except BadTensors as error:
        raise BadTensors(f"`{path}`: {error.message}", hint=error.hint) from error

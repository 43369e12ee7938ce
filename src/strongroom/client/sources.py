"""Sources: the files that go into a version, found, checked and read without being fooled.

A symlink is followed only where it stays in its model: inside the folder that was named, or, for a folder of a
Hugging Face cache (`models--org--name/snapshots/revision`), inside that cache entry's `blobs`. A file that is
another one after it was found, or that changes while it is read, is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from strongroom.client.patterns import matches
from strongroom.sealing import tensors
from strongroom.sealing.paths import check_paths
from strongroom.sealing.tensors import TensorIndex
from strongroom.terms.errors import AccessDenied, NotFound, StoreUnavailable
from strongroom.terms.outer_errors import BadSource, BadTensors, SourceChanged

LEFT_OUT = (
    ".git",
    ".git/*",
    "*/.git",
    "**/.git/**",
    ".cache/huggingface",
    ".cache/huggingface/*",
    "*/.cache/huggingface",
    "**/.cache/huggingface/**",
)
"""Never part of a model, as `huggingface_hub` has it when it uploads a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One regular file: its path in the version, where it really lies, and how it was when it was found."""

    path: str
    real: str
    size_bytes: int
    mark: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is to be sealed, in the order of paths, and what the patterns left out."""

    sources: tuple[Source, ...]
    left_out: tuple[str, ...]


def find_sources(paths: Sequence[Path], *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Found:
    r"""Return the files at `paths`: a folder gives all that it holds, a file itself under its own name.

    Patterns work as in `huggingface_hub`: `*` also matches `/`, a trailing `/` stands for all below, `\` for `/`; what
    matches some `include` (if there are any) and no `exclude` goes in.

    Raises:
        NotFound, AccessDenied, BadSource, BadPath: naming the file.
    """
    sources: list[Source] = []
    left_out: list[str] = []
    excluded = [*exclude, *LEFT_OUT]
    for root in paths:
        for path, place, inside in _walk(root):
            if (include and not matches(path, include)) or matches(path, excluded):
                left_out.append(path)
            else:
                sources.append(_source(path, place, inside))
    sources.sort(key=lambda source: source.path)
    check_paths(source.path for source in sources)
    if not sources:
        raise BadSource("nothing to seal", hint="check the paths, `--include` and `--exclude`")
    return Found(sources=tuple(sources), left_out=tuple(sorted(left_out)))


class SourceReader:
    """One open source. Reads from many threads; `check_unchanged` before what was read is used for good."""

    def __init__(self, source: Source) -> None:
        self._source = source
        # O_NONBLOCK: opening a pipe that was put in the file's place must not hang.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._descriptor = os.open(source.real, flags)
        except OSError as error:
            _refuse(source.path, error)
        try:
            # A folder on the way may have become a symlink since: ask the kernel what was really opened.
            if os.readlink(f"/proc/self/fd/{self._descriptor}") != source.real:
                raise SourceChanged(f"`{source.path}` is another file than when it was found")
            self.check_unchanged()
        except BaseException:
            self.close()
            raise

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill the whole of `view` from `offset`.

        Raises:
            SourceChanged: the file has become shorter.
        """
        while len(view):
            try:
                count = os.preadv(self._descriptor, [view], offset)
            except OSError as error:
                _refuse(self._source.path, error)
            if count == 0:
                raise SourceChanged(f"`{self._source.path}` became shorter while it was read")
            view, offset = view[count:], offset + count

    def check_unchanged(self) -> None:
        """Refuse a file whose size, times, or inode are not those it was found with."""
        if _mark(os.fstat(self._descriptor)) != self._source.mark:
            raise SourceChanged(f"`{self._source.path}` changed while it was read")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def read_tensor_index(source: Source) -> TensorIndex | None:
    """Return the tensor index of a `.safetensors` file, checked in full; `None` for any other file.

    Raises:
        BadSource: it has the name and is none.
    """
    if not source.path.endswith(".safetensors"):
        return None
    reader = SourceReader(source)
    try:
        start = bytearray(min(tensors.LENGTH_BYTES, source.size_bytes))
        reader.read_into(0, memoryview(start))
        header = bytearray(tensors.parse_header_length(bytes(start), source.size_bytes))
        reader.read_into(tensors.LENGTH_BYTES, memoryview(header))
        return tensors.parse_header(bytes(header), source.size_bytes)
    except BadTensors as error:
        raise BadSource(f"`{source.path}`: {error.message}", hint=error.hint) from error
    finally:
        reader.close()


def _walk(root: Path) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield path in the version, place on disk, and the folders that a symlink there may lead into."""
    try:
        os.getcwd()  # without one, no relative path means anything
        mode = os.stat(root).st_mode
    except OSError as error:
        _refuse(str(root), error)
    if not stat.S_ISDIR(mode):
        yield root.name, root, _inside(root.parent)
        return
    inside = _inside(root)
    for folder, folders, files in os.walk(root, onerror=_raise):
        folders.sort()
        for name in [name for name in folders if Path(folder, name).is_symlink()] + files:
            place = Path(folder, name)
            yield place.relative_to(root).as_posix(), place, inside


def _inside(folder: Path) -> tuple[str, ...]:
    real = Path(os.path.realpath(folder))
    if (cache := _cache_entry(real)) is not None:
        return (str(real), str(cache / "blobs"))
    return (str(real),)


def _cache_entry(folder: Path) -> Path | None:
    """Return the entry of a Hugging Face cache that `folder` is, or is in, a snapshot of."""
    for parent in (folder, *folder.parents):
        if parent.parent.name == "snapshots" and parent.parent.parent.name.startswith("models--"):
            return parent.parent.parent
    return None


def _source(path: str, place: Path, inside: tuple[str, ...]) -> Source:
    try:
        real = os.path.realpath(place, strict=True) if place.is_symlink() else _real_parent(place)
        status = os.stat(real, follow_symlinks=False)
    except OSError as error:
        _refuse(path, error)
    # Not of symlinks alone: a folder on the way may have become one since it was listed.
    if not any(real.startswith(f"{folder.removesuffix('/')}/") for folder in inside):
        raise BadSource(f"`{path}` is a symlink that leads out of the model")
    if stat.S_ISDIR(status.st_mode):
        raise BadSource(f"`{path}` is a symlink to a folder")
    if not stat.S_ISREG(status.st_mode):
        raise BadSource(f"`{path}` is a device, pipe or socket")
    return Source(path=path, real=real, size_bytes=status.st_size, mark=_mark(status))


def _real_parent(place: Path) -> str:
    return os.path.join(os.path.realpath(place.parent, strict=True), place.name)


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _raise(error: OSError) -> NoReturn:
    _refuse(str(error.filename), error)


def _refuse(path: str, error: OSError) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise NotFound(f"no file `{path}`", hint="check the path; a broken symlink counts as missing") from error
    if isinstance(error, PermissionError):
        raise AccessDenied(f"`{path}` cannot be read: {error.strerror}") from error
    if error.errno == errno.ELOOP:
        raise BadSource(f"`{path}` is a symlink in the place of a file") from error
    raise StoreUnavailable(f"`{path}` cannot be read: {error.strerror}") from error

"""An open version: its tensors as safetensors gives them, its files as Python gives them, and both without disk."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from strongroom.client.files import open_reader
from strongroom.client.frameworks import Framework, choose_framework
from strongroom.client.identity import read_identity
from strongroom.client.memory import MemoryFile, MemoryFolder
from strongroom.client.patterns import matches
from strongroom.client.tensors import Tensors, TensorSlice
from strongroom.client.threads import Progress, no_progress
from strongroom.client.version import SealedVersion, open_sealed
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import Identity
from strongroom.terms.digests import parse_digest
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.names import parse_version

if TYPE_CHECKING:
    from strongroom.client.profile import Profile


def open_version(
    name: str,
    *,
    identity: str | os.PathLike[str] | Identity | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    store: str | ObjectStore,
    manifest: str | None = None,
    framework: str = "np",
    device: str | None = None,
    files: str | None = None,
    threads: int | None = None,
) -> OpenVersion:
    """Open version `name` (`acme/atlas@1`) of the store at the URL `store`: by an `identity`, or else by a `profile`.

    The identity in a file opens what was sealed to it outside any deployment. With `manifest`, the digest that
    `strongroom seal` printed, it is that very version; without, whoever has the public key may have made it. A profile
    (its folder) opens a deployment's version through the keep: on a grant, in the session of `strongroom login` or as a
    workload; which manifest it is, the log says.

    `framework` is `"np"` or `"pt"`, and `device` is one of torch's. `files` is a pattern of paths that chooses among
    several models in one version. `threads` is how many decrypt at once.

    Raises:
        NotFound, WrongKey, WrongManifest, ManifestTampered, ObjectMissing, …: it cannot be had as it was sealed.
        NotAllowed, UnknownSigner, Denied, …: the keep does not release it; see `released.open_through_keep`.
        BadName, BadStoreUrl, BadKey, BadRequest: the arguments cannot be meant.
    """
    if profile is not None and identity is None and manifest is None:
        from strongroom.client.released import open_through_keep
        from strongroom.client.session import resume_speaker

        return open_through_keep(
            resume_speaker(profile),
            name,
            open_store(store) if isinstance(store, str) else store,
            framework=framework,
            device=device,
            shown=files,
            threads=threads,
        )
    if profile is not None or identity is None:
        raise BadRequest("a version is opened with an identity, or through the keep by a profile without a manifest")
    arrays = choose_framework(framework, device)
    sealed = open_sealed(
        open_store(store) if isinstance(store, str) else store,
        parse_version(name),
        identity if isinstance(identity, Identity) else read_identity(identity),
        digest=None if manifest is None else parse_digest(manifest),
        threads=threads,
    )
    return OpenVersion(sealed, arrays, files)


def opened(
    sealed: SealedVersion, *, framework: str = "np", device: str | None = None, files: str | None = None
) -> OpenVersion:
    """Return `sealed`, as `open_released` gives it, with the reading interface of `open_version`.

    Raises:
        BadRequest: another framework or device than there is.
    """
    return OpenVersion(sealed, choose_framework(framework, device), files)


class OpenVersion:
    """A version that is open. Read it from any number of threads; close it, or use `with`.

    The reading interface is that of `safetensors.safe_open`, over all shards of the version at once. Closing forgets
    the keys; arrays that were read stay the caller's.
    """

    def __init__(self, sealed: SealedVersion, framework: Framework, files: str | None = None) -> None:
        self.name = str(sealed.name)
        self.manifest = sealed.manifest.digest
        self._version: SealedVersion | None = sealed
        self._tensors = Tensors(self._sealed, framework, files)

    def __repr__(self) -> str:
        return f"OpenVersion({self.name}{', closed' if self._version is None else ''})"

    def __enter__(self) -> OpenVersion:
        self._sealed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open version holds keys and cannot be pickled: open it again where it is needed")

    def close(self) -> None:
        """Forget the keys. Whatever would need them raises from now on; closing twice is nothing new."""
        version, self._version = self._version, None
        if version is not None:
            version.close()

    def keys(self) -> list[str]:
        """Return the names of all tensors, in order."""
        return list(self._tensors.shards.tensors)

    def offset_keys(self) -> list[str]:
        """Return the names of all tensors as their data lie: shard by shard, from the front to the back."""
        tensors = self._tensors.shards.tensors.items()
        return [name for name, _ in sorted(tensors, key=lambda item: (item[1][0], item[1][1].start, item[1][1].stop))]

    def metadata(self) -> dict[str, str] | None:
        """Return the free text of the header; of several shards, what none of them contradicts."""
        return self._tensors.shards.metadata

    def __contains__(self, name: object) -> bool:
        return name in self._tensors.shards.tensors

    def __len__(self) -> int:
        return len(self._tensors.shards.tensors)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get_tensor(self, name: str) -> Any:
        """Return one tensor as a new array; only the segments that hold it are read.

        Raises:
            NotFound: there is none of that name.
            BadRequest: the framework has no such type.
            ObjectMissing, ObjectSize, ObjectTampered: the store does not hold what was sealed.
        """
        return self._tensors.get(name)

    def get_slice(self, name: str) -> TensorSlice:
        """Return what reads parts of one tensor, as in `model.get_slice("name")[10:20]`.

        Raises:
            NotFound: there is none of that name.
        """
        return self._tensors.slice(name)

    def get_tensors(self) -> dict[str, Any]:
        """Return all tensors by name: `load_all` by the name that safetensors has for it."""
        return self.load_all()

    def load_all(self, out: Mapping[str, Any] | None = None, *, progress: Progress = no_progress) -> dict[str, Any]:
        """Return all tensors by name, decrypted in place on all threads over all shards at once.

        The tensors of one shard share one stretch of memory, which lives as long as any of them. With `out`, its
        arrays are filled instead and returned, which may be those of some tensors only; each must have the tensor's
        type and shape and be contiguous and writable. `progress` is told of bytes, from any thread.

        Raises:
            NotFound, BadRequest: an array of `out` fits no tensor; nothing was read.
            ObjectMissing, ObjectSize, ObjectTampered: the store does not hold what was sealed. Whatever `out` then
                holds is authentic, zero or as it was.
        """
        return self._tensors.load(progress) if out is None else self._tensors.load_into(out, progress)

    def files(self) -> list[str]:
        """Return the paths of all files, in order."""
        return sorted(self._sealed().files)

    def size_bytes(self, path: str) -> int:
        """Return the length of the file at `path`."""
        return self._sealed().file(path).size_bytes

    def open(self, path: str) -> io.BufferedReader:
        """Return the file at `path` for reading; whole segments are decrypted only as they are read.

        Raises:
            NotFound: there is none.
        """
        return open_reader(self._sealed, path)

    def read_bytes(self, path: str, offset: int = 0, size_bytes: int | None = None) -> bytes:
        """Return `size_bytes` of the file at `path` from `offset`, or all from there on."""
        return self._sealed().read(path, offset, size_bytes)

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """Return the text of the file at `path`."""
        return self.read_bytes(path).decode(encoding)

    def as_path(self, path: str) -> MemoryFile:
        """Return the file at `path` under a path of its own in memory, for libraries that want one; see `memory`.

        `with model.as_path("model.safetensors") as path: library.load(path)`
        """
        return MemoryFile(self._sealed(), path)

    def as_folder(self, files: str | Sequence[str] | None = None) -> MemoryFolder:
        """Return all files, or those that a pattern of `files` matches, in a folder in memory; see `memory`.

        `with model.as_folder() as folder: AutoModel.from_pretrained(folder)`
        """
        chosen = [path for path in self.files() if files is None or matches(path, files)]
        if not chosen:
            raise NotFound(f"version {self.name} has no file that matches {files}", hint="see `files()`")
        return MemoryFolder(self._sealed(), chosen)

    def _sealed(self) -> SealedVersion:
        if (version := self._version) is None:
            raise BadRequest(f"version {self.name} is closed", hint="use it inside its `with` block")
        return version

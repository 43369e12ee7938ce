"""Filesystem: a sealed version as a read-only fsspec file system, for libraries that read through fsspec.

    fs = SealedFileSystem(model)                # of a version that is open
    with fsspec.open("strongroom://acme/atlas@1/config.json", identity="identity.key", store="s3://models") as file:

One file system is one version: its paths are those of the version, and a URL of another version is refused.
fsspec's caching file systems (`simplecache::`, `filecache::`) write what they read to a disk: not for sealed versions.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any, NoReturn

from fsspec import AbstractFileSystem

from strongroom.client.opened import OpenVersion, open_version
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import Identity
from strongroom.terms.errors import AccessDenied, BadRequest, NotFound

PROTOCOL = "strongroom"
_PREFIX = f"{PROTOCOL}://"


class NoSuchFile(NotFound, FileNotFoundError):
    """`NotFound` for users of fsspec, who wait for Python's own error."""


class ReadOnly(AccessDenied, PermissionError):
    """`AccessDenied` for users of fsspec, who wait for Python's own error."""


class SealedFileSystem(AbstractFileSystem):
    """The files of one version. Made from an `OpenVersion`, or with what `open_version` takes."""

    protocol = PROTOCOL
    # fsspec would keep instances for ever, with their keys, and tell them apart by the text of their arguments.
    cachable = False

    def __init__(
        self,
        version: OpenVersion | None = None,
        *,
        name: str | None = None,
        identity: str | os.PathLike[str] | Identity | None = None,
        store: str | ObjectStore | None = None,
        manifest: str | None = None,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if version is None:
            if name is None or identity is None or store is None:
                raise BadRequest("a sealed file system needs an open version, or `name`, `identity` and `store`")
            version = open_version(name, identity=identity, store=store, manifest=manifest, threads=threads)
        self._version = version
        # Not a method: fsspec calls it on the class for URLs and on the instance for paths, which knows its version.
        self._strip_protocol = partial(_strip, version=version.name)  # type: ignore[method-assign]

    @property
    def storage_options(self) -> dict[str, Any]:
        """Return what fsspec may print, write to JSON and hand on: the version's name, never the identity."""
        return {"name": self._version.name}

    @storage_options.setter
    def storage_options(self, options: dict[str, Any]) -> None:
        """Keep nothing: fsspec would keep the identity."""

    @property
    def storage_args(self) -> tuple[Any, ...]:
        """Return nothing, for the same reason."""
        return ()

    @storage_args.setter
    def storage_args(self, arguments: tuple[Any, ...]) -> None:
        """Keep nothing."""

    def __repr__(self) -> str:
        return f"SealedFileSystem({self._version.name})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        # fsspec compares the texts of arguments, in which two identities look alike.
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sealed file system holds keys and cannot be pickled: make it where it is needed")

    @property
    def fsid(self) -> str:
        """Return what tells this version's bytes from all others: the manifest's digest."""
        return f"{PROTOCOL}-{self._version.manifest}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return _strip(path, version=None)

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        name, _ = _split(path)
        return {} if name is None else {"name": name}

    def unstrip_protocol(self, name: str) -> str:
        """Return the URL of a path."""
        return f"{_PREFIX}{self._version.name}/{self._strip_protocol(name)}"

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """Return what is in the folder at `path`, or the file itself."""
        found = self.info(path)
        if found["type"] == "directory":
            prefix = f"{found['name']}/" if found["name"] else ""
            inside = [name.removeprefix(prefix) for name in self._version.files() if name.startswith(prefix)]
            entries = [self.info(prefix + first) for first in sorted({name.partition("/")[0] for name in inside})]
        else:
            entries = [found]
        return entries if detail else [entry["name"] for entry in entries]

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Return name, type and size of the file or folder at `path`."""
        path = self._strip_protocol(path)
        files = self._version.files()
        if path in files:
            return {"name": path, "type": "file", "size": self._version.size_bytes(path)}
        if not path or any(name.startswith(f"{path}/") for name in files):
            return {"name": path, "type": "directory", "size": 0}
        raise NoSuchFile(f"version {self._version.name} has no file or folder `{path}`")

    def ukey(self, path: str) -> str:
        """Return what changes when the file does: a version never changes."""
        return f"{self.fsid}/{self.info(path)['name']}"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """Return the bytes from `start` to `end`, which count from the file's end where negative."""
        found = self._file(path)
        first, last, _ = slice(start, end).indices(found["size"])
        return self._version.read_bytes(found["name"], first, max(0, last - first))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb":
            self._refuse()
        return self._version.open(self._file(path)["name"])

    def _file(self, path: str) -> dict[str, Any]:
        found = self.info(path)
        if found["type"] != "file":
            raise NoSuchFile(f"`{found['name']}` is a folder of version {self._version.name}")
        return found

    def _refuse(self, *arguments: Any, **options: Any) -> NoReturn:
        raise ReadOnly(f"version {self._version.name} is sealed: it is only read", hint="seal a new version")

    # Every method of fsspec that writes, or that would not say that it did not.
    mkdir = makedirs = rmdir = rm = _rm = rm_file = cp_file = copy = mv = touch = _refuse
    pipe = pipe_file = put = put_file = write_text = start_transaction = sign = _refuse


def _split(path: str) -> tuple[str | None, str]:
    """Return the version that a URL names, and the path in it; a plain path names none."""
    if not path.startswith(_PREFIX):
        return None, path
    organisation, _, rest = path.removeprefix(_PREFIX).partition("/")
    model, _, inside = rest.partition("/")
    return f"{organisation}/{model}", inside


def _strip(path: Any, *, version: str | None) -> Any:
    """Return the path in the version: what fsspec calls a path without its protocol."""
    if isinstance(path, list):
        return [_strip(one, version=version) for one in path]
    name, inside = _split(os.fspath(path))
    if None not in (name, version) and name != version:
        raise BadRequest(f"a path of version {name} in the file system of {version}")
    return inside.strip("/")

"""Providers: where a starting keep has its root key from. HSM and TPM will be two more behind the same port.

- `CustodianShares` collects shares, one by one, until they make the root key
- `PlainFile` is a file that only its owner can read: for trials, since whoever copies the disk has the key
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import Share, check_fits, combine
from strongroom.terms.errors import (
    AccessDenied,
    BadKey,
    NotFound,
    OutputExists,
    UnsafePlace,
    WrongShare,
)

_LINE = re.compile(rb"STRONGROOM-ROOT-1:([0-9a-f]{64})\n\Z")
_LINE_BYTES = 83
_FORGOTTEN = "all shares were forgotten, begin again"


class RootProvider(Protocol):
    """Whatever can say the root key, now or once it has what it needs."""

    def root(self) -> RootKey:
        """Return the root key.

        Raises:
            SharesMissing: custodians have not given enough shares yet.
            Refused, Malformed: it cannot be had from here.
        """
        ...


class CustodianShares:
    """Collects the shares of `k` out of `n` custodians. Holds them no longer than until they have made the key."""

    def __init__(self, k: int, n: int) -> None:
        self._k, self._n = k, n
        self._shares: list[Share] = []

    def add(self, share: Share) -> int:
        """Take a share and return how many are still missing.

        Raises:
            WrongShare: it is not one of `k` of `n`, or was given already (it is left out); or it is of another
                splitting than those before it (all are forgotten: nobody can tell which of them is wrong).
        """
        if share.threshold != self._k or share.number > self._n:
            raise WrongShare(f"share {share.number} is not one of {self._k} of {self._n}")
        if self._shares and self._shares[0].split != share.split:
            self._shares = []
            raise WrongShare(f"share {share.number} is of another splitting than those before it: {_FORGOTTEN}")
        check_fits(share, self._shares)
        self._shares.append(share)
        return self._k - len(self._shares)

    def root(self) -> RootKey:
        """Return the root key, and forget the shares.

        Raises:
            SharesMissing: fewer than `k` so far; they are kept.
            WrongShare: the shares do not make a key; all are forgotten.
        """
        try:
            root = combine(self._shares)
        except WrongShare as error:
            self._shares = []
            raise WrongShare(f"{error.message}: {_FORGOTTEN}") from None
        self._shares = []
        return root


class PlainFile:
    """A root key in a file of mode 0600 that we own, in a folder that nobody else can write to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, root: RootKey) -> None:
        """Write `root` to the file, which must not exist, durably.

        Raises:
            OutputExists: something is there; it is left alone.
            UnsafePlace: somebody else can write to the folder.
        """
        with self._folder() as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                descriptor = os.open(self._path.name, flags, 0o600, dir_fd=folder)
            except FileExistsError:
                raise OutputExists(f"`{self._path}` exists", hint="a root key is never overwritten") from None
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"STRONGROOM-ROOT-1:" + root.secret.hex().encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.fsync(folder)

    def root(self) -> RootKey:
        """Return the root key.

        Raises:
            NotFound, AccessDenied: the file cannot be opened.
            UnsafePlace: others could read or replace it, or it is no regular file.
            BadKey: it holds something else.
        """
        with self._folder() as folder:
            # A symlink fails to open; a FIFO opens without waiting and fails as no regular file.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                descriptor = os.open(self._path.name, flags, dir_fd=folder)
            except FileNotFoundError:
                raise NotFound(f"no root key at `{self._path}`", hint="give the file made when founding") from None
            except PermissionError as error:
                raise AccessDenied(f"`{self._path}` cannot be read: {error.strerror}") from error
            except OSError as error:
                raise UnsafePlace(f"`{self._path}` is not a file of our own: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o177:
                raise UnsafePlace(f"`{self._path}` is not a file of mode 0600 that we own")
            line = _LINE.match(file.read(_LINE_BYTES + 1))
        if line is None:
            raise BadKey(f"`{self._path}` holds no root key", hint="give the file made when founding")
        return RootKey.from_bytes(bytes.fromhex(line[1].decode("ascii")))

    @contextmanager
    def _folder(self) -> Iterator[int]:
        """Yield the folder, open, so that what was checked is what is used."""
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UnsafePlace(f"`{self._path.parent}` is not a folder of our own: {error.strerror}") from error
        try:
            found = os.fstat(folder)
            if found.st_uid not in {os.geteuid(), 0} or found.st_mode & 0o022:
                raise UnsafePlace(f"others can write to `{self._path.parent}`")
            yield folder
        finally:
            os.close(folder)

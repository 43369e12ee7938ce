"""Providers: where a starting keep has its root key from. HSM and TPM will be two more behind the same port.

- `CustodianShares` collects shares, one by one, until they make the root key
- `PlainFile` is a file that only its owner can read: for trials, since whoever copies the disk has the key
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import Share, check_fits, combine
from strongroom.places import private
from strongroom.terms import errors

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

    def __len__(self) -> int:
        """Return how many shares are held."""
        return len(self._shares)

    def add(self, share: Share) -> int:
        """Take a share and return how many are still missing.

        Raises:
            WrongShare: it is not one of `k` of `n`, or was given already (it is left out); or it is of another
                splitting than those before it (all are forgotten: nobody can tell which of them is wrong).
        """
        if share.threshold != self._k or share.number > self._n:
            raise errors.WrongShare(f"share {share.number} is not one of {self._k} of {self._n}")
        if self._shares and self._shares[0].split != share.split:
            self._shares = []
            raise errors.WrongShare(f"share {share.number} is of another splitting than those before it: {_FORGOTTEN}")
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
        except errors.WrongShare as error:
            self._shares = []
            raise errors.WrongShare(f"{error.message}: {_FORGOTTEN}") from None
        self._shares = []
        return root


class PlainFile:
    """A root key in a file of mode 0600, in a folder of mode 0700, both our own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, root: RootKey) -> None:
        """Write `root` to the file, which must not exist, durably.

        Raises:
            OutputExists: something is there; it is left alone.
            UnsafePlace: somebody else has rights to the folder.
        """
        with self._folder() as folder:
            try:
                file = os.fdopen(private.make_file(self._path.name, folder), "wb")
            except FileExistsError:
                raise errors.OutputExists(f"`{self._path}` exists", hint="a root key is never overwritten") from None
            with file:
                file.write(b"STRONGROOM-ROOT-1:" + root.secret.hex().encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.fsync(folder)

    def root(self) -> RootKey:
        """Return the root key.

        Raises:
            NotFound: it is not there.
            UnsafePlace: others could read or replace it, or it is no regular file.
            BadKey: it holds something else.
        """
        with self._folder() as folder:
            try:
                file = os.fdopen(private.open_file(self._path.name, folder), "rb")
            except FileNotFoundError:
                raise errors.NotFound(
                    f"no root key at `{self._path}`", hint="give the file made when founding"
                ) from None
        with file:
            line = _LINE.match(file.read(_LINE_BYTES + 1))
        if line is None:
            raise errors.BadKey(f"`{self._path}` holds no root key", hint="give the file made when founding")
        return RootKey.from_bytes(bytes.fromhex(line[1].decode("ascii")))

    @contextmanager
    def _folder(self) -> Iterator[int]:
        """Yield the folder, open, so that what was checked is what is used."""
        try:
            folder = private.open_folder(self._path.parent)
        except OSError as error:
            raise errors.UnsafePlace(f"`{self._path.parent}` is not a folder of our own: {error.strerror}") from error
        try:
            yield folder
        finally:
            os.close(folder)

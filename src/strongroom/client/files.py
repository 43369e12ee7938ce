"""Files: a file of an open version as Python reads files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from strongroom.client.version import SealedVersion, Wanted

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SealedReader(io.RawIOBase):
    """One file, read-only. Each read decrypts straight into the reader's memory, and keeps nothing."""

    def __init__(self, source: Callable[[], SealedVersion], path: str) -> None:
        super().__init__()
        self._source = source
        self._size_bytes = source().file(path).size_bytes
        self._position = 0
        self.name = path
        self.mode = "rb"

    def readable(self) -> bool:
        """Return `True`."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """Return `True`."""
        self._check_open()
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` from the start, from here or from the end, past the end if need be; return the position."""
        self._check_open()
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}
        if whence not in bases:
            raise ValueError(f"whence is {whence}, not 0, 1 or 2")
        if (position := bases[whence] + offset) < 0:
            raise ValueError(f"position {position} is negative")
        self._position = position
        return position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` as far as the file goes; return how many bytes those are, 0 at the end."""
        self._check_open()
        view = memoryview(buffer)
        if view.readonly:
            raise TypeError("the buffer is read-only")
        if not view.nbytes or self._position >= self._size_bytes:
            return 0
        into = view.cast("B")[: self._size_bytes - self._position]
        self._source().read_into([Wanted(path=self.name, offset=self._position, into=into)])
        self._position += len(into)
        return len(into)

    def readall(self) -> bytes:
        """Return all from here to the end, in one go rather than in small reads."""
        self._check_open()
        data = self._source().read(self.name, min(self._position, self._size_bytes))
        self._position = max(self._position, self._size_bytes)
        return data

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def open_reader(source: Callable[[], SealedVersion], path: str) -> io.BufferedReader:
    """Return the file at `path`, with a buffer of one segment, so that small reads in order decrypt each only once.

    Raises:
        NotFound: no such file.
    """
    reader = SealedReader(source, path)
    return io.BufferedReader(reader, source().manifest.public.parameters.plaintext_bytes)

"""In order: a writer that takes rising offsets without gaps, from one thread at a time, and then is done or gone.

What stores do with the bytes is theirs to say; that nothing is left out, written twice or after the end is said here.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

from strongroom.terms.errors import BadRequest, StrongroomError


class InOrderWriter(ABC):
    """An object on its way, called `what` in errors. An error ends it: nothing is left, as for `abort`."""

    def __init__(self, what: str, size_bytes: int) -> None:
        self._what, self._size_bytes = what, size_bytes
        self._written, self._is_ended = 0, False

    def write_at(self, offset: int, data: memoryview) -> None:
        self._check_open()
        if offset != self._written or offset + len(data) > self._size_bytes:
            raise BadRequest(
                f"bytes {offset} to {offset + len(data)} of {self._what}, "
                f"which is to have {self._size_bytes} in order and got {self._written}"
            )
        with self._aborting():
            self._take(data)
        self._written += len(data)

    def finish(self) -> None:
        self._check_open()
        with self._aborting():
            if self._written != self._size_bytes:
                raise BadRequest(f"{self._what} is to have {self._size_bytes} bytes and got {self._written}")
            self._end()
        self._is_ended = True

    def abort(self) -> None:
        if not self._is_ended:
            self._is_ended = True
            with contextlib.suppress(StrongroomError):
                self._drop()

    @contextlib.contextmanager
    def _aborting(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.abort()
            raise

    def _check_open(self) -> None:
        if self._is_ended:
            raise BadRequest(f"{self._what} is no longer being written")

    @abstractmethod
    def _take(self, data: memoryview) -> None:
        """Take the next bytes, which the caller then uses again."""

    @abstractmethod
    def _end(self) -> None:
        """Make the object durable and visible."""

    @abstractmethod
    def _drop(self) -> None:
        """Leave nothing, as far as the store still answers. Raises errors of ours alone."""

"""Puts: bytes to where a URL leads, sent again if they break off; and the writers of objects that are made of that.

    Whole     a small object: held, then sent in one request
    Parts     a large one in S3: in parts, one filled while the one before is sent
    Stream    a large one for a local store: one request, fed as the bytes come, and never sent again

Every object is written where nothing is yet: `If-None-Match: *`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from queue import Full, Queue

from strongroom.client.transfer.gateway_urls import Parted, PartUrls
from strongroom.client.transfer.ranges import Later, Ranges, UrlOf, persist, raise_refusal, reason
from strongroom.client.transfer.transfers import Transfers
from strongroom.objects.in_order import InOrderWriter
from strongroom.terms.errors import StoreUnavailable
from strongroom.terms.outer_errors import BadAnswer, VersionExists

HELD_BYTES = 16 << 20
"""What is no larger is held and sent whole."""
FRESH = {"If-None-Match": "*"}
_STREAM_PIECES = 8
_LOOK_SECONDS = 0.2
# An answer is an acknowledgement; of one that is longer, the beginning.
_SMALL_BYTES = 1 << 16
_UPLOAD_ID = re.compile(rb"<UploadId>([A-Za-z0-9._~+/=-]{1,1024})</UploadId>")
_ETAG = re.compile(r'"?([0-9A-Za-z-]{1,100})"?\Z')

AskPartsOf = Callable[[str, int], PartUrls]
"""(upload, number) -> URLs of parts from that number on, and of how it ends."""


class Puts:
    """Sends, and sends again what broke off."""

    def __init__(self, transfers: Transfers, patience_seconds: float) -> None:
        self._transfers, self._patience_seconds = transfers, patience_seconds
        self.ranges = Ranges(transfers, patience_seconds=patience_seconds)

    def put(
        self,
        what: str,
        url_of: UrlOf,
        body: bytes | memoryview,
        *,
        method: str = "PUT",
        headers: Mapping[str, str] | None = None,
        is_ours_if_there: bool = False,
    ) -> tuple[str, bytes]:
        """Send `body`; return the answer's ETag and its body.

        With `is_ours_if_there`, what is there when it is sent once more is what was sent before: names are random.

        Raises:
            VersionExists: something is there already. StoreUnavailable: no answer in time, or none that can be.
        """
        attempts = 0

        def attempt(url: str) -> tuple[str, bytes]:
            nonlocal attempts
            attempts += 1
            try:
                return self.send(what, url, body, method=method, headers=headers)
            except VersionExists:
                if is_ours_if_there and attempts > 1:
                    return "", b""
                raise

        return persist(what, url_of, attempt, self._transfers, self._patience_seconds)

    def send(
        self,
        what: str,
        url: str,
        body: bytes | memoryview | Iterable[bytes],
        *,
        method: str = "PUT",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[str, bytes]:
        """Send `body` once; as `put`, but what may pass is raised: OSError, HTTPException, Later."""
        with self._transfers.request(method, url, headers=headers or {}, body=body) as response:
            status, etag = response.status, response.headers.get("ETag", "")
            answer = response.read(_SMALL_BYTES)
        if status in {409, 412}:
            raise VersionExists(f"{what} is there already")
        if status not in {200, 201, 204}:
            raise_refusal(what, status)
        return etag, answer


class Whole(InOrderWriter):
    """A small object: held, then sent."""

    def __init__(self, puts: Puts, what: str, url_of: UrlOf, size_bytes: int) -> None:
        super().__init__(what, size_bytes)
        self._puts, self._url_of, self._held = puts, url_of, bytearray()

    def _take(self, data: memoryview) -> None:
        self._held += data

    def _end(self) -> None:
        self._puts.put(self._what, self._url_of, memoryview(self._held), headers=FRESH, is_ours_if_there=True)

    def _drop(self) -> None:
        self._held = bytearray()


class Parts(InOrderWriter):
    """A large object in S3: one part is filled while the one before is sent."""

    def __init__(self, puts: Puts, ask: AskPartsOf, what: str, size_bytes: int, parted: Parted) -> None:
        super().__init__(what, size_bytes)
        self._puts, self._ask = puts, ask
        self._part_bytes, self._held = parted.part_bytes, bytearray()
        self._urls: dict[int, str] = {}
        self._etags: list[str] = []
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="strongroom-upload")
        self._sending: Future[None] | None = None
        _, answer = self._puts.put(what, lambda _: parted.begin, b"", method="POST")
        if (found := _UPLOAD_ID.search(answer)) is None:
            raise StoreUnavailable(f"{what}: the store began no upload in parts")
        self._upload = found[1].decode("ascii")

    def _take(self, data: memoryview) -> None:
        while data:
            room = self._part_bytes - len(self._held)
            self._held += data[:room]
            data = data[room:]
            if len(self._held) == self._part_bytes:
                self._send_held()

    def _end(self) -> None:
        if self._held:
            self._send_held()
        self._settle()
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode("ascii")
        _, answer = self._puts.put(
            self._what, self._finish_of, body, method="POST", headers=FRESH, is_ours_if_there=True
        )
        # SPEC S3: an error may come after a status of 200, which was sent while the store was still at it.
        if answer and b"<CompleteMultipartUploadResult" not in answer:
            raise StoreUnavailable(f"{self._what}: the store did not put the parts together")
        self._sender.shutdown()

    def _drop(self) -> None:
        self._sender.shutdown(cancel_futures=True)
        abort = self._ask(self._upload, 1).abort
        with contextlib.suppress(OSError, HTTPException, Later):
            self._puts.send(self._what, abort, b"", method="DELETE")

    def _send_held(self) -> None:
        self._settle()
        held, self._held = self._held, bytearray()
        number = len(self._etags) + 1
        self._sending = self._sender.submit(self._send, number, held)

    def _settle(self) -> None:
        """Wait for the part that is on its way, and raise what befell it."""
        if self._sending is not None:
            sending, self._sending = self._sending, None
            sending.result()

    def _send(self, number: int, held: bytearray) -> None:
        etag, _ = self._puts.put(self._what, lambda refused: self._part_url(number, refused), memoryview(held))
        if (match := _ETAG.match(etag)) is None:
            raise StoreUnavailable(f"{self._what}: the store took a part and does not say which")
        self._etags.append(match[1])

    def _part_url(self, number: int, refused: str | None) -> str:
        if self._urls.get(number, refused) == refused:
            asked = self._ask(self._upload, number)
            self._urls = dict(enumerate(asked.urls, number))
        if (url := self._urls.get(number)) is None:
            raise BadAnswer(f"the gateway has no URL for part {number} of {self._what}")
        return url

    def _finish_of(self, refused: str | None) -> str:
        return self._ask(self._upload, 1).finish


class Stream(InOrderWriter):
    """A large object for a local store: one request, fed as the bytes come."""

    def __init__(self, puts: Puts, what: str, url: str, size_bytes: int) -> None:
        super().__init__(what, size_bytes)
        self._pieces: Queue[bytes | None] = Queue(_STREAM_PIECES)
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="strongroom-upload")
        headers = {"Content-Length": str(size_bytes), **FRESH}
        self._sending = self._sender.submit(puts.send, what, url, self._body(), headers=headers)

    def _take(self, data: memoryview) -> None:
        self._feed(bytes(data))

    def _end(self) -> None:
        self._settle()
        self._sender.shutdown()

    def _drop(self) -> None:
        try:
            self._feed(None)
        finally:
            self._sender.shutdown()

    def _body(self) -> Iterator[bytes]:
        left = self._size_bytes
        while left > 0:
            if (piece := self._pieces.get()) is None:
                # Less than was announced: with the connection closed under it, the gateway keeps nothing.
                raise ConnectionAbortedError("given up")
            left -= len(piece)
            yield piece

    def _feed(self, piece: bytes | None) -> None:
        while not self._sending.done():
            with contextlib.suppress(Full):
                self._pieces.put(piece, timeout=_LOOK_SECONDS)
                return
        self._settle()
        raise StoreUnavailable(f"{self._what}: the store answered before it had all of it")

    def _settle(self) -> None:
        try:
            self._sending.result()
        except (OSError, HTTPException, Later) as error:
            raise StoreUnavailable(f"{self._what}: {reason(error)}") from None

"""Gateway uploads: the objects of new seals of one model, put where a gateway's URLs lead. It writes, and no more.

    up to 16 MiB              one request, sent again if it breaks off
    more, in S3               parts; one that breaks off is sent again
    more, at a local store    one request that is never held in memory; if it breaks off, the seal has failed

Sealing works over this as over any other store. Names are fresh, and what is there is never overwritten but the
writer's own mark. Nothing is deleted: what a failed seal leaves is the sweep's, mark included.

TRUST: nobody's. What is sent is sealed to the model's key already; a gateway that leads it astray makes a version that
does not open, or none. Of the store, nothing is believed but that it took what it says.
"""

from __future__ import annotations

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from queue import Full, Queue
from typing import Annotated, ClassVar, NoReturn

from strongroom.client.gateway_store import ObjectName, Url, gateway_of
from strongroom.client.https import HttpsConnection
from strongroom.client.ranges import PATIENCE_SECONDS, Later, Ranges, UrlOf, persist, raise_refusal, reason
from strongroom.client.transfer import Transfers
from strongroom.objects import ObjectInfo
from strongroom.objects.port import check_name
from strongroom.sealing.places import SealName, check_model_id, manifest_name
from strongroom.terms.errors import AccessDenied, BadRequest, NotFound, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadAnswer, VersionExists
from strongroom.terms.records import Instant, Matches, ModelId, Natural, Record, SealId, parse_record, record_json

MOST_OBJECTS, MOST_PARTS = 1000, 100
LARGEST_MARK_BYTES = 1 << 16
HELD_BYTES = 16 << 20
"""What is no larger is held and sent whole."""
_STREAM_PIECES = 8
_LOOK_SECONDS = 0.2
# An answer is an acknowledgement; of one that is longer, the beginning.
_SMALL_BYTES = 1 << 16
_SEAL = re.compile(r"(?:o|w|m/model-[0-9a-f]{32})/([0-9a-f]{32})(?:/[0-9]+)?\Z")
_UPLOAD_ID = re.compile(rb"<UploadId>([A-Za-z0-9._~+/=-]{1,1024})</UploadId>")
_ETAG = re.compile(r'"?([0-9A-Za-z-]{1,100})"?\Z')
_FRESH = {"If-None-Match": "*"}

UploadId = Annotated[str, Matches("[A-Za-z0-9._~+/=-]{1,1024}", "an upload")]


class AskObject(Record):
    """An object that is to be written."""

    name: ObjectName
    size_bytes: Natural


class AskUploads(Record):
    """What is to be written for one seal of a model."""

    model: ModelId
    seal_id: SealId
    objects: tuple[AskObject, ...]


class Parted(Record):
    """How an upload in parts begins, and how large each part is but the last."""

    begin: Url
    part_bytes: Natural


class UploadUrls(Record):
    """Where each object is put, at once or in parts; and where the seal's manifest can be read back."""

    until: Instant
    urls: dict[ObjectName, Url]
    parted: dict[ObjectName, Parted]
    manifest: Url


class AskParts(Record):
    """Which parts of an upload are to be sent: at most 100 from the number `first` on; numbers begin at 1."""

    model: ModelId
    seal_id: SealId
    name: ObjectName
    size_bytes: Natural
    upload: UploadId
    first: Natural


class PartUrls(Record):
    """Where those parts are put, and how the upload ends."""

    until: Instant
    urls: tuple[Url, ...]
    finish: Url
    abort: Url


class GatewayUploads:
    """The store of a gateway, for whoever seals for `model` and signs the looks of `connection`."""

    writes_in_any_order: ClassVar[bool] = False
    read_size_bytes: ClassVar[int] = 4 << 20
    parallel_reads: ClassVar[int] = 1

    def __init__(self, connection: HttpsConnection, model: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        check_model_id(model)
        self._connection, self._model = connection, model
        self._puts = Puts(Transfers(gateway_of(connection)), patience_seconds)

    @property
    def url(self) -> str:
        return self._connection.url

    def create(self, name: str, *, size_bytes: int) -> GatewayWriter:
        what, asked = f"object `{name}`", self._ask(name, size_bytes)
        if (parted := asked.parted.get(name)) is not None:
            return _Parts(self, what, name, size_bytes, parted)
        if size_bytes <= HELD_BYTES:
            return _Whole(self._puts, what, self._url_of(name, size_bytes, asked), size_bytes)
        return _Stream(self._puts, what, _url_in(asked, name), size_bytes)

    def put(self, name: str, data: bytes) -> None:
        """Write a mark, again and again; anything else once, as `put_new`, or find that it is there already."""
        if name.startswith("w/"):
            self._puts.put(f"object `{name}`", self._url_of(name, len(data)), data)
            return
        try:
            self.put_new(name, data)
        except VersionExists:
            if self.read(name, most_bytes=len(data)) != data:
                raise

    def put_new(self, name: str, data: bytes) -> None:
        self._puts.put(f"object `{name}`", self._url_of(name, len(data)), data, headers=_FRESH)

    def read(self, name: str, *, most_bytes: int) -> bytes:
        """Return the manifest of a seal that is no version yet: what its own writer put there."""
        return self._puts.ranges.read(f"object `{name}`", self._manifest_of(name), most_bytes)

    def read_into(self, name: str, offset: int, view: memoryview) -> NoReturn:
        raise _denied(f"read `{name}`")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the manifest that `prefix` names, if it is there."""
        url_of = self._manifest_of(prefix)
        try:
            _, size_bytes = self._puts.ranges.begin(f"object `{prefix}`", url_of, 1)
        except NotFound:
            return iter(())
        return iter([ObjectInfo(name=prefix, size_bytes=size_bytes, modified_at=0.0)])

    def list_partial(self) -> Iterator[ObjectInfo]:
        return iter(())

    def delete(self, infos: Iterable[ObjectInfo]) -> NoReturn:
        raise _denied("delete")

    def free_bytes(self) -> int | None:
        return None

    def ask_parts(self, name: str, size_bytes: int, upload: str, first: int) -> PartUrls:
        """Return URLs for parts of an upload from number `first` on."""
        asked = AskParts(
            model=self._model,
            seal_id=_seal_of(name),
            name=name,
            size_bytes=size_bytes,
            upload=upload,
            first=first,
        )
        return parse_record(PartUrls, self._connection.post("/v1/uploads/parts", record_json(asked)))

    @property
    def puts(self) -> Puts:
        """What sends."""
        return self._puts

    def _ask(self, name: str, size_bytes: int | None) -> UploadUrls:
        check_name(name)
        objects = () if size_bytes is None else (AskObject(name=name, size_bytes=size_bytes),)
        asked = AskUploads(model=self._model, seal_id=_seal_of(name), objects=objects)
        return parse_record(UploadUrls, self._connection.post("/v1/uploads", record_json(asked)))

    def _url_of(self, name: str, size_bytes: int, given: UploadUrls | None = None) -> UrlOf:
        return lambda refused: _url_in(
            given if given is not None and refused is None else self._ask(name, size_bytes), name
        )

    def _manifest_of(self, name: str) -> UrlOf:
        if name != manifest_name(SealName(model=self._model, seal_id=_seal_of(name))):
            raise _denied(f"read `{name}`")
        return lambda _: self._ask(name, None).manifest


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


class GatewayWriter(ABC):
    """An object on its way: in order, from one thread at a time."""

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
            with contextlib.suppress(StrongroomError, OSError, HTTPException, Later):
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
        """Leave nothing, as far as the store still answers."""


class _Whole(GatewayWriter):
    """A small object: held, then sent."""

    def __init__(self, puts: Puts, what: str, url_of: UrlOf, size_bytes: int) -> None:
        super().__init__(what, size_bytes)
        self._puts, self._url_of, self._held = puts, url_of, bytearray()

    def _take(self, data: memoryview) -> None:
        self._held += data

    def _end(self) -> None:
        self._puts.put(self._what, self._url_of, memoryview(self._held), headers=_FRESH, is_ours_if_there=True)

    def _drop(self) -> None:
        self._held = bytearray()


class _Parts(GatewayWriter):
    """A large object in S3: one part is filled while the one before is sent."""

    def __init__(self, uploads: GatewayUploads, what: str, name: str, size_bytes: int, parted: Parted) -> None:
        super().__init__(what, size_bytes)
        self._uploads, self._puts, self._name = uploads, uploads.puts, name
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
            self._what, self._finish_of, body, method="POST", headers=_FRESH, is_ours_if_there=True
        )
        # SPEC S3: an error may come after a status of 200, which was sent while the store was still at it.
        if answer and b"<CompleteMultipartUploadResult" not in answer:
            raise StoreUnavailable(f"{self._what}: the store did not put the parts together")
        self._sender.shutdown()

    def _drop(self) -> None:
        self._sender.shutdown(cancel_futures=True)
        abort = self._uploads.ask_parts(self._name, self._size_bytes, self._upload, 1).abort
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
            asked = self._uploads.ask_parts(self._name, self._size_bytes, self._upload, number)
            self._urls = dict(enumerate(asked.urls, number))
        if (url := self._urls.get(number)) is None:
            raise BadAnswer(f"the gateway has no URL for part {number} of {self._what}")
        return url

    def _finish_of(self, refused: str | None) -> str:
        return self._uploads.ask_parts(self._name, self._size_bytes, self._upload, 1).finish


class _Stream(GatewayWriter):
    """A large object for a local store: one request, fed as the bytes come."""

    def __init__(self, puts: Puts, what: str, url: str, size_bytes: int) -> None:
        super().__init__(what, size_bytes)
        self._pieces: Queue[bytes | None] = Queue(_STREAM_PIECES)
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="strongroom-upload")
        headers = {"Content-Length": str(size_bytes), **_FRESH}
        self._sending = self._sender.submit(puts.send, what, url, self._body(), headers=headers)

    def _take(self, data: memoryview) -> None:
        self._feed(bytes(data))

    def _end(self) -> None:
        self._settle()
        self._sender.shutdown()

    def _drop(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            self._feed(None)
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


def _url_in(asked: UploadUrls, name: str) -> str:
    if (url := asked.urls.get(name)) is None:
        raise BadAnswer(f"the gateway has no URL to put object `{name}` at")
    return url


def _seal_of(name: str) -> str:
    if (match := _SEAL.match(name)) is None:
        raise _denied(f"write `{name}`")
    return match[1]


def _denied(what: str) -> AccessDenied:
    return AccessDenied(
        f"who seals through a gateway cannot {what}",
        hint="a writer gets URLs for the objects of one new seal; what deletes is a credential of the store’s own",
    )

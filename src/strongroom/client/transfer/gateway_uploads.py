"""Gateway uploads: the objects of new seals of one model, put where a gateway's URLs lead. It writes, and no more.

Sealing works over this as over any other store. Names are fresh, and what is there is never overwritten but the
writer's own mark. Nothing is deleted: what a failed seal leaves is the sweep's, mark included.

TRUST: nobody's. What is sent is sealed to the model's key already; a gateway that leads it astray makes a version that
does not open, or none. Of the store, nothing is believed but that it took what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, NoReturn

from strongroom.client.https import HttpsConnection
from strongroom.client.transfer.gateway_store import origin_of
from strongroom.client.transfer.gateway_urls import AskObject, AskParts, AskUploads, PartUrls, UploadUrls
from strongroom.client.transfer.puts import FRESH, HELD_BYTES, AskPartsOf, Parts, Puts, Stream, Whole
from strongroom.client.transfer.ranges import PATIENCE_SECONDS, UrlOf
from strongroom.client.transfer.transfers import Transfers
from strongroom.objects import ObjectInfo, ObjectWriter
from strongroom.objects.port import check_name
from strongroom.sealing.places import SealName, manifest_name
from strongroom.terms.errors import AccessDenied, NotFound
from strongroom.terms.outer_errors import BadAnswer, VersionExists
from strongroom.terms.records import parse_record, record_json

_SEAL = re.compile(r"(?:o|w|m/model-[0-9a-f]{32})/([0-9a-f]{32})(?:/[0-9]+)?\Z")


class GatewayUploads:
    """The store of a gateway, for whoever seals for `model` and signs the looks of `connection`."""

    writes_in_any_order: ClassVar[bool] = False
    read_size_bytes: ClassVar[int] = 4 << 20
    parallel_reads: ClassVar[int] = 1

    def __init__(self, connection: HttpsConnection, model: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._connection, self._model = connection, model
        self._puts = Puts(Transfers(origin_of(connection)), patience_seconds)

    @property
    def url(self) -> str:
        return self._connection.url

    def create(self, name: str, *, size_bytes: int) -> ObjectWriter:
        what, asked = f"object `{name}`", self._ask(name, size_bytes)
        if (parted := asked.parted.get(name)) is not None:
            return Parts(self._puts, self._parts_of(name, size_bytes), what, size_bytes, parted)
        if size_bytes <= HELD_BYTES:
            return Whole(self._puts, what, self._url_of(name, size_bytes, asked), size_bytes)
        return Stream(self._puts, what, _url_in(asked, name), size_bytes)

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
        self._puts.put(f"object `{name}`", self._url_of(name, len(data)), data, headers=FRESH)

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

    def _ask(self, name: str, size_bytes: int | None) -> UploadUrls:
        check_name(name)
        objects = () if size_bytes is None else (AskObject(name=name, size_bytes=size_bytes),)
        asked = AskUploads(model=self._model, seal_id=_seal_of(name), objects=objects)
        return parse_record(UploadUrls, self._connection.post("/v1/uploads", record_json(asked)))

    def _url_of(self, name: str, size_bytes: int, given: UploadUrls | None = None) -> UrlOf:
        return lambda refused: _url_in(
            given if given is not None and refused is None else self._ask(name, size_bytes), name
        )

    def _parts_of(self, name: str, size_bytes: int) -> AskPartsOf:
        def ask(upload: str, first: int) -> PartUrls:
            asked = AskParts(
                model=self._model,
                seal_id=_seal_of(name),
                name=name,
                size_bytes=size_bytes,
                upload=upload,
                first=first,
            )
            return parse_record(PartUrls, self._connection.post("/v1/uploads/parts", record_json(asked)))

        return ask

    def _manifest_of(self, name: str) -> UrlOf:
        if name != manifest_name(SealName(model=self._model, seal_id=_seal_of(name))):
            raise _denied(f"read `{name}`")
        return lambda _: self._ask(name, None).manifest


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

"""Gateway store: the objects of released versions, by URLs that a gateway hands out. It reads, and nothing else.

The gateway is asked once for the URLs of a version, and again when they are about to lapse; the bytes come straight
from where the objects rest. Everything that opens a version works over this as over any other store.

TRUST: nobody's. A gateway may name other objects, other hosts, or nothing: the manifest is held against the log, and
every byte against the key.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NoReturn
from urllib.parse import urlsplit

from strongroom.client.https import HttpsConnection
from strongroom.client.threads import run_jobs
from strongroom.client.transfer.gateway_urls import MOST_URLS, AskUrls, VersionUrls
from strongroom.client.transfer.ranges import PATIENCE_SECONDS, Ranges, UrlOf
from strongroom.client.transfer.transfers import Origin, Transfers
from strongroom.directory.state import Directory
from strongroom.objects import ObjectInfo, ObjectWriter
from strongroom.objects.port import check_name, check_offset
from strongroom.sealing.places import object_name
from strongroom.terms.errors import AccessDenied, NotFound
from strongroom.terms.outer_errors import BadAnswer
from strongroom.terms.records import parse_record, record_json

USE_SECONDS = 600.0
"""How long a URL is used that is good for 15 minutes: what begins now must have time to end."""
_OBJECTS = re.compile(r"o/(?P<seal_id>[0-9a-f]{32})/(?P<number>0|[1-9][0-9]{0,8})?\Z")
_MANIFEST = re.compile(r"m/model-[0-9a-f]{32}/(?P<seal_id>[0-9a-f]{32})\Z")


@dataclass(slots=True)
class _Version:
    """What is known of one version's objects: their number, and the URL of each with when it was given."""

    id: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    objects: int | None = None
    urls: dict[str, tuple[str, float]] = field(default_factory=dict)


class GatewayStore:
    """The versions that were released to whoever signs the looks of `connection`.

    `directory` gives what the log says now: which seal is which version.
    """

    writes_in_any_order: ClassVar[bool] = True
    # What a request costs a store is shared by more bytes: with a quarter of it, an S3 server works a third longer.
    read_size_bytes: ClassVar[int] = 16 << 20
    parallel_reads: ClassVar[int] = 8

    def __init__(
        self,
        connection: HttpsConnection,
        directory: Callable[[], Directory],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._connection, self._directory = connection, directory
        self._ranges = Ranges(Transfers(origin_of(connection)), patience_seconds=patience_seconds)
        self._versions: dict[str, _Version] = {}

    @property
    def url(self) -> str:
        return self._connection.url

    def read_into(self, name: str, offset: int, view: memoryview) -> None:
        check_name(name)
        check_offset(offset)
        self._ranges.read_into(f"object `{name}`", self._url_of(name), offset, view)

    def read(self, name: str, *, most_bytes: int) -> bytes:
        check_name(name)
        return self._ranges.read(f"object `{name}`", self._url_of(name), most_bytes)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects of one seal, as the store has them; of what no manifest names, a gateway shows nothing.

        Raises:
            AccessDenied: `prefix` is not `o/<seal id>/`.
        """
        if (match := _OBJECTS.match(prefix)) is None or match["number"]:
            raise _denied(f"list `{prefix}`")
        seal_id = match["seal_id"]
        version = self._version(seal_id)
        with version.lock:
            if version.objects is None:
                self._ask(version, 0)
            number = version.objects or 0
        found: dict[int, ObjectInfo] = {}

        def look(one: int) -> None:
            name = object_name(seal_id, one)
            try:
                _, size_bytes = self._ranges.begin(f"object `{name}`", self._url_of(name), 1)
            except NotFound:
                return
            found[one] = ObjectInfo(name=name, size_bytes=size_bytes, modified_at=0.0)

        # A new connection costs more than a few questions on one that is there.
        run_jobs(range(number), lambda one, _: look(one), threads=min(self.parallel_reads, 1 + number // 8))
        return iter(sorted(found.values(), key=lambda info: info.name))

    def list_partial(self) -> Iterator[ObjectInfo]:
        return iter(())

    def create(self, name: str, *, size_bytes: int) -> ObjectWriter:
        raise _denied("write")

    def put(self, name: str, data: bytes) -> NoReturn:
        raise _denied("write")

    def put_new(self, name: str, data: bytes) -> NoReturn:
        raise _denied("write")

    def delete(self, infos: Iterable[ObjectInfo]) -> NoReturn:
        raise _denied("delete")

    def free_bytes(self) -> int | None:
        return None

    def _url_of(self, name: str) -> UrlOf:
        if (match := _OBJECTS.match(name)) is not None and match["number"]:
            version, first = self._version(match["seal_id"]), int(match["number"]) // MOST_URLS * MOST_URLS
        elif (match := _MANIFEST.match(name)) is not None:
            version, first = self._version(match["seal_id"]), 0
        else:
            raise _denied(f"read `{name}`")

        def url_of(refused: str | None) -> str:
            with version.lock:
                url, since = version.urls.get(name, (None, 0.0))
                if url is None or url == refused or time.monotonic() - since > USE_SECONDS:
                    self._ask(version, first)
                    if (url := version.urls.get(name, (None, 0.0))[0]) is None:
                        raise BadAnswer(f"the gateway has no URL for object `{name}`")
                return url

        return url_of

    def _version(self, seal_id: str) -> _Version:
        if (found := self._versions.get(seal_id)) is None:
            if (version := self._directory().seals.get(seal_id)) is None:
                raise NotFound(
                    f"seal `{seal_id}` is no version", hint="what nobody registered, a gateway does not give"
                )
            found = self._versions.setdefault(seal_id, _Version(version))
        return found

    def _ask(self, version: _Version, first: int) -> None:
        """Take fresh URLs: of the manifest, and of as many objects from `first` on as one answer has. In its lock."""
        since = time.monotonic()
        answer = self._connection.post(f"/v1/versions/{version.id}/urls", record_json(AskUrls(first=first)))
        told = parse_record(VersionUrls, answer)
        version.objects = told.objects
        version.urls |= {name: (url, since) for name, url in told.urls.items()}


def origin_of(connection: HttpsConnection) -> Origin:
    """Return where URLs lead that name no host: to the gateway that made them."""
    parts = urlsplit(connection.url)
    return Origin(host=parts.hostname or "", port=parts.port or 443, context=connection.context)


def _denied(what: str) -> AccessDenied:
    return AccessDenied(
        f"through a gateway nobody can {what}",
        hint="a gateway gives what was released, object by object; for more, name the store itself with `--store`",
    )

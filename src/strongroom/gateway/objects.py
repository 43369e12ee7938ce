"""Objects: who may fetch which ciphertext, by URLs that are good for a quarter of an hour; and a local store's bytes.

    POST /v1/versions/{id}/urls     URLs of a version's manifest and objects, for whoever has a live release of it
    GET  /v1/objects/{name}?…       bytes of an object in the local store, to whoever has its URL
    PUT  /v1/objects/{name}?…       an object into the local store, likewise

URLs are for exactly the objects of one version: its manifest is held against the digest in the log first. Which object
is which file, only the sealed part of the manifest says; so a release of some files gets the URLs of all objects, and
the keys of those files alone. What is protected is the key: with every URL of a store, somebody has ciphertext.

With S3 no ciphertext passes through here. No URL is logged: what is in one is a right.
"""

from __future__ import annotations

import asyncio
import os
import re

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from strongroom.client.looks import Viewer
from strongroom.client.transfer.gateway_urls import MOST_URLS, AskUrls, VersionUrls
from strongroom.client.version import fetch_deployment_manifest
from strongroom.directory import find
from strongroom.directory.state import Directory, Version
from strongroom.gateway import uploads
from strongroom.gateway.asked import json_of, number_in, parse_query
from strongroom.gateway.fold import View
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.local_urls import PATH, URL_SECONDS, LocalUrls
from strongroom.gateway.problems import json_answer, problem
from strongroom.gateway.stores import objects_of
from strongroom.objects import ObjectStore
from strongroom.objects.local import LocalStore
from strongroom.sealing.places import SealName, manifest_name, object_name
from strongroom.terms.errors import BadRequest, NotAllowed, NotFound
from strongroom.terms.outer_errors import ObjectSize
from strongroom.terms.records import parse_record, record_json

PIECE_BYTES = 1 << 20
_MOST_KNOWN = 10_000
_RANGE = re.compile(r"bytes=(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})?\Z")


def routes(gateway: Gateway) -> list[Route]:
    """Return the routes, those of uploads among them; without a store, all of them say so."""
    paths = ("/v1/versions/{id}/urls", "/v1/uploads", "/v1/uploads/parts")
    if (objects := objects_of(gateway)) is None:
        return [Route(path, _no_store, methods=["POST"]) for path in paths]
    released = Released(gateway, objects.store)

    async def urls(request: Request) -> Response:
        parse_query(request)
        viewer = await gateway.look(request)
        asked = parse_record(AskUrls, await json_of(request))
        version, number = await released.find(viewer, request.path_params["id"])
        names = [object_name(version.seal_id, n) for n in range(asked.first, min(asked.first + MOST_URLS, number))]
        names.append(manifest_name(SealName(model=version.model, seal_id=version.seal_id)))
        found = {name: objects.urls.read_url(name) for name in names}
        answer = VersionUrls(objects=number, until=gateway.now() + URL_SECONDS, urls=found)
        return json_answer(record_json(answer))

    found = [Route(paths[0], urls, methods=["POST"]), *uploads.routes(gateway, objects)]
    if isinstance(objects.store, LocalStore) and isinstance(objects.urls, LocalUrls):
        local = _Local(objects.store, objects.urls)
        found.append(Route(f"{PATH}{{name:path}}", local.get, methods=["GET"]))
        found.append(Route(f"{PATH}{{name:path}}", local.put, methods=["PUT"]))
    return found


async def _no_store(request: Request) -> Response:
    raise NotFound("this gateway has no object store", hint="name the store itself, with `--store`")


class Released:
    """Who has which version now, by the log; and how many objects a version has, by its manifest."""

    def __init__(self, gateway: Gateway, store: ObjectStore) -> None:
        self._gateway, self._store = gateway, store
        self._known: dict[str, int] = {}
        self._fetching = asyncio.Lock()

    async def find(self, viewer: Viewer, name: str) -> tuple[Version, int]:
        """Return a version that `viewer` has a live release of, on this device, and the number of its objects.

        Raises:
            NotFound: no such version. NotAllowed: no live release.
            WrongManifest, ManifestTampered, …: its manifest is not the one in the log.
        """
        view = await self._gateway.view()
        if not await self._has(view, viewer, name):
            # Released through another gateway, or at the keep's socket, a moment ago?
            view = await self._gateway.fold.again()
            find.version(view.directory, name)
            if not await self._has(view, viewer, name):
                raise NotAllowed(
                    f"you have no live release of `{name}` on this device", hint="open it with `strongroom open`"
                )
        version = view.directory.versions[name]
        if name not in self._known:
            async with self._fetching:
                if name not in self._known:
                    number = await asyncio.to_thread(_count_objects, self._store, view.directory, version)
                    if len(self._known) == _MOST_KNOWN:
                        self._known.clear()
                    self._known[name] = number
        return version, self._known[name]

    async def _has(self, view: View, viewer: Viewer, version: str) -> bool:
        device = viewer.device.device if viewer.device is not None else None
        at, copies = self._gateway.now(), self._gateway.copies
        return await copies.live(view, at=at, version=version, subject=viewer.subject, device=device) is not None


def _count_objects(store: ObjectStore, directory: Directory, version: Version) -> int:
    manifest = fetch_deployment_manifest(
        store, version.model, version.seal_id, deployment=directory.deployment, digest=version.manifest
    )
    return len(manifest.public.objects)


class _Local:
    """The bytes of a local store, for whoever has the URL."""

    def __init__(self, store: LocalStore, urls: LocalUrls) -> None:
        self._store, self._urls = store, urls

    async def get(self, request: Request) -> Response:
        """Answer with an object, or with the one range that is asked for; `HEAD` is another method."""
        query, name = parse_query(request, ("until", "key")), request.path_params["name"]
        self._urls.check(
            request.method, name, until=number_in(query, "until"), size_bytes=None, key=query.get("key", "")
        )
        asked = request.headers.getlist("range")
        if len(asked) > 1 or (asked and not _RANGE.match(asked[0])):
            raise BadRequest("a `Range` that is not one range", hint="ask for `bytes=FIRST-LAST`")
        file, size_bytes = await asyncio.to_thread(self._store.open, name)
        first, last = 0, size_bytes - 1
        if asked and (match := _RANGE.match(asked[0])) is not None:
            first, last = int(match[1]), min(int(match[2] or last), last)
        if first > last:
            os.close(file)
            return problem(ObjectSize(f"object `{name}` has {size_bytes} bytes"), status=416)
        return _Bytes(request, file, first, last, size_bytes, is_range=bool(asked))

    async def put(self, request: Request) -> Response:
        """Take an object as it comes; it is there when all of it is, of just the size that its URL is for."""
        query, name = parse_query(request, ("until", "size", "key")), request.path_params["name"]
        until, size_bytes = number_in(query, "until"), number_in(query, "size")
        self._urls.check("PUT", name, until=until, size_bytes=size_bytes, key=query.get("key", ""))
        writer = await asyncio.to_thread(self._store.create, name, size_bytes=size_bytes)
        try:
            written, held = 0, bytearray()
            async for chunk in request.stream():
                held += chunk
                if len(held) >= PIECE_BYTES or not chunk:
                    await asyncio.to_thread(writer.write_at, written, memoryview(held))
                    written, held = written + len(held), bytearray()
            # A writer's mark is renewed; all else is written once.
            await asyncio.to_thread(writer.finish if name.startswith("w/") else writer.finish_new)
        except ClientDisconnect:
            raise BadRequest("the body ended early") from None
        finally:
            await asyncio.to_thread(writer.abort)
        return json_answer({"size_bytes": size_bytes})


class _Bytes(Response):
    """Bytes of a file, read as fast as they are taken, off the event loop. Closes the file."""

    def __init__(self, request: Request, file: int, first: int, last: int, size_bytes: int, *, is_range: bool) -> None:
        self._request, self._file, self._first, self._last = request, file, first, last
        self.status_code = 206 if is_range else 200
        self.background = None
        headers = {"accept-ranges": "bytes", "content-length": str(last - first + 1)}
        if is_range:
            headers["content-range"] = f"bytes {first}-{last}/{size_bytes}"
        self.media_type = "application/octet-stream"
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            at = self._first
            while at <= self._last and not await self._request.is_disconnected():
                data = await asyncio.to_thread(os.pread, self._file, min(PIECE_BYTES, self._last + 1 - at), at)
                if not data:
                    return  # cut short since: the connection closes before its length, which whoever reads sees
                at += len(data)
                await send({"type": "http.response.body", "body": data, "more_body": at <= self._last})
        finally:
            os.close(self._file)

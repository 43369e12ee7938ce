"""Uploads: where a writer puts the ciphertext of one new seal, by URLs that are good for a quarter of an hour.

    POST /v1/uploads          URLs to put objects at, or to begin an upload in parts where they are large
    POST /v1/uploads/parts    URLs of parts, and to finish or abort such an upload

A writer is whoever policy lets register versions of the model. The names are those of one seal that is no version yet:
its objects, its manifest, its mark. Nothing that is there is ever overwritten but the mark, and nothing is deleted:
what a writer leaves behind is the sweep's. What becomes a version, the keep decides, and its log says.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strongroom.acts.decide import bundle_of
from strongroom.acts.slices import context, principal, resource
from strongroom.client.looks import Viewer
from strongroom.client.transfer.gateway_urls import (
    LARGEST_MARK_BYTES,
    MOST_OBJECTS,
    MOST_PARTS,
    AskParts,
    AskUploads,
    Parted,
    PartUrls,
    UploadUrls,
)
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.gateway.asked import json_of, parse_query
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.local_urls import URL_SECONDS
from strongroom.gateway.presign import S3Urls
from strongroom.gateway.problems import json_answer
from strongroom.gateway.stores import Objects
from strongroom.objects.s3 import part_bytes
from strongroom.policy.authorize import authorize
from strongroom.policy.bundle import Bundle
from strongroom.sealing.manifest import LARGEST_MANIFEST_BYTES
from strongroom.sealing.places import SealName, manifest_name
from strongroom.terms.errors import AlreadyDone, BadRequest, Denied, NotFound
from strongroom.terms.records import parse_record, record_json

ACTION = "version.register"
LARGEST_OBJECT_BYTES = 5 << 40


def routes(gateway: Gateway, objects: Objects) -> list[Route]:
    """Return the routes."""
    writers = _Writers(gateway)

    async def uploads(request: Request) -> Response:
        parse_query(request)
        viewer = await gateway.look(request)
        asked = parse_record(AskUploads, await json_of(request))
        await writers.check(viewer, asked.model, asked.seal_id)
        if len(asked.objects) > MOST_OBJECTS:
            raise BadRequest(f"more than {MOST_OBJECTS} objects", hint="ask several times")
        urls: dict[str, str] = {}
        parted: dict[str, Parted] = {}
        for one in asked.objects:
            check_object(asked.model, asked.seal_id, one.name, one.size_bytes)
            if isinstance(objects.urls, S3Urls) and one.size_bytes > objects.urls.one_put_bytes:
                begin = objects.urls.begin_url(one.name)
                parted[one.name] = Parted(begin=begin, part_bytes=part_bytes(one.size_bytes))
            else:
                is_fresh = not one.name.startswith("w/")
                urls[one.name] = objects.urls.write_url(one.name, one.size_bytes, is_fresh=is_fresh)
        manifest = objects.urls.read_url(manifest_name(SealName(model=asked.model, seal_id=asked.seal_id)))
        until = gateway.now() + URL_SECONDS
        return json_answer(record_json(UploadUrls(until=until, urls=urls, parted=parted, manifest=manifest)))

    async def parts(request: Request) -> Response:
        parse_query(request)
        viewer = await gateway.look(request)
        asked = parse_record(AskParts, await json_of(request))
        urls = objects.urls
        await writers.check(viewer, asked.model, asked.seal_id)
        check_object(asked.model, asked.seal_id, asked.name, asked.size_bytes)
        if not isinstance(urls, S3Urls):
            raise BadRequest("this gateway's store takes no uploads in parts")
        each = part_bytes(asked.size_bytes)
        number = -(-asked.size_bytes // each)
        found = tuple(
            urls.part_url(asked.name, asked.upload, n, min(each, asked.size_bytes - (n - 1) * each))
            for n in range(asked.first, min(asked.first + MOST_PARTS, number + 1))
        )
        answer = PartUrls(
            until=gateway.now() + URL_SECONDS,
            urls=found,
            finish=urls.finish_url(asked.name, asked.upload),
            abort=urls.abort_url(asked.name, asked.upload),
        )
        return json_answer(record_json(answer))

    return [Route("/v1/uploads", uploads, methods=["POST"]), Route("/v1/uploads/parts", parts, methods=["POST"])]


class _Writers:
    """Who may write, by the policies in force."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._bundle: tuple[object, Bundle] | None = None

    async def check(self, viewer: Viewer, model: str, seal_id: str) -> None:
        """Refuse whoever may not register versions of `model`, and a seal that is a version already.

        Raises:
            Denied: policy refuses. NotFound: no such model. AlreadyDone: the seal is a version.
        """
        view = await self._gateway.view()
        try:
            self._check(view.directory, viewer, model)
        except (Denied, NotFound):
            # Allowed through another gateway, or at the keep's socket, a moment ago?
            view = await self._gateway.fold.again()
            self._check(view.directory, viewer, model)
        if seal_id in view.directory.seals:
            raise AlreadyDone(f"seal `{seal_id}` is a version already", hint="seal again: each seal has its own names")

    def _check(self, directory: Directory, viewer: Viewer, model: str) -> None:
        find.model(directory, model)
        if self._bundle is None or self._bundle[0] is not directory.policies:
            self._bundle = directory.policies, bundle_of(directory)
        check_writer(directory, self._bundle[1], viewer, model, at=self._gateway.now())


def check_writer(directory: Directory, bundle: Bundle, viewer: Viewer, model: str, *, at: int) -> None:
    """Refuse whoever may not register versions of `model`: asked as the keep will ask.

    Raises:
        Denied: policy refuses, with what would satisfy it.
    """
    session, device = viewer.session, viewer.device
    zone = device.zone if device is not None else None
    if viewer.subject.startswith("workload-"):
        zone = find.workload(directory, viewer.subject).zone
    software = session is not None and directory.credentials[session.credential].software
    authorize(
        bundle,
        principal(directory, viewer.subject, model, software=software, at=at),
        ACTION,
        resource(directory, model, at),
        context(
            directory,
            at=at,
            device=device,
            zone=zone,
            session_age_seconds=max(0, at - session.opened_at) if session is not None else None,
        ),
    )


def check_object(model: str, seal_id: str, name: str, size_bytes: int) -> None:
    """Refuse what is no object of this seal, or one too large.

    Raises:
        BadRequest: it is.
    """
    if name == f"w/{seal_id}":
        most = LARGEST_MARK_BYTES
    elif name == manifest_name(SealName(model=model, seal_id=seal_id)):
        most = LARGEST_MANIFEST_BYTES
    elif re.fullmatch(rf"o/{seal_id}/(?:0|[1-9][0-9]{{0,8}})", name):
        most = LARGEST_OBJECT_BYTES
    else:
        raise BadRequest(f"`{name[:200]}` is no object of this seal", hint="a seal has `o/…/N`, its manifest, its mark")
    if size_bytes > most:
        raise BadRequest(f"`{name}` may have {most} bytes, not {size_bytes}")

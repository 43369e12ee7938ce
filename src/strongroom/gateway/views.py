"""Views: what there is and what is in force, as the gateway's own fold has it, for whoever is enrolled.

    GET /v1/{collection}        a page of it        GET /v1/inbox     what waits for my approval
    GET /v1/{collection}/{id}   one thing           GET /v1/whoami    who I am here
    GET /v1/copies              the registry of copies

TRUST: nothing that is protected depends on what is said here, and whoever wants proof folds the log. It holds no more
than the log does: identifiers and salted digests. Names and texts are the keep's, by the act `read`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strongroom.acts.act import DEPLOYMENT
from strongroom.client.looks import Viewer
from strongroom.client.waiting import Waiting, waiting
from strongroom.directory import find, state
from strongroom.directory.state import Directory
from strongroom.gateway.asked import number_in, parse_query
from strongroom.gateway.etags import etag_of, is_known
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.paging import MOST_ITEMS, USUAL_ITEMS, page
from strongroom.terms import canonical, records
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotFound
from strongroom.terms.ids import KINDS
from strongroom.terms.records import record_json

_ID = rf"(?:{'|'.join(KINDS)})-[0-9a-f]{{32}}"


class Facts(records.Record):
    """What attesters say of one thing: by kind of fact, and by who says it."""

    subject: records.SubjectId
    facts: dict[records.Word, dict[records.AttesterId, state.Fact]]


class Waits(records.Record):
    """A proposal that waits for an approval, and the voices, `role@team`, in which it would count."""

    proposal: records.StatementId
    act: records.Word
    about: Annotated[str, records.Matches(f"{DEPLOYMENT}|{_ID}", "an id, or `deployment`")]
    by: records.PersonId
    digest: records.Digest
    at: records.Instant
    until: records.Instant
    voices: tuple[Annotated[str, records.Matches("[a-z0-9.-]{1,140}@[a-z0-9.-]{1,140}", "a voice, `role@team`")], ...]


class Whoami(records.Record):
    """Whoever signed the look. `until` is when their session ends."""

    deployment: records.DeploymentName
    era: records.Natural
    trial: bool
    subject: records.SubjectId
    roles: tuple[state.Role, ...]
    frozen: bool
    device: records.DeviceId | None = None
    zone: records.ZoneId | None = None
    session: records.SessionId | None = None
    until: records.Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One map of the directory: `name` in paths, `kind` of what is in it, as `record`, by its field `key`."""

    name: str
    kind: str
    record: type
    key: str

    def items(self, directory: Directory) -> Mapping[str, Any]:
        """Return everything in it, by identifier."""
        things: Mapping[str, Any] = getattr(directory, self.name)
        return things


class _FactsOf(Collection):
    def items(self, directory: Directory) -> Mapping[str, Any]:
        return {subject: Facts(subject=subject, facts=facts) for subject, facts in directory.facts.items()}


COLLECTIONS: tuple[Collection, ...] = (
    Collection(name="people", kind="person", record=state.Person, key="person"),
    Collection(name="credentials", kind="credential", record=state.Credential, key="credential"),
    Collection(name="devices", kind="device", record=state.Device, key="device"),
    Collection(name="workloads", kind="workload", record=state.Workload, key="workload"),
    Collection(name="attesters", kind="attester", record=state.Attester, key="attester"),
    Collection(name="zones", kind="zone", record=state.Zone, key="zone"),
    Collection(name="models", kind="model", record=state.Model, key="model"),
    Collection(name="versions", kind="version", record=state.Version, key="version"),
    Collection(name="aliases", kind="alias", record=state.Alias, key="alias"),
    Collection(name="sessions", kind="session", record=state.Session, key="session"),
    Collection(name="proposals", kind="proposal", record=state.Proposal, key="proposal"),
    Collection(name="grants", kind="grant", record=state.Grant, key="grant"),
    _FactsOf(name="facts", kind="subject", record=Facts, key="subject"),
)


def routes(gateway: Gateway) -> list[Route]:
    """Return the routes."""

    async def inbox(request: Request) -> Response:
        parse_query(request)
        viewer = await gateway.look(request)
        view = await gateway.view()
        found = await asyncio.to_thread(_waits, view.directory, viewer.subject, gateway.now())
        return _tagged(request, {"items": [record_json(one) for one in found]})

    async def whoami(request: Request) -> Response:
        parse_query(request)
        viewer = await gateway.look(request)
        return _tagged(request, record_json(who_is((await gateway.view()).directory, viewer)))

    async def copies(request: Request) -> Response:
        query = parse_query(request, ("cursor", "limit", "model", "version"))
        await gateway.look(request)
        view = await gateway.view()
        model, version = query.get("model"), query.get("version")
        if model is not None:
            find.model(view.directory, model)
        if version is not None:
            find.version(view.directory, version)
        found = await gateway.copies.find(view, at=gateway.now(), model=model, version=version)
        return _paged(request, query, "copies", {f"{one.index:016d}": one for one in found})

    found = [Route("/v1/inbox", inbox), Route("/v1/whoami", whoami), Route("/v1/copies", copies)]
    for collection in COLLECTIONS:
        found += _routes_of(gateway, collection)
    return found


def _routes_of(gateway: Gateway, collection: Collection) -> list[Route]:
    async def listed(request: Request) -> Response:
        query = parse_query(request, ("cursor", "limit"))
        await gateway.look(request)
        view = await gateway.view()
        return _paged(request, query, collection.name, collection.items(view.directory))

    async def one(request: Request) -> Response:
        parse_query(request)
        await gateway.look(request)
        directory = (await gateway.view()).directory
        identifier = request.path_params["id"]
        if (found := collection.items(directory).get(identifier)) is None:
            how = directory.closed.get(identifier) if collection.name == "proposals" else None
            ended = f": it is {how}" if how is not None else ""
            raise NotFound(
                f"no {collection.kind} `{identifier[:80]}`{ended}", hint=f"list them: `/v1/{collection.name}`"
            )
        return _tagged(request, record_json(found))

    return [Route(f"/v1/{collection.name}", listed), Route(f"/v1/{collection.name}/{{id}}", one)]


def _paged(request: Request, query: Mapping[str, str], of: str, things: Mapping[str, Any]) -> Response:
    limit = number_in(query, "limit", least=1, most=MOST_ITEMS, default=USUAL_ITEMS)
    found = page(of, things, limit=limit, cursor=query.get("cursor"))
    return _tagged(request, {"items": [record_json(things[key]) for key in found.keys], "next": found.next})


def _tagged(request: Request, value: Json) -> Response:
    """Return an answer that need not be sent to who has it already."""
    body = canonical.encode(value)
    headers = {"cache-control": "private, no-cache", "etag": etag_of(body)}
    sent = request.headers.getlist("if-none-match")
    if is_known(headers["etag"], ", ".join(sent) if sent else None):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _waits(directory: Directory, subject: str, at: int) -> list[Waits]:
    return [_wait(one) for one in waiting(directory, subject, at=at)]


def _wait(one: Waiting) -> Waits:
    voices = tuple(f"{role}@{team}" for role, team in one.voices)
    return state.made(Waits, one.proposal, about=one.about, voices=voices)


def who_is(directory: Directory, viewer: Viewer) -> Whoami:
    """Return what a directory says of whoever looks."""
    who = directory.people.get(viewer.subject) or directory.workloads.get(viewer.subject)
    place = viewer.device if viewer.device is not None else directory.workloads.get(viewer.subject)
    return state.made(
        Whoami,
        directory,
        subject=viewer.subject,
        roles=who.roles if who is not None else (),
        frozen=who is not None and who.frozen,
        device=viewer.device.device if viewer.device is not None else None,
        zone=place.zone if place is not None else None,
        session=viewer.session.session if viewer.session is not None else None,
        until=viewer.session.until if viewer.session is not None else None,
    )

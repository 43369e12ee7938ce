"""OpenAPI: the document of the HTTP API, made from the table of acts and the records that requests and answers are.

    openapi_document() -> what `/v1/openapi.json` serves and `docs/openapi.json` is

Every act that is said has a path of its own. The payload of its envelope has a `contentSchema`, the statement with that
act's body, so that the document says what is signed; so has a leaf of the log.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strongroom.client.copies import STATES, Copy
from strongroom.client.replica import MOST_ENTRIES
from strongroom.client.transfer.gateway_urls import AskParts, AskUploads, AskUrls, PartUrls, UploadUrls, VersionUrls
from strongroom.directory.entries import Entry
from strongroom.gateway.asked import parse_query
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.operations import (
    JSON_TYPE,
    PROBLEM_TYPE,
    TEXT,
    Part,
    json_content,
    link,
    operation,
    page_of,
    paging_parameters,
    parameter,
)
from strongroom.gateway.passing import SAID
from strongroom.gateway.schemas import PREFIX, Schemas, base64, record, whole
from strongroom.gateway.shapes import (
    CHECKPOINT,
    LARGEST_LEAF_BYTES,
    LEAF,
    PROOF,
    SINCE,
    envelope,
    look_scheme,
    outcome,
    problem,
    statement,
    status,
    told,
)
from strongroom.gateway.streams import BEAT_SECONDS, MEDIA_TYPE
from strongroom.gateway.views import COLLECTIONS, Collection, Waits, Whoami
from strongroom.statements.statement import Statement
from strongroom.terms import canonical
from strongroom.terms.records import ModelId, PersonId, VersionId

PEM_TYPE, BYTES_TYPE = "application/x-pem-file", "application/octet-stream"


def routes(gateway: Gateway) -> list[Route]:
    """Return the route that serves the document."""
    document = canonical.encode(openapi_document())

    async def openapi(request: Request) -> Response:
        parse_query(request)
        return Response(document, media_type=JSON_TYPE)

    return [Route("/v1/openapi.json", openapi)]


def openapi_document() -> Part:
    """Return the document: OpenAPI 3.1."""
    schemas = Schemas()
    paths = _open_paths(schemas) | _act_paths(schemas) | _log_paths(schemas) | _view_paths(schemas)
    paths |= _object_paths(schemas)
    schemas.components |= {
        "Checkpoint": TEXT | {"description": "A signed note, with the keep's time beside it where the keep is open."},
        "Proof": {"type": "array", "items": base64(32), "maxItems": 64, "description": "Hashes, as in RFC 6962."},
        "Leaf": base64(most=LARGEST_LEAF_BYTES)
        | {"contentMediaType": JSON_TYPE, "contentSchema": schemas.of(Entry), "description": "An entry of the log."},
        "Envelope": envelope(schemas, schemas.of(Statement)),
        "Problem": problem(),
    }
    refusal = {PROBLEM_TYPE: {"schema": {"$ref": PREFIX + "Problem"}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": "1",
            "description": "Custody for model weights, by HTTPS. Written by `tools/openapi_page.py` from the code.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {"Refused": {"description": "refused", "content": refusal}},
            "securitySchemes": {"look": look_scheme(schemas)},
        },
    }


# --- paths -------------------------------------------------------------------------------------


def _open_paths(schemas: Schemas) -> Part:
    """What is asked without a signature, or is signed by the keep itself."""
    person = schemas.field(PersonId)
    unseal = record({"person": person, "share": base64(most=4096)})
    return {
        "/healthz": {"get": operation("healthz", "The process is up", json_content(record({"up": {"const": True}})))},
        "/readyz": {
            "get": operation(
                "readyz",
                "The keep is open, and the gateway's log up to date",
                json_content(record({"ready": {"const": True}})),
            )
        },
        "/v1/openapi.json": {"get": operation("openapi", "This document", json_content({"type": "object"}))},
        "/v1/ca": {
            "get": operation(
                "ca", "The self-made CA of this gateway, to be held against its digest", {PEM_TYPE: {"schema": TEXT}}
            )
        },
        "/v1/status": {
            "get": operation("status", "How the keep is", json_content(told(status(schemas))), parameters=[SINCE])
        },
        "/v1/unseal": {
            "post": operation(
                "unseal",
                "Give a custodian's share, wrapped to the keep's key of this start",
                json_content(told(record({"missing": whole()}))),
                body=unseal,
            )
        },
        "/v1/share": {
            "post": operation(
                "share",
                "Fetch one's own share, wrapped to one's own key",
                json_content(told(record({"share": base64()}))),
                body=record({"person": person}),
                signed=True,
            )
        },
    }


def _act_paths(schemas: Schemas) -> Part:
    """One path for each act that is said."""
    detail = record(
        {
            "salt": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "text": {"type": "string", "maxLength": 4096},
        },
        description="A text whose salted digest the statement names.",
    )
    found: Part = {}
    for act in SAID.values():
        asked = record(
            {
                "statement": envelope(schemas, statement(schemas, act)),
                "details": {"type": "array", "items": detail},
            },
            "details",
        )
        found[f"/v1/acts/{act.name}"] = {
            "post": operation(
                f"act.{act.name}",
                f"{act.help}. Signed by: {act.signer.value}",
                json_content(told(outcome(schemas, act))),
                parameters=[SINCE],
                body=asked,
                links={"entry": link("entry", index="$response.body#/ok/index")} if act.entry else {},
            )
        }
    return found


def _log_paths(schemas: Schemas) -> Part:
    numbers = {"type": "array", "items": LEAF, "maxItems": MOST_ENTRIES}
    entry = record({"checkpoint": CHECKPOINT, "index": whole(), "leaf": LEAF, "proof": PROOF})
    return {
        "/v1/log/entries": {
            "get": operation(
                "entries",
                "Entries of the log; the first alone needs no signature",
                json_content(record({"checkpoint": CHECKPOINT, "ok": record({"entries": numbers})})),
                parameters=[
                    parameter("start", whole(), required=True),
                    parameter("count", whole(1, MOST_ENTRIES), required=True),
                ],
                signed=True,
            )
        },
        "/v1/log/entries/{index}": {
            "get": operation(
                "entry",
                "One entry, with the proof that it is in the log of the checkpoint",
                json_content(entry),
                parameters=[parameter("index", whole(), where="path")],
                signed=True,
            )
        },
        "/v1/log/stream": {
            "get": operation(
                "stream",
                f"The log as it grows: events `entry`, `checkpoint` (every {BEAT_SECONDS:.0f} s at least) and `end`",
                {MEDIA_TYPE: {"schema": TEXT}},
                parameters=[
                    parameter("start", whole()),
                    parameter("Last-Event-ID", whole(), where="header"),
                ],
                signed=True,
            )
        },
    }


def _view_paths(schemas: Schemas) -> Part:
    copies = page_of(schemas.of(Copy))
    states = "; ".join(f"`{state}`: {meaning}" for state, meaning in STATES.items())
    mine = {
        f"my {kind}": link(to, id=f"$response.body#/{kind}")
        for kind, to in {"device": "getDevices", "session": "getSessions", "zone": "getZones"}.items()
    }
    found: Part = {
        "/v1/inbox": {
            "get": operation(
                "inbox",
                "What waits for my approval",
                json_content(record({"items": {"type": "array", "items": schemas.of(Waits)}})),
                signed=True,
                tagged=True,
                links={"proposal": link("getProposals", id="$response.body#/items/0/proposal")},
            )
        },
        "/v1/whoami": {
            "get": operation(
                "whoami", "Who I am here", json_content(schemas.of(Whoami)), signed=True, tagged=True, links=mine
            )
        },
        "/v1/copies": {
            "get": operation(
                "copies",
                f"Every release is a known copy. States: {states}",
                json_content(copies),
                parameters=[
                    *paging_parameters(),
                    parameter("model", schemas.field(ModelId)),
                    parameter("version", schemas.field(VersionId)),
                ],
                signed=True,
                tagged=True,
                links={"entry": link("entry", index="$response.body#/items/0/index")},
            )
        },
    }
    for collection in COLLECTIONS:
        found |= _collection_paths(schemas, collection)
    return found


def _collection_paths(schemas: Schemas, collection: Collection) -> Part:
    name, kind = collection.name, schemas.of(collection.record)
    key = schemas.components[collection.record.__name__]["properties"][collection.key]
    first = link(f"get{name.capitalize()}", id=f"$response.body#/items/0/{collection.key}")
    return {
        f"/v1/{name}": {
            "get": operation(
                f"list{name.capitalize()}",
                f"All {name}, a page at a time",
                json_content(page_of(kind)),
                parameters=paging_parameters(),
                signed=True,
                tagged=True,
                links={collection.key: first},
            )
        },
        f"/v1/{name}/{{id}}": {
            "get": operation(
                f"get{name.capitalize()}",
                f"One of the {name}",
                json_content(kind),
                parameters=[parameter("id", key, where="path")],
                signed=True,
                tagged=True,
            )
        },
    }


def _object_paths(schemas: Schemas) -> Part:
    """Ciphertext. With a store of its own on disk, the gateway serves its objects too."""
    name = parameter("name", TEXT | {"description": "an object's name, with its slashes"}, where="path")
    until, key = parameter("until", whole(), required=True), parameter("key", TEXT, required=True)
    urls = operation(
        "urls",
        "URLs of the objects of a version that was released to me, good for a quarter of an hour",
        json_content(schemas.of(VersionUrls)),
        parameters=[parameter("id", schemas.field(VersionId), where="path")],
        body=schemas.of(AskUrls),
        signed=True,
    )
    read = operation(
        "readObject",
        "Bytes of an object, by a URL that this gateway gave",
        {BYTES_TYPE: {}},
        parameters=[name, until, key, parameter("Range", TEXT, where="header")],
    )
    read["responses"]["206"] = {"description": "the one range that was asked for", "content": {BYTES_TYPE: {}}}
    write = operation(
        "writeObject",
        "An object of the size that a URL of this gateway is for",
        json_content(record({"size_bytes": whole()})),
        parameters=[name, until, key, parameter("size", whole(), required=True)],
    )
    write["requestBody"] = {"required": True, "content": {BYTES_TYPE: {}}}
    uploads = operation(
        "uploads",
        "URLs to put the objects of one new seal at",
        json_content(schemas.of(UploadUrls)),
        body=schemas.of(AskUploads),
        signed=True,
    )
    parts = operation(
        "uploadParts",
        "URLs of the parts of one large object",
        json_content(schemas.of(PartUrls)),
        body=schemas.of(AskParts),
        signed=True,
    )
    return {
        "/v1/versions/{id}/urls": {"post": urls},
        "/v1/objects/{name}": {"get": read, "put": write},
        "/v1/uploads": {"post": uploads},
        "/v1/uploads/parts": {"post": parts},
    }

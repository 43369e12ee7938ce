"""OpenAPI: the document of the HTTP API, made from the table of acts and the records that requests and answers are.

    openapi_document() -> what `/v1/openapi.json` serves and `docs/openapi.json` is

Every act that is said has a path of its own. The payload of its envelope has a `contentSchema`, the statement with that
act's body, so that the document says what is signed; so has a leaf of the log.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strongroom.acts.act import Act
from strongroom.acts.propose import Propose
from strongroom.acts.table import ACTS
from strongroom.client.copies import STATES, Copy
from strongroom.client.gateway_urls import AskParts, AskUploads, AskUrls, PartUrls, UploadUrls, VersionUrls
from strongroom.client.looks import HEADER, LARGEST_HEADER_BYTES, LOOK
from strongroom.client.replica import MOST_ENTRIES
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
from strongroom.gateway.schemas import PREFIX, Schema, Schemas, base64, record, whole
from strongroom.gateway.streams import BEAT_SECONDS, MEDIA_TYPE
from strongroom.gateway.views import COLLECTIONS, Collection, Waits, Whoami
from strongroom.statements.envelope import LARGEST_PAYLOAD_BYTES, MOST_SIGNATURES, PAYLOAD_TYPE, Signature
from strongroom.statements.statement import Statement
from strongroom.terms import canonical
from strongroom.terms.errors import families
from strongroom.terms.outer_errors import codes
from strongroom.terms.records import DeploymentName, ModelId, Natural, PersonId, VersionId

PEM_TYPE, BYTES_TYPE = "application/x-pem-file", "application/octet-stream"
LARGEST_LEAF_BYTES = 65_535
FLAG: Part = {"type": "boolean"}
CHECKPOINT, PROOF, LEAF, STATEMENT_ENVELOPE = (
    {"$ref": PREFIX + name} for name in ("Checkpoint", "Proof", "Leaf", "Envelope")
)
SINCE: Part = {
    "name": "since",
    "in": "query",
    "description": "of how many entries a log you have verified: the answer proves that it continues that one",
    "schema": whole(),
}


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
        "Envelope": _envelope(schemas, schemas.of(Statement)),
        "Problem": _problem(),
    }
    problem = {PROBLEM_TYPE: {"schema": {"$ref": PREFIX + "Problem"}}}
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
            "responses": {"Refused": {"description": "refused", "content": problem}},
            "securitySchemes": {"look": _look_scheme(schemas)},
        },
    }


# --- paths -------------------------------------------------------------------------------------


def _open_paths(schemas: Schemas) -> Part:
    """What is asked without a signature, or is signed by the keep itself."""
    person, status = schemas.field(PersonId), _status(schemas)
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
        "/v1/status": {"get": operation("status", "How the keep is", json_content(_told(status)), parameters=[SINCE])},
        "/v1/unseal": {
            "post": operation(
                "unseal",
                "Give a custodian's share, wrapped to the keep's key of this start",
                json_content(_told(record({"missing": whole()}))),
                body=unseal,
            )
        },
        "/v1/share": {
            "post": operation(
                "share",
                "Fetch one's own share, wrapped to one's own key",
                json_content(_told(record({"share": base64()}))),
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
                "statement": _envelope(schemas, _statement(schemas, act)),
                "details": {"type": "array", "items": detail},
            },
            "details",
        )
        found[f"/v1/acts/{act.name}"] = {
            "post": operation(
                f"act.{act.name}",
                f"{act.help}. Signed by: {act.signer.value}",
                json_content(_told(_outcome(schemas, act))),
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


# --- parts -------------------------------------------------------------------------------------


def _told(ok: Schema) -> Schema:
    """Return the schema of an answer of the keep's, with what the gateway adds to it."""
    return record({"checkpoint": CHECKPOINT, "consistency": PROOF, "ok": ok}, "consistency")


def _status(schemas: Schemas) -> Schema:
    given = {"type": "array", "items": schemas.field(PersonId)}
    return record(
        {
            "deployment": schemas.field(DeploymentName),
            "era": schemas.field(Natural),
            "shares": record({"given": given, "needed": whole()}),
            "size": whole(),
            "state": {"enum": ["open", "sealed"]},
            "trial": FLAG,
            "unseal_key": base64(1216),
        }
    )


def _outcome(schemas: Schemas, act: Act[Any]) -> Schema:
    """Return the schema of what the keep answers to an act; see docs/spec/socket.md."""
    place: Part = {"index": whole(), "leaf": LEAF, "proof": PROOF}
    logged = record(place)
    match act.name:
        case "read":
            kept = record({"salt": TEXT, "text": TEXT})
            return record({"answer": record({"details": {"type": "object", "additionalProperties": kept}})})
        case "release":
            return record(place | {"answer": record({"envelope": STATEMENT_ENVELOPE})})
        case "fact.attest":
            return {"anyOf": [logged, record({"answer": record({"repeated": {"const": True}})})]}
        case "propose" | "approve":
            return record(place | {"enacted": logged, "missing": TEXT}, "enacted", "missing")
        case _:
            return logged


def _statement(schemas: Schemas, act: Act[Any]) -> Schema:
    """Return the schema of a statement that asks for `act`."""
    body = _proposals(schemas) if act.body is Propose else schemas.of(act.body)
    schemas.of(Statement)
    fields = schemas.components["Statement"]["properties"]
    return record(fields | {"body": body, "kind": {"const": act.kind}})


def _proposals(schemas: Schemas) -> Schema:
    """Return the schema of what is proposed: one of the acts that take a quorum, with its own body."""
    plain = Schemas()
    plain.of(Propose)
    fields = plain.components["Propose"]["properties"]
    acts = [act for act in ACTS if act.is_proposed]
    changes = [fields | {"act": {"const": act.name}, "change": schemas.of(act.body)} for act in acts]
    schemas.components["Propose"] = {
        "description": "What is proposed: an act that takes a quorum, and its body.",
        "oneOf": [record(one, "base") for one in changes],
    }
    return {"$ref": PREFIX + "Propose"}


def _envelope(schemas: Schemas, payload: Schema) -> Schema:
    content = {"contentMediaType": PAYLOAD_TYPE, "contentSchema": payload}
    return record(
        {
            "payload": base64(most=LARGEST_PAYLOAD_BYTES) | content,
            "payloadType": {"const": PAYLOAD_TYPE},
            "signatures": {
                "type": "array",
                "items": schemas.of(Signature),
                "minItems": 1,
                "maxItems": MOST_SIGNATURES,
            },
        },
        description="A statement, in canonical JSON, and the signatures over its exact bytes (DSSE).",
    )


def _look_scheme(schemas: Schemas) -> Part:
    """Return how a request is signed."""
    statement = _statement(schemas, LOOK)
    return {
        "type": "apiKey",
        "in": "header",
        "name": HEADER,
        "description": (
            "base64 of the canonical JSON of one envelope with one signature, over a `look/1` statement that names the"
            f" target of this request and the digest of its body; {LARGEST_HEADER_BYTES} characters at most"
        ),
        "x-strongroom-payload": statement,
    }


def _problem() -> Schema:
    """Return the schema of a refusal (RFC 9457)."""
    return record(
        {
            "type": {"type": "string", "pattern": "^/v1/errors#[a-z-]+$"},
            "title": TEXT,
            "status": whole(400, 599),
            "detail": TEXT,
            "code": {"enum": sorted(error.code for error in codes())},
            "family": {"enum": [family.__name__ for family in families()]},
            "hint": TEXT,
            "checkpoint": CHECKPOINT,
        },
        "checkpoint",
        description="Why it was refused, and what to do; see docs/errors.md.",
    )

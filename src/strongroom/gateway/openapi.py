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

from strongroom.acts.act import Act, Signer
from strongroom.acts.propose import Propose
from strongroom.acts.table import ACTS
from strongroom.client.copies import STATES, Copy
from strongroom.client.looks import HEADER, LARGEST_HEADER_BYTES, LOOK
from strongroom.directory.entries import Entry
from strongroom.gateway.asked import parse_query
from strongroom.gateway.entries import MOST_ENTRIES
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.paging import MOST_ITEMS, USUAL_ITEMS
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

Part = dict[str, Any]

JSON_TYPE, PROBLEM_TYPE, PEM_TYPE = "application/json", "application/problem+json", "application/x-pem-file"
LARGEST_LEAF_BYTES = 65_535
TEXT: Part = {"type": "string"}
FLAG: Part = {"type": "boolean"}
CHECKPOINT, PROOF, LEAF, STATEMENT_ENVELOPE = (
    {"$ref": PREFIX + name} for name in ("Checkpoint", "Proof", "Leaf", "Envelope")
)
REFUSED: Part = {"$ref": "#/components/responses/Refused"}
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
        "/healthz": {"get": _operation("healthz", "The process is up", _json(record({"up": {"const": True}})))},
        "/readyz": {
            "get": _operation(
                "readyz",
                "The keep is open, and the gateway's log up to date",
                _json(record({"ready": {"const": True}})),
            )
        },
        "/v1/openapi.json": {"get": _operation("openapi", "This document", _json({"type": "object"}))},
        "/v1/ca": {
            "get": _operation(
                "ca", "The self-made CA of this gateway, to be held against its digest", {PEM_TYPE: {"schema": TEXT}}
            )
        },
        "/v1/status": {"get": _operation("status", "How the keep is", _json(_told(status)), parameters=[SINCE])},
        "/v1/unseal": {
            "post": _operation(
                "unseal",
                "Give a custodian's share, wrapped to the keep's key of this start",
                _json(_told(record({"missing": whole()}))),
                body=unseal,
            )
        },
        "/v1/share": {
            "post": _operation(
                "share",
                "Fetch one's own share, wrapped to one's own key",
                _json(_told(record({"share": base64()}))),
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
            "post": _operation(
                f"act.{act.name}",
                f"{act.help}. Signed by: {act.signer.value}",
                _json(_told(_outcome(schemas, act))),
                parameters=[SINCE],
                body=asked,
                links={"entry": _link("entry", index="$response.body#/ok/index")} if act.entry else {},
            )
        }
    return found


def _log_paths(schemas: Schemas) -> Part:
    numbers = {"type": "array", "items": LEAF, "maxItems": MOST_ENTRIES}
    entry = record({"checkpoint": CHECKPOINT, "index": whole(), "leaf": LEAF, "proof": PROOF})
    return {
        "/v1/log/entries": {
            "get": _operation(
                "entries",
                "Entries of the log; the first alone needs no signature",
                _json(record({"checkpoint": CHECKPOINT, "ok": record({"entries": numbers})})),
                parameters=[
                    _parameter("start", whole(), required=True),
                    _parameter("count", whole(1, MOST_ENTRIES), required=True),
                ],
                signed=True,
            )
        },
        "/v1/log/entries/{index}": {
            "get": _operation(
                "entry",
                "One entry, with the proof that it is in the log of the checkpoint",
                _json(entry),
                parameters=[_parameter("index", whole(), where="path")],
                signed=True,
            )
        },
        "/v1/log/stream": {
            "get": _operation(
                "stream",
                f"The log as it grows: events `entry`, `checkpoint` (every {BEAT_SECONDS:.0f} s at least) and `end`",
                {MEDIA_TYPE: {"schema": TEXT}},
                parameters=[
                    _parameter("start", whole()),
                    _parameter("Last-Event-ID", whole(), where="header"),
                ],
                signed=True,
            )
        },
    }


def _view_paths(schemas: Schemas) -> Part:
    copies = _page(schemas.of(Copy))
    states = "; ".join(f"`{state}`: {meaning}" for state, meaning in STATES.items())
    found: Part = {
        "/v1/inbox": {
            "get": _operation(
                "inbox",
                "What waits for my approval",
                _json(record({"items": {"type": "array", "items": schemas.of(Waits)}})),
                signed=True,
                tagged=True,
                links={"proposal": _link("getProposals", id="$response.body#/items/0/proposal")},
            )
        },
        "/v1/whoami": {
            "get": _operation("whoami", "Who I am here", _json(schemas.of(Whoami)), signed=True, tagged=True)
        },
        "/v1/copies": {
            "get": _operation(
                "copies",
                f"Every release is a known copy. States: {states}",
                _json(copies),
                parameters=[
                    *_paging(),
                    _parameter("model", schemas.field(ModelId)),
                    _parameter("version", schemas.field(VersionId)),
                ],
                signed=True,
                tagged=True,
                links={"entry": _link("entry", index="$response.body#/items/0/index")},
            )
        },
    }
    for collection in COLLECTIONS:
        found |= _collection_paths(schemas, collection)
    return found


def _collection_paths(schemas: Schemas, collection: Collection) -> Part:
    name, kind = collection.name, schemas.of(collection.record)
    key = schemas.components[collection.record.__name__]["properties"][collection.key]
    link = _link(f"get{name.capitalize()}", id=f"$response.body#/items/0/{collection.key}")
    return {
        f"/v1/{name}": {
            "get": _operation(
                f"list{name.capitalize()}",
                f"All {name}, a page at a time",
                _json(_page(kind)),
                parameters=_paging(),
                signed=True,
                tagged=True,
                links={collection.key: link},
            )
        },
        f"/v1/{name}/{{id}}": {
            "get": _operation(
                f"get{name.capitalize()}",
                f"One of the {name}",
                _json(kind),
                parameters=[_parameter("id", key, where="path")],
                signed=True,
                tagged=True,
            )
        },
    }


# --- parts -------------------------------------------------------------------------------------


def _operation(
    name: str,
    summary: str,
    content: Part,
    *,
    parameters: list[Part] | None = None,
    body: Schema | None = None,
    signed: bool = False,
    tagged: bool = False,
    links: Part | None = None,
) -> Part:
    """Return an operation: what it is called with, its answer, and that it may be refused.

    `signed`: by a look. `tagged`: its answer has an entity tag, and is not sent to who has it already.
    """
    answer: Part = {"description": "done", "content": content}
    found: Part = {"operationId": name, "summary": summary, "parameters": list(parameters or []), "responses": {}}
    if links:
        answer["links"] = links
    if tagged:
        answer["headers"] = {"ETag": {"required": True, "schema": {"type": "string", "pattern": '^"[0-9a-f]{64}"$'}}}
        found["parameters"].append(_parameter("If-None-Match", TEXT, where="header"))
        found["responses"]["304"] = {"description": "as you have it", "headers": answer["headers"]}
    found["responses"] |= {"200": answer, "4XX": REFUSED, "503": REFUSED}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": body}}}
    if signed:
        found["security"] = [{"look": []}]
    return found


def _json(schema: Schema) -> Part:
    return {JSON_TYPE: {"schema": schema}}


def _parameter(name: str, schema: Schema, *, where: str = "query", required: bool = False) -> Part:
    return {"name": name, "in": where, "required": required or where == "path", "schema": schema}


def _paging() -> list[Part]:
    limit = whole(1, MOST_ITEMS) | {"default": USUAL_ITEMS}
    cursor = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}$", "description": "`next` of the page before"}
    return [_parameter("limit", limit), _parameter("cursor", cursor)]


def _link(operation: str, **parameters: str) -> Part:
    return {"operationId": operation, "parameters": parameters}


def _page(item: Schema) -> Schema:
    return record(
        {"items": {"type": "array", "items": item, "maxItems": MOST_ITEMS}, "next": {"type": ["string", "null"]}}
    )


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
    schemas.of(act.body)
    body: Schema = {"$ref": PREFIX + act.body.__name__}
    if act.body is Propose:
        schemas.components["Propose"]["properties"] |= {
            "act": {"enum": [one.name for one in ACTS if one.signer is Signer.QUORUM]},
            "change": {"anyOf": [schemas.of(one.body) for one in ACTS if one.signer is Signer.QUORUM]},
        }
    schemas.of(Statement)
    fields = schemas.components["Statement"]["properties"]
    return record(fields | {"body": body, "kind": {"const": act.kind}})


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

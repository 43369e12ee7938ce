"""Shapes: schemas of what goes through a gateway where no one record is all of it: statements, answers, refusals."""

from __future__ import annotations

from typing import Any

from strongroom.acts.act import Act
from strongroom.acts.propose import Propose
from strongroom.acts.table import ACTS
from strongroom.client.looks import HEADER, LARGEST_HEADER_BYTES, LOOK
from strongroom.gateway.operations import TEXT, Part
from strongroom.gateway.schemas import PREFIX, Schema, Schemas, base64, record, whole
from strongroom.statements.envelope import LARGEST_PAYLOAD_BYTES, MOST_SIGNATURES, PAYLOAD_TYPE, Signature
from strongroom.statements.statement import Statement
from strongroom.terms.errors import families
from strongroom.terms.outer_errors import codes
from strongroom.terms.records import DeploymentName, Natural, PersonId

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


def told(ok: Schema) -> Schema:
    """Return the schema of an answer of the keep's, with what the gateway adds to it."""
    return record({"checkpoint": CHECKPOINT, "consistency": PROOF, "ok": ok}, "consistency")


def status(schemas: Schemas) -> Schema:
    """Return the schema of how the keep says that it is."""
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


def outcome(schemas: Schemas, act: Act[Any]) -> Schema:
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


def statement(schemas: Schemas, act: Act[Any]) -> Schema:
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


def envelope(schemas: Schemas, payload: Schema) -> Schema:
    """Return the schema of an envelope around a payload of this schema."""
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


def look_scheme(schemas: Schemas) -> Part:
    """Return how a request is signed."""
    return {
        "type": "apiKey",
        "in": "header",
        "name": HEADER,
        "description": (
            "base64 of the canonical JSON of one envelope with one signature, over a `look/1` statement that names the"
            f" target of this request and the digest of its body; {LARGEST_HEADER_BYTES} characters at most"
        ),
        "x-strongroom-payload": statement(schemas, LOOK),
    }


def problem() -> Schema:
    """Return the schema of a refusal (RFC 9457)."""
    return record(
        {
            "type": {"type": "string", "pattern": "^urn:strongroom:error:[a-z-]+$"},
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

"""Operations: what is alike everywhere in an OpenAPI document: a call, its answer, its refusals, its pages."""

from __future__ import annotations

from typing import Any

from strongroom.gateway.paging import MOST_ITEMS, USUAL_ITEMS
from strongroom.gateway.schemas import Schema, record, whole

Part = dict[str, Any]

JSON_TYPE, PROBLEM_TYPE = "application/json", "application/problem+json"
TEXT: Part = {"type": "string"}
REFUSED: Part = {"$ref": "#/components/responses/Refused"}


def operation(
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
        found["parameters"].append(parameter("If-None-Match", TEXT, where="header"))
        found["responses"]["304"] = {"description": "as you have it", "headers": answer["headers"]}
    found["responses"] |= {"200": answer, "4XX": REFUSED, "503": REFUSED}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": body}}}
    if signed:
        found["security"] = [{"look": []}]
    return found


def json_content(schema: Schema) -> Part:
    """Return the content of an answer in JSON."""
    return {JSON_TYPE: {"schema": schema}}


def parameter(name: str, schema: Schema, *, where: str = "query", required: bool = False) -> Part:
    """Return a parameter; one in the path is always required."""
    return {"name": name, "in": where, "required": required or where == "path", "schema": schema}


def paging_parameters() -> list[Part]:
    """Return the parameters of a list."""
    limit = whole(1, MOST_ITEMS) | {"default": USUAL_ITEMS}
    cursor = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}$", "description": "`next` of the page before"}
    return [parameter("limit", limit), parameter("cursor", cursor)]


def link(to: str, **parameters: str) -> Part:
    """Return how an answer leads to a call of another operation."""
    return {"operationId": to, "parameters": parameters}


def page_of(item: Schema) -> Schema:
    """Return the schema of a page of a list."""
    return record(
        {"items": {"type": "array", "items": item, "maxItems": MOST_ITEMS}, "next": {"type": ["string", "null"]}}
    )

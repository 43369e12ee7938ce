"""The OpenAPI document is what the code says, and says no more than is so."""

from __future__ import annotations

import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from starlette.routing import Route

from strongroom.acts.act import Signer
from strongroom.acts.freeze import Freeze
from strongroom.acts.grant_revoke import GrantRevoke
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.read import Read
from strongroom.acts.table import ACTS
from strongroom.directory.entries import parse_entry
from strongroom.gateway.app import make_app
from strongroom.gateway.gateway import make_gateway
from strongroom.gateway.openapi import openapi_document
from strongroom.gateway.settings import GatewaySettings
from strongroom.statements.statement import parse_statement
from strongroom.terms import canonical
from strongroom.terms.errors import BadRecord
from strongroom.terms.records import parse_record, record_json
from tests.acts.world import House, a_house, text
from tests.gateway.world import RealGateway

ROOT = Path(__file__).parents[2]
DOCUMENT: Any = openapi_document()


def test_the_document_in_docs_is_what_the_code_says() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "openapi_page.py"))["page"]()
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == page, "run `python tools/openapi_page.py`"
    assert json.loads(page) == DOCUMENT


def test_the_document_that_is_served_is_the_same(shared: RealGateway) -> None:
    served = shared.get("/v1/openapi.json")
    assert (served.status, served.headers["content-type"]) == (200, "application/json")
    assert canonical.parse(served.body) == DOCUMENT


def test_every_route_is_in_the_document_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o700)
    settings = GatewaySettings(
        deployment=f"sr1:{'0' * 64}", keep=tmp_path / "keep", folder=tmp_path, store=(tmp_path / "store").as_uri()
    )
    served: set[tuple[str, str]] = set()
    for route in make_app(make_gateway(settings)).routes:
        assert isinstance(route, Route)
        path = route.path.replace("{name:path}", "{name}")
        served |= {(path, method) for method in route.methods or () if method != "HEAD"}
    said = {(path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item}
    acts = {(path, method) for path, method in said if path.startswith("/v1/acts/")}
    assert served - {("/v1/acts/{name}", "POST")} == said - acts
    asked = {act.name for act in ACTS if not act.is_proposed and act.signer is not Signer.FOUNDERS}
    assert acts == {(f"/v1/acts/{name}", "POST") for name in asked}


def test_every_operation_has_a_name_of_its_own_and_links_lead_somewhere() -> None:
    operations = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    links = [link for one in operations for link in one["responses"]["200"].get("links", {}).values()]
    assert len(links) > 20
    assert {link["operationId"] for link in links} <= set(names)


def test_all_schemas_are_schemas() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert len(schemas) > 60
    for name, schema in schemas.items():
        jsonschema_rs.meta.validate(schema)
        assert schema.get("description"), name


def validator(schema: Any) -> Any:
    """Return what holds values against a schema of the document."""
    text = json.dumps({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
    return jsonschema_rs.validator_for(json.loads(text) | {"components": DOCUMENT["components"]})


@cache
def payload_of(act: str) -> Any:
    content = DOCUMENT["paths"][f"/v1/acts/{act}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return validator(content["properties"]["statement"]["properties"]["payload"]["contentSchema"])


def test_whatever_was_said_in_a_log_is_as_the_document_has_it() -> None:
    house = a_house()
    grant = house.grant(files=("a", "b"))
    house.release(grant, files=("b",))
    house.attest(house.person("Dan"), "training", 1)
    house.do("Ada", GrantRevoke(grant=grant, reason=text("no")))
    house.do("Ada", LabelRaise(target=house.model, label=3))
    house.reject("Ben", house.ask("Dan", house.grant_body()), "approver")
    house.do("Ada", Freeze(target="deployment", reason=text("odd")))
    leaf = validator(DOCUMENT["components"]["schemas"]["Leaf"]["contentSchema"])
    seen: set[str] = set()
    for data in house.leaves[1:]:
        leaf.validate(canonical.parse(data))
        if (entry := parse_entry(data)).statement is not None:
            statement = parse_statement(entry.envelope())
            act = statement.kind.removesuffix("/1")
            payload_of(act).validate(record_json(statement))
            seen.add(act)
    assert len(seen) == 10


BREACHES: dict[str, Any] = {
    "a field more": lambda body: body | {"more": 1},
    "a field less": lambda body: {name: body[name] for name in body if name != "reason"},
    "another kind of id": lambda body: body | {"target": "grant-" + "0" * 32},
    "an id with a tail": lambda body: body | {"target": body["target"] + "0"},
    "a digest in capitals": lambda body: body | {"reason": body["reason"].upper()},
    "a number for a text": lambda body: body | {"reason": 1},
    "nothing": lambda body: None,
}


@pytest.mark.parametrize("breach", BREACHES)
def test_what_the_keep_refuses_as_malformed_the_document_refuses_too(breach: str) -> None:
    house: House = a_house()
    frozen = Freeze(target=house.model, reason=text("odd"))
    changed = BREACHES[breach](record_json(frozen))
    with pytest.raises(BadRecord):
        parse_record(Freeze, changed)
    statement = parse_statement(house.say("Ada", frozen))
    payload_of("freeze").validate(record_json(statement))
    assert not payload_of("freeze").is_valid(record_json(statement) | {"body": changed})


def test_an_act_is_said_at_its_own_path_only() -> None:
    house = a_house()
    statement = record_json(parse_statement(house.say("Ada", Read(digests=(text("a"),)))))
    assert payload_of("read").is_valid(statement)
    assert not payload_of("freeze").is_valid(statement)

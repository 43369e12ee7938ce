"""Requests: Cedar gets what the directory says, whole, once, and within bounds."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from strongroom.policy.decision import decide
from strongroom.policy.requests import Change, Context, Request, Resource, Tally, cedar_entities, cedar_request
from strongroom.terms.errors import Denied
from tests.policy.acts import (
    ADA,
    BUNDLE,
    HOUSE,
    NAME,
    SCHEMA,
    approvers,
    attester,
    bundle_of,
    context,
    deployment,
    device,
    model,
    person,
    request,
    somebody,
    version,
    workload,
    zone,
)

LARGEST = 2**53 - 1


def uids(asked: Request) -> list[tuple[str, str]]:
    return [(entity["uid"]["type"], entity["uid"]["id"]) for entity in json.loads(cedar_entities(asked))]


def test_cedar_gets_only_the_slice_that_the_request_needs() -> None:
    assert uids(request(person(), "release", version())) == [
        ("Person", ADA),
        ("Device", "device-laptop"),
        ("Zone", "zone-lab"),
        ("Deployment", NAME),
        ("Tally", "quorum"),
        ("Version", "version-atlas-7"),
        ("Model", "model-atlas"),
    ]


def test_nothing_is_left_out_when_there_is_nothing() -> None:
    bare = Request(
        principal=person(), action="read", resource=HOUSE, context=Context(deployment=deployment(), quorum=Tally())
    )
    asked = cedar_request(bare)
    assert json.loads(asked["context"]) == {
        "deployment": {"__entity": {"type": "Deployment", "id": NAME}},
        "device": {"__entity": {"type": "Device", "id": "none"}},
        "zone": {"__entity": {"type": "Zone", "id": "none"}},
        "session": {"exists": False, "age": 0},
        "quorum": {"__entity": {"type": "Tally", "id": "quorum"}},
        "grant": {"exists": False},
        "change": {"act": "", "role": "", "roles": [], "label": 0},
        "own": False,
        "claimed": {"address": "", "agent": ""},
    }
    assert not decide(BUNDLE, bare).errors


@pytest.mark.parametrize("who", [person(facts={"training": 1}), workload(facts={"patched": 3}), attester()])
def test_every_kind_of_principal_fits_the_schema(who: Any) -> None:
    act, resource = {
        "Person": ("read", HOUSE),
        "Workload": ("release", version()),
        "Attester": ("fact.attest", HOUSE),
    }[who.type]
    assert decide(BUNDLE, request(who, act, resource)).errors == ()


def test_a_session_of_no_age_is_a_session() -> None:
    assert decide(BUNDLE, request(person(), "read", HOUSE, session_age_seconds=0)).allowed


def numbers_set_to(value: int) -> list[Request]:
    """Return one request for each number that there is in a request, with that number set to `value`."""
    good = request(person("researcher"), "release", version(2), quorum=approvers(2))
    facts = {"training": value}
    changed: list[Context] = [
        context(session_age_seconds=value),
        context(change=Change(label=value)),
        context(device=device(facts=facts)),
        context(zone=zone(facts=facts)),
        context(quorum=Tally(roles=facts)),
    ]
    for name, part in (("deployment", deployment()), ("zone", zone()), ("quorum", Tally())):
        for field in fields(part):
            if type(getattr(part, field.name)) is int:
                number: Any = {field.name: value}
                changed.append(context(**{name: replace(part, **number)}))
    return [
        *(replace(good, context=one) for one in changed),
        replace(good, principal=person(facts=facts)),
        replace(good, resource=version(value)),
        replace(good, resource=version(tensor_bytes=value)),
        replace(good, resource=version(parent=model(value))),
        request(person(), "credential.report", somebody(), own=False),
    ]


def test_this_many_numbers_are_known() -> None:
    assert len(numbers_set_to(0)) == 17


@pytest.mark.parametrize("value", [-1, LARGEST + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400])
def test_a_number_that_cedar_would_wrap_or_misread_is_refused(value: int) -> None:
    *requests, harmless = numbers_set_to(value)
    for asked in requests:
        with pytest.raises(Denied, match=r"not a number from 0 to 2\^53 - 1"):
            decide(BUNDLE, asked)
    decide(BUNDLE, harmless)


@pytest.mark.parametrize("value", [0, LARGEST])
def test_every_other_number_is_taken(value: int) -> None:
    for asked in numbers_set_to(value):
        assert decide(BUNDLE, asked).errors == ()


def test_one_thing_is_one_entity_as_it_was_verified() -> None:
    as_it_was = Resource(type="Person", id=ADA, attributes=somebody().attributes)
    asked = request(person("responder", frozen=True, software=True), "session.close", as_it_was, own=True)
    assert decide(BUNDLE, asked).allowed
    (ada,) = [entity for entity in json.loads(cedar_entities(asked)) if entity["uid"]["type"] == "Person"]
    assert ada["attrs"] == {"frozen": True, "roles": ["responder"], "teams": [], "software": True}


def test_another_of_the_same_id_is_another() -> None:
    asked = request(person("responder"), "freeze", replace(model(), id=ADA))
    assert ("Model", ADA) in uids(asked)
    assert decide(BUNDLE, asked).allowed


@pytest.mark.parametrize(
    "resource",
    [
        {**version().attributes, "frozen": "no"},
        {**version().attributes, "label": True},
        {**version().attributes, "more": 1},
        {"label": 0, "frozen": False},
        {},
    ],
)
def test_a_resource_that_is_not_as_the_schema_has_it_is_refused(resource: dict[str, Any]) -> None:
    asked = request(person("researcher"), "release", replace(version(0), attributes=resource))
    with pytest.raises(Denied, match="does not fit the schema"):
        decide(BUNDLE, asked)


def test_a_policy_that_names_a_model_reaches_its_versions() -> None:
    only = bundle_of(
        '@id("only") @requires("-") permit (principal, action, resource in Model::"model-atlas");', name="only.cedar"
    )
    assert decide(only, request(person(), "release", version(0))).allowed
    other = replace(model(0), id="model-other")
    assert not decide(only, request(person(), "release", version(0, parent=other))).allowed


def test_every_action_takes_the_types_of_its_row() -> None:
    assert len(SCHEMA.rows) == 35

"""Authorize: a permission names what it rests on, and a refusal says what would satisfy it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import strongroom
from strongroom.policy.authorize import Permission, authorize
from strongroom.policy.explain import Explanation, explain
from strongroom.policy.requests import Request
from strongroom.terms.errors import Denied, Refused
from tests.policy.acts import (
    BUNDLE,
    HOUSE,
    approvers,
    bundle_of,
    deployment,
    device,
    person,
    request,
    somebody,
    version,
    workload,
)
from tests.policy.table import RESEARCHER

GOOD = request(RESEARCHER, "release", version(3), quorum=approvers(2))
LABEL_3 = (
    "`access-label-3` requires label 3: the role `researcher`, and two approvers of different teams, one of them by CLI"
)


def ask(asked: Request, bundle: Any = BUNDLE) -> Permission:
    return authorize(bundle, asked.principal, asked.action, asked.resource, asked.context)


def why(asked: Request, bundle: Any = BUNDLE) -> Explanation:
    return explain(bundle, asked.principal, asked.action, asked.resource, asked.context)


def refusal(asked: Request, bundle: Any = BUNDLE) -> Denied:
    with pytest.raises(Denied) as caught:
        ask(asked, bundle)
    return caught.value


def test_a_permission_names_what_it_rests_on() -> None:
    assert ask(GOOD) == Permission(
        action="release",
        principal_id=GOOD.principal.id,
        resource_id=GOOD.resource.id,
        policy_ids=("access-label-3",),
        policy_digest=BUNDLE.digest,
        floor_version=BUNDLE.floor_version,
        cedar_version=BUNDLE.cedar_version,
    )


def test_a_permission_is_made_in_one_place() -> None:
    sources = Path(strongroom.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "Permission(" in path.read_text()] == ["authorize.py"]


def test_a_refusal_lists_every_policy_that_refuses_and_what_each_requires() -> None:
    asked = request(
        RESEARCHER,
        "release",
        version(2),
        quorum=approvers(2),
        grant=False,
        device=device(exists=False),
        deployment=deployment(frozen=True),
    )
    error = refusal(asked)
    assert isinstance(error, Refused)
    assert error.policies == ("floor-frozen-deployment", "release-device", "release-grant")
    assert error.message == (
        "`release` is refused: `floor-frozen-deployment` (floor) requires the deployment being thawed; "
        "`release-device` requires an enrolled device; "
        "`release-grant` requires a live grant for this version, from this device and zone: propose one"
    )


def test_a_refusal_for_want_of_a_permit_lists_those_that_concern_the_action() -> None:
    error = refusal(request(person(), "propose", somebody()))
    assert error.policies == ()
    assert error.message == (
        "`propose` is refused: no policy permits it: "
        "`propose-governance` requires the role `governor`, to propose any change but access, or "
        "`propose-thaw` requires the role `responder`, to propose a thaw, or "
        "`propose-own` requires that it is your own credential or device"
    )


def test_a_refusal_tells_forbids_and_the_missing_permit_at_once() -> None:
    explanation = why(request(person("writer"), "release", version(1), grant=False))
    assert [note.id for note in explanation.against] == ["floor-two-people-open", "release-grant"]
    assert "access-label-1-2" in [note.id for note in explanation.options]
    assert explanation.missing[:2] == (
        "the approval of two people",
        "a live grant for this version, from this device and zone: propose one",
    )


def test_what_no_policy_permits_is_refused_to_everybody() -> None:
    nobody = bundle_of('@id("x") @requires("y") permit (principal, action == Action::"read", resource);')
    asked = request(person(), "session.open", HOUSE)
    assert refusal(asked, nobody).message == "`session.open` is refused: no policy permits it to anybody"
    assert list(why(asked, nobody).lines()) == ["refused", "  no policy permits this to anybody"]


def test_only_permits_whose_scope_takes_in_the_request_are_offered() -> None:
    offered = bundle_of(
        '@id("any") @requires("-") permit (principal, action, resource) when { context.own };'
        '@id("in") @requires("-") permit (principal is Person, action in [Action::"opening"], resource is Version)'
        "when { context.own };"
        '@id("eq") @requires("-") permit (principal, action == Action::"release", resource) when { context.own };'
        '@id("other-action") @requires("-") permit (principal, action == Action::"read", resource);'
        '@id("other-group") @requires("-") permit (principal, action in Action::"closing", resource);'
        '@id("other-who") @requires("-") permit (principal is Workload, action, resource);'
        '@id("other-what") @requires("-") permit (principal, action, resource is Model);'
        '@id("not-a-permit") @requires("-") forbid (principal, action, resource) when { context.own };'
    )
    explanation = why(request(person(), "release", version(0)), offered)
    assert [note.id for note in explanation.options] == ["any", "in", "eq"]


def test_an_explanation_reads_as_an_answer() -> None:
    assert list(why(GOOD).lines()) == [
        "allowed",
        f"  permitted by {LABEL_3}",
    ]
    assert why(GOOD).missing == ()
    asked = request(RESEARCHER, "release", version(3, frozen=True), quorum=approvers(2))
    assert list(why(asked).lines()) == [
        "refused",
        f"  permitted by {LABEL_3}",
        "  against: `floor-frozen-resource` (floor) requires the model being thawed",
    ]


@pytest.mark.parametrize(
    "asked",
    [
        request(workload(), "approve", HOUSE),
        request(person("responder"), "fact.attest", somebody()),
        request(person(), "release", HOUSE),
        request(person(), "no-such-action", HOUSE),
        replace(GOOD, principal=replace(RESEARCHER, type="Robot")),
    ],
    ids=["workload approves", "person attests", "release of a deployment", "unknown action", "unknown type"],
)
def test_what_the_schema_does_not_have_is_refused(asked: Request) -> None:
    assert refusal(asked).message.startswith("the request does not fit the schema: ")
    with pytest.raises(Denied):
        why(asked)

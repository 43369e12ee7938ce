"""Nothing that a deployment can vote, a gateway can claim or a directory can hold opens weights past the floor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.policy.authorize import authorize
from strongroom.policy.bundle import Bundle, parse_bundle
from strongroom.policy.check import check_bundle
from strongroom.policy.decision import decide
from strongroom.policy.requests import Change, Context, Principal, Request, Tally
from strongroom.policy.source import PolicyFile
from strongroom.terms.errors import BadPolicy, Denied
from tests.policy.acts import (
    ADA,
    BUNDLE,
    DEFAULTS,
    HERSELF,
    HOUSE,
    ROWS,
    SCHEMA,
    approvers,
    bundle_of,
    deployment,
    device,
    model,
    person,
    request,
    somebody,
    version,
    zone,
)

EVERYTHING = '@id("open") @requires("-") permit (principal, action, resource);'
GENEROUS = (
    '@id("people") @requires("-") permit (principal is Person, action, resource) when { true || context.own };'
    '@id("workloads") @requires("-") permit (principal is Workload, action, resource)'
    " unless { context.quorum.people > 1000000 };"
    '@id("closed") @requires("-") forbid (principal, action, resource) when { false };'
)
BUNDLES = [BUNDLE, bundle_of(EVERYTHING), bundle_of(GENEROUS), bundle_of(EVERYTHING + GENEROUS)]
GOVERNING = [row for row in ROWS if row.group == "governance"]


def refused(asked: Request, bundle: Bundle) -> Denied:
    with pytest.raises(Denied) as caught:
        authorize(bundle, asked.principal, asked.action, asked.resource, asked.context)
    return caught.value


# --- alone -----------------------------------------------------------------------------------------

counts = st.integers(0, 5) | st.integers(0, 2**53 - 1)
facts = st.dictionaries(st.sampled_from(["training", "disk-encrypted", "egress-bytes-per-day", "approver"]), counts)
words = st.sampled_from(["", "approver", "governor", "researcher", "grant.give", "thaw", "role.give"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
word_sets = st.frozensets(words, max_size=5)
flags = st.booleans()


@st.composite
def contexts(draw: st.DrawFn, people: int, *, trial: bool) -> Context:
    """Any context with so many people."""
    return Context(
        deployment=replace(
            deployment(trial=trial, frozen=draw(flags), time_doubted=draw(flags)),
            quorum=draw(counts),
            people=draw(counts),
        ),
        device=device(exists=draw(flags), frozen=draw(flags), software=draw(flags), facts=draw(facts)),
        zone=zone(
            exists=draw(flags),
            frozen=draw(flags),
            ceiling=draw(counts),
            egress_bytes_per_day=draw(counts),
            facts=draw(facts),
        ),
        session_age_seconds=draw(st.none() | counts),
        quorum=Tally(people=people, teams=draw(counts), cli=draw(counts), roles=draw(st.dictionaries(words, counts))),
        grant=draw(flags),
        change=Change(act=draw(words), role=draw(words), roles=draw(word_sets), label=draw(counts)),
        own=draw(flags),
        address=draw(words),
        agent=draw(words),
    )


@st.composite
def principals(draw: st.DrawFn, *kinds: str) -> Principal:
    kind = draw(st.sampled_from(kinds))
    return Principal(
        type=kind,
        id=ADA,
        frozen=draw(flags),
        roles=draw(word_sets),
        teams=draw(word_sets),
        software=draw(flags),
        facts=draw(facts),
    )


@settings(max_examples=300)
@given(st.data())
def test_one_person_opens_nothing_above_label_0_whatever_the_policies(data: st.DataObject) -> None:
    action, kinds = data.draw(st.sampled_from([("release", ("Person", "Workload")), ("grant.give", ("Person",))]))
    resource = version(data.draw(st.integers(1, 9)), tensor_bytes=data.draw(counts), frozen=data.draw(flags))
    asked = Request(
        principal=data.draw(principals(*kinds)),
        action=action,
        resource=resource,
        context=data.draw(contexts(data.draw(st.integers(0, 1)), trial=False)),
    )
    for bundle in BUNDLES:
        assert "floor-two-people-open" in refused(asked, bundle).policies


@settings(max_examples=200)
@given(st.data())
def test_one_person_governs_nothing_whatever_the_policies(data: st.DataObject) -> None:
    row = data.draw(st.sampled_from([row for row in GOVERNING if "Deployment" in row.resources]))
    asked = Request(
        principal=data.draw(principals("Person")),
        action=row.name,
        resource=HOUSE,
        context=data.draw(contexts(data.draw(st.integers(0, 1)), trial=False)),
    )
    for bundle in BUNDLES:
        assert "floor-two-people-govern" in refused(asked, bundle).policies


@settings(max_examples=200)
@given(st.data())
def test_a_trial_opens_nothing_above_label_2_whatever_the_policies(data: st.DataObject) -> None:
    asked = Request(
        principal=data.draw(principals("Person", "Workload")),
        action="release",
        resource=version(data.draw(st.integers(3, 9)), tensor_bytes=data.draw(counts)),
        context=data.draw(contexts(data.draw(counts), trial=True)),
    )
    for bundle in BUNDLES:
        assert "floor-trial-label" in refused(asked, bundle).policies


@settings(max_examples=200)
@given(st.data())
def test_whatever_is_asked_of_whatever_policies_ends_in_an_answer(data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(ROWS))
    asked = Request(
        principal=data.draw(principals("Person", "Workload", "Attester", "Robot")),
        action=row.name,
        resource=data.draw(st.sampled_from([HOUSE, HERSELF, somebody(), version(), model()])),
        context=data.draw(contexts(data.draw(counts), trial=data.draw(flags))),
    )
    for bundle in BUNDLES:
        with suppress(Denied):
            permission = authorize(bundle, asked.principal, asked.action, asked.resource, asked.context)
            assert permission.policy_ids


# --- policies that are not what they seem ------------------------------------------------------------

GOOD = request(person("researcher"), "release", version(2), quorum=approvers(2))
ERRING = "context.quorum.people * 9223372036854775807 > 0"


def planted(text: str) -> Bundle:
    return parse_bundle([*DEFAULTS, PolicyFile(name="planted.cedar", text=text)], SCHEMA)


def test_a_forbid_that_errs_does_not_fail_open() -> None:
    text = f'@id("erring") @requires("-") forbid (principal, action, resource) when {{ {ERRING} }};'
    assert decide(BUNDLE, GOOD).allowed
    error = refused(GOOD, planted(text))
    assert "not evaluated: " in error.message
    assert "`erring`" in error.message
    assert refused(GOOD, planted(text)).policies == ()


def test_a_permit_that_errs_refuses_what_another_permits() -> None:
    text = (
        '@id("erring") @requires("-") permit (principal, action, resource)'
        f" when {{ context.quorum.people >= 2 && {ERRING} }};"
    )
    assert "`erring`" in refused(GOOD, planted(text)).message


def test_a_floor_that_errs_refuses() -> None:
    floor = PolicyFile(
        name="floor.cedar",
        text=f'@id("floor-erring") @requires("-") forbid (principal, action, resource) when {{ {ERRING} }};',
    )
    assert "`floor-erring`" in refused(GOOD, parse_bundle(DEFAULTS, SCHEMA, floor=floor)).message


@pytest.mark.parametrize(
    "policy", ['@id("floor-open") @requires("-") permit', '@id("access-ours") @requires("-") forbid']
)
def test_a_floor_that_permits_or_is_named_like_others_is_none(policy: str) -> None:
    floor = PolicyFile(name="floor.cedar", text=f"{policy} (principal, action, resource);")
    with pytest.raises(BadPolicy, match="not of a floor"):
        parse_bundle(DEFAULTS, SCHEMA, floor=floor)


@pytest.mark.parametrize(
    "policy_id",
    [
        *BUNDLE.floor_policies,
        "floor-anything",
        "FLOOR-two-people-open",
        "floor\u2010two-people-open",
        "fl\u043e\u043er-two-people-open",
        "\uff46loor-two-people-open",
        "floor-two-people-open\\u{200b}",
        "floor-two-people-open ",
    ],
)
def test_no_policy_passes_for_one_of_the_floor(policy_id: str) -> None:
    text = f'@id("{policy_id}") @requires("-") forbid (principal, action, resource) when {{ false }};'
    with pytest.raises(BadPolicy):
        bundle_of(text)


@pytest.mark.parametrize(
    "hidden",
    [
        "\u202e",
        "\u200b",
        "\u2066",
        "\ufeff",
        "\x00",
        "\x1b[2K",
        "\r",
        "\t",
        "\u2028",
        "\u00ad",
    ],
)
def test_a_policy_cannot_hide_from_its_reader(hidden: str) -> None:
    with pytest.raises(BadPolicy, match="do not show"):
        bundle_of(EVERYTHING + f"// harmless {hidden} comment\n")


@pytest.mark.parametrize(
    "condition",
    [
        'context.claimed.address == "10.0.0.1"',
        'context["claimed"]["agent"] like "curl*"',
        "context has claimed",
        'context has claimed.agent && context.claimed.agent != ""',
        '(if context.own then context else context).claimed.agent == "x"',
        "context == context && context.quorum.people >= 2",
        "[context].contains(context)",
        '{"c": context}.c.claimed.agent == "x"',
    ],
)
@pytest.mark.parametrize("clause", ["when", "unless"])
def test_what_a_gateway_claims_permits_nothing(clause: str, condition: str) -> None:
    text = f'@id("own") @requires("-") EFFECT (principal, action, resource) {clause} {{ {condition} }};'
    with pytest.raises(BadPolicy, match="may rest on what a gateway claims"):
        bundle_of(text.replace("EFFECT", "permit"))
    if not condition.startswith(("context has", "context == ", "[context]")):
        bundle_of(text.replace("EFFECT", "forbid"))


def test_what_a_gateway_claims_may_withhold() -> None:
    text = (
        '@id("away") @requires("another address") forbid (principal, action, resource)'
        ' when { context.claimed.address == "203.0.113.9" };'
    )
    bundle = planted(text)
    assert decide(bundle, GOOD).allowed
    away = replace(GOOD, context=replace(GOOD.context, address="203.0.113.9"))
    assert refused(away, bundle).policies == ("away",)


# --- policies that would stop the keep -----------------------------------------------------------------

MANY = [200, 800, 2000, 20_000]
DEEP: dict[str, Callable[[int], str]] = {
    "parentheses": lambda many: f"{'(' * many}true{')' * many}",
    "sets": lambda many: f"{'[' * many}1{']' * many} == 1",
    "records": lambda many: '{"a": ' * many + "1" + "}" * many + " == 1",
    "and": lambda many: "true && " * many + "true",
    "or": lambda many: "true || " * many + "true",
    "if": lambda many: "if true then " * many + "true" + " else true" * many,
    "else": lambda many: "if true then true else " * many + "true",
    "attributes": lambda many: f"context{'.a' * many}",
    "indices": lambda many: "context" + '["a"]' * many,
    "calls": lambda many: f"context.own{'.isEmpty()' * many}",
    "plus": lambda many: "1" + " + 1" * many + " == 1",
    "minus": lambda many: "1" + " - 1" * many + " == 1",
    "times": lambda many: "1" + " * 1" * many + " == 1",
    "nots": lambda many: "!" * many + "true",
    "negatives": lambda many: "-" * many + "1 == 1",
    "clauses": lambda many: "true" + "} when { true" * many,
    "hidden after a string": lambda many: '";" == "\\"" && ' + '(";" == ' * many + "true" + ")" * many,
    "hidden after comments": lambda many: "( // ;\n" * many + "true" + ")" * many,
    "hidden by a comment in a string": lambda many: '"//" == ' + "(" * many + "true" + ")" * many,
    "hidden between strings of two lines": lambda many: '"\n" == ' + "(" * many + '""' + ")" * many,
    "hidden in a longer word": lambda many: 'if"a"in"b"then 1 else ' * many + "1",
}


@pytest.mark.parametrize("shape", DEEP)
@pytest.mark.parametrize("many", MANY)
def test_a_policy_cannot_overflow_the_stack(shape: str, many: int) -> None:
    condition = DEEP[shape](many)
    with pytest.raises(BadPolicy, match=r"nests or chains too much|longer than"):
        bundle_of(f'@id("deep") @requires("-") permit (principal, action, resource) when {{ {condition} }};')


@pytest.mark.parametrize("shape", ["parentheses", "sets", "and", "if", "attributes"])
def test_the_depth_that_is_taken_leaves_most_of_the_stack(shape: str) -> None:
    # What is deepest of all that is taken is read on a quarter of a usual stack; a stack that ends ends the process.
    text = next(text for many in range(150, 0, -1) if taken(text := deepest(shape, many)))
    before = threading.stack_size(2 * 1024 * 1024)
    try:
        thread = threading.Thread(target=taken, args=[text])
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)


def deepest(shape: str, many: int) -> str:
    return f'@id("deep") @requires("-") permit (principal, action, resource) when {{ {DEEP[shape](many)} }};'


def taken(text: str) -> bool:
    findings = check_bundle([PolicyFile(name="deep.cedar", text=text)], SCHEMA)
    return not any("nests or chains too much" in finding.message for finding in findings)


def test_a_string_of_many_lines_is_a_string() -> None:
    bundle_of(
        '@id("lines") @requires("-") forbid (principal, action, resource)'
        f' when {{ context.claimed.address == "one\n;{"(" * 200}\n// \\" three" }};'
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('"' + '\\"' * 32_000, id="quotes without an end"),
        pytest.param('"' + "\\" * 64_001, id="half an escape"),
        pytest.param('"\\\n' + "(" * 60_000 + '"', id="an escaped end of line"),
        pytest.param('"" // "\n"', id="one after a comment"),
    ],
)
def test_a_string_that_never_ends_is_refused_soon(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadPolicy, match="a string that is not closed"):
        bundle_of(text)
    assert time.process_time() - began < 3


def test_a_bundle_has_an_end() -> None:
    with pytest.raises(BadPolicy, match="longer than"):
        bundle_of(EVERYTHING + "// " + "x" * 70_000)
    with pytest.raises(BadPolicy, match="more than 64 files"):
        parse_bundle([PolicyFile(name=f"f{n}.cedar", text="") for n in range(65)], SCHEMA)
    parse_bundle([PolicyFile(name=f"f{n}.cedar", text="") for n in range(64)], SCHEMA)


# --- names ---------------------------------------------------------------------------------------------

NAMED = bundle_of('@id("ada") @requires("being Ada") permit (principal == Person::"ada", action, resource);')


@pytest.mark.parametrize(
    "name",
    ["Ada", "ada ", "ada\n", "\u0430da", "ada\u200b", "ada\x00", 'x" || true || "', 'ada", action, resource); //', ""],
)
def test_a_name_that_looks_like_another_is_another(name: str) -> None:
    refused(request(person(name=name), "read", HOUSE), NAMED)


def test_the_very_name_is_let_in() -> None:
    assert decide(NAMED, request(person(name="ada"), "read", HOUSE)).allowed


@pytest.mark.parametrize(
    "asked",
    [
        request(person(name="\ud800"), "read", HOUSE),
        request(person("\ud800"), "read", HOUSE),
        request(person(), "read", HOUSE, change=Change(act="\ud800")),
        request(person(), "read", HOUSE, address="\ud800"),
        request(person(), "\ud800", HOUSE),
    ],
    ids=["principal", "role", "act", "address", "action"],
)
def test_half_a_character_is_refused(asked: Request) -> None:
    refused(asked, bundle_of(EVERYTHING))


# --- wear ------------------------------------------------------------------------------------------------


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_ten_thousand_decisions_leave_nothing_behind() -> None:
    denied = request(person(), "read", HOUSE, session_age_seconds=None)
    for _ in range(500):
        decide(BUNDLE, GOOD)
        refused(denied, BUNDLE)
    before = resident_bytes()
    for _ in range(5_000):
        assert decide(BUNDLE, GOOD).allowed
        assert not decide(BUNDLE, denied).allowed
    assert resident_bytes() - before < 4 * 1024 * 1024

"""Check: everything that is wrong with a bundle is told at once, by the policy's id, with what to do."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.policy.beginning import default_bundle
from strongroom.policy.bundle import bundle_digest, parse_bundle
from strongroom.policy.check import check_bundle
from strongroom.policy.source import Finding, PolicyFile
from strongroom.terms.errors import BadPolicy, Malformed
from tests.policy.acts import DEFAULTS, SCHEMA


def findings(*texts: str) -> list[Finding]:
    return check_bundle([PolicyFile(name=f"own-{n}.cedar", text=text) for n, text in enumerate(texts)], SCHEMA)


def permit(condition: str, *, action: str = 'action in Action::"opening"', policy_id: str = "own") -> str:
    return (
        f'@id("{policy_id}") @requires("words") permit (principal is Person, {action}, resource is Version)'
        f" when {{ {condition} }};"
    )


@pytest.mark.parametrize(
    ("text", "who", "says"),
    [
        ('@requires("x") permit (principal, action, resource);', "own-0.cedar", "a policy has no `@id`"),
        ('@id("") @requires("x") permit (principal, action, resource);', "own-0.cedar", "a policy has no `@id`"),
        ('@id("Big") @requires("x") permit (principal, action, resource);', "Big", "not an id"),
        ('@id("a b") @requires("x") permit (principal, action, resource);', "a b", "not an id"),
        ('@id("caf\u00e9") @requires("x") permit (principal, action, resource);', "caf\u00e9", "not an id"),
        ('@id("a") permit (principal, action, resource);', "a", "has no `@requires`"),
        ('@id("a") @requires(" ") permit (principal, action, resource);', "a", "has no `@requires`"),
        (
            '@id("a") @requires("x\\u{1b}[2J") permit (principal, action, resource);',
            "a",
            "its `@requires` holds characters that do not show",
        ),
        (
            '@id("a") @requires("x\\n") permit (principal, action, resource);',
            "a",
            "its `@requires` holds characters that do not show",
        ),
        ("permit (principal, action);", "own-0.cedar", "cannot be read: "),
        ('@id("a") @requires("x") permit (principal == ?principal, action, resource);', "a", "a template"),
        (
            '@id("a") @requires("x") permit (principal == ?principal, action, resource) when { principal.rolls };',
            "own-0.cedar",
            "does not fit the schema: ",
        ),
        (
            '@id("a") @requires("x") forbid (principal, action, resource) when { principal.rolls.isEmpty() };',
            "a",
            "does not fit the schema: ",
        ),
        (
            '@id("a") @requires("x") forbid (principal, action == Action::"relase", resource);',
            "a",
            "does not fit the schema: ",
        ),
        (permit('context.quorum.getTag("approver") >= 2'), "own", "does not fit the schema: "),
        (
            '@id("floor-two-people-open") @requires("x") forbid (principal, action, resource);',
            "floor-two-people-open",
            "`floor-…` names the floor's own policies",
        ),
        (
            '@id("floor-new") @requires("x") forbid (principal, action, resource);',
            "floor-new",
            "`floor-…` names the floor's own policies",
        ),
        (f"{permit('true')} {permit('true')}", "own", "is the id of two policies"),
    ],
)
def test_a_faulty_policy_is_found(text: str, who: str, says: str) -> None:
    errors = [finding for finding in findings(text) if finding.severity == "error"]
    assert (who, True) in [(finding.policy_id, finding.message.startswith(says)) for finding in errors], errors
    assert all(finding.hint for finding in errors)
    with pytest.raises(BadPolicy) as caught:
        parse_bundle([PolicyFile(name="own-0.cedar", text=text)], SCHEMA)
    assert f"`{who}`: {says}" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["", "a", "A.cedar", "a.cedar\n", "../a.cedar", "a/b.cedar", "a..cedar", "a b.cedar"])
def test_a_file_has_a_plain_name(name: str) -> None:
    (finding,) = check_bundle([PolicyFile(name=name, text="")], SCHEMA)
    assert (finding.severity, finding.message) == ("error", "not a name of a policy file")


def test_two_files_or_two_policies_of_one_name_are_found() -> None:
    twice = [finding.message for finding in check_bundle([DEFAULTS[0], DEFAULTS[0]], SCHEMA)]
    assert "is the name of two files" in twice
    assert twice.count("is the id of two policies") == 5
    assert [finding.policy_id for finding in findings(permit("context.own"), permit("context.own"))].count("own") >= 1


def test_everything_is_told_at_once() -> None:
    files = [
        PolicyFile(name="one.cedar", text="permit (principal, action, resource);"),
        PolicyFile(name="two.cedar", text="perhaps (principal, action, resource);"),
        PolicyFile(name="three", text=""),
    ]
    with pytest.raises(BadPolicy) as caught:
        parse_bundle(files, SCHEMA)
    assert caught.value.code == "bad-policy"
    assert isinstance(caught.value, Malformed)
    for said in (
        "`one.cedar`: a policy has no `@id`",
        "`one.cedar`: has no `@requires`",
        "`two.cedar`: cannot be read",
        "`three`: not a name",
    ):
        assert said in caught.value.message
    assert "name it like `access.cedar`" in caught.value.hint


def test_a_floor_that_cannot_be_read_is_no_floor() -> None:
    with pytest.raises(BadPolicy, match="cannot be read"):
        parse_bundle(DEFAULTS, SCHEMA, floor=PolicyFile(name="floor.cedar", text="forbid"))


def test_a_bundle_is_named_by_its_files_in_any_order() -> None:
    digest = parse_bundle(DEFAULTS, SCHEMA).digest
    assert parse_bundle(DEFAULTS[::-1], SCHEMA).digest == digest == bundle_digest(default_bundle())
    assert bundle_digest(DEFAULTS[1:]) != digest
    assert bundle_digest([replace(DEFAULTS[0], name="other.cedar"), *DEFAULTS[1:]]) != digest
    assert bundle_digest([replace(DEFAULTS[0], text=DEFAULTS[0].text + " "), *DEFAULTS[1:]]) != digest


def test_a_warning_does_not_keep_a_bundle_out() -> None:
    text = permit("context.own")
    (finding,) = findings(text)
    assert (finding.severity, finding.message) == ("warning", "opens or governs without a quorum of its own")
    assert "own" in parse_bundle([PolicyFile(name="own.cedar", text=text)], SCHEMA).policies


@pytest.mark.parametrize(
    ("action", "warned"),
    [
        ("action", True),
        ('action in Action::"opening"', True),
        ('action in [Action::"everyday", Action::"opening"]', True),
        ('action in [Action::"propose", Action::"release"]', True),
        ('action == Action::"label.lower"', True),
        ('action == Action::"propose"', False),
        ('action in [Action::"propose", Action::"closing"]', False),
    ],
)
def test_what_opens_or_governs_asks_for_a_quorum(action: str, warned: bool) -> None:
    assert [finding.severity for finding in findings(permit("context.own", action=action))] == ["warning"] * warned
    assert findings(permit("context.quorum.people >= 2", action=action)) == []
    forbidden = permit("context.own", action=action).replace("permit", "forbid")
    assert findings(forbidden) == []


def of(role: str, least: int) -> str:
    return f'context.quorum.hasTag("{role}") && context.quorum.getTag("{role}") >= {least}'


BOTH_ROLES = f"{of('approver', 2)} && {of('governor', 1)}"

EITHER = "(context.own || context.grant.exists)"
ANY_OF_17 = " || ".join(["context.own"] * 17)


@pytest.mark.parametrize(
    "condition",
    [
        f"{BOTH_ROLES} && context.quorum.people >= 3",
        f"{BOTH_ROLES} && context.quorum.people > 2",
        f"{BOTH_ROLES} && 3 <= context.quorum.people",
        f"{BOTH_ROLES} && 2 < context.quorum.people",
        f"{BOTH_ROLES} && context.quorum.people == 3",
        f"{BOTH_ROLES} && !(context.quorum.people < 3)",
        f"{BOTH_ROLES} && !(context.quorum.people <= 2 || context.own)",
        f"{BOTH_ROLES} }} unless {{ context.quorum.people < 3",
        f"context.quorum.people >= 3 }} when {{ {BOTH_ROLES}",
        f"({of('approver', 2)}) || ({of('governor', 1)})",
        f'{of("approver", 2)} && principal.hasTag("training") && principal.getTag("training") >= 1',
        f'{of("approver", 2)} && context.zone.hasTag("x") && context.zone.getTag("x") >= 1',
        f'{of("approver", 2)} && context.device.hasTag("x") && context.device.getTag("x") >= 1',
        f"{of('approver', 2)} && {of('approver', 1)}",
        f"{of('approver', 2)} && {' && '.join([EITHER] * 9)}",
        f"({of('approver', 1)} && {of('governor', 1)} && context.quorum.people >= 2) || context.quorum.people >= 9",
    ],
)
def test_a_quorum_over_several_roles_that_asks_for_as_many_people(condition: str) -> None:
    assert findings(permit(condition)) == []


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        (BOTH_ROLES, "people >= 3"),
        (f"{BOTH_ROLES} && context.quorum.people >= 2", "people >= 3"),
        (f"{BOTH_ROLES} && context.quorum.people > 1", "people >= 3"),
        (f"{BOTH_ROLES} && context.quorum.teams >= 3", "people >= 3"),
        (f"{BOTH_ROLES} && context.quorum.people <= 3", "people >= 3"),
        (f"{BOTH_ROLES} && !(context.quorum.people >= 3)", "people >= 3"),
        (f"{BOTH_ROLES} && (context.quorum.people >= 3 || context.own)", "people >= 3"),
        (f"{BOTH_ROLES} && context.quorum.people >= context.deployment.quorum", "people >= 3"),
        (f"{BOTH_ROLES} && context.quorum.people != 0", "people >= 3"),
        (f"{BOTH_ROLES} && {of('auditor', 4)} && context.quorum.people >= 4", "people >= 7"),
        (f"{BOTH_ROLES} && {of('governor', 3)} && context.quorum.people >= 4", "people >= 5"),
        (f"{of('approver', 2)} }} when {{ {of('governor', 1)}", "people >= 3"),
        (
            (
                'context.quorum.hasTag("approver") && context.quorum.hasTag("governor") && '
                '!(context.quorum.getTag("approver") < 2 || context.quorum.getTag("governor") <= 0)'
            ),
            "people >= 3",
        ),
        (
            (
                f'{of("approver", 2)} && context.quorum.hasTag("governor") && '
                'context.quorum.getTag("governor") >= context.deployment.quorum && context.quorum.people >= 9'
            ),
            "with numbers",
        ),
        (
            f"{of('approver', 2)} && (if context.own then {of('governor', 1)} else true) && context.quorum.people >= 9",
            "with numbers",
        ),
        (
            "context.quorum.hasTag(context.change.role) && context.quorum.getTag(context.change.role) >= 1",
            "with numbers",
        ),
        (f"{BOTH_ROLES} && context.quorum.people >= 3".replace("context.quorum", 'Tally::"quorum"'), "with numbers"),
        (
            (
                f"{of('approver', 2)} && (if context.own then context.quorum else context.quorum)"
                '.hasTag("governor") && context.quorum.people >= 9 && '
                '(if context.own then context.quorum else context.quorum).getTag("governor") >= 1'
            ),
            "with numbers",
        ),
        (
            (
                f'{of("approver", 2)} && context.quorum.hasTag("governor") && '
                '!(context.quorum.getTag("governor") == 0) && context.quorum.people >= 9'
            ),
            "with numbers",
        ),
        (f"{BOTH_ROLES} && {' && '.join([EITHER] * 9)}", "split it into several policies"),
        (
            f"{of('approver', 1)} && ({ANY_OF_17}) }} when {{ {of('governor', 1)} && ({ANY_OF_17})",
            "split it into several policies",
        ),
    ],
)
def test_one_person_in_two_roles_does_not_count_twice(condition: str, hint: str) -> None:
    errors = [finding for finding in findings(permit(condition)) if finding.severity == "error"]
    assert [finding.severity for finding in errors] == ["error"], errors
    assert hint in errors[0].hint


def test_a_million_alternatives_are_not_written_out() -> None:
    tracemalloc.start()
    try:
        (finding,) = findings(permit(f"{BOTH_ROLES} && {' && '.join([EITHER] * 20)}"))
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert "too many alternatives" in finding.message


@given(st.text())
def test_any_text_ends_in_findings(text: str) -> None:
    assert isinstance(findings(text), list)


@given(st.lists(st.sampled_from(['"', "\\", "//", "\n", ";", "{", "}", "(", ")", "@id", "permit", "when", "a", "&&"])))
def test_any_tokens_end_in_findings(tokens: list[str]) -> None:
    assert isinstance(findings("".join(tokens)), list)

"""The default policies and the floor: what the table says is what is decided, and no policy is there for nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cedarpy
import pytest
from cedarpy import pst

from strongroom.policy.bundle import Bundle, floor_file, parse_bundle
from strongroom.policy.check import check_bundle
from strongroom.policy.decision import decide
from strongroom.policy.schema import make_schema
from strongroom.policy.source import PolicyFile
from strongroom.terms.digests import sha256
from tests.policy.acts import BOTH, BUNDLE, DEFAULTS, ROWS, SCHEMA
from tests.policy.table import DEFAULT_ROWS, FLOOR_ROWS, OPEN, Row

# Workloads may propose and vote here, so that the floor has something to refuse that the schema would.
LAX = make_schema(
    [replace(row, principals=BOTH) if row.name in {"propose", "approve", "reject", "withdraw"} else row for row in ROWS]
)
EVERYTHING = PolicyFile(name="open.cedar", text=f'@id("{OPEN}") @requires("-") permit (principal, action, resource);')
WIDE_OPEN = parse_bundle([EVERYTHING], LAX)


def rows_that_fail(bundle: Bundle, rows: Sequence[Row]) -> list[str]:
    """Return the situations that are decided otherwise: another answer, for other reasons, or with an error."""
    failed = []
    for row in rows:
        decision = decide(bundle, row.request)
        if (decision.allowed, frozenset(decision.determining), decision.errors) != (row.allowed, row.ids, ()):
            failed.append(f"{row.situation}: {decision}")
    return failed


def answers(bundle: Bundle, rows: Sequence[Row]) -> list[bool]:
    return [decide(bundle, row.request).allowed for row in rows]


def handle_without(templates: dict[str, pst.Template], policy_id: str) -> cedarpy.PolicySet:
    rest = {name: template for name, template in templates.items() if name != policy_id}
    assert len(rest) == len(templates) - 1
    return cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies=rest, template_links=()))


@pytest.mark.parametrize("row", DEFAULT_ROWS, ids=lambda row: row.situation)
def test_the_default_policies(row: Row) -> None:
    assert rows_that_fail(BUNDLE, [row]) == []


@pytest.mark.parametrize("row", FLOOR_ROWS, ids=lambda row: row.situation)
def test_the_floor_under_policies_that_permit_everything(row: Row) -> None:
    assert rows_that_fail(WIDE_OPEN, [row]) == []


def test_this_much_was_read() -> None:
    assert (len(BUNDLE.policies), len(BUNDLE.floor_policies)) == (36, 13)
    assert [file.name for file in DEFAULTS] == [
        f"{theme}.cedar"
        for theme in (
            "access",
            "aliases",
            "attesting",
            "closing",
            "duties",
            "governance",
            "proposing",
            "release",
            "sealing",
            "sessions",
            "trial",
        )
    ]
    assert len(DEFAULT_ROWS) > 100
    assert len(FLOOR_ROWS) > 70


@pytest.mark.parametrize("policy_id", BUNDLE.policies)
def test_no_default_policy_is_dead(policy_id: str) -> None:
    maimed = replace(BUNDLE, whole=handle_without(templates(BUNDLE), policy_id))
    assert answers(maimed, DEFAULT_ROWS) != [row.allowed for row in DEFAULT_ROWS]


@pytest.mark.parametrize("policy_id", WIDE_OPEN.floor_policies)
def test_no_policy_of_the_floor_is_dead(policy_id: str) -> None:
    maimed = replace(WIDE_OPEN, whole=handle_without(templates(WIDE_OPEN), policy_id))
    assert answers(maimed, FLOOR_ROWS) != [row.allowed for row in FLOOR_ROWS]


def test_nothing_is_wrong_with_the_default_policies() -> None:
    # A trial has nobody to ask.
    assert {found.policy_id for found in check_bundle(DEFAULTS, SCHEMA)} == {"trial-access", "trial-governance"}
    assert all(found.severity == "warning" for found in check_bundle(DEFAULTS, SCHEMA))


def test_the_floor_only_forbids_and_names_its_own_policies_so() -> None:
    for name, policy in BUNDLE.floor_policies.items():
        assert not policy.permits
        assert name.startswith("floor-")


def test_the_floor_is_known_by_the_digest_of_its_text() -> None:
    floor = floor_file()
    other = replace(floor, text=floor.text + "\n")
    assert parse_bundle(DEFAULTS, SCHEMA, floor=other).floor_version != BUNDLE.floor_version
    assert BUNDLE.floor_version == parse_bundle([], SCHEMA).floor_version
    assert BUNDLE.floor_version.startswith("sha256:")
    assert BUNDLE.floor_version != sha256(floor.text.encode())


def test_words_a_person_reads_are_short_and_plain() -> None:
    for policy in (*BUNDLE.policies.values(), *BUNDLE.floor_policies.values()):
        assert len(policy.requires) <= 120, policy.id
        assert not policy.requires.endswith("."), policy.id


def templates(bundle: Bundle) -> dict[str, pst.Template]:
    """Return the parsed form of every policy, the floor's too."""
    return {name: policy.template for name, policy in {**bundle.policies, **bundle.floor_policies}.items()}


def weakened(template: pst.Template) -> list[pst.Template]:
    """Return the policy in every form that lacks one clause, or one operand of an `and` or `or`."""

    def forms(expr: pst.Expr) -> list[pst.Expr]:
        match expr:
            case pst.BinaryOp(op="and" | "or" as op, left=left, right=right):
                return [
                    left,
                    right,
                    *(pst.BinaryOp(op=op, left=form, right=right) for form in forms(left)),
                    *(pst.BinaryOp(op=op, left=left, right=form) for form in forms(right)),
                ]
            case _:
                return []

    found = []
    for number, clause in enumerate(template.clauses):
        before, after = template.clauses[:number], template.clauses[number + 1 :]
        found.append(replace(template, clauses=before + after))
        found += [
            replace(template, clauses=(*before, type(clause)(expr=form), *after)) for form in set(forms(clause.expr))
        ]
    return found


def survivors(bundle: Bundle, rows: Sequence[Row], *, floor: bool) -> list[str]:
    """Return every condition that no row would miss."""
    every = templates(bundle)
    found = []
    for name in bundle.floor_policies if floor else bundle.policies:
        for form in weakened(every[name]):
            nodes = pst.PolicySet(templates={}, static_policies={**every, name: form}, template_links=())
            other = replace(bundle, whole=cedarpy.PolicySet.from_pst(nodes))
            if not any(rows_that_fail(other, [row]) for row in rows):
                found.append(f"{name}: {cedarpy.PolicySet.from_pst(replace(nodes, static_policies={name: form}))}")
    return found


def test_no_condition_of_a_default_policy_is_dead() -> None:
    assert survivors(BUNDLE, DEFAULT_ROWS, floor=False) == []


def test_no_condition_of_the_floor_is_dead() -> None:
    assert survivors(WIDE_OPEN, FLOOR_ROWS, floor=True) == []


def test_the_example_in_the_documents_is_the_policy_in_force() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    (example,) = re.findall(r"```cedar\n(.*?)```", page, re.DOTALL)
    bundle = parse_bundle([PolicyFile(name="example.cedar", text=example)], SCHEMA)
    assert bundle.policies["access-label-3"] == BUNDLE.policies["access-label-3"]

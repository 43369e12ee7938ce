"""Check: what is wrong with a bundle, beyond what Cedar's own validator sees.

1. A gateway's word (`context.claimed`) may withhold, never permit: it appears in `forbid` only.
2. One person who holds two roles is still one person: a permit that asks for m people in one role and n in another
   asks for m + n people.
3. A permit that opens something, or changes governance, asks for a quorum (a warning: the floor asks for two people).
4. No policy is named like one of the floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from cedarpy import pst

from strongroom.policy.claims import CONTEXT, acts_on, claim_findings, finding, parts
from strongroom.policy.schema import GOVERNANCE, OPENING, Schema
from strongroom.policy.source import ERROR, WARNING, Finding, Policy, PolicyFile, read_policies

_MOST_ALTERNATIVES = 256
_QUORUM = pst.GetAttr(base=CONTEXT, attr="quorum")
_PEOPLE = pst.GetAttr(base=_QUORUM, attr="people")
_BEARERS_OF_FACTS: tuple[pst.Expr, ...] = (
    pst.Var(name="principal"),
    pst.Var(name="resource"),
    pst.GetAttr(base=CONTEXT, attr="device"),
    pst.GetAttr(base=CONTEXT, attr="zone"),
)
_UNKNOWN = ""
_NEGATED: dict[str, pst.BinaryOpName] = {
    "less": "greater_eq",
    "less_eq": "greater",
    "greater": "less_eq",
    "greater_eq": "less",
    "not_eq": "eq",
    "eq": "not_eq",
}
_MIRRORED: dict[str, pst.BinaryOpName] = {"less": "greater", "less_eq": "greater_eq", "eq": "eq"}


def check_bundle(files: Sequence[PolicyFile], schema: Schema) -> list[Finding]:
    """Return what is wrong with a deployment's policies; the keep takes them if no finding is an error."""
    policies, findings = read_policies(files, schema.handle)
    return findings + [finding for policy in policies for finding in policy_findings(policy, schema)]


def policy_findings(policy: Policy, schema: Schema) -> Iterator[Finding]:
    """Yield what is wrong with one policy that fits the schema."""
    yield from claim_findings(policy)
    if not policy.permits:
        return
    if fault := _quorum_fault(policy.template.clauses):
        yield finding(policy, ERROR, *fault)
    if not any(node == _QUORUM for node in _nodes(policy.template.clauses)) and any(
        row.group in {OPENING, GOVERNANCE} and acts_on(policy.template, row) for row in schema.rows.values()
    ):
        yield finding(policy, WARNING, "opens or governs without a quorum of its own", "ask for `context.quorum`")


# --- 2: several roles ------------------------------------------------------------------------------


def _quorum_fault(clauses: Sequence[pst.Clause]) -> tuple[str, str] | None:
    """Return message and hint if, in one way to satisfy the clauses, people are not bounded by the sum over roles."""
    if len(roles := _roles(clauses)) < 2 and _UNKNOWN not in roles:
        return None
    ways: list[tuple[pst.Expr, ...]] = [()]
    for clause in clauses:
        more = _ways(clause.expr, wanted=isinstance(clause, pst.When))
        if len(ways) * len(more) > _MOST_ALTERNATIVES:
            return "too many alternatives to check its quorum", "split it into several policies"
        ways = [first + then for first, then in product(ways, more)]
    return next(filter(None, map(_way_fault, ways)), None)


def _way_fault(way: tuple[pst.Expr, ...]) -> tuple[str, str] | None:
    people, asked = 0, dict[str, int]()
    for subject, least in filter(None, map(_demand, way)):
        if subject == _PEOPLE:
            people = max(people, least)
        elif role := _role(subject):
            asked[role] = max(asked.get(role, 0), least)
    if len(named := _roles(way)) < 2 and _UNKNOWN not in named:
        return None
    if named != asked.keys():
        return (
            "asks for several roles in a way that cannot be checked",
            'join comparisons like `context.quorum.getTag("approver") >= 2` with `&&`, with numbers',
        )
    if people < (total := sum(asked.values())):
        return (
            f"{' and '.join(f'`{role}`' for role in sorted(asked))} may be the same people",
            f"ask for `context.quorum.people >= {total}` as well",
        )
    return None


def _ways(expr: pst.Expr, *, wanted: bool) -> list[tuple[pst.Expr, ...]]:
    """Return the alternatives, each a conjunction, in which `expr` has the value that is wanted."""
    match expr:
        case pst.UnaryOp(op="not", arg=arg):
            return _ways(arg, wanted=not wanted)
        case pst.BinaryOp(op="and" | "or" as op, left=left, right=right):
            first, then = _ways(left, wanted=wanted), _ways(right, wanted=wanted)
            if (op == "and") is not wanted:
                return first + then
            if len(first) * len(then) <= _MOST_ALTERNATIVES:
                return [one + other for one, other in product(first, then)]
            return [()] * (_MOST_ALTERNATIVES + 1)
        case pst.BinaryOp(op=op, left=left, right=right) if op in _NEGATED and not wanted:
            return [(pst.BinaryOp(op=_NEGATED[op], left=left, right=right),)]
        case _:
            return [(expr,)]


def _demand(expr: pst.Expr) -> tuple[pst.Expr, int] | None:
    """Return what a comparison with a number is about and asks for at least, whichever way round it is written."""
    match expr:
        case pst.BinaryOp(op="less" | "less_eq" | "eq" as op, left=pst.LongLit() as left, right=right):
            return _demand(pst.BinaryOp(op=_MIRRORED[op], left=right, right=left))
        case pst.BinaryOp(op="greater" | "greater_eq" | "eq" as op, left=left, right=pst.LongLit(value=least)):
            return left, least + (op == "greater")
        case _:
            return None


def _roles(node: Any) -> set[str]:
    return {role for part in _nodes(node) if (role := _role(part)) is not None}


def _role(node: Any) -> str | None:
    """Return the role whose count `node` reads, `_UNKNOWN` where the policy does not say it plainly."""
    match node:
        case pst.BinaryOp(op="get_tag", left=left, right=right) if left not in _BEARERS_OF_FACTS:
            return right.value if left == _QUORUM and isinstance(right, pst.StringLit) else _UNKNOWN
        case _:
            return None


# --- trees -----------------------------------------------------------------------------------------


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for part in parts(node):
        yield from _nodes(part)

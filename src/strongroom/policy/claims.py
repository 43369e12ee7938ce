"""Claims: what the keep itself demands of a policy beyond the schema. `check` looks for more, and needs no trust.

1. A gateway's word (`context.claimed`) may withhold, never permit: it appears in `forbid` only.
2. No policy is named like one of the floor.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from cedarpy import pst

from strongroom.policy.schema import ActionRow
from strongroom.policy.source import ERROR, FLOOR_PREFIX, Finding, Policy

CONTEXT = pst.Var(name="context")


def claim_findings(policy: Policy) -> Iterator[Finding]:
    """Yield what makes a policy unusable."""
    if policy.id.startswith(FLOOR_PREFIX):
        yield finding(policy, ERROR, f"`{FLOOR_PREFIX}…` names the floor's own policies", "give it another id")
    if policy.permits and _reads_claims(policy.template.clauses):
        yield finding(
            policy,
            ERROR,
            "a permit that may rest on what a gateway claims",
            "read `context` by its attributes, and `context.claimed` in a forbid only",
        )


def finding(policy: Policy, severity: str, message: str, hint: str) -> Finding:
    """Return what is wrong with `policy`."""
    return Finding(policy_id=policy.id, severity=severity, message=message, hint=hint)


def acts_on(template: pst.Template, row: ActionRow) -> bool:
    """Whether the scope of a policy takes in an action."""
    match template.action:
        case pst.ActionEq(entity=entity):
            return entity.id == row.name
        case pst.ActionIn(entities=entities):
            return any(entity.id in {row.name, row.group} for entity in entities)
        case _:
            return True


def parts(node: Any) -> Iterator[Any]:
    """Yield what a node of a policy's tree is made of."""
    if isinstance(node, tuple):
        yield from node
    elif isinstance(node, dict):
        yield from node.values()
    elif is_dataclass(node):
        yield from (getattr(node, field.name) for field in fields(node))


def _reads_claims(node: Any) -> bool:
    """Whether `context` is used in any way but to read an attribute other than `claimed`."""
    match node:
        case pst.GetAttr(base=base, attr=attr) if base == CONTEXT:
            return attr == "claimed"
        case pst.Var():
            return node == CONTEXT
        case _:
            return any(_reads_claims(part) for part in parts(node))

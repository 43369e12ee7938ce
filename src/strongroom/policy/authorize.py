"""Authorize: the one door. What comes out is a permission, or a refusal that says what would satisfy it."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.policy.bundle import Bundle
from strongroom.policy.decision import decide
from strongroom.policy.explain import Explanation, explain_decision
from strongroom.policy.requests import Context, Principal, Request, Resource
from strongroom.terms.errors import Denied


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Proof that policy permits: the action, who and what, the permits that did, and under which policies.

    INVARIANT: made by `authorize` and nowhere else; whatever changes or releases anything takes one.
    """

    action: str
    principal_id: str
    resource_id: str
    policy_ids: tuple[str, ...]
    policy_digest: str
    floor_version: str
    cedar_version: str


def authorize(bundle: Bundle, principal: Principal, action: str, resource: Resource, context: Context) -> Permission:
    """Return the permission.

    Raises:
        Denied: refused by a forbid or for want of a permit, not evaluated, or a request that does not fit the schema.
    """
    request = Request(principal=principal, action=action, resource=resource, context=context)
    decision = decide(bundle, request)
    if not decision.allowed:
        explanation = explain_decision(bundle, request, decision)
        raise Denied(f"`{action}` is refused: {_why(explanation)}", policies=decision.determining)
    return Permission(
        action=action,
        principal_id=principal.id,
        resource_id=resource.id,
        policy_ids=decision.determining,
        policy_digest=bundle.digest,
        floor_version=bundle.floor_version,
        cedar_version=bundle.cedar_version,
    )


def _why(explanation: Explanation) -> str:
    reasons = [*map(str, explanation.against), *(f"not evaluated: {error}" for error in explanation.errors)]
    if explanation.options:
        reasons.append("no policy permits it: " + ", or ".join(map(str, explanation.options)))
    return "; ".join(reasons) or "no policy permits it to anybody"

"""Authorize: the one door. What comes out is a permission, or a refusal that says what would satisfy it."""

from dataclasses import dataclass

from strongroom.policy.bundle import Bundle
from strongroom.policy.decision import Decision, concerned, decide, matching_permits
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
        raise Denied(f"`{action}` is refused: {_why(bundle, request, decision)}", policies=decision.determining)
    return Permission(
        action=action,
        principal_id=principal.id,
        resource_id=resource.id,
        policy_ids=decision.determining,
        policy_digest=bundle.digest,
        floor_version=bundle.floor_version,
        cedar_version=bundle.cedar_version,
    )


def words(policy_id: str, requires: str, *, floor: bool) -> str:
    """Return a policy as a refusal names it."""
    return f"`{policy_id}`{' (floor)' if floor else ''} requires {requires}"


def _why(bundle: Bundle, request: Request, decision: Decision) -> str:
    """Return which policies refuse, or, where none permits, which would; and what each of them requires."""
    reasons = [_told(bundle, name) for name in decision.determining]
    reasons += [f"not evaluated: {error}" for error in decision.errors]
    if not matching_permits(bundle, request) and (
        options := [_told(bundle, one) for one in concerned(bundle, request)]
    ):
        reasons.append("no policy permits it: " + ", or ".join(options))
    return "; ".join(reasons) or "no policy permits it to anybody"


def _told(bundle: Bundle, name: str) -> str:
    floor = name in bundle.floor_policies
    policy = bundle.floor_policies[name] if floor else bundle.policies[name]
    return words(name, policy.requires, floor=floor)

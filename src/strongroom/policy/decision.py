"""Decision: what Cedar says to one request, under the floor and the deployment's own policies, all in one question.

INVARIANT: allowed means that a permit matched, that no forbid did, none of the floor's either, and that not one policy
erred. Cedar skips a policy that errs, so an erring `forbid` would fail open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cedarpy
from cedarpy import Decision as Answer
from cedarpy import pst

from strongroom.policy.bundle import Bundle
from strongroom.policy.claims import acts_on
from strongroom.policy.requests import Request, cedar_entities, cedar_request
from strongroom.policy.source import Policy
from strongroom.terms.errors import Denied


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, the ids of the permits or forbids that made it, those of the floor first, and what went wrong."""

    allowed: bool
    determining: tuple[str, ...]
    errors: tuple[str, ...]


def decide(bundle: Bundle, request: Request) -> Decision:
    """Return the decision on `request`.

    Raises:
        Denied: the request itself does not fit the schema.
    """
    answer = _ask(_question(bundle, request), bundle.whole)
    reasons = tuple(sorted(answer.diagnostics.reasons, key=lambda name: (name not in bundle.floor_policies, name)))
    errors = tuple(sorted(answer.diagnostics.errors))
    if answer.decision is not Answer.Allow:
        return Decision(allowed=False, determining=reasons, errors=errors)
    if errors:  # the permits that match are no reason against
        return Decision(allowed=False, determining=(), errors=errors)
    return Decision(allowed=True, determining=reasons, errors=())


def matching_permits(bundle: Bundle, request: Request) -> tuple[str, ...]:
    """Return the ids of the permits that match, whatever forbids there are."""
    return tuple(sorted(_ask(_question(bundle, request), bundle.permits).diagnostics.reasons))


def concerned(bundle: Bundle, request: Request) -> Iterator[str]:
    """Yield the permits whose scope takes in the request."""
    row = bundle.schema.rows[request.action]
    for policy in bundle.policies.values():
        if policy.permits and acts_on(policy.template, row) and _scope_takes_in(policy, request):
            yield policy.id


def _scope_takes_in(policy: Policy, request: Request) -> bool:
    scopes = ((policy.template.principal, request.principal.type), (policy.template.resource, request.resource.type))
    return all(not isinstance(scope, pst.ScopeIs) or str(scope.entity_type) == kind for scope, kind in scopes)


@dataclass(frozen=True, slots=True)
class _Question:
    request: dict[str, Any]
    entities: cedarpy.Entities
    schema: cedarpy.Schema


def _question(bundle: Bundle, request: Request) -> _Question:
    if request.action not in bundle.schema.rows:
        raise Denied("the request does not fit the schema: there is no such action")
    schema = bundle.schema.handle
    try:
        return _Question(
            cedar_request(request), cedarpy.Entities.from_json_str(cedar_entities(request), schema), schema
        )
    except ValueError as error:
        raise Denied(f"the request does not fit the schema: {error}") from error


def _ask(question: _Question, policies: cedarpy.PolicySet) -> cedarpy.AuthzResult:
    answer = cedarpy.is_authorized(question.request, policies, question.entities, question.schema)
    if answer.decision is Answer.NoDecision:
        raise Denied(f"the request does not fit the schema: {'; '.join(answer.diagnostics.errors)}")
    return answer

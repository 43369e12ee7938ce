"""Explain: why a request is allowed or refused, and with what it would be allowed, in words a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.policy.authorize import words
from strongroom.policy.bundle import Bundle
from strongroom.policy.decision import Decision, concerned, decide, matching_permits
from strongroom.policy.requests import Context, Principal, Request, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyNote:
    """A policy as a reader needs it."""

    id: str
    requires: str
    floor: bool

    def __str__(self) -> str:
        return words(self.id, self.requires, floor=self.floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The permits that match, the forbids against, what is missing, and what could not be evaluated.

    `missing` holds what each forbid against requires; where no permit matches, `options` are those that could.
    """

    allowed: bool
    by: tuple[PolicyNote, ...]
    against: tuple[PolicyNote, ...]
    options: tuple[PolicyNote, ...]
    errors: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What would satisfy: of every forbid that matched, and, if no permit did, of each that might."""
        return tuple(note.requires for note in (*self.against, *self.options))

    def lines(self) -> Iterator[str]:
        """Yield the explanation as lines of text."""
        yield "allowed" if self.allowed else "refused"
        for note in self.by:
            yield f"  permitted by {note}"
        for note in self.against:
            yield f"  against: {note}"
        for note in self.options:
            yield f"  would permit: {note}"
        if not self.by and not self.options:
            yield "  no policy permits this to anybody"
        for error in self.errors:
            yield f"  not evaluated, so refused: {error}"


def explain(bundle: Bundle, principal: Principal, action: str, resource: Resource, context: Context) -> Explanation:
    """Return why this would be allowed or refused, and what is missing.

    Raises:
        Denied: the request itself does not fit the schema.
    """
    request = Request(principal=principal, action=action, resource=resource, context=context)
    return explain_decision(bundle, request, decide(bundle, request))


def explain_decision(bundle: Bundle, request: Request, decision: Decision) -> Explanation:
    """Return why `decision` was made."""
    permits = matching_permits(bundle, request)
    return Explanation(
        allowed=decision.allowed,
        by=tuple(_note(bundle, name) for name in permits),
        against=() if decision.allowed else tuple(_note(bundle, name) for name in decision.determining),
        options=() if permits else tuple(_note(bundle, name) for name in concerned(bundle, request)),
        errors=decision.errors,
    )


def _note(bundle: Bundle, policy_id: str) -> PolicyNote:
    floor = policy_id in bundle.floor_policies
    policy = bundle.floor_policies[policy_id] if floor else bundle.policies[policy_id]
    return PolicyNote(id=policy_id, requires=policy.requires, floor=floor)

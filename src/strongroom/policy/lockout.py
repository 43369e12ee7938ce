"""Lock-out: whose absence would leave nobody able to change policy again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from strongroom.policy.bundle import Bundle
from strongroom.policy.decision import decide
from strongroom.policy.requests import Request


def indispensable_people(
    bundle: Bundle, people: Iterable[str], attempts: Callable[[frozenset[str]], Iterable[Request]]
) -> tuple[str, ...]:
    """Return each person without whom policy could no longer be changed; all of them, if it cannot be even now.

    `attempts` gives, for the people present, the requests to try (such as the best tally that they can reach behind
    each of them as proposer); one that is allowed is enough. It knows the directory, this room knows the policies.
    """
    everybody = frozenset(people)
    return tuple(
        person
        for person in sorted(everybody)
        if not any(decide(bundle, attempt).allowed for attempt in attempts(everybody - {person}))
    )

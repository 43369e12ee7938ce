"""Lock-out: a change of policy that would leave one person nobody can do without is seen beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from strongroom.policy.lockout import indispensable_people
from strongroom.policy.requests import Request, Tally
from tests.policy.acts import BUNDLE, HOUSE, bundle_of, deployment, person, request

GOVERNORS = {"ann", "bob", "cid", "dot"}


def attempts(quorum: int, governors: set[str], by_cli: set[str]) -> Callable[[frozenset[str]], Iterator[Request]]:
    """Return what the keep will give: each one present proposes, and all others present who may approve, approve."""

    def best(present: frozenset[str]) -> Iterator[Request]:
        for proposer in sorted(present):
            voices = (present & governors) - {proposer}
            tally = Tally(
                people=len(voices), teams=1, cli=len(voices & by_cli), roles={"governor": len(voices)} if voices else {}
            )
            house = deployment(quorum=quorum, people=len(present))
            yield request(person(name=proposer), "policy.change", HOUSE, deployment=house, quorum=tally)

    return best


@pytest.mark.parametrize(
    ("quorum", "governors", "by_cli", "indispensable"),
    [
        (2, GOVERNORS, GOVERNORS, ()),
        (3, GOVERNORS, GOVERNORS, ()),
        (3, {"ann", "bob", "cid"}, GOVERNORS, ("ann", "bob", "cid")),
        (2, GOVERNORS, {"ann"}, ("ann",)),
        (5, GOVERNORS, GOVERNORS, ("ann", "bob", "cid", "dot", "eve")),
    ],
    ids=["plenty", "just enough", "one governor too few", "one who has the CLI", "never"],
)
def test_whoever_cannot_be_missed_is_named(
    quorum: int, governors: set[str], by_cli: set[str], indispensable: tuple[str, ...]
) -> None:
    everybody = [*GOVERNORS, "eve"]
    assert indispensable_people(BUNDLE, everybody, attempts(quorum, governors, by_cli)) == indispensable


def test_policies_that_forbid_their_own_change_lock_everybody_out() -> None:
    shut = bundle_of(
        '@id("all") @requires("-") permit (principal, action, resource);'
        '@id("never") @requires("-") forbid (principal, action == Action::"policy.change", resource);'
    )
    assert indispensable_people(shut, GOVERNORS, attempts(2, GOVERNORS, GOVERNORS)) == ("ann", "bob", "cid", "dot")

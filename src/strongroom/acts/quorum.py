"""The quorum: whose approvals stand. The keep counts people, once each; what the numbers suffice for, policy says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set

from strongroom.acts.voice import holds
from strongroom.directory.state import Approval, Directory
from strongroom.policy.requests import Tally

STRICT_LABEL = 3
"""From here on keys that can be copied to a cloud, or live in software, do not count."""


def count(
    directory: Directory,
    approvals: Iterable[Approval],
    *,
    without: Set[str],
    label: int,
    model: str | None = None,
    held_since: int | None = None,
) -> Tally:
    """Return what stands of `approvals`, leaving out the people `without`.

    With `held_since`, the entry of the proposal, the role must have been held from there on and be held now. Without,
    as for a grant in use, an ordinary change of role takes nothing away; a freeze and a compromised key do.
    """
    people: dict[str, Approval] = {}
    for given in approvals:
        if given.person not in without and _stands(directory, given, label, model, held_since):
            people.setdefault(given.person, given)
    return Tally(
        people=len(people),
        teams=len({given.team for given in people.values()}),
        cli=sum(given.path == "cli" for given in people.values()),
        roles=dict(Counter(given.role for given in people.values())),
    )


def _stands(directory: Directory, given: Approval, label: int, model: str | None, held_since: int | None) -> bool:
    person, credential = directory.people[given.person], directory.credentials[given.credential]
    if person.frozen or person.removed or credential.compromised:
        return False
    if label >= STRICT_LABEL and (given.backup_eligible or given.software):
        return False
    return held_since is None or holds(directory, given.person, given.role, given.team, model=model, since=held_since)


def people_behind(directory: Directory, subject: str) -> frozenset[str]:
    """Return the people who gain when `subject` does: a person, or whoever a device or a workload belongs to."""
    kind = subject.partition("-")[0]
    if kind == "person":
        return frozenset({subject})
    if kind == "device" and subject in directory.devices:
        return frozenset({directory.devices[subject].person})
    if kind == "workload" and subject in directory.workloads:
        return frozenset({directory.workloads[subject].sponsor})
    return frozenset()

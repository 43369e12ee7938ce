"""The quorum: whose approvals stand. The keep counts people, once each; what the numbers suffice for, policy says."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set

from strongroom.acts.voice import holds
from strongroom.directory.state import Approval, Directory, Proposal
from strongroom.policy.requests import Tally

STRICT_LABEL = 3
"""From here on keys that can be copied to a cloud, or live in software, do not count."""


def standing(
    directory: Directory,
    approvals: Iterable[Approval],
    *,
    without: Set[str],
    label: int,
    model: str | None = None,
    asked: Proposal | None = None,
    at: int = 0,
) -> dict[str, Approval]:
    """Return what stands of `approvals`, by person, leaving out the people `without`.

    For the proposal `asked`, the role must have been held since then and be held now, and the approval not have lapsed
    `at` this time. Of a grant in use, an ordinary change of role takes nothing away; a freeze and a compromised key do.
    """
    return {
        given.person: given
        for given in approvals
        if given.person not in without
        and _stands(directory, given, label)
        and (asked is None or _counts(directory, given, model, asked, at))
    }


def tally(people: Mapping[str, Approval]) -> Tally:
    """Return the numbers that policy reads, of one approval a person."""
    return Tally(
        people=len(people),
        teams=len({given.team for given in people.values()}),
        cli=sum(given.path == "cli" for given in people.values()),
        roles=dict(Counter(given.role for given in people.values())),
    )


def _stands(directory: Directory, given: Approval, label: int) -> bool:
    person, credential = directory.people[given.person], directory.credentials[given.credential]
    if person.frozen or person.removed or credential.compromised:
        return False
    return label < STRICT_LABEL or not (given.backup_eligible or given.software)


def _counts(directory: Directory, given: Approval, model: str | None, asked: Proposal, at: int) -> bool:
    return given.until >= at and holds(directory, given.person, given.role, given.team, model=model, since=asked.index)


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

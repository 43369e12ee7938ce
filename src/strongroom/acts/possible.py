"""Possible: could enough people still do something, once a change has happened? The lock-out check.

People who hold the same roles are alike to policy, so that one of each kind stands for all: what this costs grows with
the number of kinds, not of people.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from strongroom.acts.slices import context, model_of, principal, resource
from strongroom.directory.state import Directory, Role
from strongroom.policy.bundle import Bundle
from strongroom.policy.decision import decide
from strongroom.policy.requests import Change, Request, Tally
from strongroom.terms.errors import NotAllowed

POLICY_CHANGE = ("policy.change", "deployment")

Voices = dict[str, dict[str, Role]]
"""Person to the roles, by name, in which their voice is heard."""


def check_not_locked_out(directory: Directory, bundle: Bundle) -> None:
    """Refuse a state in which policy could not be changed if any one person were absent."""
    able = _able(directory, None)
    kinds = {_kind(roles): person for person, roles in able.items()}
    for person in ["", *kinds.values()]:
        if not _is_possible(directory, bundle, *POLICY_CHANGE, {who: able[who] for who in able if who != person}):
            raise NotAllowed(
                "afterwards policy could not be changed any more"
                + (f" without `{person}`, or somebody in the same roles" if person else ""),
                hint="give one more person the roles that this takes, then try again",
            )


def check_possible(directory: Directory, bundle: Bundle, act: str, target: str, *, without: Iterable[str]) -> None:
    """Refuse a state in which `act` could not be done to `target`, leaving out the people `without`."""
    able = _able(directory, model_of(directory, target))
    for person in without:
        able.pop(person, None)
    if not _is_possible(directory, bundle, act, target, able):
        raise NotAllowed(
            f"too few people would be left for `{act}`", hint="freeze the deployment: `strongroom freeze deployment`"
        )


def _able(directory: Directory, model: str | None) -> Voices:
    """Return who can act at all, with a key that works, and in which roles."""
    with_key = {one.person for one in directory.credentials.values() if not (one.removed or one.compromised)}
    return {
        person.person: {held.role: held for held in person.roles if held.model in {None, model}}
        for person in directory.people.values()
        if person.person in with_key and person.roles and not (person.frozen or person.removed)
    }


def _kind(roles: dict[str, Role]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((held.role, held.team) for held in roles.values()))


def _is_possible(directory: Directory, bundle: Bundle, act: str, target: str, able: Voices) -> bool:
    heard = _heard(directory, bundle, target, act, able)
    proposers = {_kind(roles): person for person, roles in able.items()}
    return any(
        decide(bundle, _request(directory, proposer, "propose", target, Change(act=act), Tally())).allowed
        and decide(bundle, _request(directory, proposer, act, target, Change(act=act), tally)).allowed
        for proposer in proposers.values()
        for tally in _tallies({who: roles for who, roles in heard.items() if who != proposer})
    )


def _heard(directory: Directory, bundle: Bundle, target: str, act: str, able: Voices) -> Voices:
    """Return the roles in which policy lets each person approve."""
    known: dict[tuple[tuple[tuple[str, str], ...], str], bool] = {}

    def is_heard(person: str, role: str) -> bool:
        key = (_kind(able[person]), role)
        if key not in known:
            change = Change(act=act, role=role)
            known[key] = decide(bundle, _request(directory, person, "approve", target, change, Tally())).allowed
        return known[key]

    return {
        person: {name: held for name, held in roles.items() if is_heard(person, name)} for person, roles in able.items()
    }


def _tallies(heard: Voices) -> Iterator[Tally]:
    """Yield what all of them together come to, each in one role: for each role, as many as can in that one."""
    for preferred in sorted({role for roles in heard.values() for role in roles}):
        given = [roles.get(preferred) or roles[min(roles)] for roles in heard.values() if roles]
        yield Tally(
            people=len(given),
            teams=len({held.team for held in given}),
            cli=len(given),
            roles=dict(Counter(held.role for held in given)),
        )


def _request(directory: Directory, person: str, action: str, target: str, change: Change, quorum: Tally) -> Request:
    at = directory.at
    return Request(
        principal=principal(directory, person, target, software=False, at=at),
        action=action,
        resource=resource(directory, target, at),
        context=context(directory, at=at, session_age_seconds=0, quorum=quorum, change=change),
    )

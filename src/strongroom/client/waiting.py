"""Waiting: which proposals wait for somebody's voice, and in which roles it would be heard.

Policy answers that, as it will when the voice is given: nobody who proposed it, gains by it, or has held no role that
counts since before it. It is an aid for whoever has to decide; what counts, the keep finds out by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from strongroom.acts.slices import context, principal, resource
from strongroom.acts.table import act_of_change, schema
from strongroom.client.review import voices
from strongroom.directory.state import Directory, PolicySource, Proposal
from strongroom.policy.bundle import Bundle, parse_bundle
from strongroom.policy.decision import decide
from strongroom.policy.requests import Change, Request
from strongroom.policy.source import PolicyFile
from strongroom.terms.errors import NotFound
from strongroom.terms.records import parse_record

Voices = list[tuple[str, str]]
"""Roles, each with its team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A proposal that waits: the identifier of what it is `about`, or `deployment`, and the voices that count."""

    proposal: Proposal
    about: str
    voices: Voices


def waiting(directory: Directory, person: str, *, at: int) -> Iterator[Waiting]:
    """Yield the proposals that are open at the time `at` and wait for `person`, the oldest first."""
    for proposal in directory.proposals.values():
        if proposal.until < at or _spoke(directory, proposal, person, at):
            continue
        try:
            heard = able_voices(directory, person, proposal)
        except NotFound:
            continue  # what it is about is gone by now: nobody's voice brings it about any more
        if heard:
            yield Waiting(proposal=proposal, about=about(directory, proposal), voices=heard)


def able_voices(directory: Directory, person: str, proposal: Proposal) -> Voices:
    """Return the roles, each with its team, in which policy lets `person` approve: none who gain by it.

    Raises:
        NotFound: what the proposal is about is not there any more.
    """
    if person == proposal.by or person not in directory.people or directory.people[person].removed:
        return []
    target, gains, bundle = about(directory, proposal), _gains(directory, proposal), _bundle(directory.policies)

    def is_heard(role: str) -> bool:
        request = Request(
            principal=principal(directory, person, target, software=False, at=directory.at),
            action="approve",
            resource=resource(directory, target, directory.at),
            context=context(
                directory,
                at=directory.at,
                session_age_seconds=0,
                change=Change(act=proposal.act, role=role),
                own=person in gains | {target},
            ),
        )
        return decide(bundle, request).allowed

    return [(role, team) for role, team in voices(directory, person, proposal) if is_heard(role)]


def about(directory: Directory, proposal: Proposal) -> str:
    """Return the identifier of what a proposal is about, or `deployment`.

    Raises:
        NotFound: it is not there any more.
    """
    act = act_of_change(proposal.act)
    return act.target(directory, proposal.by, _body(proposal))


def _gains(directory: Directory, proposal: Proposal) -> frozenset[str]:
    return act_of_change(proposal.act).gains(directory, proposal.by, _body(proposal))


def _body(proposal: Proposal) -> Any:
    return parse_record(act_of_change(proposal.act).body, proposal.body)


def _spoke(directory: Directory, proposal: Proposal, person: str, at: int) -> bool:
    """Tell whether there is a voice of `person` that still counts as given: see `acts.approve`."""
    return person in proposal.rejections or any(
        given.person == person and given.until >= at and not directory.credentials[given.credential].compromised
        for given in proposal.approvals
    )


@lru_cache(maxsize=2)
def _bundle(policies: tuple[PolicySource, ...]) -> Bundle:
    """Return the policies in force, parsed once: that takes longer than all the questions."""
    return parse_bundle([PolicyFile(name=one.name, text=one.text) for one in policies], schema())

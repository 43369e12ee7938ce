"""Review: a proposal in plain words, made from the verified directory, so that people read exactly what they sign.

An approval signs the digest of the proposal's statement. That statement is taken from the verified log, and digest and
every line are made from it here; `words` are that digest's, and are the same on every honest screen.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from strongroom.acts.act import DEPLOYMENT
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.propose import Propose
from strongroom.acts.slices import label_of, model_of
from strongroom.acts.table import act_of_change
from strongroom.acts.voice import holds
from strongroom.client.deployment import Deployment
from strongroom.client.names import NOT_PROVEN
from strongroom.client.session import Speaker
from strongroom.client.shown import one_line
from strongroom.directory import find
from strongroom.directory.state import Directory, Proposal
from strongroom.statements.statement import Statement, parse_statement
from strongroom.statements.words import digest_words
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import StrongroomError
from strongroom.terms.ids import kind_of
from strongroom.terms.records import parse_record

LONGEST_VALUE = 200
_TEXTS = frozenset({"details", "notes", "purpose", "reason"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What is read before an approval. `payload` is the proposal's exact statement, `digest` what an approval names."""

    proposal: Proposal
    payload: bytes
    digest: str
    words: str
    lines: tuple[str, ...]


def review(speaker: Speaker, proposal: str) -> Review:
    """Return an open proposal as its approvers are to read it, by the newest log that is to be had.

    Raises:
        NotFound, AlreadyDone: it is not open, or never was.
    """
    deployment = speaker.deployment
    found = find.proposal(deployment.sync(), proposal)
    envelope = deployment.replica.entry(found.index).envelope()
    statement = parse_statement(envelope)
    body = parse_record(Propose, statement.body)
    speaker.learn(_mentioned(deployment.directory, found, body), _texts(statement.body))
    return Review(
        proposal=found,
        payload=envelope.payload,
        digest=envelope.digest,
        words=digest_words(envelope.digest),
        lines=tuple(_lines(deployment, found, statement, body)),
    )


def voices(directory: Directory, person: str, proposal: Proposal) -> list[tuple[str, str]]:
    """Return the roles, each with its team, in which `person` may speak about `proposal`: held since before it."""
    act = act_of_change(proposal.act)
    target = act.target(directory, proposal.by, parse_record(act.body, proposal.body))
    model = model_of(directory, target)
    return [
        (held.role, held.team)
        for held in directory.people[person].roles
        if holds(directory, person, held.role, held.team, model=model, since=proposal.index)
    ]


def moment(seconds: int) -> str:
    """Return a time as people read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _lines(deployment: Deployment, proposal: Proposal, statement: Statement, body: Propose) -> Iterator[str]:
    directory = deployment.directory
    act = act_of_change(body.act)
    change = parse_record(act.body, body.change)
    target = act.target(directory, proposal.by, change)
    yield f"{deployment.called(statement.by)} proposes `{act.name}`: {act.help}"
    if target != DEPLOYMENT:
        label = f", label {label_of(directory, target)}" if kind_of(target) in {"model", "version"} else ""
        yield f"about: {deployment.called(target)}{label}"
    for name, value in _flat(body.change):
        if name.rpartition(".")[2] == "text" and body.act == "policy.change":
            continue
        yield f"{name}: {_shown(deployment, name, value)}"
    if body.act == "policy.change":
        yield from _policy_changes(directory, body.change)
    yield f"purpose: {_shown(deployment, 'purpose', body.purpose)}"
    yield f"proposed: {moment(statement.at)}, open until {moment(statement.until)}"
    yield f"in the deployment: {statement.deployment}, era {statement.era}"
    gains = act.gains(directory, proposal.by, change)
    if gains:
        yield f"no voice, because they gain by it: {', '.join(deployment.called(one) for one in sorted(gains))}"


def _flat(value: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every value of a change with its path."""
    if isinstance(value, Mapping):
        for key in value:
            yield from _flat(value[key], f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _flat(item, f"{name}[{number}]")
    else:
        yield name, value


def _shown(deployment: Deployment, name: str, value: Json) -> str:
    if not isinstance(value, str):
        return "none" if value == [] else str(value)
    if name.rpartition(".")[2].partition("[")[0] in _TEXTS:
        text = deployment.names.text_of(value)
        return f"`{one_line(text)}`" if text is not None else f"{value} ({NOT_PROVEN})"
    if len(value) > LONGEST_VALUE:
        return f"{len(value)} characters with the digest {sha256(value.encode('utf-8'))}"
    return deployment.called(value) if _is_identifier(value) else one_line(value)


def _policy_changes(directory: Directory, change: Json) -> Iterator[str]:
    """Yield what changes in the policies, line by line."""
    before = {one.name: one.text for one in directory.policies}
    after = {one.name: one.text for one in parse_record(PolicyChange, change).policies}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "").splitlines(), after.get(name, "").splitlines()
        for line in difflib.unified_diff(old, new, f"{name} now", f"{name} then", n=1, lineterm=""):
            yield one_line(line)


def _mentioned(directory: Directory, proposal: Proposal, body: Propose) -> Iterator[str]:
    """Yield the identifiers whose names the lines show."""
    act = act_of_change(body.act)
    change = parse_record(act.body, body.change)
    yield proposal.by
    yield act.target(directory, proposal.by, change)
    yield from act.gains(directory, proposal.by, change)
    yield from (one for _, one in _flat(body.change) if isinstance(one, str) and _is_identifier(one))


def _texts(value: Json) -> Iterator[str]:
    return (
        one
        for name, one in _flat(value)
        if isinstance(one, str) and name.rpartition(".")[2].partition("[")[0] in _TEXTS
    )


def _is_identifier(value: str) -> bool:
    try:
        return bool(kind_of(value))
    except StrongroomError:
        return False

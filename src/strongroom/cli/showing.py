"""`strongroom show`: what the verified log says there is, all of it or one thing. Names only where proven."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.known import Known
from strongroom.cli.options import json_option
from strongroom.cli.output import moment, show, table

if TYPE_CHECKING:
    from strongroom.cli.here import Reader
    from strongroom.directory.state import Directory
    from strongroom.terms.canonical import Json

Row = tuple[str, ...]
_KINDS = ("person", "workload", "zone", "model", "version", "alias", "statement", "grant", "device", "session")


@click.command("show")
@click.argument("thing", type=Known("THING", *_KINDS), required=False, metavar="[THING]")
@json_option
def show_(thing: str | None) -> None:
    """Show what there is; or one person, model, version, …; or a proposal as its approvers read it."""
    from strongroom.cli.things import NAMED, find_thing, records

    reader = here.reader()
    if thing is None:
        reader.learn([one for kind in NAMED for one in records(reader.directory, kind)])
        _show_all(reader)
        return
    found = find_thing(reader, thing)
    if found.startswith("statement-"):
        _show_proposal(reader, found)
    else:
        _show_thing(reader, found)


def _show_all(reader: Reader) -> None:
    from strongroom.cli.things import RECORDS

    directory, now = reader.directory, reader.directory.at
    state = [
        word
        for word, holds in (
            ("a trial", directory.trial),
            ("FROZEN", directory.frozen),
            ("TIME DOUBTED", directory.time_doubted),
        )
        if holds
    ]
    lines = [
        f"deployment  {directory.deployment}, era {directory.era}{''.join(f', {word}' for word in state)}",
        f"log         {directory.size} entries, the last of {moment(now)} UTC",
        f"quorum      {directory.quorum} people",
    ]
    for heading, rows in _tables(reader, now):
        if rows:
            lines += ["", *table([heading, *rows])]
    known: dict[str, Any] = {
        "deployment": directory.deployment,
        "era": directory.era,
        "size": directory.size,
        "at": now,
        "trial": directory.trial,
        "frozen": directory.frozen,
        "time_doubted": directory.time_doubted,
        "quorum": directory.quorum,
    }
    for plural in RECORDS.values():
        things = getattr(directory, plural)
        known[plural] = [_json(reader, identifier, things[identifier]) for identifier in things]
    show(known, lines)


def _tables(reader: Reader, now: int) -> Iterable[tuple[Row, list[Row]]]:
    directory, called = reader.directory, reader.called
    yield ("PERSON", "ROLES", ""), [(called(one), _roles(p.roles), _state(p)) for one, p in directory.people.items()]
    yield (
        ("ZONE", "LABELS UP TO", "BYTES A DAY", ""),
        [(called(n), str(z.ceiling), str(z.egress_bytes_per_day), _state(z)) for n, z in directory.zones.items()],
    )
    yield (
        ("DEVICE", "OF", "ZONE", ""),
        [(name, called(d.person), called(d.zone), _state(d)) for name, d in directory.devices.items()],
    )
    yield (
        ("SECURITY KEY", "OF", "KIND", ""),
        [
            (name, called(c.person), "software" if c.software else "security key", _state(c))
            for name, c in directory.credentials.items()
        ],
    )
    yield (
        ("SESSION", "OF", "DEVICE", "UNTIL"),
        [
            (name, called(s.person), s.device or "none", moment(s.until))
            for name, s in directory.sessions.items()
            if s.until >= now
        ],
    )
    yield (
        ("WORKLOAD", "ROLES", "SPONSOR", "ZONE", ""),
        [
            (called(name), _roles(w.roles), called(w.sponsor), called(w.zone), _state(w))
            for name, w in directory.workloads.items()
        ],
    )
    yield (
        ("ATTESTER", "FACTS", ""),
        [(called(n), ", ".join(a.kinds), "revoked" if a.revoked else "") for n, a in directory.attesters.items()],
    )
    yield (
        ("MODEL", "LABEL", "VERSIONS", ""),
        [(called(n), str(m.label), str(m.versions), _state(m)) for n, m in directory.models.items()],
    )
    yield (
        ("VERSION", "LABEL", "MANIFEST"),
        [(called(n), str(directory.label_of(v)), v.manifest) for n, v in directory.versions.items()],
    )
    yield (
        ("GRANT", "FOR", "VERSION", "UNTIL"),
        [
            (name, called(g.subject), called(g.version), moment(g.until))
            for name, g in directory.grants.items()
            if g.until >= now
        ],
    )
    yield (
        ("PROPOSAL", "ACT", "BY", "APPROVALS", "OPEN UNTIL"),
        [
            (name, p.act, called(p.by), str(len(p.approvals)), moment(p.until))
            for name, p in directory.proposals.items()
            if p.until >= now
        ],
    )


def _show_thing(reader: Reader, identifier: str) -> None:
    from strongroom.acts.fact_attest import live_facts
    from strongroom.cli.things import records
    from strongroom.terms.errors import NotFound
    from strongroom.terms.ids import kind_of

    kind = kind_of(identifier)
    if (record := records(reader.directory, kind).get(identifier)) is None:
        raise NotFound(f"no {kind} `{identifier}`", hint="list what there is with `strongroom show`")
    reader.learn([identifier])
    known = _json(reader, identifier, record)
    known["facts"] = live_facts(reader.directory, identifier, reader.directory.at)
    if kind == "person":
        known |= _belongings(reader.directory, identifier)
    lines = [
        reader.called(identifier),
        *(f"{name:<20} {_said(value)}" for name, value in known.items() if name != kind),
    ]
    show(known, lines)


def _belongings(directory: Directory, person: str) -> dict[str, list[str]]:
    """Return the identifiers of what a person has, and what is not gone."""
    now, kinds = directory.at, ("credentials", "devices", "sessions")

    def is_there(one: Any) -> bool:
        return one.person == person and not getattr(one, "removed", False) and getattr(one, "until", now) >= now

    return {kind: [name for name, one in getattr(directory, kind).items() if is_there(one)] for kind in kinds}


def _show_proposal(reader: Reader, proposal: str) -> None:
    from strongroom.cli.deciding import review_lines
    from strongroom.client.review import review
    from strongroom.client.session import Program

    speaker = reader.speaker or Program(profile=reader.profile, deployment=reader.deployment)
    read = review(speaker, proposal)
    reader.learn(given.person for given in read.proposal.approvals)
    given = [f"approved by {reader.called(one.person)} as {one.role}@{one.team}" for one in read.proposal.approvals]
    against = [f"rejected by {reader.called(one)}" for one in read.proposal.rejections]
    known = _json(reader, proposal, read.proposal) | {"words": read.words, "payload": read.payload.decode("utf-8")}
    show(known | {"lines": list(read.lines)}, [*review_lines(read), *given, *against])


def _json(reader: Reader, identifier: str, record: object) -> dict[str, Any]:
    from strongroom.cli.things import name_of
    from strongroom.terms.records import record_json

    known: dict[str, Any] = {}
    known |= record_json(record)
    if (name := name_of(reader.deployment, identifier)) is not None:
        known["name"] = name
    return known


def _roles(roles: Iterable[Any]) -> str:
    return (
        ", ".join(f"{one.role}@{one.team}{'' if one.model is None else f' for {one.model}'}" for one in roles) or "none"
    )


def _state(thing: Any) -> str:
    if getattr(thing, "removed", False):
        return "removed"
    if getattr(thing, "compromised", False):
        return "REPORTED"
    return "FROZEN" if getattr(thing, "frozen", False) else ""


def _said(value: Json) -> str:
    from strongroom.terms import canonical

    return value if isinstance(value, str) else canonical.encode(value).decode("utf-8")


commands = (show_,)

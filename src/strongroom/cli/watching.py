"""`strongroom watch`, for people, and `strongroom log follow`, for programs: the verified log as it grows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here, log
from strongroom.cli.options import json_option
from strongroom.cli.output import moment, note
from strongroom.client.shown import one_line
from strongroom.terms.errors import StrongroomError

if TYPE_CHECKING:
    from strongroom.cli.here import Reader
    from strongroom.client.following import Found
    from strongroom.directory.state import Directory

TEXT, JSON, OCSF = "text", "json", "ocsf"
WATCHED = {
    "proposed": "waits",
    "approved": "approved",
    "rejected": "rejected",
    "withdrawn": "withdrawn",
    "grant.given": "granted",
    "grant.revoked": "revoked",
    "key.released": "released",
    "version.registered": "sealed",
    "frozen": "FROZEN",
    "thawed": "thawed",
    "refused": "REFUSED",
    "refusals.counted": "REFUSED",
    "credential.reported": "REPORTED",
    "clock.doubted": "CLOCK DOUBTED",
    "keep.unsealed": "unsealed",
}
"""The kinds of entries that `watch` shows, and in which word."""

once_option = click.option("--once", is_flag=True, help="Show what there is, then end.")


@log.group.command()
@click.option(
    "--from", "start", type=click.IntRange(0), default=None, metavar="ENTRY", help="From this entry on, such as 0."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([TEXT, JSON, OCSF]),
    default=TEXT,
    show_default=True,
    help="Lines for people, the entries themselves, or OCSF events for a SIEM; these two one JSON object a line.",
)
@click.option("--json", "is_json", is_flag=True, help="The same as `--format json`.")
@once_option
def follow(start: int | None, form: str, is_json: bool, once: bool) -> None:
    """Follow the log: each entry once it is verified, from now on or `--from` an entry, until interrupted.

    It waits where keep or gateway cannot be asked, goes on with the next entry, and ends with `log-tampered` where
    another log is shown. Go on after an interruption with the index of the last entry plus one: `--from`.
    """
    reader = here.reader()
    size = reader.directory.size
    first = start if start is not None else 0 if once else size
    line = _line_of(reader, JSON if is_json else form, min(first, size))
    with _until_interrupted():
        for found in _entries(reader, first, once=once):
            click.echo(line(found))


@click.command()
@once_option
@json_option
def watch(once: bool) -> None:
    """Watch what matters: proposals that wait, grants, releases, freezes, refusals. One line each, until interrupted.

    It begins with what is frozen and what waits now. With `--json`, one JSON object a line.
    """
    reader = here.reader()
    start, names = reader.directory.size, _Names(reader=reader)
    with _until_interrupted():
        for known in _now(reader):
            _show(names, known)
        for found in _entries(reader, start, once=once):
            if found.entry.kind in WATCHED:
                _show(names, _watched(reader, found))


# --- following ---------------------------------------------------------------------------------


def _entries(reader: Reader, start: int, *, once: bool) -> Iterator[Found]:
    from strongroom.client.following import News
    from strongroom.client.following import follow as follow_log

    def tell(error: StrongroomError) -> None:
        note(f"waiting: {error.message}")

    with News(reader.deployment) as news:
        yield from follow_log(reader.deployment, start, pause=news.pause, tell=tell, once=once)


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Take an interruption for the end that it is: there is no other."""
    with suppress(KeyboardInterrupt):
        yield


def _line_of(reader: Reader, form: str, first: int) -> Callable[[Found], str]:
    """Return what makes a line of an entry."""
    if form == JSON:
        return lambda found: _compact(log.entry_json(found.index, found.leaf))
    names = _Names(reader=reader)
    if form == TEXT:
        return lambda found: _text_line(names, found)
    from strongroom.client.ocsf import Events

    replica = reader.deployment.replica
    events = Events(replica, names.name)
    for index in range(first):
        events.remember(index, replica.leaf(index))
    return lambda found: _compact(events.event(found.index, found.entry))


def _text_line(names: _Names, found: Found) -> str:
    by = names.called(log.said_by(found.entry))
    return one_line(f"{found.index:>6}  {moment(found.entry.at)}  {found.entry.kind:<20}  {by}".rstrip())


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@dataclass(kw_only=True)
class _Names:
    """Names, as far as they can be had; without them, identifiers are shown, as to who is not logged in."""

    reader: Reader
    _asked: set[str] = field(default_factory=set)

    def called(self, identifier: str) -> str:
        """Return what people read for an identifier, asked for once: of a long log, most are the same few."""
        self._learn(identifier)
        return self.reader.called(identifier)

    def name(self, identifier: str) -> str | None:
        """Return the proven name."""
        from strongroom.cli.things import name_of

        self._learn(identifier)
        return name_of(self.reader.deployment, identifier)

    def _learn(self, identifier: str) -> None:
        if identifier and identifier not in self._asked:
            with suppress(StrongroomError):
                self.reader.learn([identifier])
                self._asked.add(identifier)


# --- watching ----------------------------------------------------------------------------------


def _now(reader: Reader) -> Iterator[dict[str, Any]]:
    """Yield what is frozen, and the proposals that are open, with the voices that are waited for."""
    directory = reader.directory
    if directory.frozen:
        yield _known("FROZEN", at=directory.at, about=directory.deployment)
    for things in (directory.people, directory.workloads, directory.devices, directory.zones, directory.models):
        for identifier, thing in things.items():
            if thing.frozen:
                yield _known("FROZEN", at=directory.at, about=identifier)
    for name, proposal in directory.proposals.items():
        if proposal.until >= directory.at:
            known = _known("waits", at=proposal.at, index=proposal.index, about=_about(directory, name), by=proposal.by)
            yield known | {"proposal": name, "act": proposal.act, "for_you": _voices(reader, name)}


def _voices(reader: Reader, name: str) -> list[str]:
    """Return in which roles whoever watches may speak about a proposal that is open, and has not spoken yet."""
    from strongroom.client.waiting import waiting

    directory = reader.directory
    found = waiting(directory, reader.profile.who.subject, at=directory.at)
    return [f"{role}@{team}" for one in found if one.proposal.proposal == name for role, team in one.voices]


def _watched(reader: Reader, found: Found) -> dict[str, Any]:
    """Return what is shown of an entry."""
    from strongroom.statements.statement import parse_statement

    directory, entry = reader.directory, found.entry
    data = entry.data if isinstance(entry.data, dict) else {}
    body: Any = {}
    known = _known(WATCHED[entry.kind], at=entry.at, index=found.index, by=str(data.get("by", "")))
    if entry.statement is not None:
        statement = parse_statement(entry.envelope())
        body, known["by"] = statement.body, statement.by
        if entry.kind == "proposed":
            known |= {"proposal": statement.id, "act": body["act"], "for_you": _voices(reader, statement.id)}
    proposal = known.get("proposal") or body.get("proposal") or data.get("proposal")
    if proposal is not None:
        known["proposal"] = proposal
    named = next((body[name] for name in ("target", "version", "credential", "grant", "model") if name in body), "")
    known["about"] = named or (_about(directory, proposal) if proposal is not None else "")
    if entry.kind == "refused":
        known |= {"act": data.get("act"), "code": data.get("code")}
    return known


def _about(directory: Directory, name: str) -> str:
    """Return what an open proposal, or the grant that it became, is about."""
    from strongroom.acts.grant_give import grant_id
    from strongroom.client.waiting import about

    if (given := directory.grants.get(grant_id(name))) is not None:
        return given.version
    with suppress(StrongroomError):
        if (proposal := directory.proposals.get(name)) is not None:
            return about(directory, proposal)
    return ""


def _known(what: str, *, at: int, index: int | None = None, about: str = "", by: str = "") -> dict[str, Any]:
    return {"what": what, "at": at, "index": index, "about": about, "by": by}


def _show(names: _Names, known: dict[str, Any]) -> None:
    from strongroom.cli.output import is_json

    if is_json():
        click.echo(_compact(known))
        return
    parts = [known["what"].ljust(9), known.get("act") or "", known.get("code") or ""]
    parts += [f"about {names.called(known['about'])}" if known["about"] else ""]
    parts += [f"by {names.called(known['by'])}" if known["by"] else "", known.get("proposal") or ""]
    if known.get("for_you"):
        parts.append(f"YOUR VOICE: {', '.join(known['for_you'])}")
    click.echo(one_line(f"{moment(known['at'])}  {'  '.join(part for part in parts if part)}"))


commands = (watch,)

"""`strongroom inbox, approve, reject, withdraw`: read a proposal as the log has it, say yes or no to exactly that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.options import PROPOSAL, json_option, reason_option, yes_option
from strongroom.cli.output import moment, note, show, table
from strongroom.terms.errors import BadRequest, NotAllowed

if TYPE_CHECKING:
    from strongroom.acts.propose import Propose
    from strongroom.client.deployment import Done
    from strongroom.client.review import Review
    from strongroom.client.session import Session
    from strongroom.directory.state import Proposal

role_option = click.option("--role", default=None, metavar="WORD", help="In which role: needed where you have several.")
team_option = click.option("--team", default=None, metavar="WORD", help="In which team: needed where you have several.")
payload_option = click.option("--payload", is_flag=True, help="Show the exact statement as well, byte for byte.")


@click.command()
@json_option
def inbox() -> None:
    """List the proposals that wait for your voice."""
    from strongroom.client.waiting import waiting

    session = here.session()
    found = list(waiting(session.directory, session.subject, at=session.now()))
    said = {one.proposal.proposal: _said(session, one.proposal) for one in found}
    things = {one.proposal.by for one in found} | {one.about for one in found}
    session.learn(things, {digest for one in said.values() for digest in (one.purpose, _details(one)) if digest})
    called = session.deployment.called
    rows = [("PROPOSAL", "ACT", "ABOUT", "BY", "OPEN UNTIL", "YOUR VOICE")]
    known = []
    for one in found:
        asked, voices = one.proposal, [f"{role}@{team}" for role, team in one.voices]
        until = moment(asked.until)
        text = _in_words(session, one.about, said[asked.proposal])
        rows.append((asked.proposal, asked.act, text, called(asked.by), until, ", ".join(voices)))
        told = {"proposal": asked.proposal, "act": asked.act, "about": one.about, "by": asked.by, "until": asked.until}
        known.append(told | {"voices": voices, "in_words": text})
    show({"proposals": known}, table(rows) if found else ["nothing waits for you"])


@click.command()
@click.argument("proposal", type=PROPOSAL, metavar="PROPOSAL")
@role_option
@team_option
@payload_option
@yes_option
@json_option
def approve(proposal: str, role: str | None, team: str | None, payload: bool, yes: str | None) -> None:
    """Say yes to a proposal, in one role, with a touch. Read it, and compare the words, first."""
    from strongroom.client.requests import approve as say_yes

    session, read = _read(proposal, payload=payload)
    role, team = _voice(session, read, role, team)
    here.agree(read.words, yes, f"Approve exactly this, as {role}@{team}?")
    done = say_yes(session, read, here.security_key(session.profile), role=role, team=team)
    if done.missing:
        note(f"missing: {done.missing}")
    happened = f"approved, and done: {done.enacted.entry.kind}" if done.enacted is not None else "approved"
    _show_voice(read, done, happened)


@click.command()
@click.argument("proposal", type=PROPOSAL, metavar="PROPOSAL")
@reason_option
@role_option
@team_option
@payload_option
@yes_option
@json_option
def reject(proposal: str, reason: str, role: str | None, team: str | None, payload: bool, yes: str | None) -> None:
    """Say no to a proposal, in one role, with a touch and a reason. It ends a request for access; others count it."""
    from strongroom.client.requests import reject as say_no

    session, read = _read(proposal, payload=payload)
    role, team = _voice(session, read, role, team)
    here.agree(read.words, yes, f"Reject exactly this, as {role}@{team}?")
    done = say_no(session, read, here.security_key(session.profile), role=role, team=team, reason=reason)
    _show_voice(read, done, "rejected: it has ended" if done.logged.data.get("ends") else "rejected: it is counted")


@click.command()
@click.argument("proposal", type=PROPOSAL, metavar="PROPOSAL")
@json_option
def withdraw(proposal: str) -> None:
    """Take back your own proposal."""
    from strongroom.client.requests import withdraw as take_back

    done = take_back(here.session(), proposal)
    show({"proposal": proposal, "index": done.logged.index}, [f"withdrawn, entry {done.logged.index}"])


def _said(session: Session, proposal: Proposal) -> Propose:
    """Return what the proposer said, from the verified log."""
    from strongroom.acts.propose import Propose
    from strongroom.statements.statement import parse_statement
    from strongroom.terms.records import parse_record

    envelope = session.deployment.replica.entry(proposal.index).envelope()
    return parse_record(Propose, parse_statement(envelope).body)


def _details(said: Propose) -> str | None:
    """Return the digest of the name that the change gives to something, if it does."""
    change: Any = said.change
    digest: str | None = change.get("details")
    return digest


def _in_words(session: Session, about: str, said: Propose) -> str:
    """Return what a proposal is about in a few words: what is named, what it becomes, and what for."""
    from strongroom.acts.act import DEPLOYMENT
    from strongroom.client.names import NOT_PROVEN

    change: Any = said.change
    names, called = session.deployment.names, session.deployment.called
    details = _details(said)
    parts = [names.text_of(details) or NOT_PROVEN] if details is not None else []
    parts += [called(about)] if about != DEPLOYMENT else []
    parts += [f"{change['role']}@{change['team']}"] if "role" in change else []
    parts += [f"label {change['label']}"] if "label" in change else []
    purpose = names.text_of(said.purpose) or NOT_PROVEN
    return f"{', '.join(parts) or 'the deployment'}: {purpose}"


def review_lines(read: Review) -> list[str]:
    """Return a proposal as its approvers read it."""
    return [*read.lines, f"digest words: {read.words}"]


def _read(proposal: str, *, payload: bool) -> tuple[Session, Review]:
    """Show a proposal, always: nobody signs what they have not been shown."""
    from strongroom.client.review import review

    session = here.session()
    read = review(session, proposal)
    for line in review_lines(read):
        note(line)
    if payload:
        note(read.payload.decode("utf-8"))
    return session, read


def _voice(session: Session, read: Review, role: str | None, team: str | None) -> tuple[str, str]:
    """Return the role and team to speak in: the one that fits what was given."""
    from strongroom.client.waiting import able_voices

    found = able_voices(session.directory, session.subject, read.proposal)
    fitting = [one for one in found if role in {None, one[0]} and team in {None, one[1]}]
    if role is not None and team is not None:
        return role, team
    if not fitting:
        raise NotAllowed(
            "you have no voice here: you proposed it, gain by it, or have held no role that counts since before it",
            hint="`strongroom inbox` lists what waits for you",
        )
    if len({one[0] for one in fitting}) > 1 or len(fitting) > 1:
        told = ", ".join(f"{role}@{team}" for role, team in fitting)
        raise BadRequest(f"you have several voices here: {told}", hint="choose with `--role` and `--team`")
    return fitting[0]


def _show_voice(read: Review, done: Done, happened: str) -> None:
    show(
        {
            "proposal": read.proposal.proposal,
            "words": read.words,
            "index": done.logged.index,
            "enacted": None if done.enacted is None else done.enacted.index,
            "missing": done.missing,
        },
        [f"{happened}, entry {done.logged.index}"],
    )


commands = (inbox, approve, reject, withdraw)

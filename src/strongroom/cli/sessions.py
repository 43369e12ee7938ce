"""`strongroom login`, `logout`, `session end`, `whoami`; `share fetch` and `unseal`, which take no session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.files import read_text
from strongroom.cli.known import Known
from strongroom.cli.options import Duration, PathText, json_option, yes_option
from strongroom.cli.output import count, moment, note, show
from strongroom.terms.errors import NotFound

if TYPE_CHECKING:
    from strongroom.client.profile import Profile
    from strongroom.directory.state import Directory

_HOUR = 3600


@click.command()
@click.option("--for", "seconds", type=Duration(), default="1h", show_default=True, help="How long: an hour at most.")
@json_option
def login(seconds: int) -> None:
    """Open a session, with a touch of your security key and the key of this device."""
    from strongroom.client.joining import connect
    from strongroom.client.session import login as open_session

    own = here.person()
    deployment = connect(own)
    with here.enrolled(deployment):
        _learn_credentials(own, deployment.sync())
        session = open_session(own, deployment, here.security_key(own), hours=seconds / _HOUR)
    session.learn([session.subject])
    until = moment(session.until)
    note(f"logged in as {session.deployment.called(session.subject)} until {until} UTC")
    show({"subject": session.subject, "until": session.until}, [until])


@click.command()
@json_option
def logout() -> None:
    """End your session in the log, and forget its key."""
    session = here.session()
    session.logout()
    show({"subject": session.subject}, ["logged out"])


@click.group("session")
def session_group() -> None:
    """The sessions of people, which `strongroom show` lists."""


@session_group.command()
@click.argument("session_id", type=Known("SESSION", "session"), metavar="SESSION")
@json_option
def end(session_id: str) -> None:
    """End a session at once: as a responder anybody's, or one of your own. What it has open ends with it."""
    session = here.session()
    if (kept := session.profile.session()) is not None and kept.session == session_id:
        session.logout()
        show({"target": session_id, "index": None, "entry": "session.closed"}, ["logged out"])
        return
    done = session.close_session(session_id)
    whose = session.deployment.called(session.subject)
    show(
        {"target": session_id, "index": done.logged.index, "entry": done.logged.entry.kind},
        [f"ended: {session_id}, by {whose}, entry {done.logged.index}"],
    )


@click.command()
@json_option
def whoami() -> None:
    """Show who this profile is, and what they may be asked for: roles, device, session."""
    from strongroom.cli.things import name_of

    reader = here.reader()
    who, directory = reader.profile.who, reader.directory
    reader.learn([who.subject])
    found = directory.people.get(who.subject) or directory.workloads.get(who.subject)
    device = directory.devices.get(who.device or "")
    session = reader.profile.session()
    until = session.until if session is not None and reader.speaker is not None else None
    known: dict[str, Any] = {
        "subject": who.subject,
        "name": name_of(reader.deployment, who.subject),
        "roles": [f"{held.role}@{held.team}" for held in found.roles] if found is not None else [],
        "device": who.device,
        "device_enrolled": device is not None and not device.removed,
        "security_key": who.security_key if who.subject.startswith(here.PERSON) else None,
        "session_until": until,
        "deployment": directory.deployment,
        "profile": str(reader.profile.path),
    }
    lines = [
        f"you         {reader.called(who.subject)}",
        f"roles       {', '.join(known['roles']) or 'none'}",
        f"device      {who.device or 'none'}{'' if known['device_enrolled'] or not who.device else ', NOT ENROLLED'}",
        f"session     {f'until {moment(until)} UTC' if until else 'none'}",
        f"deployment  {directory.deployment}",
        f"profile     {reader.profile.path}",
    ]
    show(known, lines)


@click.group("share")
def share() -> None:
    """A custodian's share of the root key."""


@share.command()
@json_option
def fetch() -> None:
    """Fetch your share from the keep while it is open, and keep it wrapped to a key of your profile.

    Without it you cannot help to unseal the keep after its next start. It is never shown.
    """
    from strongroom.client.founding import fetch_share
    from strongroom.client.joining import connection_of

    own = here.person()
    fetch_share(own, connection_of(own))
    note("keep a copy of your profile where a fire cannot reach both")
    show({"profile": str(own.path)}, [f"your share is in {own.path}, wrapped"])


@click.command()
@click.option(
    "--share", "share_file", type=PathText(), default=None, metavar="FILE", help="Your share as words, from a copy."
)
@yes_option
@json_option
def unseal(share_file: Path | None, yes: str | None) -> None:
    """Give your share to a sealed keep. Compare the words with those on the keep's own console first.

    The words name the key that the keep made at this start: who shows you others would get your share.
    """
    from strongroom.client.founding import fetch_share, unseal_key, unseal_words
    from strongroom.client.founding import unseal as give_share
    from strongroom.client.joining import connection_of

    own = here.person()
    connection = connection_of(own)
    if share_file is not None:
        words = " ".join(read_text(share_file).split())
    elif own.share() is not None:
        words = fetch_share(own, connection)
    else:
        raise NotFound("your profile has no share", hint="give a copy with `--share`, or ask another custodian")
    key = unseal_key(connection)
    note(f"unseal key: {unseal_words(key)}")
    here.agree(unseal_words(key), yes, "Does the keep's own console show these words?")
    missing = give_share(own, connection, words, to=key)
    show({"missing": missing}, ["the keep is open" if missing == 0 else f"{count(missing, 'share')} missing still"])


def _learn_credentials(own: Profile, directory: Directory) -> None:
    """Remember this person's security keys, which a machine does not know that was just enrolled."""
    known = set(own.credentials.values())
    for one in directory.credentials.values():
        if one.person == own.who.subject and one.credential not in known and not (one.removed or one.compromised):
            own.add_credential(one.credential, one.raw_id)


commands = (login, logout, session_group, whoami, unseal)

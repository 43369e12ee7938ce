"""Here: who and where a command speaks for. The profile, its keep, a person's session, security key and yes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from strongroom.cli.output import note
from strongroom.terms.errors import BadRequest, KeepSealed, NotAllowed, NotFound, StrongroomError, UnknownSigner
from strongroom.terms.outer_errors import KeepUnavailable

if TYPE_CHECKING:
    from strongroom.client.deployment import Deployment
    from strongroom.client.private_folder import PrivateFolder
    from strongroom.client.profile import Profile
    from strongroom.client.security_keys.port import SecurityKey
    from strongroom.client.session import Session, Speaker
    from strongroom.directory.state import Directory

PERSON = "person-"


def home() -> Path | None:
    """Return the folder that `--home` names; none leaves it to the environment."""
    found: Path | None = click.get_current_context().find_root().params.get("home")
    return found


def profile() -> Profile:
    """Return the profile that is used here.

    Raises:
        NotFound: there is none, and none is begun. UnsafePlace, …: see `open_profile`.
    """
    from strongroom.client.profile import open_profile, profile_folder

    folder = profile_folder(home())
    if not folder.exists():
        raise NotFound(f"no profile in `{folder}`", hint="make one with `strongroom deployment card`")
    return open_profile(folder)


def folder() -> PrivateFolder:
    """Return the profile's folder; errors as for `profile`."""
    from strongroom.client.private_folder import PrivateFolder

    return PrivateFolder(profile().path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whoever looks at the verified log. `speaker` is there for who is logged in, and for programs."""

    profile: Profile
    deployment: Deployment
    speaker: Speaker | None

    @property
    def directory(self) -> Directory:
        """The directory after the last entry that was verified."""
        return self.deployment.directory

    def learn(self, identifiers: Iterable[str] = (), digests: Iterable[str] = ()) -> None:
        """Get names and texts, if they can be had; each proves itself."""
        if self.speaker is not None:
            self.speaker.learn(identifiers, digests)

    def called(self, identifier: str) -> str:
        """Return what people read for an identifier."""
        return self.deployment.called(identifier)


def reader() -> Reader:
    """Return the log as it is now, or as this copy last saw it where the keep cannot be asked."""
    from strongroom.client.joining import connect
    from strongroom.client.session import resume_speaker

    own = profile()
    speaker: Speaker | None = None
    try:
        speaker = resume_speaker(own)
        deployment = speaker.deployment
    except UnknownSigner:
        deployment = connect(own)
    try:
        deployment.sync()
    except (KeepSealed, KeepUnavailable) as error:
        if deployment.replica.checkpoint is None:
            raise
        note(f"this is an older copy of the log: {error.message}")
        speaker = None
    if speaker is not None and not _is_live(speaker):
        speaker = None
    _remember(own, deployment)
    return Reader(profile=own, deployment=deployment, speaker=speaker)


def session() -> Session:
    """Return the session of the person who is logged in, its log up to date.

    Raises:
        UnknownSigner: nobody is. BadRequest: the profile is a program's.
    """
    from strongroom.client.session import Session

    found = speaker()
    if not isinstance(found, Session):
        _no_person(found.profile)
    return found


def speaker() -> Speaker:
    """Return the person who is logged in, or the program, its log up to date."""
    from strongroom.client.session import resume_speaker

    found = resume_speaker(profile())
    found.deployment.sync()
    if not _is_live(found):
        found.profile.keep_session(None)
        raise UnknownSigner("your session was ended")
    _remember(found.profile, found.deployment)
    return found


def person() -> Profile:
    """Return the profile, which is a person's.

    Raises:
        BadRequest: it is a program's.
    """
    own = profile()
    if not own.who.subject.startswith(PERSON):
        _no_person(own)
    return own


def security_key(own: Profile) -> SecurityKey:
    """Return the person's security key, which asks here for PIN and touch."""
    return own.security_key(ask_pin=_ask_pin, tell=note)


def agree(words: str, given: str | None, question: str) -> None:
    """Have a human say that these are the words; `given` stands for one who compared them elsewhere.

    Raises:
        NotAllowed: the words that were given are others. BadRequest: nobody is there to ask.
    """
    if given is not None:
        if given != words:
            raise NotAllowed(
                f"the digest words are `{words}`, not those that you gave",
                hint="read again what it says: it is not what you compared, or somebody shows you another text",
            )
        return
    if not sys.stdin.isatty():
        raise BadRequest("nobody is here to compare the digest words", hint="give those that you compared: `--yes`")
    if not click.confirm(question, err=True):
        raise NotAllowed("nothing was signed: you said no", hint="ask whoever made it why the words differ")


class Notes(logging.Handler):
    """Shows what the rooms below warn of as one line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        note(f"warning: {record.getMessage()}")


def _remember(own: Profile, deployment: Deployment) -> None:
    """Have the names that the command learns completed from then on, where that is wanted."""
    from strongroom.cli import known
    from strongroom.client.private_folder import PrivateFolder

    def remember() -> None:
        # Nothing depends on it: what cannot be remembered now is learned again.
        with suppress(StrongroomError):
            known.remember(PrivateFolder(own.path), deployment)

    click.get_current_context().call_on_close(remember)


def _is_live(found: Speaker) -> bool:
    """Tell whether the log has the session still; a program needs none."""
    kept = found.profile.session()
    return kept is None or kept.session in found.directory.sessions


def _ask_pin() -> str | None:
    pin: str = click.prompt("PIN of your security key", hide_input=True, err=True, default="", show_default=False)
    return pin or None


def _no_person(own: Profile) -> NoReturn:
    raise BadRequest(
        f"the profile in `{own.path}` is `{own.who.subject}`: this takes a person",
        hint="choose a person's profile with `--home`",
    )

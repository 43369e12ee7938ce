"""Here: who and where a command speaks for. The profile, its keep, a person's session, security key and yes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from strongroom.cli.output import moment, note
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
_STATUS_SECONDS = 5.0
"""How long to wait for a keep that hangs, where an older copy of the log is at hand."""


def home() -> Path | None:
    """Return the folder that `--home` names; none leaves it to the environment."""
    found: Path | None = click.get_current_context().find_root().params.get("home")
    return found


def profile() -> Profile:
    """Return the profile that is used here.

    Raises:
        NotFound: there is none, and none is begun. UnsafePlace, …: see `open_profile`.
    """
    from strongroom.client.profile import NO_PROFILE, open_profile, profile_folder

    folder = profile_folder(home())
    if not folder.exists():
        raise NotFound(f"no profile in `{folder}`", hint=NO_PROFILE)
    return open_profile(folder)


def is_joined() -> bool:
    """Tell whether there is a profile here that belongs to a deployment."""
    try:
        return profile().who.deployment is not None
    except StrongroomError:
        return False


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

    own = profile()
    deployment = connect(own)
    speaker: Speaker | None = None
    try:
        _follow(own, deployment)
        with suppress(UnknownSigner):
            speaker = _resumed(own, deployment)
    except (KeepSealed, KeepUnavailable) as error:
        if deployment.replica.checkpoint is None:
            raise
        note(f"this is an older copy of the log: {error.message}")
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
    """Return the person who is logged in, or the program, its log up to date.

    Raises:
        UnknownSigner: nobody is logged in, or nobody here is enrolled yet.
    """
    from strongroom.client.joining import connect

    own = profile()
    deployment = connect(own)
    found = _resumed(own, deployment)
    _follow(own, deployment)
    if not _is_live(found):
        own.keep_session(None)
        try:
            found = _resumed(own, deployment)
        except UnknownSigner as error:
            raise UnknownSigner("your session was ended") from error
    _remember(own, deployment)
    return found


def resumed() -> Speaker:
    """Return the same as `speaker`, as this copy of the log has it: nothing is asked before what cannot wait."""
    from strongroom.client.joining import connect

    own = profile()
    return _resumed(own, connect(own))


@contextmanager
def enrolled(deployment: Deployment) -> Iterator[None]:
    """Say what to do where somebody is refused who is not enrolled yet: nothing of the log was ever shown here."""
    try:
        yield
    except UnknownSigner as error:
        if deployment.replica.checkpoint is not None:
            raise
        raise UnknownSigner(
            f"the deployment does not know this machine yet: {error.message}",
            hint="hand over your card; once it is approved: `strongroom login`, which a program does not need",
        ) from error


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


def _resumed(own: Profile, deployment: Deployment) -> Speaker:
    """Return who speaks for the profile; in a trial, a software key logs in by itself, as in Python."""
    from strongroom.client.session import resume_speaker

    def tell(session: Session) -> None:
        note(f"logged in until {moment(session.until)} UTC: this is a trial, and its software key takes no touch")
        deployment.sync()

    with enrolled(deployment):
        return resume_speaker(own, deployment, tell=tell)


def _follow(own: Profile, deployment: Deployment) -> None:
    """Bring the copy of the log up to date; where there is one, without waiting long for a keep that hangs."""

    def look() -> None:
        if deployment.replica.checkpoint is None:
            deployment.sync()
        else:
            answer = deployment.connection.within(_STATUS_SECONDS).ask("status")
            deployment.replica.follow(answer, deployment.connection)

    with enrolled(deployment):
        try:
            look()
        except UnknownSigner:
            if own.session() is None:
                raise
            # The session whose key is here has been ended by somebody else: from now on the device shows who looks.
            own.keep_session(None)
            look()


def _is_live(found: Speaker) -> bool:
    """Tell whether the log has the session still; a program needs none."""
    from strongroom.client.session import Session

    kept = found.profile.session()
    return not isinstance(found, Session) or (kept is not None and kept.session in found.directory.sessions)


def _ask_pin() -> str | None:
    pin: str = click.prompt("PIN of your security key", hide_input=True, err=True, default="", show_default=False)
    return pin or None


def _no_person(own: Profile) -> NoReturn:
    raise BadRequest(
        f"the profile in `{own.path}` is `{own.who.subject}`: this takes a person",
        hint="choose a person's profile with `--home`",
    )

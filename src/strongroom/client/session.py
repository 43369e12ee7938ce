"""Speakers: who asks the keep for something, and with which keys they sign.

    Session   a person at an enrolled device, for an hour at most: session key, and device key where the act needs it
    Program   a workload or an attester: its own key

Both say a statement, sign it as the act wants it, send it, and take nothing for done that is not proven.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts import read, session_close, session_open
from strongroom.acts.act import HOUR, Act, Signer
from strongroom.acts.table import act_named
from strongroom.client.deployment import Deployment, Done
from strongroom.client.joining import connect
from strongroom.client.names import Detail, details_of, parse_detail
from strongroom.client.profile import SOFTWARE, Profile, SessionKey, open_profile
from strongroom.client.replica import Clock
from strongroom.client.say import enveloped, say, sign_with_key, sign_with_security_key
from strongroom.client.security_keys.port import SecurityKey
from strongroom.directory.state import Directory
from strongroom.statements.envelope import Envelope, Signature
from strongroom.statements.signing import point_of
from strongroom.statements.statement import Statement
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, StrongroomError, UnknownSigner
from strongroom.terms.ids import Random, new_id

SHORT_SECONDS = 300
MOST_DIGESTS = 1000


@dataclass(kw_only=True)
class Speaker(ABC):
    """Somebody who asks for acts. `clock` gives seconds since 1970."""

    profile: Profile
    deployment: Deployment
    clock: Clock = time.time
    random: Random = os.urandom

    @property
    def subject(self) -> str:
        """The identifier of who speaks."""
        return self.profile.who.subject

    @property
    def device(self) -> str | None:
        """The device that they speak from; a workload has none."""
        return self.profile.who.device

    @property
    def directory(self) -> Directory:
        """The directory after the last entry that was verified."""
        return self.deployment.directory

    def now(self) -> int:
        """Return the time, in whole seconds."""
        return int(self.clock())

    def statement(self, act: Act[Any], body: object, *, seconds: int | None = None) -> Statement:
        """Return the statement that asks for `act`, valid for so many seconds."""
        at = self.now()
        return say(
            act,
            body,
            by=self.subject,
            deployment=self.deployment.name,
            era=self.directory.era,
            at=at,
            until=at + (min(SHORT_SECONDS, act.longest_seconds) if seconds is None else seconds),
            random=self.random,
        )

    def say(
        self,
        act: Act[Any],
        body: object,
        *,
        details: Iterable[Detail] = (),
        seconds: int | None = None,
        alone: bool = False,
    ) -> Done:
        """Have the keep do `act`; errors, and `alone`, as for `Deployment.act`."""
        envelope = self.sign(act, self.statement(act, body, seconds=seconds))
        return self.deployment.act(act, envelope, details, alone=alone)

    @abstractmethod
    def sign(self, act: Act[Any], statement: Statement) -> Envelope:
        """Return the statement, signed as `act` wants it."""

    def learn(self, identifiers: Iterable[str] = (), digests: Iterable[str] = ()) -> None:
        """Read texts from the keep. What does not fit its digest stays unknown."""
        named = {found for one in identifiers if (found := details_of(self.directory, one)) is not None}
        wanted = self.deployment.names.missing(named | set(digests))
        for first in range(0, len(wanted), MOST_DIGESTS):
            body = read.Read(digests=tuple(wanted[first : first + MOST_DIGESTS]))
            answer = self.deployment.ask(self.sign(act_named("read"), self.statement(act_named("read"), body)))
            self.deployment.names.add(_texts(answer.ok.get("answer")))


class Session(Speaker):
    """A person who is logged in."""

    _key: SessionKey

    def __init__(self, key: SessionKey, **speaker: Any) -> None:
        super().__init__(**speaker)
        self._key = key

    @property
    def until(self) -> int:
        """When it ends."""
        return self._key.until

    def sign(self, act: Act[Any], statement: Statement) -> Envelope:
        """Return the statement, signed by the session, and by the device for what opens or seals.

        Raises:
            UnknownSigner: the session has ended; its key is forgotten.
        """
        if self.clock() > self._key.until:
            self.profile.keep_session(None)
            raise UnknownSigner("your session has ended")
        signatures = [sign_with_key(statement, self._key.session, self._key.key())]
        if act.signer is Signer.SESSION_AND_DEVICE:
            signatures.append(device_signature(self.profile, statement))
        return enveloped(statement, *signatures)

    def touch(self, statement: Statement, security_key: SecurityKey) -> Signature:
        """Return a touch of the person's security key for `statement`; errors as for `sign_with_security_key`."""
        rp_id = self.directory.acceptance.rp_id
        return sign_with_security_key(statement, security_key, rp_id=rp_id, credentials=self.profile.credentials)

    def logout(self) -> None:
        """End the session in the log, and forget its key, whatever the keep says."""
        act = act_named("session.close")
        envelope = self.sign(act, self.statement(act, session_close.SessionClose(session=self._key.session)))
        # ORDER: forgotten first. Once it has ended, a gateway shows the proof of that to the device alone.
        self.profile.keep_session(None)
        self.deployment.act(act, envelope, alone=True)

    def close_session(self, session: str) -> Done:
        """End another session, as a responder."""
        return self.say(act_named("session.close"), session_close.SessionClose(session=session))


class Program(Speaker):
    """A workload or an attester, which has no session: it signs with its own key."""

    def sign(self, act: Act[Any], statement: Statement) -> Envelope:
        """Return the statement, signed by the program's own key."""
        return enveloped(statement, sign_with_key(statement, self.subject, self.profile.key()))

    def learn(self, identifiers: Iterable[str] = (), digests: Iterable[str] = ()) -> None:
        """Read texts from the keep, as a workload; to an attester the keep tells none."""
        if self.subject.startswith("workload-"):
            super().learn(identifiers, digests)


def login(
    profile: Profile,
    deployment: Deployment,
    security_key: SecurityKey,
    *,
    hours: float = 1.0,
    clock: Clock = time.time,
    random: Random = os.urandom,
) -> Session:
    """Open a session of at most one hour, with a touch of the security key and the device's key.

    Raises:
        NoSecurityKey, NotTouched: no touch.
        UnknownSigner, Denied, …: the keep refuses. BadProof, …: see `Deployment.act`.
    """
    if not 0 < hours <= 1:
        raise BadRequest("a session lasts an hour at most")
    try:
        deployment.sync()
    except UnknownSigner:
        # The session whose key is here has been ended by somebody else: from now on the device shows who looks.
        profile.keep_session(None)
        deployment.sync()
    private = ec.generate_private_key(ec.SECP256R1())
    at = int(clock())
    key = SessionKey(
        session=new_id("session", random),
        until=at + int(hours * HOUR),
        private=private.private_numbers().private_value.to_bytes(32),
    )
    session = Session(key, profile=profile, deployment=deployment, clock=clock, random=random)
    body = session_open.SessionOpen(session=key.session, public_key=point_of(private), device=profile.who.device)
    statement = say(
        act_named("session.open"),
        body,
        by=session.subject,
        deployment=deployment.name,
        era=session.directory.era,
        at=at,
        until=key.until,
        random=random,
    )
    signed = device_signature(profile, statement)
    touch = session.touch(statement, security_key)
    deployment.act(act_named("session.open"), enveloped(statement, touch, signed), alone=True)
    # ORDER: kept only once it is in the log. A crash before leaves a session that nobody can use, for an hour.
    profile.keep_session(key)
    return session


def resume(
    profile: Profile, deployment: Deployment, *, clock: Clock = time.time, random: Random = os.urandom
) -> Session:
    """Return the session that `login` opened and that has not ended.

    Raises:
        UnknownSigner: there is none.
    """
    key = profile.session()
    if key is None or clock() > key.until:
        profile.keep_session(None)
        raise UnknownSigner("you are not logged in, or your session has ended")
    return Session(key, profile=profile, deployment=deployment, clock=clock, random=random)


def resume_speaker(
    profile: str | os.PathLike[str] | Profile,
    deployment: Deployment | None = None,
    *,
    clock: Clock = time.time,
    tell: Callable[[Session], object] = lambda session: None,
) -> Speaker:
    """Return who a profile, or the one in a folder, speaks for: the person who is logged in, or the program.

    In a trial, whoever has a software key is logged in by this if need be, which `tell` is told. `deployment` is what
    `connect` gives for the profile.

    Raises:
        NotFound, UnsafePlace, …: there is no profile to use.
        UnknownSigner: nobody is logged in, and it takes a touch: `strongroom login`.
    """
    if not isinstance(profile, Profile):
        profile = open_profile(Path(profile))
    if deployment is None:
        deployment = connect(profile, clock=clock)
    if not profile.who.subject.startswith("person-"):
        return Program(profile=profile, deployment=deployment, clock=clock)
    try:
        return resume(profile, deployment, clock=clock)
    except UnknownSigner:
        # INVARIANT: where a key is real, a session takes a touch, and a touch takes somebody who was asked.
        if profile.who.security_key != SOFTWARE or not deployment.sync().trial:
            raise
        session = login(profile, deployment, profile.security_key(), clock=clock)
        tell(session)
        return session


def device_signature(profile: Profile, statement: Statement) -> Signature:
    """Return the signature of this device.

    Raises:
        BadRequest: this machine is no device of anybody's.
    """
    if profile.who.device is None:
        raise BadRequest("this machine is not enrolled", hint="propose it with `strongroom propose device.enrol`")
    return sign_with_key(statement, profile.who.device, profile.key())


def _texts(answer: Json) -> Iterable[Detail]:
    """Return the texts in an answer to `read`, whatever they claim to be."""
    found = answer.get("details") if isinstance(answer, dict) else None
    for value in found.values() if isinstance(found, dict) else ():
        try:
            yield parse_detail(value)
        except StrongroomError:
            continue

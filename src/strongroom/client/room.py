"""Room: a deployment as an ML engineer meets it. One object to open, seal and ask with; nothing here decides anything.

    room = strongroom.connect()
    weights = room.open_version("acme/atlas@7").load_all()

What is known of the log here saves questions: where version and grant are known, a release is asked for at once, and
only what is unknown or refused makes it look at the log again. The keep decides, either way, on the newest state.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, Unpack

from strongroom.client import aliases, requests
from strongroom.client.copies import Copy, copies_of
from strongroom.client.joining import join
from strongroom.client.opened import OpenVersion, opened
from strongroom.client.place import parse_place
from strongroom.client.profile import Profile, open_profile, profile_folder
from strongroom.client.released import Registered, seal_through_keep
from strongroom.client.replica import Clock
from strongroom.client.seal import SealOptions
from strongroom.client.session import Session, Speaker, resume_speaker
from strongroom.client.transfer.stores import Store, open_sealed_version, store_to_write
from strongroom.client.version import SealedVersion
from strongroom.client.waiting import able_voices
from strongroom.directory.state import Directory, Proposal
from strongroom.terms.errors import NotAllowed, StrongroomError, Tampered, Unavailable, UnknownSigner
from strongroom.terms.names import is_alias
from strongroom.terms.outer_errors import AccessPending

_log = logging.getLogger("strongroom")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who a room speaks for. `roles` are `role@team`; a name is there only where the log proves it."""

    subject: str
    name: str
    device: str | None
    roles: tuple[str, ...]
    session_until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A proposal that was made. `enacted` says whether it has happened; if not, `missing` what it still takes."""

    proposal: str
    enacted: bool
    missing: str
    approvers: tuple[str, ...]


def connect(where: str | os.PathLike[str] | Profile | None = None, *, store: Store = None) -> Room:
    """Return the room of the profile in `STRONGROOM_HOME` or `~/.strongroom`, of another one, or at a place.

    `where` is a profile's folder, or a connection string (`https://…#sr1:…`), which the default profile then joins. It
    asks nobody yet, but in that case. `store` is where sealed bytes rest; without it, `STRONGROOM_STORE` says so, or
    else they go through the gateway.

    Raises:
        NotFound, UnsafePlace: there is no profile to use. BadRequest: it belongs to another deployment.
    """
    if isinstance(where, str) and "#" in where:
        profile, place = open_profile(), parse_place(where)
        if (profile.who.deployment, profile.who.url) != (place.name, place.url) or place.url is None:
            join(profile, place)
        return Room(profile, store=store)
    return Room(where if isinstance(where, Profile) else open_profile(profile_folder(_path(where))), store=store)


class Room:
    """What one person or program can do in one deployment. Threads may share it; they take turns."""

    def __init__(self, profile: Profile, *, store: Store = None, clock: Clock = time.time) -> None:
        self.profile, self.store, self._clock = profile, store, clock
        self._speaker: Speaker | None = None
        self._turn = threading.RLock()

    def __repr__(self) -> str:
        return f"Room({self.profile.who.subject} in {self.profile.who.deployment})"

    # --- opening -------------------------------------------------------------------------------

    def open_version(
        self,
        name: str,
        *,
        files: Sequence[str] | None = None,
        purpose: str | None = None,
        hours: float = 1.0,
        grant: str | None = None,
        store: Store = None,
        framework: str = "np",
        device: str | None = None,
        shown: str | None = None,
        threads: int | None = None,
    ) -> OpenVersion:
        """Open `name`: `org/model@7`, `org/model@prod`, or an identifier; on a live grant.

        `files` asks for the keys of those alone. With a `purpose`, and no grant, access is asked for, for so many
        `hours`, and used if that is enacted at once. `framework`, `device` and `threads` are as
        `strongroom.open_version` has them, `shown` is what it calls `files`.

        Raises:
            NotAllowed: no live grant. AccessPending: others have to approve; it names the proposal, and them.
            NotFound, Denied, BadAnswer, ObjectTampered, …: as `released.open_through_keep`.
        """
        with self._turn:
            try:
                sealed = self._sealed(name, store, files=files, grant=grant, threads=threads)
            except NotAllowed:
                if purpose is None or grant is not None:
                    raise
                self._ask_access(name, purpose, hours, files)
                sealed = self._sealed(name, store, files=files, threads=threads)
        return opened(sealed, framework=framework, device=device, files=shown)

    def request(
        self,
        name: str,
        purpose: str,
        *,
        hours: float = 1.0,
        files: Sequence[str] | None = None,
        workload: str | None = None,
    ) -> Asked:
        """Ask to open version `name` from this device, or on behalf of a `workload`.

        Raises:
            NotAllowed: this is a program's profile. NotFound, Denied, …: as `requests.request_access`.
        """
        return self._twice(lambda: self._request(name, purpose, hours, files, workload))

    # --- the rest ------------------------------------------------------------------------------

    def seal(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        model: str,
        *,
        notes: str = "",
        lineage: Iterable[str] = (),
        store: Store = None,
        **options: Unpack[SealOptions],
    ) -> Registered:
        """Seal files and folders as the next version of `model`; see `released.seal_through_keep`."""
        where = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        ancestors = list(lineage)

        def seal() -> Registered:
            speaker = self._live_speaker()
            speaker.learn(speaker.deployment.sync().models)
            to = store_to_write(speaker, model, self.store if store is None else store)
            return seal_through_keep(speaker, where, model, to, notes=notes, lineage=ancestors, **options)

        return self._twice(seal)

    def alias(self, name: str, version: str) -> None:
        """Have `org/model@alias` mean `version` from now on; see `aliases.set_alias`."""
        self._twice(lambda: aliases.set_alias(self._session(), name, version))

    def copies(self, name: str) -> list[Copy]:
        """Return every known copy of a model or a version, the ones that have ended included, in the log's order."""

        def look() -> list[Copy]:
            speaker = self._live_speaker()
            directory = speaker.deployment.sync()
            speaker.learn([*directory.models, *directory.aliases])
            names, replica = speaker.deployment.names, speaker.deployment.replica
            if "@" in name or name.startswith("version-"):
                return copies_of(replica, at=speaker.now(), version=names.version(directory, name).version)
            return copies_of(replica, at=speaker.now(), model=names.model(directory, name).model)

        return self._twice(look)

    def whoami(self) -> Me:
        """Return who this room speaks for, as the log has it now."""

        def look() -> Me:
            speaker = self._live_speaker()
            directory = speaker.deployment.sync()
            speaker.learn([speaker.subject])
            found = directory.people.get(speaker.subject) or directory.workloads.get(speaker.subject)
            text = speaker.deployment.names.text_of(found.details) if found is not None else None
            roles = found.roles if found is not None else ()
            return Me(
                subject=speaker.subject,
                name=text or "",
                device=speaker.device,
                roles=tuple(sorted(f"{role.role}@{role.team}" for role in roles)),
                session_until=speaker.until if isinstance(speaker, Session) else None,
            )

        return self._twice(look)

    def speaker(self) -> Speaker:
        """Return somebody new who speaks for this room's subject, for another thread than those that share the room.

        In a trial, whoever has a software key is logged in by this if need be.

        Raises:
            UnknownSigner: nobody is logged in, and it takes a touch: `strongroom login`.
        """
        return resume_speaker(self.profile, clock=self._clock)

    # --- how -----------------------------------------------------------------------------------

    def _sealed(
        self,
        name: str,
        store: Store,
        *,
        files: Sequence[str] | None,
        threads: int | None,
        grant: str | None = None,
    ) -> SealedVersion:
        def attempt(*, sync: bool) -> SealedVersion:
            return open_sealed_version(
                self._live_speaker(),
                name,
                self.store if store is None else store,
                files=files,
                grant=grant,
                threads=threads,
                sync=sync,
                again=self.speaker,
            )

        if not is_alias(name):  # what that means now, only the newest log says
            try:
                return attempt(sync=False)
            except (Tampered, Unavailable):
                raise
            except UnknownSigner:
                self._look_again()
            except StrongroomError as error:
                _log.debug("looking again: %s", error.message)
        return self._twice(lambda: attempt(sync=True))

    def _twice(self, work: Callable[[], T]) -> T:
        """Do `work`; if who is logged in is no more, as somebody who logs in for it."""
        with self._turn:
            try:
                return work()
            except UnknownSigner:
                self._look_again()
                return work()

    def _look_again(self) -> None:
        """See how things stand, and let go of a session that the log has no more."""
        speaker, kept = self._live_speaker(), self.profile.session()
        try:
            is_over = kept is not None and kept.session not in speaker.deployment.sync().sessions
        except UnknownSigner:
            is_over = True  # through a gateway, an ended session does not even see that it has ended
        if is_over:
            self.profile.keep_session(None)
            self._speaker = None

    def _live_speaker(self) -> Speaker:
        found = self._speaker
        if found is None or (isinstance(found, Session) and found.now() >= found.until):
            found = self._speaker = self.speaker()
        return found

    def _session(self) -> Session:
        speaker = self._live_speaker()
        if not isinstance(speaker, Session):
            raise NotAllowed(
                f"`{speaker.subject}` is a program, which asks nobody for anything",
                hint="a person asks on its behalf: `strongroom request … --workload`",
            )
        return speaker

    def _request(
        self, name: str, purpose: str, hours: float, files: Sequence[str] | None, workload: str | None
    ) -> Asked:
        session = self._session()
        done = requests.request_access(session, name, hours, purpose, files, workload=workload)
        asked = requests.proposal_id(done)
        return Asked(
            proposal=asked,
            enacted=done.enacted is not None,
            missing=done.missing,
            approvers=_approvers(session, session.deployment.sync(), asked),
        )

    def _ask_access(self, name: str, purpose: str, hours: float, files: Sequence[str] | None) -> None:
        """Ask once: a second question, while the first waits, is the first.

        Raises:
            AccessPending: others have to approve.
        """
        session = self._session()
        if (waits := _waits(session, name, files)) is None:
            asked = self._twice(lambda: self._request(name, purpose, hours, files, None))
            if asked.enacted:
                return
            waits, approvers = asked.proposal, asked.approvers
        else:
            approvers = _approvers(session, session.directory, waits)
        raise AccessPending(
            f"access to `{name}` is asked for as `{waits}`, and waits for approval",
            hint=f"ask {' or '.join(approvers) or 'an approver'} for `strongroom approve {waits}`, then open again",
        )


def _path(where: str | os.PathLike[str] | None) -> Path | None:
    return None if where is None else Path(where)


def _waits(session: Session, name: str, files: Sequence[str] | None) -> str | None:
    """Return the proposal by which the same was asked for, from here, and that is open still."""
    directory = session.directory
    version = session.deployment.names.version(directory, name)
    wanted = (session.subject, session.device, version.version, None if files is None else sorted(set(files)))

    def is_same(one: Proposal) -> bool:
        body = one.body
        if one.act != "grant.give" or one.until <= session.now() or not isinstance(body, dict):
            return False
        return (body.get("subject"), body.get("device"), body.get("version"), body.get("files")) == wanted

    return next((one.proposal for one in directory.proposals.values() if is_same(one)), None)


def _approvers(session: Session, directory: Directory, proposal: str) -> tuple[str, ...]:
    """Return whose approval counts, by name where that is proven."""
    if (found := directory.proposals.get(proposal)) is None:
        return ()
    able = [person for person in directory.people if able_voices(directory, person, found)]
    session.learn(able)
    texts = session.deployment.names
    return tuple(sorted(texts.text_of(directory.people[one].details) or one for one in able))

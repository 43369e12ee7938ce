"""Copies: the registry of what was released. Every `key.released` entry is a copy: who has it, where, until when.

    copies = Copies()
    copies.catch_up(replica)                       or copies.take(leaf), one leaf after another
    copies.find(replica.directory, at=now, model=…)

A fold over the log beside the directory. An entry says all that never changes about a copy; how it stands, the
directory says, at the time that is asked for. It is what an incident or a recall starts from.

TRUST: the leaves come from a log whose checkpoint was verified. That a copy has ended means that an honest client opens
no further bytes of it; what a host has read already, no log takes back.
"""

from __future__ import annotations

from typing import Annotated, Any

from strongroom.acts.release import Release
from strongroom.client.replica import Replica
from strongroom.directory.entries import parse_entry
from strongroom.directory.state import Directory, FilePath, made
from strongroom.statements.statement import parse_statement
from strongroom.terms import records

LIVE, ENDED, REMOVED, REVOKED, FROZEN, LOGGED_OUT = "live", "ended", "removed", "revoked", "frozen", "logged-out"
STATES = {
    LIVE: "nothing in the log has ended it; policy decides at its next renewal",
    ENDED: "its lease has run out",
    REMOVED: "whoever has it, or the device that it is on, was removed",
    REVOKED: "its grant was revoked",
    FROZEN: "the deployment, the model, the zone, the device or whoever has it is frozen",
    LOGGED_OUT: "the session that it was released to has ended",
}
"""What each state means. Where several of them hold, the one that stands first here, after `live`."""

_MARK = b'"kind":"key.released"'


class Copy(records.Record):
    """A released version, or the named files of one. `index` is the entry; `state` one of `STATES`."""

    index: records.Count
    version: records.VersionId
    model: records.ModelId
    subject: records.SubjectId
    zone: records.ZoneId
    grant: records.GrantId
    at: records.Instant
    expires_at: records.Instant
    state: records.Word
    device: records.DeviceId | None = None
    session: records.SessionId | None = None
    files: Annotated[tuple[FilePath, ...], records.Ascending()] | None = None


class _Taken(records.Record):
    """What the entry says."""

    index: records.Count
    version: records.VersionId
    subject: records.SubjectId
    grant: records.GrantId
    at: records.Instant
    expires_at: records.Instant
    device: records.DeviceId | None
    session: records.SessionId | None
    files: tuple[FilePath, ...] | None


class Copies:
    """Every copy up to the entry `size`. Not for several threads at once."""

    def __init__(self) -> None:
        self.size = 0
        self._taken: dict[str, dict[str, list[_Taken]]] = {}
        """By version and subject, in the order of the log."""

    def take(self, leaf: bytes) -> None:
        """Take the next entry of the log, whatever it is.

        Raises:
            NotCanonical, BadRecord: it says that a key was released and is no such entry.
        """
        # Only what has the mark is parsed, for of a long log that is little; what has it may be something else still.
        if _MARK in leaf and (taken := _parse_release(self.size, leaf)) is not None:
            self._taken.setdefault(taken.version, {}).setdefault(taken.subject, []).append(taken)
        self.size += 1

    def catch_up(self, replica: Replica) -> None:
        """Take what `replica` has and this has not."""
        for index in range(self.size, replica.directory.size):
            self.take(replica.leaf(index))

    def find(
        self,
        directory: Directory,
        *,
        at: int,
        model: str | None = None,
        version: str | None = None,
        subject: str | None = None,
    ) -> list[Copy]:
        """Return the copies of a model, of a version, of a subject, or all, as they stand at the time `at`; by entry.

        `directory` is that of the same log; entries that it has not are left out.
        """
        taken = [
            one
            for name, holders in self._taken.items()
            if version in {None, name} and name in directory.versions
            if model in {None, directory.versions[name].model}
            for holder, copies in holders.items()
            if subject in {None, holder}
            for one in copies
            if one.index < directory.size
        ]
        return [_copy(directory, one, at) for one in sorted(taken, key=lambda one: one.index)]

    def live(self, directory: Directory, *, at: int, version: str, subject: str, device: str | None) -> Copy | None:
        """Return the newest copy of `version` that is live, of `subject` on `device`; see `find`."""
        for taken in reversed(self._taken.get(version, {}).get(subject, [])):
            is_due = taken.device == device and taken.index < directory.size and at <= taken.expires_at
            if is_due and (found := _copy(directory, taken, at)).state == LIVE:
                return found
        return None


def copies_of(replica: Replica, *, at: int, model: str | None = None, version: str | None = None) -> list[Copy]:
    """Return the copies that the whole log of `replica` tells of, as `Copies.find` does."""
    copies = Copies()
    copies.catch_up(replica)
    return copies.find(replica.directory, at=at, model=model, version=version)


def _parse_release(index: int, leaf: bytes) -> _Taken | None:
    entry = parse_entry(leaf)
    if entry.kind != "key.released":
        return None
    envelope = entry.envelope()
    statement = parse_statement(envelope)
    # Signed by session and device, or by a workload, and by nobody else: that was checked on the way in.
    signers = {one.keyid.partition("-")[0]: one.keyid for one in envelope.signatures}
    data: Any = entry.data
    return made(
        _Taken,
        records.parse_record(Release, statement.body),
        index=index,
        subject=statement.by,
        at=entry.at,
        expires_at=data["expires_at"],
        device=signers.get("device"),
        session=signers.get("session"),
    )


def _copy(directory: Directory, taken: _Taken, at: int) -> Copy:
    place = directory.devices[taken.device] if taken.device is not None else directory.workloads[taken.subject]
    zone, model = place.zone, directory.versions[taken.version].model
    return made(Copy, taken, model=model, zone=zone, state=_state(directory, taken, at, model, zone))


def _state(directory: Directory, taken: _Taken, at: int, model: str, zone: str) -> str:
    device = directory.devices[taken.device] if taken.device is not None else None
    workload = directory.workloads.get(taken.subject)
    person = directory.people[workload.sponsor if workload is not None else taken.subject]
    holders = [one for one in (device, workload, person) if one is not None]
    frozen = (directory, directory.models[model], directory.zones[zone], *holders)
    session = directory.sessions.get(taken.session) if taken.session is not None else None
    states = {
        ENDED: at > taken.expires_at,
        REMOVED: any(one.removed for one in holders),
        REVOKED: taken.grant not in directory.grants,
        FROZEN: any(one.frozen for one in frozen),
        LOGGED_OUT: taken.session is not None and (session is None or at > session.until),
    }
    return next((state for state, holds in states.items() if holds), LIVE)

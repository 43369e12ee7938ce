"""OCSF: entries of the log as events of the Open Cybersecurity Schema Framework 1.3.0, for a SIEM.

    events = Events(replica)
    events.remember(index, leaf)             every entry before the first that is wanted, in order
    events.event(index, entry)               the event: one JSON object

| entry | class |
|---|---|
| `session.…` | Authentication 3002 |
| people, credentials, workloads, attesters; freezing and thawing those | Account Change 3001 |
| devices, zones, models, labels, aliases, policies; freezing and thawing the rest | Entity Management 3004 |
| `role.…`, `grant.…` | User Access Management 3005 |
| `key.released`, `version.registered` | Datastore Activity 6005 |
| `proposed`, `approved`, `rejected`, `withdrawn`, `fact.attested` | API Activity 6003 |
| `refused`, `refusals.counted`, `clock.doubted` | Detection Finding 2004 |
| `deployment.founded`, `keep.unsealed`, `snapshot.taken` | Application Lifecycle 6002 |

An event says what its entry says, and looks up what that names: who proposed what was enacted, whose a session, a
credential or a grant is. All of the entry is under `unmapped` as well. Of an entry that this release does not know,
that is all there is (Base Event).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from strongroom import __version__
from strongroom.acts.act import DEPLOYMENT
from strongroom.client.ocsf_table import CLASSES, CRITICAL, OTHER, SEVERITIES, Row, row_of
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory
from strongroom.statements.statement import Statement, parse_statement
from strongroom.terms.canonical import Json
from strongroom.terms.errors import Tampered
from strongroom.terms.outer_errors import codes

VERSION = "1.3.0"
_PRODUCT = {"name": "Strongroom", "vendor_name": "Strongroom", "version": __version__}
_TAMPERED = frozenset(kind.code for kind in codes() if issubclass(kind, Tampered))

Called = Callable[[str], str | None]
"""The proven name of an identifier, if there is one."""
Event = dict[str, Any]


class Log(Protocol):
    """A verified log: a replica."""

    @property
    def deployment(self) -> str:
        """The deployment's name."""

    @property
    def directory(self) -> Directory:
        """The directory after the last entry."""

    def entry(self, index: int) -> Entry:
        """Return an entry."""


class Events:
    """Turns entries of a log into events. `called` gives names, where they are to be in them."""

    def __init__(self, log: Log, called: Called = lambda identifier: None) -> None:
        self._log, self._called = log, called
        self._sessions: dict[str, tuple[str, str | None]] = {}
        self._proposals: dict[str, int] = {}

    def remember(self, index: int, leaf: bytes) -> None:
        """Take note of an entry that later ones refer to; most are passed over unparsed."""
        if b'"kind":"proposed"' in leaf or b'"kind":"session.opened"' in leaf:
            self._remember(index, parse_entry(leaf))

    def event(self, index: int, entry: Entry) -> Event:
        """Return the event that an entry is, and take note of it as `remember` does."""
        said = _Said.of(entry) if entry.statement is not None else None
        cause, body = self._cause(entry, said)
        row = row_of(entry.kind, body)
        number, activity = row.activity
        severity = self._severity(row, entry)
        event: Event = {
            "activity_id": number,
            "activity_name": activity,
            "category_uid": row.class_uid // 1000,
            "class_name": CLASSES[row.class_uid],
            "class_uid": row.class_uid,
            "message": _message(entry, cause),
            "metadata": {
                "event_code": entry.kind,
                "log_name": self._log.directory.origin,
                "product": _PRODUCT,
                "sequence": index,
                "uid": f"{self._log.deployment}/{index}",
                "version": VERSION,
            },
            "severity": SEVERITIES[severity],
            "severity_id": severity,
            "status_id": 1,
            "time": entry.at * 1000,
            "type_uid": row.class_uid * 100 + number,
            "unmapped": {"entry": _unmapped(entry, said, body)},
        }
        if cause is not None:
            event["actor"] = self._actor(cause)
        self._fill(event, row, entry, cause, body)
        self._remember(index, entry)
        return event

    # --- what entries refer to -----------------------------------------------------------------

    def _remember(self, index: int, entry: Entry) -> None:
        if entry.kind not in {"proposed", "session.opened"}:
            return
        said = _Said.of(entry)
        if entry.kind == "proposed":
            self._proposals[said.statement.id] = index
        else:
            self._sessions[said.body["session"]] = said.statement.by, said.body.get("device")

    def _cause(self, entry: Entry, said: _Said | None) -> tuple[_Said | None, dict[str, Any]]:
        """Return whose statement caused an entry, and the change that it is about."""
        if said is not None:
            return said, said.body
        data = entry.data if isinstance(entry.data, dict) else {}
        if (proposed := self._proposals.get(str(data.get("proposal")))) is None:
            return None, data
        proposal = _Said.of(self._log.entry(proposed))
        return proposal, proposal.body["change"]

    def _owner(self, identifier: str) -> str:
        """Return whose a session, credential or grant is; of what is not known, the identifier itself."""
        match identifier.partition("-")[0]:
            case "session":
                return self._sessions.get(identifier, (identifier, None))[0]
            case "credential":
                known = self._log.directory.credentials.get(identifier)
                return identifier if known is None else known.person
            case "grant":
                given = self._granted(identifier)
                return identifier if given is None else str(given["subject"])
            case _:
                return identifier

    def _granted(self, grant: str) -> dict[str, Any] | None:
        proposed = self._proposals.get("statement-" + grant.partition("-")[2])
        if proposed is None:
            return None
        change: dict[str, Any] = _Said.of(self._log.entry(proposed)).body["change"]
        return change

    # --- objects of the schema -----------------------------------------------------------------

    def _fill(self, event: Event, row: Row, entry: Entry, cause: _Said | None, body: dict[str, Any]) -> None:
        """Add what the class of the event asks for."""
        data = entry.data if isinstance(entry.data, dict) else {}
        subject = str(body.get(row.subject, "")) or self._log.deployment
        match row.class_uid:
            case 2004:
                self._fill_finding(event, entry, data)
            case 3001:
                event["user"] = self._user(self._owner(subject))
            case 3002:
                event["user"] = self._user(self._owner(subject) if entry.kind == "session.closed" else _by(cause))
                event["session"] = {"uid": subject}
                event["service"] = {"name": "Strongroom", "uid": self._log.deployment}
                event |= {"auth_protocol": "WebAuthn", "auth_protocol_id": OTHER, "is_mfa": True}
            case 3004:
                event["entity"] = self._entity(subject, entry.kind)
            case 3005:
                self._fill_access(event, entry, body, subject)
            case 6002:
                event["app"] = _PRODUCT | {"uid": self._log.deployment}
            case 6003:
                about = str(body.get("proposal") or body.get("subject") or (cause.statement.id if cause else ""))
                event["api"] = {"operation": cause.statement.kind if cause is not None else entry.kind}
                event["resources"] = [self._resource(about)]
                event["src_endpoint"] = self._endpoint(cause)
            case 6005:
                event["databucket"] = {
                    "name": self._named(subject),
                    "type": "sealed version",
                    "type_id": OTHER,
                    "uid": subject,
                }
                event |= {"src_endpoint": self._endpoint(cause), "type": "Databucket", "type_id": 2}
            case _:
                pass

    def _fill_finding(self, event: Event, entry: Entry, data: dict[str, Any]) -> None:
        event["finding_info"] = {
            "created_time": entry.at * 1000,
            "title": event["message"],
            "types": [entry.kind],
            "uid": event["metadata"]["uid"],
        }
        if "by" in data:
            event["actor"] = {"user": self._user(data["by"])}

    def _fill_access(self, event: Event, entry: Entry, body: dict[str, Any], subject: str) -> None:
        change = (self._granted(subject) or {}) if entry.kind == "grant.revoked" else body
        is_role = entry.kind.startswith("role.")
        event["user"] = self._user(self._owner(subject))
        event["privileges"] = [f"{body['role']}@{body['team']}"] if is_role else ["open"]
        about = change.get("model") if is_role else change.get("version")
        event["resource"] = self._resource(str(about) if about is not None else self._log.deployment)

    def _actor(self, cause: _Said) -> Event:
        actor: Event = {"user": self._user(cause.statement.by)}
        if (session := cause.signer("session")) is not None:
            actor["session"] = {"uid": session}
        if (credential := cause.signer("credential")) is not None:
            actor["user"]["credential_uid"] = credential
        return actor

    def _user(self, identifier: str) -> Event:
        is_service = identifier.startswith(("workload-", "attester-"))
        user: Event = {"name": self._named(identifier), "type_id": 1, "uid": identifier}
        return user | ({"type": "Service", "type_id": OTHER} if is_service else {})

    def _entity(self, identifier: str, kind: str) -> Event:
        what = identifier.partition("-")[0] if "-" in identifier else kind.partition(".")[0]
        if identifier == DEPLOYMENT:
            identifier, what = self._log.deployment, DEPLOYMENT
        return {"name": self._named(identifier), "type": what, "uid": identifier}

    def _resource(self, identifier: str) -> Event:
        return {"name": self._named(identifier), "type": identifier.partition("-")[0], "uid": identifier}

    def _named(self, identifier: str) -> str:
        return self._called(identifier) or identifier

    def _endpoint(self, cause: _Said | None) -> Event:
        """Return the machine that something was said from, or else the key that signed it."""
        if cause is None:
            return {"uid": self._log.deployment}
        session = cause.signer("session")
        device = cause.signer("device") or self._sessions.get(session or "", ("", None))[1]
        return {"uid": device or cause.signers[0]}

    def _severity(self, row: Row, entry: Entry) -> int:
        data = entry.data if isinstance(entry.data, dict) else {}
        is_tampered = entry.kind == "refused" and data.get("code") in _TAMPERED
        return CRITICAL if is_tampered else row.severity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A statement that stands in an entry, and which keys signed it."""

    statement: Statement
    signers: tuple[str, ...]

    @classmethod
    def of(cls, entry: Entry) -> _Said:
        """Return the one in `entry`."""
        envelope = entry.envelope()
        return cls(
            statement=parse_statement(envelope), signers=tuple(signature.keyid for signature in envelope.signatures)
        )

    @property
    def body(self) -> dict[str, Any]:
        """What it says."""
        return dict(self.statement.body) if isinstance(self.statement.body, dict) else {}

    def signer(self, kind: str) -> str | None:
        """Return the key of that kind that signed it."""
        return next((one for one in self.signers if one.startswith(f"{kind}-")), None)


def _by(cause: _Said | None) -> str:
    return "" if cause is None else cause.statement.by


def _message(entry: Entry, cause: _Said | None) -> str:
    data = entry.data if isinstance(entry.data, dict) else {}
    match entry.kind:
        case "refused":
            return f"refused `{data.get('act')}` to {data.get('by')}: {data.get('code')}"
        case "refusals.counted":
            return f"refused {data.get('count')} more of {data.get('by')} within a minute"
        case _:
            return entry.kind if cause is None else f"{entry.kind} by {cause.statement.by}"


def _unmapped(entry: Entry, said: _Said | None, body: dict[str, Any]) -> Event:
    """Return all that the entry says; keys and signatures are left to whoever has the log."""
    told: Event = {"kind": entry.kind, "body": _plain(body), "data": entry.data}
    if said is not None:
        told |= {"statement": said.statement.id, "signed_by": list(said.signers)}
    return told


def _plain(value: Json) -> Json:
    """Return a body without what no SIEM can use: long texts are cut."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return f"{value[:200]}…" if isinstance(value, str) and len(value) > 200 else value

"""OCSF table: which event each kind of entry becomes, in the terms of the Open Cybersecurity Schema Framework 1.3.0.

Numbers and words are the schema's: of classes, of activities within a class, of severities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CLASSES = {
    0: "Base Event",
    2004: "Detection Finding",
    3001: "Account Change",
    3002: "Authentication",
    3004: "Entity Management",
    3005: "User Access Management",
    6002: "Application Lifecycle",
    6003: "API Activity",
    6005: "Datastore Activity",
}
INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL = range(1, 6)
SEVERITIES = {INFORMATIONAL: "Informational", LOW: "Low", MEDIUM: "Medium", HIGH: "High", CRITICAL: "Critical"}
OTHER = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What kinds of entries become: a class, an activity by number and name, a severity.

    `subject` is the field of the change that says whom or what it is about.
    """

    class_uid: int
    activity: tuple[int, str]
    severity: int = INFORMATIONAL
    subject: str = ""


def _account(number: int, name: str, subject: str, severity: int = LOW) -> Row:
    return Row(class_uid=3001, activity=(number, name), severity=severity, subject=subject)


def _entity(number: int, name: str, subject: str, severity: int = LOW) -> Row:
    return Row(class_uid=3004, activity=(number, name), severity=severity, subject=subject)


def _access(number: int, name: str, subject: str, severity: int) -> Row:
    return Row(class_uid=3005, activity=(number, name), severity=severity, subject=subject)


def _call(number: int, name: str) -> Row:
    return Row(class_uid=6003, activity=(number, name))


def _store(number: int, name: str, severity: int) -> Row:
    return Row(class_uid=6005, activity=(number, name), severity=severity, subject="version")


def _finding(severity: int) -> Row:
    return Row(class_uid=2004, activity=(1, "Create"), severity=severity)


def _life(number: int, name: str, severity: int = INFORMATIONAL) -> Row:
    return Row(class_uid=6002, activity=(number, name), severity=severity)


KINDS = {
    "deployment.founded": _life(1, "Install", MEDIUM),
    "keep.unsealed": _life(3, "Start", LOW),
    "snapshot.taken": _life(OTHER, "Snapshot"),
    "session.opened": Row(class_uid=3002, activity=(1, "Logon"), subject="session"),
    "session.closed": Row(class_uid=3002, activity=(2, "Logoff"), subject="session"),
    "proposed": _call(1, "Create"),
    "approved": _call(3, "Update"),
    "rejected": _call(3, "Update"),
    "withdrawn": _call(4, "Delete"),
    "fact.attested": _call(1, "Create"),
    "key.released": _store(10, "Decrypt", MEDIUM),
    "version.registered": _store(9, "Encrypt", INFORMATIONAL),
    "person.enrolled": _account(1, "Create", "person", MEDIUM),
    "person.removed": _account(6, "Delete", "person"),
    "credential.added": _account(10, "MFA Factor Enable", "person", MEDIUM),
    "credential.removed": _account(11, "MFA Factor Disable", "credential"),
    "credential.reported": _account(11, "MFA Factor Disable", "credential", HIGH),
    "workload.enrolled": _account(1, "Create", "workload"),
    "workload.removed": _account(6, "Delete", "workload"),
    "attester.enrolled": _account(1, "Create", "attester"),
    "attester.revoked": _account(5, "Disable", "attester", HIGH),
    "device.enrolled": _entity(6, "Enroll", "device"),
    "device.removed": _entity(7, "Unenroll", "device"),
    "zone.defined": _entity(3, "Update", "zone", MEDIUM),
    "model.enrolled": _entity(1, "Create", "model"),
    "label.raised": _entity(3, "Update", "target"),
    "label.lowered": _entity(3, "Update", "target", MEDIUM),
    "alias.set": _entity(3, "Update", "alias"),
    "policy.changed": _entity(3, "Update", "", HIGH),
    "acceptance.changed": _entity(3, "Update", "", HIGH),
    "clock.confirmed": _entity(3, "Update", "", MEDIUM),
    "role.given": _access(1, "Assign Privileges", "subject", MEDIUM),
    "role.taken": _access(2, "Revoke Privileges", "subject", LOW),
    "grant.given": _access(1, "Assign Privileges", "subject", MEDIUM),
    "grant.revoked": _access(2, "Revoke Privileges", "grant", MEDIUM),
    "frozen": _entity(12, "Suspend", "target", HIGH),
    "thawed": _entity(13, "Resume", "target", MEDIUM),
    "refused": _finding(MEDIUM),
    "refusals.counted": _finding(HIGH),
    "clock.doubted": _finding(HIGH),
}
"""By kind of entry. Freezing and thawing whoever has an account is an account's change: see `row_of`."""

_FROZEN_ACCOUNT = {"frozen": _account(5, "Disable", "target", HIGH), "thawed": _account(2, "Enable", "target", MEDIUM)}
_ACCOUNTS = ("person", "workload", "attester")
_UNKNOWN = Row(class_uid=0, activity=(OTHER, "Other"))


def row_of(kind: str, body: dict[str, Any]) -> Row:
    """Return the row of a kind of entry; `body` is the change that it is about."""
    if kind in _FROZEN_ACCOUNT and str(body.get("target")).startswith(_ACCOUNTS):
        return _FROZEN_ACCOUNT[kind]
    return KINDS.get(kind, _UNKNOWN)

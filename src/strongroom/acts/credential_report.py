"""`credential.report`: a security key is lost or in wrong hands; neither it nor an approval given with it counts."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import CredentialId, Digest, Record


class CredentialReport(Record):
    """Which one, and the salted digest of why."""

    credential: CredentialId
    reason: Digest


def apply(directory: Directory, move: Move[CredentialReport]) -> None:
    name = move.body.credential
    directory.credentials[name] = replace(directory.credentials[name], compromised=True)
    directory.sessions = {key: one for key, one in directory.sessions.items() if one.credential != name}


def target(directory: Directory, by: str, body: CredentialReport) -> str:
    return find.credential(directory, body.credential).person


def keeps_possible(directory: Directory, by: str, body: CredentialReport) -> tuple[str, str] | None:
    """Of somebody else, the last key that works is taken only while enough people are left to undo things."""
    person = directory.credentials[body.credential].person
    working = [one for one in directory.credentials.values() if not (one.removed or one.compromised)]
    is_last = sum(one.person == person for one in working) == 1
    return ("thaw", "deployment") if person != by and is_last else None

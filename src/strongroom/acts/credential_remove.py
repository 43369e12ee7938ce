"""`credential.remove`: a security key is taken out of use for good. Approvals given with it stand."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import CredentialId, Record


class CredentialRemove(Record):
    """Which one."""

    credential: CredentialId


def apply(directory: Directory, move: Move[CredentialRemove]) -> None:
    name = move.body.credential
    directory.credentials[name] = replace(directory.credentials[name], removed=True)
    directory.sessions = {key: one for key, one in directory.sessions.items() if one.credential != name}


def target(directory: Directory, by: str, body: CredentialRemove) -> str:
    return find.credential(directory, body.credential).person

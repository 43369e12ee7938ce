"""`credential.report`: a security key is lost or in wrong hands; neither it nor an approval given with it counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import CredentialId, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """Which one, and the salted digest of why."""

    credential: CredentialId
    reason: Digest


def _apply(directory: Directory, move: Move[CredentialReport]) -> None:
    name = move.body.credential
    directory.credentials[name] = replace(directory.credentials[name], compromised=True)
    directory.sessions = {key: one for key, one in directory.sessions.items() if one.credential != name}


ACT = Act(
    name="credential.report",
    body=CredentialReport,
    principals=("Person",),
    resources=("Person",),
    effect=Effect.CLOSES,
    signer=Signer.SESSION,
    entry="credential.reported",
    help="report a security key as lost or compromised: it ends its sessions and its approvals",
    target=lambda directory, by, body: find.credential(directory, body.credential).person,
    apply=_apply,
)

"""`credential.remove`: a security key is taken out of use for good. Approvals given with it stand."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import CredentialId


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRemove:
    """Which one."""

    credential: CredentialId


def _apply(directory: Directory, move: Move[CredentialRemove]) -> None:
    name = move.body.credential
    directory.credentials[name] = replace(directory.credentials[name], removed=True)
    directory.sessions = {key: one for key, one in directory.sessions.items() if one.credential != name}


ACT = Act(
    name="credential.remove",
    body=CredentialRemove,
    principals=("Person",),
    resources=("Person",),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="credential.removed",
    help="take a security key out of use",
    target=lambda directory, by, body: find.credential(directory, body.credential).person,
    apply=_apply,
    is_sensitive=True,
)

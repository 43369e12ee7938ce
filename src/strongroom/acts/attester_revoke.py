"""`attester.revoke`: one responder takes an attester's word away, and with it all its facts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import AttesterId, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterRevoke:
    """Which one, and the salted digest of why."""

    attester: AttesterId
    reason: Digest


def _apply(directory: Directory, move: Move[AttesterRevoke]) -> None:
    name = move.body.attester
    directory.attesters[name] = replace(directory.attesters[name], revoked=True)
    directory.facts = {
        subject: {kind: {who: fact for who, fact in said.items() if who != name} for kind, said in kinds.items()}
        for subject, kinds in directory.facts.items()
    }


ACT = Act(
    name="attester.revoke",
    body=AttesterRevoke,
    principals=("Person",),
    resources=("Attester",),
    effect=Effect.CLOSES,
    signer=Signer.SESSION,
    entry="attester.revoked",
    help="stop believing an attester, and forget all its facts",
    target=lambda directory, by, body: find.attester(directory, body.attester).attester,
    apply=_apply,
)

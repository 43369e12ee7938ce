"""`attester.revoke`: one responder takes an attester's word away, and with it all its facts."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.records import AttesterId, Digest, Record


class AttesterRevoke(Record):
    """Which one, and the salted digest of why."""

    attester: AttesterId
    reason: Digest


def apply(directory: Directory, move: Move[AttesterRevoke]) -> None:
    name = move.body.attester
    directory.attesters[name] = replace(directory.attesters[name], revoked=True)
    directory.facts = {
        subject: {kind: {who: fact for who, fact in said.items() if who != name} for kind, said in kinds.items()}
        for subject, kinds in directory.facts.items()
    }


def target(directory: Directory, by: str, body: AttesterRevoke) -> str:
    return find.attester(directory, body.attester).attester

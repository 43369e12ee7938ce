"""`attester.enrol`: a quorum believes somebody about some kinds of facts, for at most so long at a time."""

from typing import Annotated

from strongroom.acts.act import Move
from strongroom.acts.enrol import NewKey, check_new_key, take_key
from strongroom.directory import find
from strongroom.directory.state import Attester, Directory, made
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Ascending, AttesterId, Digest, Natural, Record, Word


class AttesterEnrol(Record):
    """`details` is the salted digest of its name."""

    attester: AttesterId
    key: NewKey
    kinds: Annotated[tuple[Word, ...], Ascending()]
    longest_seconds: Natural
    details: Digest


def check(directory: Directory, move: Move[AttesterEnrol]) -> None:
    find.check_new(directory.attesters, move.body.attester)
    if not move.body.kinds:
        raise NotAllowed("an attester is believed about some kind of facts")
    check_new_key(directory, move.body.attester, move.body.key)


def apply(directory: Directory, move: Move[AttesterEnrol]) -> None:
    body = move.body
    directory.attesters[body.attester] = made(Attester, body, public_key=body.key.public_key, revoked=False)
    take_key(directory, body.attester, body.key.public_key)

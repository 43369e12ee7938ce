"""`credential.add`: one more security key for somebody: a touch of an old one, and another person's approval."""

from dataclasses import replace

from strongroom.acts.act import Move
from strongroom.acts.enrol import (
    NewCredential,
    add_credential,
    check_new_credential,
    credential_key,
    key_origins,
    touch_of,
)
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.statements.envelope import Signature
from strongroom.statements.signatures import possession_message
from strongroom.statements.webauthn import verify_assertion
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import PersonId, Record


class CredentialAdd(Record):
    """`touch` is the old key's signature over the new key's possession; left out only where no old key is left."""

    person: PersonId
    new: NewCredential
    touch: Signature | None = None


def check(directory: Directory, move: Move[CredentialAdd]) -> None:
    body = move.body
    find.person(directory, body.person)
    check_new_credential(directory, body.person, body.new)
    if body.touch is None:
        if any(
            one.person == body.person and not (one.removed or one.compromised) for one in directory.credentials.values()
        ):
            raise NotAllowed("a new security key needs a touch of an old one")
        return
    old = find.credential(directory, body.touch.keyid)
    if old.person != body.person:
        raise NotAllowed("the old security key is another person's")
    verify_assertion(
        touch_of(body.touch),
        body.touch.sig,
        # A touch is not younger than the proposal; it says nothing but that this new key is wanted.
        key=replace(credential_key(old), counter=0),
        message=possession_message(directory.deployment, f"{body.person}/{body.new.credential}", body.new.public_key),
        rp_id=directory.acceptance.rp_id,
        origins=key_origins(directory.acceptance),
    )


def target(directory: Directory, by: str, body: CredentialAdd) -> str:
    return find.person(directory, body.person).person


def apply(directory: Directory, move: Move[CredentialAdd]) -> None:
    add_credential(directory, move.body.person, move.body.new)


def gains(directory: Directory, by: str, body: CredentialAdd) -> frozenset[str]:
    return frozenset({body.person})

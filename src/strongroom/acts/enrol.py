"""What the acts that enrol somebody or something share: proofs that they hold their keys, and credentials."""

from typing import Annotated

from strongroom.directory import find
from strongroom.directory.state import Acceptance, Credential, Directory, made
from strongroom.statements import webauthn
from strongroom.statements.envelope import Assertion, Signature
from strongroom.statements.signatures import possession_message, verify_possession
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadSignature, NotAllowed
from strongroom.terms.records import Bytes, Count, CredentialId, P256Point, Record

Blob = Annotated[bytes, Bytes(most=8192)]


class NewKey(Record):
    """A public key, and the signature that proves that its owner holds the private half."""

    public_key: P256Point
    proof: Annotated[bytes, Bytes(most=80)]


class NewCredential(Record):
    """A security key, as its registration ceremony gave it: what it says of itself is in the attestation."""

    credential: CredentialId
    raw_id: Annotated[bytes, Bytes(most=1023)]
    public_key: P256Point
    backup_eligible: bool
    software: bool
    counter: Count
    attestation_object: Blob
    client_data: Blob
    possession: Signature
    """By the security key itself: an attestation may be signed by its maker's key only, or by none."""


def check_new_key(directory: Directory, subject: str, key: NewKey) -> None:
    """Refuse a key without proof of possession for this subject of this deployment, or one that was used before."""
    find.check_new_key(directory, key.public_key)
    verify_possession(directory.deployment, subject, key.public_key, key.proof)


def take_key(directory: Directory, subject: str, public_key: bytes) -> None:
    """Note for ever whose key this is."""
    directory.key_owners[sha256(public_key)] = subject


def check_new_credential(directory: Directory, person: str, new: NewCredential) -> None:
    """Refuse a security key that is known, or whose registration does not prove what it claims."""
    find.check_new(directory.credentials, new.credential)
    find.check_new_key(directory, new.public_key)
    check_registration(directory.acceptance, directory.deployment, person, new)


def check_registration(acceptance: Acceptance, deployment: str, person: str, new: NewCredential) -> None:
    """Verify the ceremony: made for this person, this credential and this deployment, by an accepted kind of key.

    1. The registration answers a challenge that names deployment, person and credential.
    2. What is claimed of the key is what it says.
    3. The key signs that it wants to be this credential.
    4. A key without a maker's attestation is software, and the deployment takes software keys.
    """
    # 1
    registered = webauthn.verify_registration(
        new.attestation_object,
        new.client_data,
        challenge_message=webauthn.registration_message(
            deployment=deployment, person=person, credential=new.credential
        ),
        rp_id=acceptance.rp_id,
        origins=key_origins(acceptance),
        roots=acceptance.attestation_roots,
    )
    # 2
    claimed = (new.raw_id, new.public_key, new.backup_eligible, new.software)
    if claimed != (registered.raw_id, registered.public_key, registered.backup_eligible, registered.software):
        raise BadSignature(f"credential `{new.credential}` is not what its registration says")
    # 3
    verified = webauthn.verify_assertion(
        touch_of(new.possession),
        new.possession.sig,
        key=credential_key(new),
        message=possession_message(deployment, f"{person}/{new.credential}", new.public_key),
        rp_id=acceptance.rp_id,
        origins=key_origins(acceptance),
    )
    if verified.counter != new.counter:
        raise BadSignature(f"credential `{new.credential}` does not count from where it says")
    # 4
    if new.software and not acceptance.software_keys:
        raise NotAllowed(
            f"credential `{new.credential}` is not attested by a maker that this deployment accepts",
            hint="enrol a security key of an accepted maker",
        )


def key_origins(acceptance: Acceptance) -> dict[str, str]:
    """Return where keys are enrolled: where approvals are given, never where one only logs in."""
    return {origin: path for origin, path in acceptance.origins.items() if path != "console"}


def touch_of(signature: Signature) -> Assertion:
    """Return what a security key signed beside the challenge.

    Raises:
        BadSignature: it is the signature of another kind of key.
    """
    if signature.webauthn is None:
        raise BadSignature(f"`{signature.keyid}` did not sign as a security key does")
    return signature.webauthn


def credential_key(known: NewCredential | Credential) -> webauthn.CredentialKey:
    """Return what an assertion of this credential is verified with."""
    return made(webauthn.CredentialKey, known, counter=0 if isinstance(known, NewCredential) else known.counter)


def add_credential(directory: Directory, person: str, new: NewCredential) -> None:
    """Put the credential into the directory."""
    directory.credentials[new.credential] = made(Credential, new, person=person, compromised=False, removed=False)
    take_key(directory, new.credential, new.public_key)

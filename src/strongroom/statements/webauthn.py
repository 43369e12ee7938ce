"""Security keys: what an assertion (a touch that signs) and a registration (a new credential) must show.

A touch signs a message by its SHA-256, as the challenge. What `verify_assertion` checks, after WebAuthn level 3 §7.2;
where the standard leaves a choice, the strict one is taken:

 1. The client data is one JSON object: no key twice, nothing before it, nothing after it.
 2. Its `type` is `webauthn.get`, so that enrolling a key is never read as signing with it.
 3. Its `challenge` is the message's: a touch for a login is none for an approval.
 4. Its `origin` is in the log's list, byte for byte: no other port, no subdomain. The list names the path that it is.
 5. `crossOrigin` is false or not there, and there is no `topOrigin`: no page in a frame of somebody else's.
 6. The authenticator data has 37 bytes, with neither a credential nor extensions, for nobody asked for any.
 7. The hash in it is that of our rpId.
 8. The person was present (touched it) and verified (by PIN or fingerprint).
 9. What is backed up is said to be eligible for that.
10. The signature is ES256 by this credential's key, over the authenticator data and the hash of the client data.
11. Whether the credential may be backed up is as it was when it was enrolled.
12. The counter rose, or the key has none (0, always).

`verify_registration` checks 1 to 5 with `webauthn.create`, 7 to 9, and:

13. The attestation object is one map of exactly `fmt`, `attStmt` and `authData`, in canonical CBOR.
14. There is a credential with an ES256 key in its one encoding, then extensions if they are announced, then nothing.
15. `none`: the statement is empty. `packed`: it is signed with ES256, by the credential's own key or by one that a
    certificate of the maker's names, for this model, with a chain to a root in the directory. Nothing else is known.
    (`fido-u2f` is not: such a key cannot verify its user, so 8 refuses it before.)

Certificates' dates are not looked at: they name a make of key, and the log must read the same in twenty years. A maker
that is no longer trusted leaves the directory.

No library does this here, although good ones exist: those read certificates against the clock, mend what is odd, and
bring five packages into the process that holds the keys. Tests hold this against two of them.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from strongroom.statements.attestation import check_packed
from strongroom.statements.cbor import Cbor, parse_cbor
from strongroom.statements.envelope import Assertion, pae
from strongroom.statements.signatures import POSSESSION_TYPE, check_p256_point, verify_es256
from strongroom.terms import canonical
from strongroom.terms.errors import BadAssertion, BadAttestation, BadRecord, ClonedKey

REGISTRATION_FORMAT = "strongroom/registration/1"

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _CREDENTIAL, _EXTENSIONS = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
_FIXED_BYTES = 37  # hash of the rpId, flags, counter
_RAW_ID_AT = 55  # then the AAGUID, and the length of the credential's id
_COSE_BYTES = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialKey:
    """A credential as the directory has it. `credential` is our id, `raw_id` the authenticator's."""

    credential: str
    raw_id: bytes
    public_key: bytes
    software: bool
    backup_eligible: bool
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAssertion:
    """A touch that holds. Whoever keeps the credential keeps the new `counter` with it."""

    path: str
    origin: str
    counter: int
    backup_eligible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKey:
    """A new credential. `aaguid` says which model it is, in hexadecimal; of a software key it says nothing.

    Only an attestation proves who made it, and of `none` nothing is signed at all: whoever enrols it also has it sign,
    and checks that with `verify_assertion` over `possession_message`.
    """

    raw_id: bytes
    public_key: bytes
    aaguid: str
    software: bool
    backup_eligible: bool
    counter: int
    path: str
    origin: str


def registration_message(*, deployment: str, person: str, credential: str) -> bytes:
    """Return the message whose hash is the challenge when `person` makes a key that is to be `credential`."""
    payload = {"deployment": deployment, "format": REGISTRATION_FORMAT, "person": person, "subject": credential}
    return pae(canonical.encode(payload), POSSESSION_TYPE)


def challenge_of(message: bytes) -> str:
    """Return the challenge by which a security key signs `message`, as client data has it: base64url, unpadded."""
    return base64.urlsafe_b64encode(hashlib.sha256(message).digest()).decode("ascii").rstrip("=")


def verify_assertion(
    assertion: Assertion, sig: bytes, *, key: CredentialKey, message: bytes, rp_id: str, origins: Mapping[str, str]
) -> VerifiedAssertion:
    """Return what a touch shows, if it is of `key` and for `message`. `origins` gives the path that each origin is.

    Raises:
        BadAssertion: given elsewhere, for something else, or without presence or verification.
        BadSignature: not by this credential's key.
        ClonedKey: the counter did not rise.
        NotCanonical, BadRecord: bytes that no authenticator writes.
    """
    origin, path = _check_client_data(assertion.client_data, "webauthn.get", message, origins)
    data = assertion.authenticator_data
    # 6
    if len(data) != _FIXED_BYTES:
        raise BadRecord(f"the authenticator data of an assertion has {_FIXED_BYTES} bytes, not {len(data)}")
    flags = _check_authenticator_data(data, rp_id)
    if flags & (_CREDENTIAL | _EXTENSIONS):
        raise BadRecord("authenticator data that announces more than it has")
    # 10, and before 11 and 12: only what is signed may raise an alarm
    verify_es256(key.public_key, data + hashlib.sha256(assertion.client_data).digest(), sig)
    # 11
    eligible = bool(flags & _ELIGIBLE)
    if eligible != key.backup_eligible:
        raise BadAssertion("the key says otherwise than at its enrolment whether it may be backed up")
    # 12
    counter = int.from_bytes(data[33:37])
    if (counter or key.counter) and counter <= key.counter:
        raise ClonedKey(f"the counter of `{key.credential}` is {counter} and was {key.counter} before")
    return VerifiedAssertion(path=path, origin=origin, counter=counter, backup_eligible=eligible)


def verify_registration(
    attestation_object: bytes,
    client_data: bytes,
    *,
    challenge_message: bytes,
    rp_id: str,
    origins: Mapping[str, str],
    roots: Sequence[bytes],
) -> RegisteredKey:
    """Return the credential that was made for `challenge_message`. `roots` are makers' certificates, in DER.

    Raises:
        BadAssertion: made elsewhere, for something else, or without presence or verification.
        BadAttestation: not an ES256 key, or an attestation that does not hold or is of another kind.
        BadKey, BadSignature, NotCanonical, BadRecord: bytes that no authenticator writes.
    """
    origin, path = _check_client_data(client_data, "webauthn.create", challenge_message, origins)
    # 13
    match parse_cbor(attestation_object):
        case {"fmt": str(kind), "attStmt": dict(statement), "authData": bytes(data), **rest} if not rest:
            pass
        case _:
            raise BadRecord("not an attestation object")
    # 14
    if len(data) < _RAW_ID_AT:
        raise BadRecord("authenticator data without a credential")
    flags = _check_authenticator_data(data, rp_id)
    raw_id, public_key = _parse_credential(data, flags)
    # 15
    signed = data + hashlib.sha256(client_data).digest()
    return RegisteredKey(
        raw_id=raw_id,
        public_key=public_key,
        aaguid=data[37:53].hex(),
        software=_is_software(kind, statement, signed=signed, public_key=public_key, roots=roots),
        backup_eligible=bool(flags & _ELIGIBLE),
        counter=int.from_bytes(data[33:37]),
        path=path,
        origin=origin,
    )


def _check_client_data(data: bytes, kind: str, message: bytes, origins: Mapping[str, str]) -> tuple[str, str]:
    """Return the origin of client data, and its path."""
    # 1
    client = canonical.parse_any(data)
    if not isinstance(client, dict) or data != data.strip(b" \t\r\n"):
        raise BadRecord("client data is one JSON object and nothing else")
    # 2
    if client.get("type") != kind:
        _refuse(f"this was not `{kind}`")
    # 3
    if client.get("challenge") != challenge_of(message):
        _refuse("this touch was for something else")
    # 4
    origin = client.get("origin")
    if not isinstance(origin, str) or origin not in origins:
        _refuse(f"`{str(origin)[:200]}` is not an origin where this is signed")
    # 5
    if client.get("crossOrigin", False) is not False or "topOrigin" in client:
        _refuse("this was signed in a frame of another page")
    return origin, origins[origin]


def _check_authenticator_data(data: bytes, rp_id: str) -> int:
    """Return the flags of authenticator data of at least 37 bytes."""
    flags = data[32]
    # 7
    if data[:32] != hashlib.sha256(rp_id.encode("utf-8")).digest():
        _refuse(f"the key was used for another rpId than `{rp_id}`")
    # 8
    if not flags & _PRESENT:
        _refuse("nobody touched the key")
    if not flags & _VERIFIED:
        _refuse("the key did not verify its person, by PIN or fingerprint")
    # 9
    if flags & _BACKED_UP and not flags & _ELIGIBLE:
        raise BadRecord("a key that is backed up and may not be")
    return flags


def _parse_credential(data: bytes, flags: int) -> tuple[bytes, bytes]:
    """Return the credential's id and its public key, as a point."""
    # 14
    if not flags & _CREDENTIAL:
        raise BadRecord("authenticator data without a credential")
    key_at = _RAW_ID_AT + int.from_bytes(data[53:55])
    raw_id, cose, rest = data[_RAW_ID_AT:key_at], data[key_at : key_at + _COSE_BYTES], data[key_at + _COSE_BYTES :]
    if not 1 <= len(raw_id) <= 1023:
        raise BadRecord("the id of a credential has 1 to 1023 bytes")
    x, y = cose[10:42], cose[45:]
    if cose != bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y:
        raise BadAttestation("not an ES256 key")
    check_p256_point(point := b"\x04" + x + y)
    if flags & _EXTENSIONS:
        if not isinstance(parse_cbor(rest), dict):
            raise BadRecord("extensions are a map")
    elif rest:
        raise BadRecord(f"{len(rest)} bytes follow the credential")
    return raw_id, point


def _is_software(
    kind: str, statement: dict[int | str, Cbor], *, signed: bytes, public_key: bytes, roots: Sequence[bytes]
) -> bool:
    """Say whether nobody vouches for the make of the key; an attestation that does not hold is refused."""
    # 15
    match kind, statement:
        case "none", {**rest} if not rest:
            return True
        case "packed", {"alg": -7, "sig": bytes(sig), **rest} if not rest:
            verify_es256(public_key, signed, sig)
            return True
        case "packed", {"alg": -7, "sig": bytes(sig), "x5c": list(chain), **rest} if not rest:
            check_packed(chain, sig, signed=signed, aaguid=signed[37:53], roots=roots)
            return False
        case _:
            raise BadAttestation(f"an attestation of the kind `{kind[:40]}` that is not known here")


def _refuse(reason: str) -> NoReturn:
    raise BadAssertion(reason)

"""Signatures over bytes: ES256 (ECDSA on P-256 with SHA-256) for people's devices, sessions, workloads and attesters,
Ed25519 for the keep's own key; and the proof that whoever enrols a key holds its private half.

    verify_es256(point, envelope.message, envelope.signature(session).sig)

A public key is its point, uncompressed: 65 bytes from `04`. A private key never has another form than the library's.
"""

import base64
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from strongroom.statements.envelope import pae
from strongroom.terms import canonical
from strongroom.terms.errors import BadKey, BadSignature

POINT_BYTES = 65
POSSESSION_TYPE = "application/vnd.strongroom.possession+json"
POSSESSION_FORMAT = "strongroom/possession/1"

_VERIFYING = ec.ECDSA(SHA256())


def check_p256_point(point: bytes) -> None:
    """Refuse what is not the one encoding of a point on P-256 other than infinity.

    Raises:
        BadKey: it is not.
    """
    _public_key(point)


def verify_es256(point: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature`, in DER, is by the key with that public `point` over `message`.

    Anyone can turn a signature into one other that is as good (s and n - s), so its bytes are the name of nothing.

    Raises:
        BadSignature: it is not, or its DER is not canonical.
        BadKey: `point` is none.
    """
    try:
        _public_key(point).verify(signature, message, _VERIFYING)
    except InvalidSignature as error:
        raise BadSignature("the signature does not fit key and message") from error


def sign_ed25519(private_key: Ed25519PrivateKey, message: bytes) -> bytes:
    """Return the signature over `message`: 64 bytes."""
    return private_key.sign(message)


def possession_payload(deployment: str, subject: str, point: bytes) -> bytes:
    """Return what the key with that public `point` signs when it is enrolled for `subject` in `deployment`."""
    key = base64.b64encode(point).decode("ascii")
    return canonical.encode({"deployment": deployment, "format": POSSESSION_FORMAT, "key": key, "subject": subject})


def possession_message(deployment: str, subject: str, point: bytes) -> bytes:
    """Return the bytes under that signature. Their type is their own: no statement reads as a proof.

    A security key proves possession by an assertion whose message these are.
    """
    return pae(possession_payload(deployment, subject, point), POSSESSION_TYPE)


def verify_possession(deployment: str, subject: str, point: bytes, proof: bytes) -> None:
    """Return if `proof` shows that whoever enrols `point` for `subject` in `deployment` holds the private half.

    Raises:
        BadSignature, BadKey: it does not.
    """
    verify_es256(point, possession_message(deployment, subject, point), proof)


@lru_cache(maxsize=4096)
def _public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    if len(point) != POINT_BYTES:  # the library would take the compressed form too, and one key would have two names
        raise BadKey(f"a P-256 key has {POINT_BYTES} bytes, not {len(point)}", hint=_KEY_HINT)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise BadKey("not a point on P-256", hint=_KEY_HINT) from error


_KEY_HINT = "have whoever enrols it make a new key pair"

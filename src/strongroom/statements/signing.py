"""Signing: with one's own ES256 key, as devices and programs do; and verifying what the keep signs with its own.

Apart from `signatures`, for the keep does neither.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.statements.signatures import possession_message
from strongroom.terms.errors import BadKey, BadSignature

# The nonce from key and message (RFC 6979): this room has no randomness of its own.
_SIGNING = ec.ECDSA(SHA256(), deterministic_signing=True)


def sign_es256(private_key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the signature of a P-256 key over `message`, in DER: 8 to 72 bytes, the same ones every time."""
    return private_key.sign(message, _SIGNING)


def point_of(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half of a P-256 key."""
    return private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def prove_possession(private_key: ec.EllipticCurvePrivateKey, deployment: str, subject: str) -> bytes:
    """Return the proof that the holder of `private_key` wants it to be the key of `subject`."""
    return sign_es256(private_key, possession_message(deployment, subject, point_of(private_key)))


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature` is by the Ed25519 key with the 32 bytes `public_key` over `message`.

    TRUST: `public_key` comes from the genesis, which every founder signed, or from the keep's own root. Of a key that
    somebody enrols this would prove nothing: keys of low order make one signature fit every message.

    Raises:
        BadSignature: it is not.
        BadKey: not 32 bytes.
    """
    try:
        _ed25519_key(public_key).verify(signature, message)
    except InvalidSignature as error:
        raise BadSignature("the signature does not fit key and message") from error


@lru_cache(maxsize=64)
def _ed25519_key(public_key: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError as error:
        raise BadKey("not an Ed25519 key") from error

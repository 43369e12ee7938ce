"""Details at rest: each name, reason or purpose under a random key of its own. Deleting the blob erases exactly it.

    blob = nonce (12) || AES-256-GCM(derive("details"), nonce, key (32), aad = the digest in the log) with tag (16)
           || AES-256-GCM(key, nonce of zeros, salt (16) || text in UTF-8) with tag (16)

A key encrypts one text once, hence the constant second nonce.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.keyring.root import RootKey
from strongroom.terms.details import SALT_BYTES, detail_digest
from strongroom.terms.errors import KeyringTampered

_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
_WRAPPED_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_ONCE = bytes(_NONCE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDetail:
    """A detail: what the log holds of it, and what rests beside the log."""

    digest: str
    blob: bytes = field(repr=False)


def seal_detail(root: RootKey, text: str, *, salt: bytes, random: Callable[[int], bytes]) -> SealedDetail:
    """Return `text` sealed, and the digest that binds it.

    Raises:
        BadRequest: the salt is not 16 bytes long.
        NotCanonical: the text has no canonical form.
    """
    digest = detail_digest(text, salt)
    key, nonce = random(_KEY_BYTES), random(_NONCE_BYTES)
    wrapped = AESGCM(root.derive("details")).encrypt(nonce, key, digest.encode("ascii"))
    return SealedDetail(
        digest=digest, blob=nonce + wrapped + AESGCM(key).encrypt(_ONCE, salt + text.encode("utf-8"), None)
    )


def open_detail(root: RootKey, digest: str, blob: bytes) -> tuple[str, bytes]:
    """Return the text that `digest` binds, and its salt.

    Raises:
        KeyringTampered: the blob was changed, or is another detail's.
    """
    nonce, wrapped, sealed = blob[:_NONCE_BYTES], blob[_NONCE_BYTES:_WRAPPED_BYTES], blob[_WRAPPED_BYTES:]
    try:
        key = AESGCM(root.derive("details")).decrypt(nonce, wrapped, digest.encode("utf-8"))
        plain = AESGCM(key).decrypt(_ONCE, sealed, None)
        salt, text = plain[:SALT_BYTES], plain[SALT_BYTES:].decode("utf-8")
    except (InvalidTag, ValueError) as error:
        raise KeyringTampered("a detail does not open") from error
    if detail_digest(text, salt) != digest:
        raise KeyringTampered("a detail is not the one that the log binds")
    return text, salt

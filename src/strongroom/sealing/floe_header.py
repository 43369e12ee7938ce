"""The header of a FLOE ciphertext: its parameters, and the tag that commits to one key. See `floe` for the segments.

A file of its own, so that the keep can hold a data key against a header without the code that opens anything.
"""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.terms.errors import BadRequest, ObjectTampered

Buffer = bytes | bytearray | memoryview

KEY_BYTES = 32
IV_BYTES = 32
TAG_BYTES = 32
HEADER_BYTES = 10 + IV_BYTES + TAG_BYTES
SEGMENT_IV_BYTES = 12
SEGMENT_OVERHEAD_BYTES = 4 + SEGMENT_IV_BYTES + 16

_AEAD_ID = _KDF_ID = 0
_MESSAGE_KEY_BYTES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderParameters:
    """What the header says of the segments: the length of an encrypted one, 32 bytes more than its plaintext."""

    segment_bytes: int = 1 << 20

    def encode(self) -> bytes:
        """Return the 10 bytes that start a header and bind the parameters into every key."""
        lengths = self.segment_bytes.to_bytes(4, "big") + IV_BYTES.to_bytes(4, "big")
        return bytes((_AEAD_ID, _KDF_ID)) + lengths


def check_header(parameters: HeaderParameters, key: bytes, aad: bytes, header: bytes) -> tuple[bytes, bytes]:
    """Return the IV of a header and the key that the segments' keys come from, if the header was made with `key`.

    Raises:
        ObjectTampered: it has other parameters, or its tag is another key's.
    """
    encoded = parameters.encode()
    if len(header) != HEADER_BYTES or header[: len(encoded)] != encoded:
        raise ObjectTampered("the header has other parameters")
    iv = header[len(encoded) : -TAG_BYTES]
    tag, message_key = tag_and_message_key(parameters, key, iv, aad)
    if not hmac.compare_digest(tag, header[-TAG_BYTES:]):
        raise ObjectTampered("the header's tag is wrong")
    return iv, message_key


def tag_and_message_key(parameters: HeaderParameters, key: bytes, iv: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """Return the header's tag, and the key that the segments' keys come from."""
    if len(key) != KEY_BYTES:
        raise BadRequest("a FLOE key has 32 bytes")
    return (
        floe_kdf(parameters, key, iv, aad, b"HEADER_TAG:", TAG_BYTES),
        floe_kdf(parameters, key, iv, aad, b"MESSAGE_KEY:", _MESSAGE_KEY_BYTES),
    )


def floe_kdf(parameters: HeaderParameters, key: bytes, iv: bytes, aad: bytes, purpose: bytes, length: int) -> bytes:
    """SPEC FLOE, Internal Functions: `FLOE_KDF(key, iv, aad, purpose, len)`."""
    return HKDFExpand(SHA384(), length, parameters.encode() + iv + purpose + aad).derive(key)

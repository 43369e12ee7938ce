"""FLOE: random-access, key-committing authenticated encryption, as specified at c2sp.org/FLOE.

AES-256-GCM, HKDF-Expand-SHA-384, 32-byte IV. A ciphertext is a header and one or more segments:

    header  = parameters (10) | iv (32) | header tag (32)
    segment = 0xFFFFFFFF, or on the last one its whole length (4) | iv (12) | ciphertext | tag (16)

Pure: every random byte is an argument. Works on buffers of the caller, without a copy, and the AEAD
releases the interpreter's lock, so that threads work on segments side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, wait
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.sealing.floe_header import (
    HEADER_BYTES,
    IV_BYTES,
    KEY_BYTES,
    SEGMENT_IV_BYTES,
    SEGMENT_OVERHEAD_BYTES,
    TAG_BYTES,
    Buffer,
    HeaderParameters,
    check_header,
    floe_kdf,
    tag_and_message_key,
)
from strongroom.terms.errors import BadRequest, ObjectTampered
from strongroom.terms.outer_errors import ObjectSize

__all__ = [
    "HEADER_BYTES",
    "IV_BYTES",
    "KEY_BYTES",
    "SEGMENT_IV_BYTES",
    "SEGMENT_OVERHEAD_BYTES",
    "TAG_BYTES",
    "Buffer",
    "Decryptor",
    "Encryptor",
    "Parameters",
    "decrypt_into",
    "encrypt_into",
]

Random = Callable[[int], bytes]

MOST_SEGMENTS = 2**40

_NOT_LAST = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(HeaderParameters):
    """What both sides must agree on. The header holds all but the rotation, which FLOE fixes at 20 bits."""

    rotation_bits: int = 20
    """A segment key serves 2 to the power of this many segments."""

    def __post_init__(self) -> None:
        if not SEGMENT_OVERHEAD_BYTES < self.segment_bytes < 2**32 - 1 or not 0 <= self.rotation_bits <= 40:
            raise BadRequest("FLOE parameters out of range")

    @property
    def plaintext_bytes(self) -> int:
        """Length of the plaintext of every segment but the last."""
        return self.segment_bytes - SEGMENT_OVERHEAD_BYTES

    def segments(self, size_bytes: int) -> int:
        """Return how many segments a plaintext of `size_bytes` takes: at least one; the last may be full."""
        return max(1, -(-size_bytes // self.plaintext_bytes))

    def sealed_bytes(self, size_bytes: int) -> int:
        """Return the length of the whole ciphertext, header included, of a plaintext of `size_bytes`."""
        return HEADER_BYTES + size_bytes + SEGMENT_OVERHEAD_BYTES * self.segments(size_bytes)

    def segment_offset(self, number: int) -> int:
        """Return where segment `number` starts in the ciphertext."""
        return HEADER_BYTES + number * self.segment_bytes


class _SegmentKeys:
    """The AEAD of each segment, from the message key. Safe to use from many threads."""

    def __init__(self, parameters: Parameters, message_key: bytes, iv: bytes, aad: bytes) -> None:
        self._parameters = parameters
        self._message_key = message_key
        self._iv = iv
        self._aad = aad
        self._aeads: dict[int, AESGCM] = {}

    def aead(self, number: int) -> AESGCM:
        if not 0 <= number < MOST_SEGMENTS:
            raise BadRequest("more segments than FLOE allows")
        first = number >> self._parameters.rotation_bits << self._parameters.rotation_bits
        if (aead := self._aeads.get(first)) is None:
            purpose = b"DEK:" + first.to_bytes(8, "big")
            aead = AESGCM(floe_kdf(self._parameters, self._message_key, self._iv, self._aad, purpose, KEY_BYTES))
            self._aeads[first] = aead
        return aead


class Encryptor:
    """Encrypts the segments of one message, in any order, each exactly once.

    INVARIANT: `iv` is fresh random data for every message, as is the one of every segment.
    """

    def __init__(self, parameters: Parameters, key: bytes, aad: bytes, iv: bytes) -> None:
        if len(iv) != IV_BYTES:
            raise BadRequest("a FLOE IV has 32 bytes")
        tag, message_key = tag_and_message_key(parameters, key, iv, aad)
        self.parameters = parameters
        self.header = parameters.encode() + iv + tag
        self._keys = _SegmentKeys(parameters, message_key, iv, aad)

    def encrypt_segment_into(self, number: int, plaintext: Buffer, out: memoryview, *, iv: bytes, is_last: bool) -> int:
        """Write segment `number` to the front of `out` and return its length.

        `plaintext` fills its segment, or on the last one does not overfill it; `iv` is 12 random bytes;
        `out` does not overlap `plaintext`.
        """
        size = len(plaintext)
        full = self.parameters.plaintext_bytes
        if size > full or (size < full and not is_last) or len(iv) != SEGMENT_IV_BYTES:
            raise BadRequest("a segment of the wrong length")
        length = size + SEGMENT_OVERHEAD_BYTES
        out[:4] = length.to_bytes(4, "big") if is_last else _NOT_LAST
        out[4:16] = iv
        self._keys.aead(number).encrypt_into(iv, plaintext, _segment_aad(number, is_last), out[16:length])
        return length


class Decryptor:
    """Decrypts any segment of one message; made only from a header whose tag is right.

    TRUST: which segment is the last, and how long it is, comes from the caller, who must know the
    plaintext's length from an authenticated place and never from the size of what is stored.
    """

    def __init__(self, parameters: Parameters, key: bytes, aad: bytes, header: Buffer) -> None:
        header = bytes(header)
        iv, message_key = check_header(parameters, key, aad, header)
        self.parameters = parameters
        self.header = header
        self._keys = _SegmentKeys(parameters, message_key, iv, aad)

    def decrypt_segment_into(self, number: int, segment: memoryview, out: memoryview, *, is_last: bool) -> None:
        """Write the plaintext of `segment`, which is exactly one whole segment, to the whole of `out`.

        Raises:
            ObjectTampered: it is not segment `number` of this message. `out` is then all zeros.
        """
        length = len(segment)
        full = self.parameters.segment_bytes
        if length < SEGMENT_OVERHEAD_BYTES or length > full or (length < full and not is_last):
            raise ObjectSize(f"segment {number} has {length} bytes")
        if len(out) != length - SEGMENT_OVERHEAD_BYTES:
            raise BadRequest("a buffer of the wrong length")
        if bytes(segment[:4]) != (length.to_bytes(4, "big") if is_last else _NOT_LAST):
            out[:] = bytes(len(out))
            raise ObjectTampered(f"segment {number} states another length")
        aad = _segment_aad(number, is_last)
        try:
            self._keys.aead(number).decrypt_into(bytes(segment[4:16]), segment[16:], aad, out)
        except InvalidTag as error:
            # GCM writes before it knows: nothing that did not authenticate may stay behind.
            out[:] = bytes(len(out))
            raise ObjectTampered(f"segment {number} does not authenticate") from error


def encrypt_into(
    encryptor: Encryptor, plaintext: Buffer, out: memoryview, *, random: Random, pool: Executor | None = None
) -> int:
    """Write the whole message to the front of `out`, on the threads of `pool` if given; return its length."""
    parameters = encryptor.parameters
    view = memoryview(plaintext)
    count = parameters.segments(len(view))
    out[:HEADER_BYTES] = encryptor.header

    def encrypt(number: int) -> None:
        start = number * parameters.plaintext_bytes
        encryptor.encrypt_segment_into(
            number,
            view[start : start + parameters.plaintext_bytes],
            out[parameters.segment_offset(number) :],
            iv=random(SEGMENT_IV_BYTES),
            is_last=number == count - 1,
        )

    _for_each(encrypt, count, pool)
    return parameters.sealed_bytes(len(view))


def decrypt_into(decryptor: Decryptor, ciphertext: Buffer, out: memoryview, *, pool: Executor | None = None) -> None:
    """Write the plaintext of a whole message to the whole of `out`, whose length is the plaintext's true one.

    Raises:
        ObjectSize: `ciphertext` is not as long as that plaintext makes it.
        ObjectTampered: anything in it is not as it was made.
    """
    parameters = decryptor.parameters
    view = memoryview(ciphertext)
    count = parameters.segments(len(out))
    if len(view) != parameters.sealed_bytes(len(out)):
        raise ObjectSize(f"{len(view)} bytes where {parameters.sealed_bytes(len(out))} are due")
    if bytes(view[:HEADER_BYTES]) != decryptor.header:
        raise ObjectTampered("another header")

    def decrypt(number: int) -> None:
        start, offset = number * parameters.plaintext_bytes, parameters.segment_offset(number)
        decryptor.decrypt_segment_into(
            number,
            view[offset : offset + parameters.segment_bytes],
            out[start : start + parameters.plaintext_bytes],
            is_last=number == count - 1,
        )

    _for_each(decrypt, count, pool)


def _for_each(work: Callable[[int], None], count: int, pool: Executor | None) -> None:
    if pool is None:
        for number in range(count):
            work(number)
        return
    # ORDER: all are done before a failure is raised: nothing writes to the caller's memory after the return.
    futures = [pool.submit(work, number) for number in range(count)]
    wait(futures)
    for future in futures:
        future.result()


def _segment_aad(number: int, is_last: bool) -> bytes:
    return number.to_bytes(8, "big") + (b"\x01" if is_last else b"\x00")

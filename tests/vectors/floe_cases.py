"""The FLOE vectors: known answers, and ciphertexts with one fault each."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from tests.sealing.reference import Floe

Vector = dict[str, Any]

KEY = hashlib.shake_256(b"strongroom vectors: key").digest(32)
AAD = b"strongroom vectors: aad"


def draw(label: str, size: int) -> bytes:
    """Return `size` bytes that are the same on every run."""
    return hashlib.shake_256(f"strongroom vectors: {label}".encode()).digest(size)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class Message:
    """One plaintext and its ciphertext. `segments` is one more than needed where the last one shall be empty."""

    def __init__(
        self, label: str, segment_bytes: int, rotation_bits: int, size: int, *, empty_last: bool = False
    ) -> None:
        self.floe = Floe(segment_bytes, rotation_bits, KEY, AAD)
        self.full = segment_bytes - 32
        self.segments = max(1, -(-size // self.full)) + empty_last
        self.iv = draw(f"{label}: iv", 32)
        self.segment_ivs = [draw(f"{label}: segment iv {number}", 12) for number in range(self.segments)]
        self.plaintext = draw(f"{label}: plaintext", size)
        self.ciphertext = self.floe.encrypt(self.plaintext, self.iv, self.segment_ivs)

    def offset(self, number: int) -> int:
        return 74 + number * self.floe.enc_seg_len

    def segment(self, number: int) -> bytes:
        return self.ciphertext[self.offset(number) : self.offset(number + 1)]

    def vector(self, comment: str) -> Vector:
        return {
            "comment": comment,
            "key": KEY.hex(),
            "aad": AAD.hex(),
            "segment_bytes": self.floe.enc_seg_len,
            "rotation_bits": self.floe.rotation,
            "plaintext_bytes": len(self.plaintext),
            "segments": self.segments,
            "ciphertext": text(self.ciphertext),
        }

    def known_answer(self, comment: str) -> Vector:
        return self.vector(comment) | {
            "iv": self.iv.hex(),
            "segment_ivs": [iv.hex() for iv in self.segment_ivs],
            "plaintext": text(self.plaintext),
            "expect": "ok",
            "released": digest(self.plaintext),
        }


def cases() -> Iterator[tuple[str, Vector]]:
    yield from known_answers()
    yield from faults()


def known_answers() -> Iterator[tuple[str, Vector]]:
    for segment_bytes in (40, 64, 4096):
        for rotation_bits in (2, 20):
            full = segment_bytes - 32
            sizes = {
                "empty": ("an empty file: one empty segment", 0),
                "one-short": ("the last segment lacks one byte", 2 * full - 1),
                "full-last": ("the last segment is exactly full", 2 * full),
                "one-over": ("the last segment holds one byte", 2 * full + 1),
            }
            if segment_bytes < 4096:
                sizes["ten-segments"] = ("with rotation_bits 2, segment keys change twice", 9 * full + 3)
            for name, (comment, size) in sizes.items():
                stem = f"ok-{segment_bytes}-{rotation_bits}-{name}"
                yield stem, Message(stem, segment_bytes, rotation_bits, size).known_answer(comment)
            stem = f"ok-{segment_bytes}-{rotation_bits}-empty-last"
            message = Message(stem, segment_bytes, rotation_bits, full, empty_last=True)
            yield (
                stem,
                message.known_answer("legal, and not written here: a full segment, then an empty last one"),
            )


def faults() -> Iterator[tuple[str, Vector]]:
    base = Message("fault", 64, 20, 3 * 32 + 5)
    other = Message("other", 64, 20, 3 * 32 + 5)
    sealed = base.ciphertext

    def fault(
        name: str, comment: str, ciphertext: bytes, expect: str, opened: int, **changed: Any
    ) -> tuple[str, Vector]:
        vector = base.vector(comment) | {"ciphertext": text(ciphertext), "expect": expect, "family": "Tampered"}
        return name, vector | {"released": digest(base.plaintext[: opened * base.full])} | changed

    def flipped(offset: int, bit: int = 1) -> bytes:
        return sealed[:offset] + bytes([sealed[offset] ^ bit]) + sealed[offset + 1 :]

    def joined(*pieces: bytes) -> bytes:
        return sealed[:74] + b"".join(pieces)

    zero, one, two, three = (base.segment(number) for number in range(4))
    tampered, size = "object-tampered", "object-size"
    yield fault("header-aead-flipped", "another AEAD is named", flipped(0), tampered, 0)
    yield fault("header-kdf-flipped", "another KDF is named", flipped(1), tampered, 0)
    yield fault("header-segment-length-flipped", "another segment length is named", flipped(4), tampered, 0)
    yield fault("header-iv-length-flipped", "another IV length is named", flipped(9), tampered, 0)
    yield fault("header-iv-flipped", "one bit of the IV", flipped(10), tampered, 0)
    yield fault("header-tag-flipped", "one bit of the header tag", flipped(73, 128), tampered, 0)
    yield fault("header-of-another-message", "same key and AAD", other.ciphertext[:74] + sealed[74:], tampered, 0)
    yield fault("segment-length-flipped", "segment 1 no longer says that it is not last", flipped(138), tampered, 1)
    yield fault("segment-iv-flipped", "one bit of the IV of segment 1", flipped(142), tampered, 1)
    yield fault("segment-ciphertext-flipped", "one bit of segment 1", flipped(154), tampered, 1)
    yield fault("segment-tag-flipped", "one bit of the tag of segment 1", flipped(201, 128), tampered, 1)
    yield fault("last-length-flipped", "the last segment states 36 bytes for 37", flipped(269), tampered, 3)
    yield fault("last-iv-flipped", "one bit of the IV of the last segment", flipped(270), tampered, 3)
    yield fault("last-ciphertext-flipped", "one bit of the last segment", flipped(282), tampered, 3)
    yield fault("last-tag-flipped", "one bit of the last tag", flipped(len(sealed) - 1), tampered, 3)
    yield fault("last-marked-as-not-last", "its length field is FFFFFFFF",
                joined(zero, one, two, b"\xff" * 4 + three[4:]), tampered, 3)  # fmt: skip
    yield fault("truncated-by-a-byte", "the last byte is gone", sealed[:-1], size, 3)
    yield fault("truncated-by-a-segment", "the last segment is gone", joined(zero, one, two), size, 3)
    yield fault("truncated-to-the-header", "all segments are gone", sealed[:74], size, 0)
    yield fault("truncated-in-the-header", "the last byte of the header is gone", sealed[:73], tampered, 0)
    yield fault("empty", "nothing is left", b"", tampered, 0)
    yield fault("truncated-and-closed", "segment 2 is made to say that it is the last; the reader knows of four",
                joined(zero, one, (64).to_bytes(4, "big") + two[4:]), tampered, 2)  # fmt: skip
    yield fault("truncated-and-length-believed", "as before, and the reader was told of three segments",
                joined(zero, one, (64).to_bytes(4, "big") + two[4:]), tampered, 2,
                segments=3, plaintext_bytes=96)  # fmt: skip
    yield fault("extended-by-a-byte", "a zero byte follows", sealed + b"\0", size, 4)
    yield fault("extended-by-a-segment", "the last segment stands twice", sealed + three, size, 4)
    yield fault("segments-swapped", "segments 0 and 1", joined(one, zero, two, three), tampered, 0)
    yield fault("segment-dropped", "segment 1", joined(zero, two, three), tampered, 1)
    yield fault("segment-repeated", "segment 1", joined(zero, one, one, two, three), tampered, 2)
    yield fault("segment-replaced", "segment 2 by segment 1", joined(zero, one, one, three), tampered, 2)
    yield fault("segment-of-another-message", "segment 1, same key and AAD",
                joined(zero, other.segment(1), two, three), tampered, 1)  # fmt: skip
    yield fault("other-key", "the reader holds another key", sealed, tampered, 0, key=draw("other key", 32).hex())
    yield fault("other-aad", "the reader expects another AAD", sealed, tampered, 0, aad=b"another aad".hex())
    yield fault("other-rotation", "keys change every segment for the reader, never for the writer",
                sealed, tampered, 1, rotation_bits=0)  # fmt: skip
    yield fault("other-segment-length", "the reader expects segments of 4096", sealed, tampered, 0,
                segment_bytes=4096, segments=1)  # fmt: skip
    yield fault("length-one-less", "the reader was told of one byte less: what follows it is one too many",
                sealed, tampered, 3, plaintext_bytes=len(base.plaintext) - 1)  # fmt: skip
    yield fault("length-one-more", "the reader was told of one byte more", sealed, size, 3,
                plaintext_bytes=len(base.plaintext) + 1)  # fmt: skip

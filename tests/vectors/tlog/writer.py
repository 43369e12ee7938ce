"""A writer of logs for the vectors, straight from RFC 6962 and the C2SP texts: no code of the product."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.tlog.reference import mth, path

ORIGIN = "sr1:" + hashlib.sha256(b"tlog vectors: genesis").hexdigest() + "/0"
TIME = 1_790_000_000
ENTRIES = [f"entry {number}".encode() for number in range(11)]
OTHER_ENTRIES = [f"other entry {number}".encode() for number in range(11)]


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class Signer:
    """A key with a name: `kind` 1 signs notes, 4 cosigns checkpoints."""

    def __init__(self, name: str, kind: int, label: str = "") -> None:
        seed = hashlib.sha256(f"tlog vectors: {label or name}".encode()).digest()
        self.name, self.kind = name, kind
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{text(bytes([self.kind]) + self.public)}"

    def line(self, body: str, at: int = TIME) -> str:
        if self.kind == 1:
            return signature_line(self.name, self.key_id + self.private.sign(body.encode()))
        signed = self.private.sign(f"cosignature/v1\ntime {at}\n{body}".encode())
        return signature_line(self.name, self.key_id + at.to_bytes(8, "big") + signed)


def signature_line(name: str, raw: bytes) -> str:
    return f"\u2014 {name} {text(raw)}\n"


LOG = Signer(ORIGIN, 1, "log")
CLOCK = Signer(ORIGIN + "/time", 4, "clock")
WITNESS = Signer("witness.example/w1", 4)
STRANGER = Signer("stranger.example", 1)


def body(size: int, entries: list[bytes] = ENTRIES, origin: str = ORIGIN) -> str:
    return f"{origin}\n{size}\n{text(mth(entries[:size]))}\n"


def note(content: str, *lines: str) -> str:
    return content + "\n" + "".join(lines)


def checkpoint(size: int, entries: list[bytes] = ENTRIES) -> str:
    content = body(size, entries)
    return note(content, LOG.line(content), CLOCK.line(content), WITNESS.line(content))


def receipt_head(index: int, proof: list[bytes], extra: bytes = b"") -> str:
    lines = ["c2sp.org/tlog-proof@v1"]
    if extra:
        lines.append(f"extra {text(extra)}")
    return "\n".join([*lines, f"index {index}", *map(text, proof)]) + "\n\n"


def receipt(index: int, size: int, extra: bytes = b"") -> str:
    return receipt_head(index, path(index, ENTRIES[:size]), extra) + checkpoint(size)

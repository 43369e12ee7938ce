"""Fast keys in memory: whatever people, devices, sessions and programs sign, written by hand and not by the client.

Shares no code with the product. Keys and identifiers come from a stream of numbers, so that a run can be run again.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.vectors.statements import cases, writer

RP_ID = "keep.example.org"
CLI, APPROVAL, CONSOLE = "strongroom:cli", "https://approve.keep.example.org", "https://console.keep.example.org"
ORIGINS = {CLI: "cli", APPROVAL: "approval", CONSOLE: "console"}
MAKERS = [cases.ROOT]
PRESENT, VERIFIED, ELIGIBLE, CREDENTIAL = 0x01, 0x04, 0x08, 0x40

Json = Any
Random = Callable[[int], bytes]


def stream(seed: object) -> Random:
    """Return a source of bytes that gives the same ones for the same seed."""
    count = itertools.count()
    return lambda size: hashlib.shake_256(f"{seed}/{next(count)}".encode()).digest(size)


def named(kind: str, random: Random) -> str:
    return f"{kind}-{random(16).hex()}"


@dataclass(slots=True)
class Key:
    """A P-256 key."""

    private: writer.Key
    point: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.point = writer.point(self.private)

    @classmethod
    def drawn(cls, random: Random) -> Key:
        return cls(writer.private(int.from_bytes(random(31), "big") + 1))

    def sign(self, message: bytes) -> bytes:
        return writer.sign(self.private, message)

    def proven(self, deployment: str, subject: str) -> Json:
        """Return the key as a statement enrols it."""
        proof = self.sign(possession(deployment, subject, self.point))
        return {"proof": writer.b64(proof), "public_key": writer.b64(self.point)}


@dataclass(slots=True)
class SecurityKey:
    """One credential of somebody's; `maker` says whether somebody vouches for its make."""

    credential: str
    person: str
    key: Key
    raw_id: bytes
    maker: bool = True
    eligible: bool = False
    counter: int = 0

    def touch(self, message: bytes, origin: str = CLI) -> Json:
        """Return the signature of a touch, as an envelope has it."""
        self.counter += 1
        touched = writer.touch(
            self.key.private,
            message,
            client=writer.client_json("webauthn.get", message, origin),
            data=self._data(PRESENT | VERIFIED),
        )
        assertion = {name: writer.b64(touched[name]) for name in ("authenticator_data", "client_data")}
        return {"keyid": self.credential, "sig": writer.b64(touched["sig"]), "webauthn": assertion}

    def enrolled(self, deployment: str) -> Json:
        """Return the credential as a statement enrols it."""
        payload = {
            "deployment": deployment,
            "format": "strongroom/registration/1",
            "person": self.person,
            "subject": self.credential,
        }
        message = writer.pae(writer.POSSESSION, writer.canonical(payload))
        client = writer.client_json("webauthn.create", message, CLI)
        made = self._data(PRESENT | VERIFIED | CREDENTIAL, writer.credential(self.key.private, raw_id=self.raw_id))
        attestation = writer.attestation_object("none", {}, made)
        if self.maker:
            sig = writer.sign(cases.MAKER_KEY, made + hashlib.sha256(client).digest())
            attestation = writer.attestation_object("packed", {"alg": -7, "sig": sig, "x5c": (cases.MAKER,)}, made)
        proof = self.touch(possession(deployment, f"{self.person}/{self.credential}", self.key.point))
        return {
            "attestation_object": writer.b64(attestation),
            "backup_eligible": self.eligible,
            "client_data": writer.b64(client),
            "counter": self.counter,
            "credential": self.credential,
            "possession": proof,
            "public_key": writer.b64(self.key.point),
            "raw_id": writer.b64(self.raw_id),
            "software": not self.maker,
        }

    def _data(self, flags: int, rest: bytes = b"") -> bytes:
        flags |= ELIGIBLE if self.eligible else 0
        return writer.authenticator_data(rp_id=RP_ID, flags=flags, counter=self.counter, rest=rest)


def possession(deployment: str, subject: str, point: bytes) -> bytes:
    """Return what a key signs to become the key of `subject`."""
    payload = {
        "deployment": deployment,
        "format": "strongroom/possession/1",
        "key": writer.b64(point),
        "subject": subject,
    }
    return writer.pae(writer.POSSESSION, writer.canonical(payload))


def enveloped(statement: Json, *signers: Callable[[bytes], Json]) -> Json:
    """Return a statement with the signatures that `signers` make over it."""
    payload = writer.canonical(statement)
    message = writer.pae(writer.STATEMENT, payload)
    return {
        "payload": writer.b64(payload),
        "payloadType": writer.STATEMENT,
        "signatures": [signer(message) for signer in signers],
    }


def signer(keyid: str, key: Key) -> Callable[[bytes], Json]:
    """Return what makes the signature of a session, device, workload or attester."""
    return lambda message: {"keyid": keyid, "sig": writer.b64(key.sign(message))}


def digest(envelope: Json) -> str:
    """Return the name of the exact statement in an envelope."""
    payload = base64.b64decode(envelope["payload"])
    return "sha256:" + writer.sha256(writer.pae(writer.STATEMENT, payload)).hex()


def detail(text: str, salt: bytes) -> tuple[str, Json]:
    """Return the digest that stands in the log for a text, and the text as it travels beside the statement."""
    about = {"format": "strongroom/detail/1", "salt": salt.hex(), "text": text}
    return "sha256:" + writer.sha256(writer.canonical(about)).hex(), {"salt": salt.hex(), "text": text}

"""Keys for tests, the same ones every time."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.tlog.notes import COSIGNATURE, ED25519, VerifierKey

ORIGIN = "sr1:" + hashlib.sha256(b"a deployment").hexdigest() + "/0"


def private_key(label: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(label.encode()).digest())


def verifier_key(name: str, label: str, kind: int = ED25519) -> VerifierKey:
    return VerifierKey(name=name, kind=kind, public_key=private_key(label).public_key().public_bytes_raw())


LOG, LOG_KEY = private_key("log"), verifier_key(ORIGIN, "log")
CLOCK, CLOCK_KEY = private_key("clock"), verifier_key(f"{ORIGIN}/time", "clock", COSIGNATURE)
WITNESS, WITNESS_KEY = private_key("witness"), verifier_key("witness.example/w1", "witness", COSIGNATURE)

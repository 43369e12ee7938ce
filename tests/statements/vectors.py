"""The vectors of statements, and how each group is held against the product."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from strongroom.statements.envelope import Assertion
from strongroom.statements.webauthn import (
    CredentialKey,
    RegisteredKey,
    VerifiedAssertion,
    verify_assertion,
    verify_registration,
)

Vector = dict[str, Any]
VECTORS = Path(__file__).parents[1] / "vectors" / "statements"


def load(folder: str) -> dict[str, Vector]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((VECTORS / folder).glob("*.json"))}


def check_assertion(vector: Vector) -> VerifiedAssertion:
    return verify_assertion(
        Assertion(
            authenticator_data=bytes.fromhex(vector["authenticator_data"]),
            client_data=b64decode(vector["client_data"]),
        ),
        bytes.fromhex(vector["sig"]),
        key=CredentialKey(
            credential=f"credential-{5:032x}",
            raw_id=b"\x01" * 32,
            public_key=bytes.fromhex(vector["public_key"]),
            software=True,
            backup_eligible=vector["backup_eligible"],
            counter=vector["counter"],
        ),
        message=b64decode(vector["message"]),
        rp_id=vector["rp_id"],
        origins=vector["origins"],
    )


def check_registration(vector: Vector) -> RegisteredKey:
    return verify_registration(
        b64decode(vector["attestation_object"]),
        b64decode(vector["client_data"]),
        challenge_message=b64decode(vector["message"]),
        rp_id=vector["rp_id"],
        origins=vector["origins"],
        roots=[b64decode(root) for root in vector["roots"]],
    )

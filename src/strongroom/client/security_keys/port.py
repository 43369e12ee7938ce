"""What every kind of security key can do here, and the client data that we write ourselves.

A browser writes the page's origin into what a key signs. We are no browser: the origin is `strongroom:cli`, which no
page can have, so the path by which something was signed is part of the signature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from strongroom.statements.envelope import Assertion
from strongroom.statements.webauthn import challenge_of

ORIGIN = "strongroom:cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A new credential, as `verify_registration` reads it. `raw_id` is how the key finds it again."""

    attestation_object: bytes
    client_data: bytes
    raw_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A signature by a security key, as an envelope has it; `raw_id` says by which credential."""

    raw_id: bytes
    sig: bytes
    assertion: Assertion


class SecurityKey(Protocol):
    """A key that a person touches, or software in its place."""

    def register(
        self, *, rp_id: str, person_handle: bytes, person_name: str, message: bytes, attested: bool = True
    ) -> Registration:
        """Make a credential for `rp_id`; `message` is `registration_message`.

        `person_handle` is 1 to 64 bytes that say nothing of the person; the key may show `person_name`. Not `attested`,
        the key does not say who made it, and counts as software.

        Raises:
            NoSecurityKey, NotTouched: there is none, or nobody confirmed.
        """

    def sign(self, message: bytes, *, rp_id: str, raw_ids: Sequence[bytes]) -> Touch:
        """Sign `message` with whichever of the credentials `raw_ids` the key holds.

        Raises:
            NoSecurityKey, NotTouched: it holds none of them, or nobody confirmed.
        """


def client_data(kind: str, message: bytes) -> bytes:
    """Return client data of `kind`, `webauthn.create` or `webauthn.get`, as WebAuthn §5.8.1.1 writes it."""
    members = {"type": kind, "challenge": challenge_of(message), "origin": ORIGIN, "crossOrigin": False}
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def without_attestation(authenticator_data: bytes) -> bytes:
    """Return the attestation object, of format `none`, with that authenticator data in it."""
    size = len(authenticator_data)  # 132 and more: at least the id's length, key and all
    head = b"\x58" + size.to_bytes(1) if size < 256 else b"\x59" + size.to_bytes(2)
    return b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData" + head + authenticator_data

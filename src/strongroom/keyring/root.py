"""The root key: 32 bytes in the keep's memory, and a key for each purpose derived from it by label.

    root key  --HKDF-Expand-SHA-384-->  wrap      seals the models' key pairs
                                        details   seals names and reasons
                                        log       Ed25519: signs checkpoints
                                        answer    Ed25519: signs the keep's answers
                                        time      Ed25519: signs the keep's own word on the time

Nothing is encrypted or signed with the root key itself. Python cannot promise to wipe it from memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.terms import canonical
from strongroom.terms.errors import BadKey

ROOT_KEY_BYTES = 32
Label = Literal["wrap", "log", "answer", "time", "details"]


@dataclass(frozen=True, slots=True)
class RootKey:
    """The root key of one deployment. Never printed: `repr` leaves it out."""

    secret: bytes = field(repr=False)

    @classmethod
    def from_bytes(cls, secret: bytes) -> RootKey:
        """Return the root key of 32 bytes.

        Raises:
            BadKey: another length.
        """
        if len(secret) != ROOT_KEY_BYTES:
            raise BadKey(f"a root key has {ROOT_KEY_BYTES} bytes", hint="give the root key of this deployment")
        return cls(secret)

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> RootKey:
        """Return a new root key."""
        return cls.from_bytes(random(ROOT_KEY_BYTES))

    def derive(self, label: Label) -> bytes:
        """Return the 32 bytes for one purpose."""
        info = canonical.encode({"format": "strongroom/root/1", "label": label})
        return HKDFExpand(SHA384(), 32, info).derive(self.secret)

    def log_key(self) -> Ed25519PrivateKey:
        """Return the key that signs checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self.derive("log"))

    def answer_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the keep's answers."""
        return Ed25519PrivateKey.from_private_bytes(self.derive("answer"))

    def time_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the keep's word on the time."""
        return Ed25519PrivateKey.from_private_bytes(self.derive("time"))

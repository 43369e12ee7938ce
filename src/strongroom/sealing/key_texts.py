"""Keys as text: one line each, `strongroom-public-1:…` and `STRONGROOM-IDENTITY-1:…`, in base64url without padding."""

from __future__ import annotations

import base64

from strongroom.sealing.keys import (
    IDENTITY_PREFIX,
    PUBLIC_KEY_BYTES,
    PUBLIC_PREFIX,
    Identity,
    PublicKey,
    hpke_public,
    key_text,
)
from strongroom.terms.errors import BadKey


def parse_public_key(text: str) -> PublicKey:
    """Return the public key that `text` encodes.

    Raises:
        BadKey: another prefix, length, alphabet, or a point that is no key.
    """
    raw = _from_text(text, PUBLIC_PREFIX, "public key")
    if len(raw) != PUBLIC_KEY_BYTES:
        raise BadKey("a public key of the wrong length")
    try:
        hpke_public(raw)
    except ValueError as error:
        raise BadKey("not a public key of this kind") from error
    return PublicKey(raw)


def parse_identity(text: str) -> Identity:
    """Return the identity that `text` encodes; the message of a `BadKey` never holds any of it."""
    return Identity(_from_text(text, IDENTITY_PREFIX, "identity"))


def _from_text(text: str, prefix: str, what: str) -> bytes:
    body = text.removeprefix(prefix)
    if body == text:
        raise BadKey(f"not a Strongroom {what}: it does not start with `{prefix}`")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadKey(f"a {what} that is not base64url") from error
    if key_text(raw) != body:
        raise BadKey(f"a {what} that is not canonical base64url")
    return raw

"""Digests as text: `sha256:` and 64 lower case hexadecimal digits."""

import hashlib
import re

from strongroom.terms.errors import BadRequest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def sha256(data: bytes | bytearray | memoryview) -> str:
    """Return the digest of `data` as text."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parse_digest(text: str) -> str:
    """Return `text` if it is a digest.

    Raises:
        BadRequest: it is not.
    """
    if not _DIGEST.match(text):
        raise BadRequest(f"`{text[:80]}` is not a digest", hint="a digest is `sha256:` and 64 hexadecimal digits")
    return text

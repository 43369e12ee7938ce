"""Details: names, reasons and purposes, which lie beside the log. The log binds their salted digests alone.

Without the salt, 128 random bits, nobody can try which name a digest is of; with both, anybody can check it.
"""

from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRequest

SALT_BYTES = 16


def detail_digest(text: str, salt: bytes) -> str:
    """Return the digest that stands in the log for `text`.

    Raises:
        BadRequest: the salt is not 16 bytes long.
        NotCanonical: the text holds a lone surrogate.
    """
    if len(salt) != SALT_BYTES:
        raise BadRequest(f"a salt has {SALT_BYTES} bytes", hint="draw a new one at random for each text")
    return sha256(canonical.encode({"format": "strongroom/detail/1", "salt": salt.hex(), "text": text}))

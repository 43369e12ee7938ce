"""Identifiers: a kind, a hyphen and 128 random bits, as in `person-2f1c…`. Opaque, and never used twice.

Whoever makes one draws the bits; nothing is ever derived from a name. What is created again under the same name is
another thing, and inherits nothing.
"""

import re
from collections.abc import Callable

from strongroom.terms.errors import BadRequest

Random = Callable[[int], bytes]
"""Returns that many random bytes."""

KINDS = (
    "alias",
    "attester",
    "credential",
    "device",
    "grant",
    "model",
    "person",
    "session",
    "statement",
    "version",
    "workload",
    "zone",
)
_ID = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{32}}\Z")


def new_id(kind: str, random: Random) -> str:
    """Return a fresh identifier of `kind`."""
    return f"{kind}-{random(16).hex()}"


def kind_of(identifier: str) -> str:
    """Return the kind of an identifier.

    Raises:
        BadRequest: it is none.
    """
    if not (match := _ID.match(identifier)):
        raise BadRequest(f"`{identifier[:80]}` is not an identifier")
    return match[1]

"""Numbers and base64 as the C2SP texts write them, each in its one form: what is written another way is refused."""

import base64
import re

from strongroom.terms.errors import BadNote

LARGEST_NUMBER = 2**63 - 1
"""The largest timestamp that tlog-cosignature allows; no size or index comes near it."""

_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


def parse_number(text: str, what: str) -> int:
    """Return the number that `text` is the decimal form of: ASCII digits, no leading zeros, below 2^63.

    Raises:
        BadNote: anything else; the message calls it `what`.
    """
    if not _NUMBER.match(text) or (number := int(text)) > LARGEST_NUMBER:
        raise BadNote(f"`{text[:40]}` is not a {what}")
    return number


def encode_base64(raw: bytes) -> str:
    """Return `raw` in the standard alphabet with padding (RFC 4648 §4)."""
    return base64.b64encode(raw).decode("ascii")


def parse_base64(text: str, what: str) -> bytes:
    """Return the bytes that `text` is the base64 of, in the standard alphabet with padding (RFC 4648 §4).

    Raises:
        BadNote: anything else, trailing bits that are not zero included; the message calls it `what`.
    """
    try:
        raw = base64.b64decode(text)
    except ValueError as error:  # not ASCII, or the padding is wrong
        raise BadNote(f"a {what} that is not base64") from error
    if encode_base64(raw) != text:  # the library drops what it does not know
        raise BadNote(f"a {what} that is not canonical base64")
    return raw


def parse_hash(text: str, what: str) -> bytes:
    """Return the SHA-256 that `text` is the base64 of.

    Raises:
        BadNote: not base64, or not of 32 bytes; the message calls it `what`.
    """
    raw = parse_base64(text, what)
    if len(raw) != 32:
        raise BadNote(f"a {what} of {len(raw)} bytes instead of 32")
    return raw

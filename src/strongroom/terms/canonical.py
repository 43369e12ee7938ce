"""Canonical JSON: RFC 8785, by refusing whatever is not already in that form.

Strings, integers within ±(2^53 - 1), booleans, null, arrays and objects; floats are refused, so the number
rules of RFC 8785 §3.2.2.3 never matter. Reading never mends: what is parsed is written again and
compared byte for byte.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

from strongroom.terms.errors import NotCanonical

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

LARGEST_INTEGER = 2**53 - 1
DEEPEST = 32
MOST_VALUES = 4_000_000
"""More than any document of ours holds; parsed, so many take about half a gigabyte."""

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(value: Json) -> bytes:
    """Return the canonical bytes of `value`.

    Raises:
        NotCanonical: a float, an integer beyond ±(2^53 - 1), a lone surrogate, or more than 32 levels.
    """
    return _written(_ordered(value, 1))


def parse(data: bytes) -> Json:
    """Return the value that `data` is the canonical encoding of.

    Raises:
        NotCanonical: `data` is anything else, duplicate keys, other key order and white space included.
    """
    value = _read(data)
    if encode(value) != data:
        raise NotCanonical("not in canonical form (key order, white space, escapes or number form)")
    return value


def parse_any(data: bytes) -> Json:
    """Return the value of JSON that need not be canonical, as other people's file headers are not.

    Duplicate keys, floats, integers beyond ±(2^53 - 1), lone surrogates and deep nesting are refused too.
    """
    value = _read(data)
    encode(value)  # what has no canonical form is refused here, not later where it would be written
    return value


def _read(data: bytes) -> Json:
    # Counted before it is parsed: a value takes up to thirty times the memory of its text.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise NotCanonical(f"more than {MOST_VALUES} values")
    try:
        text = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise NotCanonical("not UTF-8") from error
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except json.JSONDecodeError as error:
        raise NotCanonical(f"not JSON: {error.msg.lower()} at character {error.pos}") from error
    except RecursionError as error:
        raise NotCanonical(f"nested more than {DEEPEST} levels deep") from error
    return value


def _ordered(value: Json, depth: int) -> Json:
    """Return `value` with the keys of every object in the order of RFC 8785 §3.2.3 (UTF-16 code units)."""
    if depth > DEEPEST:
        raise NotCanonical(f"nested more than {DEEPEST} levels deep")
    match value:
        case str() | bool() | None:
            return value
        case int():
            if abs(value) > LARGEST_INTEGER:
                raise NotCanonical("an integer beyond 2^53 - 1")
            return value
        case dict() | Mapping():  # the usual one first: to ask for the other takes long
            # As code points or as UTF-16, ASCII has the same order.
            keys = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
            return {key: _ordered(value[key], depth + 1) for key in keys}
        case list() | Sequence() if not isinstance(value, (bytes, bytearray, memoryview)):
            return [_ordered(item, depth + 1) for item in value]
        case _:
            raise NotCanonical(f"a {type(value).__name__} has no canonical form")


def _utf16(key: str) -> bytes:
    try:
        return key.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate") from error


def _written(value: Json) -> bytes:
    try:
        return _encoder.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate") from error


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("a key stands twice in one object")
    return found


def _integer(digits: str) -> int:
    # Length first: turning a very long run of digits into an integer takes time that grows with its square.
    if len(digits) > 17 or abs(value := int(digits)) > LARGEST_INTEGER:
        raise NotCanonical("an integer beyond 2^53 - 1")
    return value


def _no_float(number: str) -> NoReturn:
    raise NotCanonical(f"`{number[:24]}` is not an integer")

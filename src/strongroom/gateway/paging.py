"""Paging: a long list a piece at a time, from a cursor that the last piece gave.

Items go by key, in the order of their keys, and a cursor names the last key that was given. So whatever comes or goes
in between, everything that is there from the first piece to the last is given once, and nothing twice.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from strongroom.terms import canonical
from strongroom.terms.errors import BadRequest, StrongroomError
from strongroom.terms.records import Matches, Record, Word, parse_record, record_json

MOST_ITEMS, USUAL_ITEMS = 1000, 100
LONGEST_CURSOR = 256


class Cursor(Record):
    """Where a piece of the list `of` ended. Opaque to clients: base64url of canonical JSON, without padding."""

    of: Word
    after: Annotated[str, Matches("[0-9a-z-]{1,80}", "a key")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The keys of one piece, and the cursor of the next one, if there is one."""

    keys: list[str]
    next: str | None


def page(of: str, keys: Iterable[str], *, limit: int, cursor: str | None) -> Page:
    """Return the next `limit` of `keys`, in their order, after `cursor`.

    Raises:
        BadRequest: the cursor is none of this list's.
    """
    after = "" if cursor is None else parse_cursor(of, cursor)
    found = heapq.nsmallest(limit + 1, (key for key in keys if key > after))
    if len(found) <= limit:
        return Page(keys=found, next=None)
    return Page(keys=found[:limit], next=encode_cursor(Cursor(of=of, after=found[limit - 1])))


def encode_cursor(cursor: Cursor) -> str:
    """Return the text of a cursor."""
    return base64.urlsafe_b64encode(canonical.encode(record_json(cursor))).decode("ascii").rstrip("=")


def parse_cursor(of: str, text: str) -> str:
    """Return the key after which the cursor `text` of the list `of` goes on.

    Raises:
        BadRequest: it is none, not in its one form, or another list's.
    """
    try:
        if len(text) > LONGEST_CURSOR:
            raise BadRequest("too long")
        padded = text + "=" * (-len(text) % 4)
        cursor = parse_record(Cursor, canonical.parse(base64.b64decode(padded, altchars=b"-_", validate=True)))
    except (StrongroomError, ValueError) as error:
        raise BadRequest("`cursor` is none that was given here") from error
    if encode_cursor(cursor) != text or cursor.of != of:
        raise BadRequest("`cursor` is none that was given here")
    return cursor.after

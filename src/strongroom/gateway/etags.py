"""Entity tags: what somebody has read already need not be sent again (RFC 9110 §8.8.3, §13.1.2).

A tag is strong: the digest of the very bytes of an answer, so that two gateways give the same one for the same state.
"""

from __future__ import annotations

import hashlib
import re

from strongroom.terms.errors import BadRequest

LONGEST_LIST = 4096
_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"'
_LIST = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*\Z")
_OPAQUE = re.compile(r'"[\x21\x23-\x7e]*"')


def etag_of(body: bytes) -> str:
    """Return the tag of an answer."""
    return f'"{hashlib.sha256(body).hexdigest()}"'


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Tell whether whoever sent this `If-None-Match` has what `etag` names. Compared weakly, as for that header.

    Raises:
        BadRequest: the header is no list of entity tags.
    """
    if if_none_match is None:
        return False
    if if_none_match == "*":
        return True
    if len(if_none_match) > LONGEST_LIST or not _LIST.match(if_none_match):
        raise BadRequest("`If-None-Match` is no list of entity tags")
    return etag in _OPAQUE.findall(if_none_match)

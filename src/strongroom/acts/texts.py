"""Texts: which of a statement's digests stand for names, purposes and reasons, whose texts lie beside the log."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

TEXT_FIELDS = frozenset({"details", "notes", "purpose", "reason"})


def text_digests(body: Any) -> Iterator[str]:
    """Yield the digests of all texts that a body, or a part of it, names."""
    for one in fields(body):
        value = getattr(body, one.name)
        if one.name in TEXT_FIELDS:
            yield value
        for part in value if isinstance(value, tuple) else (value,):
            if is_dataclass(part):
                yield from text_digests(part)

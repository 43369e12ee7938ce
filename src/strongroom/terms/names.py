"""Names of models and versions: `acme/atlas`, `acme/atlas@1`.

Lower case only, so that no two names differ by case alone, whatever the store's file system thinks of that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from strongroom.terms.outer_errors import BadName

_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,94}[a-z0-9])?\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")


def check_model(model: str) -> None:
    """Refuse a model name that is not `org/name`.

    Each part is 1 to 96 of `a-z 0-9 . _ -`, starts and ends with a letter or digit, and has no `..`.
    """
    parts = model.split("/")
    if len(parts) != 2 or not all(_PART.match(part) and ".." not in part for part in parts):
        raise BadName(f"`{model[:200]!s}` is not a model name")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class VersionName:
    """`org/name@number`, the number from 1 to 999,999,999 without leading zeros."""

    model: str
    number: int

    def __str__(self) -> str:
        return f"{self.model}@{self.number}"


def parse_version(text: str) -> VersionName:
    """Return the version that `text` names.

    Raises:
        BadName: anything that is not exactly `org/name@number`.
    """
    model, at, number = text.partition("@")
    if not at or not _NUMBER.match(number):
        raise BadName(f"`{text[:200]}` is not a version name")
    check_model(model)
    return VersionName(model=model, number=int(number))

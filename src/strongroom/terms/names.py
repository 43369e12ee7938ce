"""Names of models, versions and aliases: `acme/atlas`, `acme/atlas@1`, `acme/atlas@prod`.

Lower case only, so that no two names differ by case alone, whatever the store's file system thinks of that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from strongroom.terms.outer_errors import BadName

_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,94}[a-z0-9])?\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")
_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasName:
    """`org/name@alias`: a letter, then at most 31 of `a-z 0-9 -`, so that no alias reads as a number."""

    model: str
    alias: str

    def __str__(self) -> str:
        return f"{self.model}@{self.alias}"


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


def parse_alias(text: str) -> AliasName:
    """Return the alias that `text` names.

    Raises:
        BadName: anything that is not exactly `org/name@alias`.
    """
    model, at, alias = text.partition("@")
    if not at or not _ALIAS.match(alias):
        raise BadName(f"`{text[:200]}` is not the name of an alias", hint="an alias is named like `acme/atlas@prod`")
    check_model(model)
    return AliasName(model=model, alias=alias)


def is_alias(text: str) -> bool:
    """Tell whether `text` is to be read as an alias, and not as a version: what follows `@` begins with a letter."""
    return text.partition("@")[2][:1].islower()

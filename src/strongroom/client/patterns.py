"""Patterns: which paths of a version a caller means. The rules are those of `huggingface_hub`."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def matches(path: str, patterns: str | Sequence[str]) -> bool:
    r"""Return whether one of `patterns` matches the whole of `path`.

    `*` stands for anything, `/` included, `?` for one character, `[ab]` for one of these; a pattern that ends in `/`
    means all below that folder. `\` is taken for `/`. Upper and lower case differ.
    """
    several = [one.replace("\\", "/") for one in ([patterns] if isinstance(patterns, str) else patterns)]
    path = path.replace("\\", "/")
    return any(fnmatch.fnmatchcase(path, f"{one}*" if one.endswith("/") else one) for one in several)

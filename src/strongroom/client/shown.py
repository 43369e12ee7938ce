"""Shown: text from elsewhere, as it may be shown on a terminal."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return `text` with controls escaped: names from a store must not move the cursor of who reads them."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)

"""The page of guarantees: numbered without gaps, each with tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
PAGE = (HOUSE / "docs" / "threats.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(\w+)`")
FEWEST_GUARANTEES = 39


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests that pytest would collect from a file: functions at its top."""
    path = HOUSE / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name[:5] == "test_")


def missing_tests(page: str) -> list[str]:
    """Return what a page names as tests and nobody wrote."""
    return [f"{file}::{name}" for file, name in NAMED.findall(page) if name not in names_in(file)]


def guarantees(page: str) -> dict[int, str]:
    """Return the text of each guarantee, by its number."""
    parts = re.split(r"^### G(\d+) ", page.partition("\n## What is conceded")[0], flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_test_that_the_page_names_is_there() -> None:
    assert missing_tests(PAGE) == []


def test_guarantees_are_numbered_without_gaps_and_each_is_shown_by_a_test() -> None:
    found = guarantees(PAGE)
    assert list(found) == list(range(1, len(found) + 1))
    assert len(found) >= FEWEST_GUARANTEES
    assert [number for number, text in found.items() if not NAMED.search(text)] == []


@pytest.mark.parametrize(
    "named", ["tests/house/test_threats.py::test_that_is_not_there", "tests/house/test_nothing.py::test_anything"]
)
def test_a_test_that_is_not_there_is_noticed(named: str) -> None:
    assert missing_tests(f"shown by `{named}`") == [named]

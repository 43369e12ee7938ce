"""No rule of the game is without a test; a test that goes away takes its rule's promise along, and is missed here."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.protocol.lines import LINES, Line

TESTS = Path(__file__).parents[1]
LATER = {"recovery", "witnesses", "the arithmetic of theft"}


@cache
def named_in(file: str) -> frozenset[str]:
    """Return the tests of a file."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.id)
def test_a_rule_has_tests_that_there_are_or_says_what_it_waits_for(line: Line) -> None:
    assert bool(line.tests) != bool(line.later)
    assert line.later in LATER | {""}
    for test in line.tests:
        file, _, name = test.partition("::")
        assert (TESTS / file).exists(), file
        assert name in named_in(file), test


def test_every_rule_is_there_once() -> None:
    ids = [line.id for line in LINES]
    assert len(ids) == len(set(ids)) == 99
    assert sum(bool(line.later) for line in LINES) == 6
    assert all(re.fullmatch(r"[a-z]+[.][a-z0-9-]+", one) for one in ids)


def test_every_attack_on_acts_belongs_to_a_file_that_the_rules_name() -> None:
    files = {test.partition("::")[0] for line in LINES for test in line.tests}
    themes = {f"attacks/{path.name}" for path in (TESTS / "attacks").glob("test_acts_*.py")}
    assert len(themes) == 11
    assert themes <= files

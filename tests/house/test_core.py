"""The trusted core stays small, and apart from everything that it must not trust."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TOOL: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "tcb.py"))


@cache
def core() -> Any:
    return TOOL["count"]()


def test_the_core_is_small() -> None:
    assert core().lines <= 6_000, "see `tools/tcb.py`"


def test_the_core_builds_on_few_packages() -> None:
    assert len(core().packages) <= 6, core().packages
    assert "cryptography" in core().packages


@pytest.mark.parametrize("room", ["keep", "acts", "directory", "policy", "statements", "tlog", "journal", "keyring"])
def test_what_the_keep_runs_is_counted(room: str) -> None:
    assert any(file.startswith(f"strongroom/{room}/") for file in core().files)


@pytest.mark.parametrize("room", ["client", "cli", "objects"])
def test_the_keep_imports_nothing_that_it_must_not_trust(room: str) -> None:
    assert not [name for name in core().modules if name.startswith(f"strongroom.{room}")]


@pytest.mark.parametrize("package", ["click", "fido2", "numpy", "obstore", "fsspec", "http", "ssl", "pytest"])
def test_the_keep_loads_no_terminal_no_network_and_no_arrays(package: str) -> None:
    assert not [name for name in core().modules if name.partition(".")[0] == package]


@pytest.mark.parametrize(
    ("source", "code", "docstrings"),
    [
        ("", 0, 0),
        ("\n\n# only a comment\n", 0, 0),
        ('"""One line."""\n', 0, 1),
        ('"""Two\nlines."""\nx = 1  # why\n', 1, 2),
        ("x = (\n    1,\n\n    2,\n)\n", 4, 0),
        ('def f() -> None:\n    """Say."""\n    # why\n    return None\n', 2, 1),
        ('x = """a\n\nb"""\n', 3, 0),
    ],
)
def test_a_line_of_code_is_neither_blank_nor_comment_nor_docstring(source: str, code: int, docstrings: int) -> None:
    assert TOOL["lines"](source) == (code, docstrings)


def test_what_only_a_function_imports_is_counted() -> None:
    assert "strongroom/client/version.py" in TOOL["count"]("strongroom.cli").files

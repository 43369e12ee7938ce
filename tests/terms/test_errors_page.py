"""The page of errors is the one that the code makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from strongroom.terms.outer_errors import codes

HOUSE = Path(__file__).resolve().parents[2]


def test_docs_errors_md_is_what_the_tool_writes() -> None:
    written = subprocess.run(
        [sys.executable, HOUSE / "tools" / "errors_page.py", "--print"], capture_output=True, text=True, check=True
    )
    assert written.stdout == (HOUSE / "docs" / "errors.md").read_text()


def test_the_page_names_every_code_and_hint() -> None:
    page = (HOUSE / "docs" / "errors.md").read_text()
    for error in codes():
        assert page.count(f"`{error.code}`") == 1
        assert error.default_hint in page

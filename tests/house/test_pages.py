"""Pages that are generated say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "cli_page.py"))["page"]()
    assert page.count("\n## ") == 86
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page, "run `python tools/cli_page.py`"

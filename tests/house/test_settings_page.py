"""The page of settings is the one that the settings make."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from strongroom.service.settings import SECTIONS

HOUSE = Path(__file__).resolve().parents[2]
PAGE = HOUSE / "docs" / "settings.md"


def test_docs_settings_md_is_what_the_tool_writes() -> None:
    tool = HOUSE / "tools" / "settings_page.py"
    written = subprocess.run([sys.executable, tool, "--print"], capture_output=True, text=True, check=True)
    assert written.stdout == PAGE.read_text(encoding="utf-8"), "run `python tools/settings_page.py`"


def test_the_page_explains_every_setting() -> None:
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \|.*\| (.+) \|$", PAGE.read_text(encoding="utf-8"))
    assert [name for name, _ in rows] == [one.name for section in SECTIONS.values() for one in fields(section)]
    assert all(text.endswith(".") and len(text) > 10 for _, text in rows)

"""The page of acts is the one that the table makes."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

from strongroom.acts.fold import EVENTS
from strongroom.acts.table import ACTS

HOUSE = Path(__file__).resolve().parents[2]


def test_docs_acts_md_is_what_the_tool_writes() -> None:
    tool = HOUSE / "tools" / "acts_page.py"
    written = subprocess.run([sys.executable, tool, "--print"], capture_output=True, text=True, check=True)
    assert written.stdout == (HOUSE / "docs" / "acts.md").read_text(encoding="utf-8"), "run `python tools/acts_page.py`"


def test_the_page_has_one_row_for_each_act_and_each_event() -> None:
    rows = [line for line in (HOUSE / "docs" / "acts.md").read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert sorted(line.split("`")[1] for line in rows) == sorted([*(act.name for act in ACTS), *EVENTS])


def test_every_effect_and_event_is_explained() -> None:
    tool = runpy.run_path(str(HOUSE / "tools" / "acts_page.py"))
    assert set(tool["EFFECTS"]) == {act.effect for act in ACTS}
    assert set(tool["EVENT_HELP"]) == set(EVENTS)

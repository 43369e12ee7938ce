"""The operations guide: its settings are settings, its files are there, and it explains every event that is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from strongroom.service.settings import parse_settings

HOUSE = Path(__file__).resolve().parents[2]
GUIDE = (HOUSE / "docs" / "operations.md").read_text(encoding="utf-8")
BLOCKS = [block for block in re.findall(r"(?:^    .*\n|^\n)+", GUIDE, re.MULTILINE) if "[" in block and " = " in block]
TOLD = re.compile(r"""tell\(\s*"\w+",\s*[^,]+,\s*"(\w+)\"""")


def test_the_settings_that_it_shows_are_settings() -> None:
    (block,) = BLOCKS
    relay, gateway = re.split(r"(?m)^    # a gateway's host.*$", block)
    shown = parse_settings(re.sub(r"(?m)^    ", "", relay), HOUSE).relay
    assert shown is not None
    missing = f'[deployment]\nname = "sr1:{"0" * 64}"\n', 'folder = "/var/lib/gateway"\n'
    other = parse_settings(missing[0] + re.sub(r"(?m)^    ", "", gateway).rstrip() + "\n" + missing[1], HOUSE).gateway
    assert other is not None
    assert other.keep == f"tls://{shown.host}:{shown.port}"
    assert shown.client_ca == other.keep_ca


@pytest.mark.parametrize("name", re.findall(r"install -m 644 (.*) /etc", GUIDE))
def test_the_files_that_it_installs_are_there(name: str) -> None:
    for one in name.split():
        assert list((HOUSE / "deploy" / "systemd").glob(one)), one


def test_it_links_to_pages_that_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE)
    assert len(links) > 8
    assert [link for link in links if not (HOUSE / "docs" / link).exists()] == []


def test_it_explains_every_event() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (HOUSE / "src/strongroom/service").glob("*.py"))
    told = {*TOLD.findall(sources), "said"}
    assert len(told) >= 9
    assert [event for event in told if f"`{event}`" not in GUIDE] == []

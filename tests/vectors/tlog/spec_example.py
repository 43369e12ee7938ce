"""The example that opens `docs/spec/receipt.md`, from the writer of the vectors."""

from __future__ import annotations

import re
from pathlib import Path

from tests.tlog.reference import mth
from tests.vectors.tlog.writer import CLOCK, ENTRIES, LOG, receipt

SPEC = Path(__file__).resolve().parents[3] / "docs" / "spec" / "receipt.md"
INDEX, SIZE = 4, 11


def blocks() -> dict[str, str]:
    """Return the text of each block of the page that is written from the writer."""
    keys = "\n".join(["```", f"log key    {LOG.vkey}", f"clock key  {CLOCK.vkey}", "```"])
    values = {
        "entry": ENTRIES[INDEX].decode(),
        "leaf hash": mth([ENTRIES[INDEX]]).hex(),
        "root": mth(ENTRIES[:SIZE]).hex(),
    }
    return {
        "receipt": f"```\n{receipt(INDEX, SIZE)}```",
        "keys": keys,
        "values": "\n".join(["```", *(f"{name:10} {value}" for name, value in values.items()), "```"]),
    }


def written(page: str) -> str:
    """Return `page` with every block between its markers replaced."""
    for name, text in blocks().items():
        begin, end = f"<!-- from the vectors: {name} -->\n", "\n<!-- end -->"
        start = page.index(begin) + len(begin)
        page = page[:start] + text + page[page.index(end, start) :]
    assert page.count("<!-- from the vectors: ") == len(blocks()) == len(re.findall("<!-- end -->", page))
    return page

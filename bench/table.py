"""Tables: sections as markdown, and as JSON for whoever wants the rounds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from measure import Row, Section

_MARKS = {
    "": ("<!-- from here on: what bench.py --page wrote -->", "<!-- to here -->"),
    "The keep": ("<!-- from here on: what bench.py --page wrote of the keep -->", "<!-- to here, of the keep -->"),
    "The gateway": (
        "<!-- from here on: what bench.py --page wrote of the gateway -->",
        "<!-- to here, of the gateway -->",
    ),
}
"""By what their titles begin with: what was not measured stays as it was."""
_HEADING = ("", "median", "spread", "GiB/s", "measured", "target", "")


def as_markdown(section: Section) -> str:
    """Return `section` as a heading, a note and a table, aligned to be read as it is."""
    cells = [_HEADING, *map(_cells, section.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADING))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join((f"### {section.title}", "", section.note, "", *lines, ""))


def as_json(section: Section) -> dict[str, Any]:
    """Return everything that was measured."""
    return asdict(section)


def summary(sections: list[Section]) -> str:
    """Return how many targets are met, and which are not."""
    judged = [(section, row) for section in sections for row in section.rows if row.target is not None]
    missed = [f"- {section.title}: {row.what}: {_measured(row)}" for section, row in judged if not row.is_met]
    return "\n".join(
        (f"{len(judged) - len(missed)} of {len(judged)} targets met.", *(["Not met:", ""] if missed else []), *missed)
    )


def check_page(page: Path) -> None:
    """Refuse a page without the marks that the tables go between."""
    text = page.read_text()
    if not all(0 <= text.find(begin) < text.find(end) for begin, end in _MARKS.values()):
        raise SystemExit(f"bench: `{page}` has no marks to put the tables between")


def write_page(page: Path, machine: str, rounds: int, sections: list[Section]) -> None:
    """Put the tables into `page`, between its marks."""
    for what, (begin, end) in _MARKS.items():
        if found := [section for section in sections if _about(section) == what]:
            before, _, rest = page.read_text().partition(begin)
            _, _, after = rest.partition(end)
            tables = "\n".join(map(as_markdown, found))
            text = f"{machine}\n{rounds} rounds.\n\n{summary(found)}\n\n{tables}"
            page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def _about(section: Section) -> str:
    before, colon, _ = section.title.partition(":")
    return before if colon and before in _MARKS else ""


def _cells(row: Row) -> tuple[str, ...]:
    middle = median(row.seconds) if row.seconds else 0.0
    return (
        row.what,
        _time(middle) if row.seconds else "",
        f"{_time(min(row.seconds))} – {_time(max(row.seconds))}" if row.seconds else "",
        f"{row.size_bytes / 2**30 / middle:.2f}" if row.seconds and row.size_bytes else "",
        _measured(row) if row.ratios else "",
        f"{'≤' if row.at_most else '≥'} {row.target:g}{row.unit}" if row.target is not None else "",
        ("met" if row.is_met else "**not met**") if row.target is not None else "",
    )


def _measured(row: Row) -> str:
    spread = f" ({min(row.ratios):.2f} – {max(row.ratios):.2f})" if len(row.ratios) > 1 else ""
    return f"{row.ratio:.2f}{row.unit}{spread}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"

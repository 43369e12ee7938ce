"""The chart: throughput onto disk against the other tools, as SVG."""

from __future__ import annotations

from statistics import median
from typing import Any
from xml.sax.saxutils import escape

_LEFT, _BAR, _GAP, _FULL = 190, 18, 8, 420
_OURS, _THEIRS, _LIMIT = "#2563a8", "#9aa5b1", "#d5dae0"


def draw(sections: list[dict[str, Any]]) -> str:
    """Return one group of bars for each of the sections about opening onto disk, all on one scale."""
    chosen = [section for section in sections if section["title"].startswith("Opening onto disk")]
    groups = [(section["title"].partition(": ")[2], _rates(section)) for section in chosen]
    most = max(rate for _, rates in groups for rate in rates.values())
    lines, y = [], 30
    for title, rates in groups:
        lines.append(f'<text x="0" y="{y}" font-weight="bold">{escape(title)}, opened onto disk, GiB/s</text>')
        y += 14
        for name, rate in rates.items():
            color = _OURS if name == "strongroom" else _LIMIT if name.startswith(("cp", "plain")) else _THEIRS
            width = round(_FULL * rate / most)
            lines += [
                f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_BAR}" fill="{color}"/>',
                f'<text x="{_LEFT + width + 6}" y="{y + 14}">{rate:.2f}</text>',
            ]
            y += _BAR + _GAP
        y += 30
    style = 'font-family="sans-serif" font-size="13" fill="#1f2933"'
    size = f'width="{_LEFT + _FULL + 60}" height="{y}"'
    background = f'<rect {size} fill="#ffffff"/>'
    return "\n".join((f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', background, *lines, "</svg>\n"))


def _rates(section: dict[str, Any]) -> dict[str, float]:
    """Return GiB/s by name, ours first."""
    rates = {}
    for row in section["rows"]:
        name = row["what"].partition(", against")[0].replace("`", "").removeprefix("limit: ")
        name = {"cp of the unsealed files": "cp, unsealed", "a plain writer of as many bytes": "plain writer"}.get(
            name, name
        )
        rates[name] = row["size_bytes"] / 2**30 / median(row["seconds"])
    return dict(sorted(rates.items(), key=lambda rate: (rate[0] != "strongroom", -rate[1])))

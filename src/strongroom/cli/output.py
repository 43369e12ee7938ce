"""How things look: errors, results as text or JSON, sizes, and progress on anything over a second."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from strongroom.client.shown import one_line
from strongroom.terms.errors import StrongroomError

if TYPE_CHECKING:
    from tqdm import tqdm


class _Form:
    """The form of this run's output, as `--json` sets it."""

    is_json = False


def as_json(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """Remember, as the callback of `--json`, that results and errors go to standard output as JSON."""
    _Form.is_json = value
    return value


def is_json() -> bool:
    """Tell whether `--json` was given."""
    return _Form.is_json


def show_error(error: StrongroomError, *, result: Mapping[str, Any] | None = None, lines: Sequence[str] = ()) -> None:
    """Show `error` as one line and a hint on standard error, and with `--json` on standard output as well.

    `result` and `lines` are what there is to show all the same, as for `show`.
    """
    fields = {"family": error.family, "code": error.code, "message": error.message, "hint": error.hint}
    show({**(result or {}), "error": fields}, lines)
    click.echo(f"strongroom: {error.family.lower()}: {one_line(error.message)}", err=True)
    if error.hint:
        click.echo(f"  hint: {one_line(error.hint)}", err=True)


def show(value: Mapping[str, Any] | Sequence[Any], lines: Sequence[str]) -> None:
    """Show a result: `value` as JSON if asked for, otherwise `lines`, each of which stays one line."""
    if _Form.is_json:
        click.echo(json.dumps(value, indent=2))
        return
    for line in lines:
        click.echo(one_line(line))


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    click.echo(one_line(text), err=True)


def size(size_bytes: int) -> str:
    """Return a size as people read it: `90.9 MB`."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(number: int, what: str) -> str:
    """Return `1 file` or `2 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def moment(seconds: float) -> str:
    """Return a time of day, in UTC; a store may say any number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "?"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return `rows`, the first of them the heading, in columns."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


class Bar:
    """A progress bar with rate and time left, shown on a terminal once the work has taken a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: tqdm[Any] | None = None
        self._lock = threading.Lock()

    def start(self, size_bytes: int) -> None:
        """Start to count, `size_bytes` in all."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=size_bytes,
            desc=self._what,
            unit="B",
            unit_scale=True,
            delay=1.0,
            leave=False,
            disable=None,
            file=sys.stderr,
            dynamic_ncols=True,
        )

    def advance(self, size_bytes: int) -> None:
        """Count `size_bytes` more, from any thread."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(size_bytes)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """Give a bar named `what` to the work in the block."""
    shown = Bar(what)
    try:
        yield shown
    finally:
        shown.close()

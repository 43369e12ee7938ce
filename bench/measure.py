"""Measuring: subjects take turns, round by round, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Timed = Callable[[], float]
"""Does its work once, tidies up, and returns the seconds of the work alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table. `seconds` and `ratios` have an entry for each round; a target needs ratios."""

    what: str
    size_bytes: int = 0
    seconds: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    unit: str = "×"
    target: float | None = None
    at_most: bool = False

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)

    @property
    def is_met(self) -> bool:
        """Whether the target is."""
        assert self.target is not None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table, with what must be known to read it."""

    title: str
    note: str
    rows: tuple[Row, ...]


class Clock:
    """What `timed` yields; `seconds` is set at the end."""

    seconds = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """Measure the wall time of the block."""
    clock = Clock()
    start = time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - start


def take_turns(subjects: Mapping[str, Timed], rounds: int) -> dict[str, tuple[float, ...]]:
    """Return the seconds of each subject in each of `rounds`, after one that does not count.

    The order is another one in every round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds + 1):
        say(f"    round {number} of {rounds}" if number else "    warm-up")
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken = subjects[name]()
            if number:
                seconds[name].append(taken)
    return {name: tuple(values) for name, values in seconds.items()}


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio in each round: the two were measured within seconds of each other."""
    return tuple(a / b for a, b in zip(numerator, denominator, strict=True))


def say(text: str) -> None:
    """Report progress, beside the tables."""
    print(text, file=sys.stderr, flush=True)


def run(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, text: str | None = None
) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | dict(env or {}), input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout

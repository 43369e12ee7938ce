"""Refusals: what was refused to whoever is enrolled is written down; a flood of it becomes a number.

Ten a minute each are entries. What comes on top is counted, and one entry says how many, when the minute is over.
"""

from dataclasses import dataclass

MOST_IN_A_MINUTE = 10


@dataclass(slots=True)
class _Minute:
    minute: int
    count: int = 0

    @property
    def extra(self) -> int:
        return max(0, self.count - MOST_IN_A_MINUTE)


class RefusalCounter:
    """Counts refusals by principal. In memory only: what it forgets at a stop is a number, not a refusal."""

    def __init__(self) -> None:
        self._minutes: dict[str, _Minute] = {}

    def is_entry(self, by: str, at: int) -> bool:
        """Count one more refusal of `by`; tell whether it is to be written down by itself."""
        counted = self._minutes.setdefault(by, _Minute(at // 60))
        counted.count += 1
        return counted.count <= MOST_IN_A_MINUTE

    def take_over(self, at: int) -> list[tuple[str, int]]:
        """Forget the minutes that are over; return who was refused how many times more than was written down."""
        over = {by: counted for by, counted in self._minutes.items() if counted.minute < at // 60}
        for by in over:
            del self._minutes[by]
        return [(by, counted.extra) for by, counted in over.items() if counted.extra]

"""The keep's clock: never behind the log, and doubted when it leaps or has stood still for a day.

TRUST: the wall clock is the host's. That it did not leap, the monotonic clock says; that the host was not put to sleep
or set back while the keep was down, only people or a witness can say.
"""

from collections.abc import Callable
from dataclasses import dataclass

LEAP_SECONDS = 300
LONGEST_STOP_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Where time comes from: seconds since 1970, and seconds that only ever run forwards, asleep or awake."""

    wall: Callable[[], float]
    monotonic: Callable[[], float]


class Clock:
    """Says the time for entries, and notices what people must look at."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._offset = clocks.wall() - clocks.monotonic()
        self.doubt = ""
        """Why the clock is doubted, until somebody has written it down."""

    def now(self, newest: int) -> int:
        """Return the time in whole seconds, not before `newest`, that of the newest entry."""
        wall = self._clocks.wall()
        offset = wall - self._clocks.monotonic()
        if abs(offset - self._offset) > LEAP_SECONDS:
            self.doubt = f"the clock leapt by {round(offset - self._offset)} s"
        self._offset = offset
        if newest - wall > LEAP_SECONDS:
            self.doubt = f"the clock is {round(newest - wall)} s behind the log"
        return max(int(wall), newest)

    def start(self, newest: int) -> None:
        """Look at the clock after a start; `newest` is the time of the newest entry."""
        stopped = self._clocks.wall() - newest
        if stopped > LONGEST_STOP_SECONDS:
            self.doubt = f"nothing was written for {round(stopped)} s"

    def take_doubt(self) -> str:
        """Return why the clock is doubted, once."""
        doubt, self.doubt = self.doubt, ""
        return doubt

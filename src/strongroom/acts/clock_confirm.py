"""`clock.confirm`: a quorum says that the keep's clock is right, after it leapt or stood still."""

from strongroom.acts.act import HOUR, Move
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone, NotNow
from strongroom.terms.records import Instant, Record


class ClockConfirm(Record):
    """`seen_at` is the time that people saw; each approval says by its own time that it still is about that."""

    seen_at: Instant


def check(directory: Directory, move: Move[ClockConfirm]) -> None:
    if not directory.time_doubted:
        raise AlreadyDone("nobody doubts the clock")
    if abs(move.body.seen_at - move.at) > HOUR:
        raise NotNow("people saw another time than the keep has now, or saw it too long ago")


def apply(directory: Directory, move: Move[ClockConfirm]) -> None:
    directory.time_doubted = False

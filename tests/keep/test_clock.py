"""The keep's clock: never behind the log, and doubted when it leaps, lags or stood still for a day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from strongroom.acts.clock_confirm import ClockConfirm
from strongroom.acts.role_give import RoleGive
from strongroom.keep.clock import LEAP_SECONDS, LONGEST_STOP_SECONDS, Clock, Clocks
from strongroom.terms.errors import Denied
from tests.acts.world import DAY, MINUTE, START, furnish, refused
from tests.keep.house import kept_house, kept_trial


@dataclass
class Hands:
    """Both clocks of a machine."""

    wall: float = START
    monotonic: float = 0.0

    def clock(self) -> Clock:
        return Clock(Clocks(wall=lambda: self.wall, monotonic=lambda: self.monotonic))

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_time_is_told_in_whole_seconds_and_never_before_the_newest_entry() -> None:
    hands = Hands(wall=START + 0.9)
    clock = hands.clock()
    assert clock.now(0) == START
    assert clock.now(START + 5) == START + 5
    hands.run(10)
    assert clock.now(START + 5) == START + 10
    assert clock.take_doubt() == ""


@pytest.mark.parametrize("leap", [LEAP_SECONDS + 1, -LEAP_SECONDS - 1])
def test_a_clock_that_leaps_is_doubted_once(leap: int) -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall += leap
    clock.now(0)
    assert f"leapt by {leap} s" in clock.take_doubt()
    clock.now(0)
    assert clock.take_doubt() == ""


def test_a_clock_that_is_set_right_by_little_is_not_doubted() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall += LEAP_SECONDS
    clock.now(0)
    hands.run(1_000_000)
    clock.now(0)
    assert clock.take_doubt() == ""


def test_a_machine_that_was_asleep_has_not_leapt() -> None:
    """The monotonic clock runs on while a machine sleeps, so that both agree."""
    hands = Hands()
    clock = hands.clock()
    hands.run(3 * LONGEST_STOP_SECONDS)
    clock.now(START)
    assert clock.take_doubt() == ""


def test_a_clock_behind_the_log_is_doubted() -> None:
    clock = Hands().clock()
    assert clock.now(START + LEAP_SECONDS) == START + LEAP_SECONDS
    assert clock.take_doubt() == ""
    assert clock.now(START + LEAP_SECONDS + 1) == START + LEAP_SECONDS + 1
    assert "behind the log" in clock.take_doubt()


def test_a_start_more_than_a_day_after_the_last_entry_is_doubted() -> None:
    clock = Hands().clock()
    clock.start(START - LONGEST_STOP_SECONDS)
    assert clock.take_doubt() == ""
    clock.start(START - LONGEST_STOP_SECONDS - 1)
    assert "nothing was written" in clock.take_doubt()


# --- in the keep ---------------------------------------------------------------------------------


def test_after_a_leap_nothing_is_released_until_a_quorum_confirms_the_time(tmp_path: Path) -> None:
    with kept_house(tmp_path) as house:
        furnish(house)
        grant = house.grant()
        house.machine.wall += 10 * MINUTE
        house.at += 10 * MINUTE
        with refused(Denied, why="time"):
            house.open(house.release_body(grant))
        assert house.machine.kinds()[-2:] == ["clock.doubted", "refused"]
        house.govern(ClockConfirm(seen_at=house.at))
        house.open(house.release_body(grant))
        assert house.machine.kinds().count("clock.doubted") == 1


def test_a_clock_set_back_never_runs_behind_the_log(tmp_path: Path) -> None:
    with kept_house(tmp_path) as house:
        furnish(house)
        grant = house.grant()
        house.machine.wall -= 1000
        with refused(Denied, why="time"):
            house.open(house.release_body(grant))
        entries = house.machine.entries()
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert house.directory.time_doubted is True
        assert "clock.doubted" in house.machine.kinds()


def test_a_start_after_a_long_stop_is_doubted_in_the_log(tmp_path: Path) -> None:
    with kept_house(tmp_path) as house:
        words = {who: house.share(who) for who in ("Ada", "Ben")}
        house.machine.stop()
        house.machine.pass_time(LONGEST_STOP_SECONDS + 1)
        house.machine.start()
        for who, share in words.items():
            house.give(who, share)
        house.machine.ask("status")
        house.sync()
        assert house.machine.kinds()[-2:] == ["keep.unsealed", "clock.doubted"]
        assert house.directory.time_doubted


def test_a_release_in_the_batch_that_unseals_is_decided_under_the_doubt(tmp_path: Path) -> None:
    """Of a program, whose grant lasts for days and which needs no session: it has waited at the socket."""
    with kept_house(tmp_path) as house:
        furnish(house)
        house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
        grant = house.grant(subject=house.job.subject, device=None, seconds=7 * DAY)
        words = {who: house.share(who) for who in ("Ada", "Ben")}
        house.machine.stop()
        house.pass_time(LONGEST_STOP_SECONDS + 1)
        house.machine.start()
        house.give("Ada", words["Ada"])
        waited = house.request(house.say("job", house.release_body(grant)))
        unsealed, released = house.machine.answers(house.giving("Ben", words["Ben"]), waited)
        assert unsealed["ok"] == {"missing": 0}
        assert released["error"]["code"] == "denied"
        assert "the time being confirmed" in released["error"]["message"]
        assert house.machine.kinds()[-3:] == ["keep.unsealed", "clock.doubted", "refused"]


def test_a_trial_only_warns(tmp_path: Path) -> None:
    with kept_trial(tmp_path) as house:
        house.machine.wall += 10 * MINUTE
        house.machine.ask("status")
        assert "clock.doubted" not in house.machine.kinds()
        assert not house.directory.time_doubted

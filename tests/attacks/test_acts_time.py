"""Attacks by the clock: what was said too long ago, for too long, or before what was said already."""

from __future__ import annotations

import pytest

from strongroom.acts.acceptance_change import AcceptanceChange
from strongroom.acts.admit import admit
from strongroom.acts.approve import Approve
from strongroom.acts.clock_confirm import ClockConfirm
from strongroom.acts.fold import fold
from strongroom.acts.read import Read
from strongroom.directory.entries import Entry
from strongroom.terms.errors import AlreadyDone, ClonedKey, Denied, LogTampered, NotNow
from tests.acts.world import DAY, HOUR, MINUTE, House, a_house, acceptance, refused


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.mark.parametrize("skew", [-61, 61])
def test_a_statement_made_more_than_a_minute_from_now_is_refused(house: House, skew: int) -> None:
    house.session("Dan")
    with refused(NotNow, why="61 s"):
        house.do("Dan", Read(digests=()), at=house.at + skew, until=house.at + 120)


@pytest.mark.parametrize("skew", [-60, 60])
def test_a_statement_made_a_minute_from_now_is_taken(house: House, skew: int) -> None:
    house.do("Dan", Read(digests=()), at=house.at + skew, until=house.at + 120)


def test_the_tolerance_is_what_the_directory_says(house: House) -> None:
    house.govern(AcceptanceChange(acceptance=acceptance(clock_tolerance_seconds=5), quorum=2))
    with refused(NotNow, why="6 s"):
        house.do("Dan", Read(digests=()), at=house.at - 6, until=house.at)


def test_a_statement_that_lapsed_is_refused_even_when_it_comes_again(house: House) -> None:
    said = house.say("Dan", Read(digests=()), until=house.at + 30)
    admit(house.directory, said, at=house.at + 30)
    for is_first in (True, False):
        with refused(NotNow, why="lapsed"):
            admit(house.directory, said, at=house.at + 31, is_first=is_first)


def test_what_comes_again_may_be_older_than_a_minute(house: House) -> None:
    said = house.say("Dan", Read(digests=()))
    admit(house.directory, said, at=house.at + 200, is_first=False)
    with refused(NotNow, why="200 s"):
        admit(house.directory, said, at=house.at + 200)


def test_the_touch_of_what_comes_again_may_be_older_than_the_newest(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    said = house.say("Ada", house.voice(Approve, asked, "approver", "core"))
    house.take(said)
    admit(house.directory, said, at=house.at, is_first=False)
    with refused(ClonedKey):
        admit(house.directory, said, at=house.at)


@pytest.mark.parametrize(
    ("act", "seconds"), [("read", 5 * MINUTE), ("release", HOUR), ("propose", 30 * DAY), ("approve", 30 * DAY)]
)
def test_a_statement_that_is_valid_for_too_long_is_refused(house: House, act: str, seconds: int) -> None:
    asked, grant = house.ask("Dan", house.grant_body()), house.grant()

    def say(until: int) -> None:
        match act:
            case "read":
                house.do("Dan", Read(digests=()), until=until)
            case "release":
                house.do("Dan", house.release_body(grant), until=until)
            case "propose":
                house.ask("Dan", house.grant_body(), until=until)
            case _:
                house.approve("Ada", asked, "approver", until=until)

    with refused(NotNow, why=f"{seconds} s"):
        say(house.at + seconds + 1)
    say(house.at + seconds)


def test_a_log_whose_time_runs_backwards_is_tampered(house: House) -> None:
    with refused(LogTampered, why="backwards"):
        fold(house.directory, Entry(at=house.at - 1, kind="refusals.counted").encode())


def test_a_doubted_clock_is_confirmed_by_a_quorum(house: House) -> None:
    with refused(AlreadyDone, why="nobody doubts"):
        house.ask("Ada", ClockConfirm(seen_at=house.at))
    grant = house.grant()
    house.append(Entry(at=house.at, kind="clock.doubted", data={"reason": "it leapt"}))
    with refused(Denied, why="time"):
        house.release(grant)
    house.govern(ClockConfirm(seen_at=house.at))
    house.release(grant)


def test_what_time_has_ended_is_forgotten_and_nothing_else(house: House) -> None:
    grant = house.grant(seconds=HOUR)
    asked = house.ask("Dan", house.grant_body(), until=house.at + 3 * HOUR)
    sessions, statements = set(house.directory.sessions), set(house.directory.statements)
    house.at += HOUR
    house.append(Entry(at=house.at, kind="refusals.counted"))
    assert grant in house.directory.grants
    assert set(house.directory.sessions) == sessions
    house.at += 11 * MINUTE
    house.append(Entry(at=house.at, kind="refusals.counted"))
    assert grant not in house.directory.grants
    assert not house.directory.sessions
    assert set(house.directory.statements) == {asked}
    assert asked in statements
    assert asked in house.directory.proposals

"""Refusals are written down, ten a minute each; a flood becomes a number. What nobody validly signed leaves none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.freeze import Freeze
from strongroom.keep.refusals import MOST_IN_A_MINUTE, RefusalCounter
from strongroom.terms.errors import BadSignature, Denied, NotFound, NotNow, UnknownSigner
from tests.acts.world import MINUTE, START, furnish, refused, text
from tests.keep.house import KeptHouse, kept_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KeptHouse]:
    with kept_house(tmp_path) as house:
        furnish(house)
        yield house


def test_ten_a_minute_of_each_are_entries_and_the_rest_is_counted_when_the_minute_is_over() -> None:
    counter = RefusalCounter()
    at = START - START % 60
    assert [counter.is_entry("person-1", at + second) for second in range(25)] == [True] * 10 + [False] * 15
    assert counter.is_entry("person-2", at + 30)
    assert counter.take_over(at + 59) == []
    assert counter.take_over(at + 60) == [("person-1", 15)]
    assert counter.take_over(at + 120) == []
    assert counter.is_entry("person-1", at + 120)


def test_ten_are_not_one_too_many() -> None:
    counter = RefusalCounter()
    for _ in range(MOST_IN_A_MINUTE):
        assert counter.is_entry("person-1", START)
    assert counter.take_over(START + 60) == []


def deny(house: KeptHouse) -> None:
    """Have Dan be refused."""
    with refused(Denied):
        house.do("Dan", Freeze(target=house.model, reason=text("odd")))


def test_a_flood_of_refusals_is_ten_entries_and_a_number(house: KeptHouse) -> None:
    house.session("Dan")
    house.pass_time(60 - house.at % 60)
    for _ in range(14):
        deny(house)
    assert house.machine.kinds().count("refused") == MOST_IN_A_MINUTE
    house.pass_time(MINUTE)
    house.machine.ask("status")
    (counted,) = [entry for entry in house.machine.entries() if entry.kind == "refusals.counted"]
    assert counted.data == {"by": house.person("Dan"), "count": 4}
    deny(house)
    assert house.machine.kinds()[-1] == "refused"


def test_a_refusal_says_who_was_refused_what_and_why(house: KeptHouse) -> None:
    said = house.say("Dan", Freeze(target=house.model, reason=text("odd")))
    with refused(Denied):
        house.tell(said)
    entry = house.machine.entries()[-1]
    assert entry.data == {"act": "freeze", "by": house.person("Dan"), "code": "denied", "statement": said.digest}
    assert entry.statement is None


def test_a_refused_approval_leaves_nothing_but_the_refusal(house: KeptHouse) -> None:
    asked = house.ask("Dan", house.grant_body())
    before = house.directory.proposals[asked]
    with refused(NotFound):
        house.ask("Dan", house.grant_body(version=house.new("version")))
    assert house.machine.kinds()[-1] == "refused"
    assert house.directory.proposals == {asked: before}


@pytest.mark.parametrize("how", ["stranger", "forged", "late"])
def test_what_nobody_enrolled_validly_signed_leaves_no_entry(house: KeptHouse, how: str) -> None:
    session, size = house.session("Dan"), house.machine.journal.size
    freeze = Freeze(target=house.model, reason=text("odd"))
    said: dict[str, Any] = {
        "stranger": (UnknownSigner, ("Dan", freeze, house.new_key(house.new("session")))),
        "forged": (BadSignature, ("Dan", freeze, house.new_key(session.subject))),
        "late": (NotNow, ("Dan", freeze, session)),
    }
    error, (who, refused_body, signer) = said[how]
    late = {"at": house.at - 120} if how == "late" else {}
    with refused(error):
        house.tell(house.say(who, refused_body, signer, **late))
    assert house.machine.journal.size == size

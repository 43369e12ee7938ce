"""Attacks by facts: one that nobody may say, that lapsed, or that hides a worse one. A fact can only withhold."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.acts.admit import admit
from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.attester_revoke import AttesterRevoke
from strongroom.acts.decide import decide
from strongroom.acts.fact_attest import FactAttest, is_repeated
from strongroom.acts.fact_attest import live_facts as live
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.person_remove import PersonRemove
from strongroom.terms.errors import BadRecord, Denied, NotAllowed, NotFound, NotNow, UnknownSigner
from tests.acts.world import DAILY_BYTES, DAY, HOUR, LAB, House, PlainKey, a_critical_house, a_house, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
def critical() -> House:
    """A house whose model has label 3, where every fact is said that this takes, for an hour."""
    return a_critical_house()


def second_attester(house: House, *kinds: str) -> PlainKey:
    key = house.new_key(house.new("attester"))
    enrolled = AttesterEnrol(
        attester=key.subject,
        key=key.new(house.directory.deployment),
        kinds=kinds,
        longest_seconds=DAY,
        details=text("lms"),
    )
    house.govern(enrolled)
    return key


def say_as(house: House, key: PlainKey, subject: str, fact: str, value: int) -> None:
    house.take(house.envelope(FactAttest(subject=subject, fact=fact, value=value), key.subject, [key]))


def test_a_fact_of_a_kind_that_the_attester_does_not_know_is_refused(house: House) -> None:
    with refused(NotAllowed, why="says nothing about"):
        house.attest(house.person("Dan"), "good-looks", 1)


def test_a_fact_for_longer_than_the_attester_may_is_refused(house: House) -> None:
    house.attest(house.person("Dan"), "training", 1, until=house.at + DAY)
    with refused(NotAllowed, why="at most"):
        house.attest(house.person("Dan"), "training", 1, until=house.at + DAY + 1)


def test_a_fact_for_longer_than_any_may_hold_is_refused(house: House) -> None:
    with refused(NotNow):
        house.attest(house.person("Dan"), "training", 1, until=house.at + 400 * DAY + 1)


@pytest.mark.parametrize("kind", ["person", "device", "workload", "attester", "zone", "model", "version"])
def test_a_fact_about_nothing_is_refused(house: House, kind: str) -> None:
    with refused(NotFound):
        house.attest(house.new(kind), "training", 1)


@pytest.mark.parametrize("kind", ["session", "grant", "statement", "credential"])
def test_a_fact_about_what_nothing_is_said_of_is_refused(house: House, kind: str) -> None:
    with refused(NotFound, why="nothing is said"):
        house.attest(house.new(kind), "training", 1)


def test_facts_are_said_about_everything_that_there_is(house: House) -> None:
    subjects = [house.person("Dan"), house.people["Dan"].device.subject, house.job.subject, house.attester.subject]
    for subject in (*subjects, LAB, house.model, house.version):
        house.attest(subject, "training", 1)
        assert live(house.directory, subject, house.at) == {"training": 1}


def test_a_fact_about_somebody_who_left_is_refused(house: House) -> None:
    house.govern(PersonRemove(person=house.person("Dan")))
    with refused(NotFound, why="gone"):
        house.attest(house.person("Dan"), "training", 1)


@pytest.mark.parametrize("value", [-1, True, "1"])
def test_a_fact_that_is_no_number_in_range_is_refused(house: House, value: Any) -> None:
    """What is no whole number below 2^53 has no canonical form at all: see `tests/terms/test_canonical.py`."""
    said = FactAttest(subject=house.person("Dan"), fact="training", value=1)
    body = {"subject": house.person("Dan"), "fact": "training", "value": value}
    with refused(BadRecord):
        house.take(house.say("attester", said, body=body))


def test_the_worst_live_fact_counts(house: House) -> None:
    other = second_attester(house, "training")
    house.attest(house.person("Dan"), "training", 1)
    say_as(house, other, house.person("Dan"), "training", 0)
    assert live(house.directory, house.person("Dan"), house.at) == {"training": 0}


def test_no_attester_outvotes_a_worse_one_at_label_3(critical: House) -> None:
    grant = critical.grant()
    critical.release(grant)
    other = second_attester(critical, "training")
    say_as(critical, other, critical.person("Dan"), "training", 0)
    with refused(Denied, why="training"):
        critical.release(grant)


@pytest.mark.parametrize("fact", ["training", "disk-encrypted", "egress-bytes-per-day"])
def test_a_fact_that_lapsed_refuses(critical: House, fact: str) -> None:
    grant = critical.grant()
    critical.at += HOUR + 1
    subjects = {
        "training": critical.person("Dan"),
        "disk-encrypted": critical.people["Dan"].device.subject,
        "egress-bytes-per-day": LAB,
    }
    for kind, subject in subjects.items():
        if kind != fact:
            critical.attest(subject, kind, DAILY_BYTES if subject == LAB else 1)
    with refused(Denied, why=fact):
        critical.release(grant)
    critical.attest(subjects[fact], fact, DAILY_BYTES if fact.startswith("egress") else 1)
    critical.release(grant)


def test_the_meter_counts_where_it_shows_more_than_the_ceiling(critical: House) -> None:
    grant = critical.grant()
    critical.attest(LAB, "egress-bytes-per-day", DAILY_BYTES + 1)
    with refused(Denied, why="egress"):
        critical.release(grant)


def test_a_revoked_attester_takes_its_facts_along(critical: House) -> None:
    grant = critical.grant()
    critical.do("Ada", AttesterRevoke(attester=critical.attester.subject, reason=text("lies")))
    with refused(Denied):
        critical.release(grant)
    with refused(UnknownSigner, why="gone"):
        critical.attest(LAB, "egress-bytes-per-day", 1)


def test_a_revoked_attester_leaves_what_others_say(house: House) -> None:
    other = second_attester(house, "training")
    house.attest(house.person("Dan"), "training", 0)
    say_as(house, other, house.person("Dan"), "training", 1)
    house.do("Ada", AttesterRevoke(attester=house.attester.subject, reason=text("lies")))
    assert live(house.directory, house.person("Dan"), house.at) == {"training": 1}


def test_a_fact_opens_nothing_by_itself(house: House) -> None:
    house.do("Ada", LabelRaise(target=house.model, label=3))
    for subject, fact in (
        (house.person("Dan"), "training"),
        (house.people["Dan"].device.subject, "disk-encrypted"),
        (LAB, "egress-bytes-per-day"),
    ):
        house.attest(subject, fact, 1)
    with refused(Denied):
        house.enact(house.ask("Dan", house.grant_body()))


def test_what_a_device_says_of_itself_is_no_fact(critical: House) -> None:
    device = critical.people["Dan"].device
    body = FactAttest(subject=device.subject, fact="disk-encrypted", value=1)
    with refused(UnknownSigner):
        critical.take(critical.envelope(body, device.subject, [device]))


@pytest.mark.parametrize(
    ("later", "change", "repeated"),
    [
        (0, {}, True),
        (HOUR - 1, {}, True),
        (HOUR, {}, False),
        (60, {"value": 0}, False),
        (60, {"fact": "disk-encrypted"}, False),
        (60, {"subject": LAB}, False),
    ],
)
def test_a_fact_is_repeated_when_nothing_changed_for_less_than_an_hour(
    house: House, later: int, change: dict[str, Any], repeated: bool
) -> None:
    usual: dict[str, Any] = {"subject": house.person("Dan"), "fact": "training", "value": 1}
    house.do("attester", FactAttest(**usual), until=house.at + DAY)
    house.at += later
    said = house.say("attester", FactAttest(**{**usual, **change}), until=house.at + DAY)
    permitted = decide(house.directory, house.bundle(), admit(house.directory, said, at=house.at), at=house.at)
    assert is_repeated(house.directory, permitted.move) is repeated


def test_a_fact_that_is_about_to_lapse_is_said_again(house: House) -> None:
    usual: dict[str, Any] = {"subject": house.person("Dan"), "fact": "training", "value": 1}
    house.do("attester", FactAttest(**usual), until=house.at + HOUR)
    house.at += 1
    said = house.say("attester", FactAttest(**usual), until=house.at + DAY)
    permitted = decide(house.directory, house.bundle(), admit(house.directory, said, at=house.at), at=house.at)
    assert not is_repeated(house.directory, permitted.move)


def test_the_facts_of_one_attester_are_not_another_s(house: House) -> None:
    other = second_attester(house, "training")
    house.attest(house.person("Dan"), "training", 1)
    body = FactAttest(subject=house.person("Dan"), fact="training", value=1)
    said = house.envelope(body, other.subject, [other])
    permitted = decide(house.directory, house.bundle(), admit(house.directory, said, at=house.at), at=house.at)
    assert not is_repeated(house.directory, permitted.move)

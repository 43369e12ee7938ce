"""What waits for somebody's voice."""

from __future__ import annotations

from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.role_give import RoleGive
from strongroom.client.waiting import waiting
from tests.acts.world import DAY, HOUR, House, a_house, text


def waits(house: House, who: str) -> list[str]:
    return [one.proposal.proposal for one in waiting(house.directory, house.person(who), at=house.at)]


def test_a_request_for_access_waits_for_whom_policy_hears_and_for_nobody_else() -> None:
    house = a_house()
    asked = house.ask("Dan", house.grant_body())
    assert {who: waits(house, who) for who in house.people} == {
        "Ada": [asked],
        "Ben": [asked],
        "Cleo": [asked],
        "Dan": [],
        "Eve": [asked],
    }
    found = {who: list(waiting(house.directory, house.person(who), at=house.at)) for who in ("Ben", "Eve")}
    assert [(one.about, one.voices) for one in found["Ben"]] == [
        (house.version, [("governor", "core"), ("approver", "red")])
    ]
    assert [one.voices for one in found["Eve"]] == [[("governor", "core")]]


def test_what_somebody_answered_waits_for_them_no_longer() -> None:
    house = a_house()
    asked = house.ask("Ada", RoleGive(subject=house.person("Dan"), role="reader", team="core"))
    house.approve("Ben", asked, "governor")
    house.reject("Cleo", asked, "governor")
    assert (waits(house, "Ben"), waits(house, "Cleo"), waits(house, "Eve")) == ([], [], [asked])


def test_an_approval_that_lapsed_or_was_given_with_a_lost_key_can_be_given_again() -> None:
    house = a_house()
    asked = house.ask("Ada", RoleGive(subject=house.person("Dan"), role="reader", team="core"), until=house.at + DAY)
    house.approve("Ben", asked, "governor", until=house.at + HOUR)
    house.approve("Eve", asked, "governor", until=house.at + DAY)
    assert (waits(house, "Ben"), waits(house, "Eve")) == ([], [])
    house.at += HOUR + 1
    assert (waits(house, "Ben"), waits(house, "Eve")) == ([asked], [])
    house.people["Ada"].session = None  # hers has run out too
    lost = house.people["Eve"].keys[0].credential
    house.do("Ada", CredentialReport(credential=lost, reason=text("lost")))
    assert waits(house, "Eve") == [asked]


def test_nobody_is_asked_about_what_they_propose_or_gain_by() -> None:
    house = a_house()
    asked = house.ask("Ada", RoleGive(subject=house.person("Ben"), role="reader", team="core"))
    assert (waits(house, "Ada"), waits(house, "Ben"), waits(house, "Cleo")) == ([], [], [asked])


def test_a_proposal_that_lapsed_waits_for_nobody() -> None:
    house = a_house()
    house.ask("Dan", house.grant_body(), until=house.at + HOUR)
    house.at += HOUR + 1
    assert waits(house, "Ada") == []


def test_a_proposal_about_something_that_is_gone_hides_no_other() -> None:
    house = a_house()
    device = house.people["Dan"].device.subject
    house.ask("Cleo", DeviceRemove(device=device))
    house.govern(DeviceRemove(device=device), by="Ada", yes=("Ben", "Cleo"))
    other = house.ask("Cleo", RoleGive(subject=house.person("Dan"), role="reader", team="core"))
    assert waits(house, "Ada") == [other]


def test_a_workload_has_no_voice() -> None:
    house = a_house()
    house.ask("Dan", house.grant_body())
    assert list(waiting(house.directory, house.job.subject, at=house.at)) == []

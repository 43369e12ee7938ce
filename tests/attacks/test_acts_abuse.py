"""Attacks by insiders who use what they may do: closing down to lock others out, voices that never counted."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.acts.acceptance_change import AcceptanceChange
from strongroom.acts.approve import Approve
from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.clock_confirm import ClockConfirm
from strongroom.acts.credential_add import CredentialAdd
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.fact_attest import FactAttest, live_facts
from strongroom.acts.freeze import Freeze
from strongroom.acts.label_lower import LabelLower
from strongroom.acts.propose import MOST_OPEN
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.directory.entries import Entry
from strongroom.statements.signatures import possession_message
from strongroom.terms.errors import AlreadyDone, BadAssertion, Denied, NotAllowed, NotNow
from tests.acts.world import CLI, CONSOLE, DAY, HOUR, LAB, House, a_critical_house, a_house, acceptance, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


def report(house: House, by: str, whose: str) -> str:
    credential = house.people[whose].keys[0].credential
    return house.do(by, CredentialReport(credential=credential, reason=text("lost")))


def test_one_responder_cannot_report_everybodys_keys_away(house: House) -> None:
    reported = []
    with refused(NotAllowed, why="too few people"):
        for who in ("Ben", "Cleo", "Eve", "Dan"):
            report(house, "Ada", who)
            reported.append(who)
    assert 1 <= len(reported) < 4


def test_ones_own_last_key_can_always_be_reported(house: House) -> None:
    report(house, "Ada", "Cleo")
    report(house, "Ben", "Ben")


def test_a_frozen_person_s_workload_opens_nothing(house: House) -> None:
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    grant = house.grant("Ada", "Ben", subject=house.job.subject, device=None)
    house.release(grant, "job")
    house.do("Ada", Freeze(target=house.person("Dan"), reason=text("why")))
    with refused(Denied, why="thawed"):
        house.release(grant, "job")


def test_an_approval_that_did_not_count_at_the_grant_never_counts_later(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    held = next(one for one in house.directory.people[house.person("Ada")].roles if one.role == "approver")
    house.govern(RoleTake(subject=house.person("Ada"), role="approver", team=held.team), by="Eve")
    for who in ("Ben", "Cleo"):
        house.approve(who, asked, "approver")
    house.enact(asked)
    (grant,) = house.directory.grants.values()
    assert {one.person for one in grant.approvals} == {house.person("Ben"), house.person("Cleo")}
    house.release(grant.grant)
    report(house, "Ada", "Cleo")
    with refused(Denied, why="two people"):
        house.release(grant.grant)


def test_an_approval_that_lapsed_can_be_given_again_and_still_counts_once(house: House) -> None:
    asked = house.ask("Dan", house.grant_body(), until=house.at + 2 * HOUR)
    house.approve("Ada", asked, "approver", until=house.at + 60)
    with refused(AlreadyDone):
        house.approve("Ada", asked, "approver")
    house.at += 61
    house.approve("Ben", asked, "approver")
    with refused(Denied, why="two people"):
        house.enact(asked)
    house.approve("Ada", asked, "approver")
    assert len(house.directory.proposals[asked].approvals) == 2
    house.enact(asked)


def test_nobody_fills_the_directory_with_proposals(house: House) -> None:
    for _ in range(MOST_OPEN):
        house.ask("Dan", house.grant_body())
    with refused(NotAllowed, why="proposals open"):
        house.ask("Dan", house.grant_body())


def test_a_proposal_that_lapsed_is_dropped_and_its_identifier_is_not_free(house: House) -> None:
    asked = house.ask("Dan", house.grant_body(), until=house.at + 60)
    house.at += DAY
    house.browser("Ada")
    assert asked not in house.directory.proposals
    assert house.directory.closed[asked] == "lapsed"
    with refused(AlreadyDone):
        house.ask("Dan", house.grant_body(), id=asked)


def test_a_second_meter_that_says_less_opens_nothing() -> None:
    house = a_critical_house()
    other = house.new_key(house.new("attester"))
    kinds = ("egress-bytes-per-day",)
    enrolled = AttesterEnrol(
        attester=other.subject,
        key=other.new(house.directory.deployment),
        kinds=kinds,
        longest_seconds=DAY,
        details=text("a second meter"),
    )
    house.govern(enrolled)
    house.attest(LAB, "egress-bytes-per-day", 1 << 40)
    said = FactAttest(subject=LAB, fact="egress-bytes-per-day", value=0)
    house.take(house.envelope(said, other.subject, [other]))
    assert live_facts(house.directory, LAB, house.at)["egress-bytes-per-day"] == 1 << 40


def test_a_writer_cannot_claim_more_tensors_than_there_are_bytes(house: House) -> None:
    with refused(NotAllowed, why="more bytes of tensors"):
        house.do("job", house.version_body(size_bytes=10, tensor_bytes=11))


def test_an_approval_of_an_earlier_doubt_confirms_no_later_one(house: House) -> None:
    house.append(Entry(at=house.at, kind="clock.doubted", data={"reason": "it leapt"}))
    asked = house.ask("Ada", ClockConfirm(seen_at=house.at))
    house.approve("Ben", asked, "governor")
    late = house.voice(Approve, asked, "governor", house.team("Cleo", "governor"))
    house.append(Entry(at=house.at, kind="clock.doubted", data={"reason": "again"}))
    with refused(AlreadyDone, why="overtaken"):
        house.do("Cleo", late)


def test_a_clock_is_not_confirmed_by_a_time_that_nobody_sees_now(house: House) -> None:
    house.append(Entry(at=house.at, kind="clock.doubted", data={"reason": "it leapt"}))
    with refused(NotNow, why="another time"):
        house.ask("Ada", ClockConfirm(seen_at=1))


def test_a_touch_where_one_only_logs_in_enrols_no_key(house: House) -> None:
    person, key = house.people["Dan"], house.new_security_key()
    deployment = house.directory.deployment
    new = key.register(deployment, person.person, origin=CONSOLE)
    touch = person.keys[0].touch(possession_message(deployment, f"{person.person}/{key.credential}", new.public_key))
    with refused(BadAssertion):
        house.ask("Dan", CredentialAdd(person=person.person, new=new, touch=touch))
    honest = key.register(deployment, person.person)
    message = possession_message(deployment, f"{person.person}/{key.credential}", honest.public_key)
    with refused(BadAssertion):
        touch = person.keys[0].touch(message, origin=CONSOLE)
        house.ask("Dan", CredentialAdd(person=person.person, new=honest, touch=touch))


def test_whoever_may_open_a_version_has_no_voice_in_lowering_its_label(house: House) -> None:
    house.govern(RoleGive(subject=house.person("Dan"), role="governor", team="core"))
    house.grant()
    asked = house.ask("Ada", LabelLower(target=house.model, label=0))
    with refused(Denied, why="gain"):
        house.approve("Dan", asked, "governor")
    house.approve("Ben", asked, "governor")
    with refused(Denied):
        house.enact(asked)


@pytest.mark.parametrize("origins", [{}, {"https://strongroom.example": "approval"}])
def test_no_change_shuts_the_command_line_out(house: House, origins: dict[str, Any]) -> None:
    with refused(NotAllowed, why="command line's, always"):
        house.ask("Ada", AcceptanceChange(acceptance=acceptance(origins=origins), quorum=2))
    assert CLI in house.directory.acceptance.origins

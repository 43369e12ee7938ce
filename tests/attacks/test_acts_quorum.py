"""Attacks on the quorum: one person who counts twice, a voice that is not theirs to give, a role given mid-way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.approve import Approve
from strongroom.acts.credential_add import CredentialAdd
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.freeze import Freeze
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.reject import Reject
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.acts.thaw import Thaw
from strongroom.acts.withdraw import Withdraw
from strongroom.acts.workload_enrol import WorkloadEnrol
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory.state import Role
from strongroom.statements.signatures import possession_message
from strongroom.terms.digests import sha256
from strongroom.terms.errors import AlreadyDone, Denied, NotAllowed, NotFound, NotNow, Stale
from tests.acts.world import (
    APPROVALS,
    CLI,
    HOUR,
    LAB,
    House,
    SecurityKey,
    a_critical_house,
    a_house,
    refused,
    text,
)


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
def critical() -> House:
    """A house whose model has label 3, where every fact is said that this takes."""
    return a_critical_house()


def give_role(house: House, who: str, role: str, team: str = "core", model: str | None = None) -> None:
    house.govern(RoleGive(subject=house.person(who), role=role, team=team, model=model))


def second_key(house: House, who: str, **more: Any) -> SecurityKey:
    """Give somebody one more security key."""
    person, key = house.people[who], house.new_security_key(**more)
    new = key.register(house.directory.deployment, person.person)
    wanted = possession_message(house.directory.deployment, f"{person.person}/{key.credential}", new.public_key)
    yes = [one for one in ("Ben", "Cleo", "Eve") if one != who][:2]
    house.govern(CredentialAdd(person=person.person, new=new, touch=person.keys[0].touch(wanted)), yes=yes)
    person.keys.append(key)
    return key


# --- one person counts once ----------------------------------------------------------------------


def test_one_approval_is_not_enough(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(Denied):
        house.enact(asked)
    house.approve("Ada", asked, "approver")
    with refused(Denied):
        house.enact(asked)
    house.approve("Ben", asked, "approver")
    house.enact(asked)


def test_one_person_with_two_keys_counts_once(house: House) -> None:
    key = second_key(house, "Cleo")
    asked = house.ask("Dan", house.grant_body())
    house.approve("Cleo", asked, "approver")
    with refused(AlreadyDone, why="once"):
        house.approve("Cleo", asked, "approver", key.touch)
    with refused(Denied):
        house.enact(asked)


def test_one_person_with_two_roles_counts_once(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    with refused(AlreadyDone):
        house.approve("Ada", asked, "governor")
    proposal = house.directory.proposals[asked]
    (given,) = proposal.approvals
    twice = (given, replace(given, role="governor"), replace(given, team="red"))
    house.use(proposals={asked: replace(proposal, approvals=twice)})
    with refused(Denied):
        house.enact(asked)


def test_an_approval_counts_in_the_role_that_it_names_and_in_no_other(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "governor")
    house.approve("Ben", asked, "approver")
    house.approve("Cleo", asked, "approver")
    assert house.enact(asked)
    other = house.ask("Dan", house.grant_body())
    house.approve("Ada", other, "governor")
    house.approve("Ben", other, "approver")
    with refused(Denied):
        house.enact(other)


# --- nobody decides about what is theirs ---------------------------------------------------------


def test_nobody_approves_what_they_proposed(house: House) -> None:
    asked = house.ask("Ada", ModelEnrol(model=house.new("model"), details=text("m"), label=1))
    with refused(NotAllowed, why="proposed themselves"):
        house.approve("Ada", asked, "governor")
    with refused(NotAllowed, why="proposed themselves"):
        house.reject("Ada", asked, "governor")


def test_the_proposer_does_not_count_whatever_the_log_says(house: House) -> None:
    body = ModelEnrol(model=house.new("model"), details=text("m"), label=1)
    asked = house.ask("Ada", body)
    house.approve("Ben", asked, "governor")
    proposal = house.directory.proposals[asked]
    own = replace(proposal.approvals[0], person=house.person("Ada"), team="core")
    house.use(proposals={asked: replace(proposal, approvals=(*proposal.approvals, own))})
    with refused(Denied):
        house.enact(asked)
    house.approve("Cleo", asked, "governor")
    house.enact(asked)


def test_nobody_approves_a_role_of_their_own(house: House) -> None:
    asked = house.ask("Ada", RoleGive(subject=house.person("Ben"), role="responder", team="core"))
    with refused(Denied):
        house.approve("Ben", asked, "governor")
    with refused(Denied):
        house.reject("Ben", asked, "governor")


def test_the_owner_of_a_device_has_no_voice_about_it(house: House) -> None:
    key = house.new_key(house.new("device"))
    body = DeviceEnrol(
        device=key.subject, person=house.person("Ben"), zone=LAB, key=key.new(house.directory.deployment)
    )
    asked = house.ask("Ada", body)
    with refused(Denied):
        house.approve("Ben", asked, "governor")
    house.approve("Cleo", asked, "governor")
    with refused(Denied):
        house.enact(asked)


def test_the_sponsor_of_a_workload_has_no_voice_about_it(house: House) -> None:
    key = house.new_key(house.new("workload"))
    body = WorkloadEnrol(
        workload=key.subject,
        sponsor=house.person("Ben"),
        zone=LAB,
        key=key.new(house.directory.deployment),
        details=text("job"),
    )
    asked = house.ask("Ada", body)
    with refused(Denied):
        house.approve("Ben", asked, "governor")
    house.govern(body, yes=("Cleo", "Eve"))
    asked = house.ask("Ada", RoleGive(subject=key.subject, role="writer", team="core"))
    with refused(Denied):
        house.approve("Ben", asked, "governor")


def test_whoever_gains_by_a_grant_has_no_voice_about_it(house: House) -> None:
    house.enrol("Fay", ("approver", "core"))
    key = house.new_key(house.new("workload"))
    new = key.new(house.directory.deployment)
    body = WorkloadEnrol(workload=key.subject, sponsor=house.person("Fay"), zone=LAB, key=new, details=text("job"))
    house.govern(body)
    house.govern(RoleGive(subject=key.subject, role="researcher", team="core"))
    asked = house.ask("Dan", house.grant_body(subject=key.subject, device=None))
    with refused(Denied):
        house.approve("Fay", asked, "approver")


def test_an_approval_of_whoever_gains_does_not_count_whatever_the_log_says(house: House) -> None:
    body = RoleGive(subject=house.person("Eve"), role="responder", team="core")
    asked = house.ask("Ada", body)
    house.approve("Ben", asked, "governor")
    proposal = house.directory.proposals[asked]
    (given,) = proposal.approvals
    own = replace(given, person=house.person("Eve"), credential=house.people["Eve"].keys[0].credential, team="core")
    house.use(proposals={asked: replace(proposal, approvals=(given, own))})
    with refused(Denied):
        house.enact(asked)


def test_the_person_concerned_has_no_voice_about_a_thaw(house: House) -> None:
    house.enrol("Fay", ("governor", "core"))
    house.do("Ada", Freeze(target=house.person("Fay"), reason=text("odd")))
    asked = house.ask("Ada", Thaw(target=house.person("Fay"), reason=text("well")))
    with refused(Denied):
        house.approve("Fay", asked, "governor")
    with refused(Denied):
        house.reject("Fay", asked, "governor")


# --- one exact proposal --------------------------------------------------------------------------


def test_an_approval_replayed_for_another_proposal_is_refused(house: House) -> None:
    first, second = house.ask("Dan", house.grant_body()), house.ask("Dan", house.grant_body(seconds=HOUR))
    good = house.voice(Approve, first, "approver", "core")
    with refused(Stale):
        house.do("Ada", replace(good, proposal=second))
    house.do("Ada", good)
    assert not house.directory.proposals[second].approvals


def test_an_edited_proposal_is_noticed_by_its_digest(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    shown = sha256(b"what somebody was shown")
    with refused(Stale, why="not the text"):
        house.do("Ada", house.voice(Approve, asked, "approver", "core", digest=shown))
    with refused(Stale):
        house.do("Ada", house.voice(Reject, asked, "approver", "core", digest=shown, reason=text("no")))


def test_a_proposal_that_never_was_or_has_ended_takes_no_voice(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    voice = house.voice(Approve, asked, "approver", "core")
    with refused(NotFound):
        house.do("Ada", replace(voice, proposal=house.new("statement")))
    house.do("Dan", Withdraw(proposal=asked))
    with refused(AlreadyDone, why="withdrawn"):
        house.do("Ada", voice)


def test_enactment_consumes_the_approvals(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    for who in ("Ada", "Ben"):
        house.approve(who, asked, "approver")
    house.enact(asked)
    with refused(AlreadyDone, why="enacted"):
        house.enact(asked)
    again = house.ask("Dan", house.grant_body())
    with refused(Denied):
        house.enact(again)


def test_a_proposal_takes_no_identifier_of_one_that_was(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(AlreadyDone):
        house.ask("Dan", house.grant_body(seconds=HOUR), id=asked)
    house.do("Dan", Withdraw(proposal=asked))
    with refused(AlreadyDone):
        house.ask("Dan", house.grant_body(seconds=HOUR), id=asked)


def test_only_the_proposer_withdraws(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(NotAllowed, why="proposer"):
        house.do("Ada", Withdraw(proposal=asked))


def test_a_proposal_lapses(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver", until=house.at + 2 * HOUR)
    house.approve("Ben", asked, "approver", until=house.at + 2 * HOUR)
    house.at += HOUR + 1
    with refused(NotNow):
        house.approve("Cleo", asked, "approver")
    with refused(NotNow):
        house.enact(asked)


def test_an_approval_lapses_before_its_proposal(house: House) -> None:
    asked = house.ask("Dan", house.grant_body(), until=house.at + 10 * HOUR)
    house.approve("Ada", asked, "approver", until=house.at + HOUR)
    house.at += HOUR + 1
    house.approve("Ben", asked, "approver")
    with refused(Denied):
        house.enact(asked)
    house.approve("Cleo", asked, "approver")
    house.enact(asked)


# --- the role, before and after ------------------------------------------------------------------


def test_a_role_that_is_not_held_gives_no_voice(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(NotAllowed, why="have not held"):
        house.approve("Eve", asked, "approver")
    with refused(NotAllowed, why="have not held"):
        house.approve("Ben", asked, "approver", team="core")
    with refused(NotAllowed, why="have not held"):
        house.reject("Eve", asked, "approver")


def test_a_role_that_has_no_voice_gives_none(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(Denied):
        house.approve("Ada", asked, "responder")


def test_a_role_given_mid_way_gives_no_voice(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    give_role(house, "Eve", "approver")
    with refused(NotAllowed, why="since before"):
        house.approve("Eve", asked, "approver")


def test_a_role_that_was_lost_and_given_again_mid_way_gives_no_voice(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Cleo", asked, "approver")
    house.govern(RoleTake(subject=house.person("Cleo"), role="approver", team="core"), yes=("Ben", "Eve"))
    house.govern(RoleGive(subject=house.person("Cleo"), role="approver", team="core"), yes=("Ben", "Eve"))
    with refused(Denied):
        house.enact(asked)


def test_a_role_lost_before_the_enactment_takes_the_approval_along(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Cleo", asked, "approver")
    house.govern(RoleTake(subject=house.person("Cleo"), role="approver", team="core"), yes=("Ben", "Eve"))
    with refused(Denied):
        house.enact(asked)


def test_a_role_for_another_model_gives_no_voice(house: House) -> None:
    other = ModelEnrol(model=house.new("model"), details=text("other"), label=1)
    house.govern(other)
    give_role(house, "Eve", "approver", model=other.model)
    asked = house.ask("Dan", house.grant_body())
    with refused(NotAllowed, why="have not held"):
        house.approve("Eve", asked, "approver")


def test_a_role_for_this_model_gives_a_voice(house: House) -> None:
    give_role(house, "Eve", "approver", model=house.model)
    asked = house.ask("Dan", house.grant_body())
    house.approve("Eve", asked, "approver")
    house.approve("Ben", asked, "approver")
    house.enact(asked)


def test_a_role_for_one_model_opens_no_other(house: House) -> None:
    house.use(people={**house.directory.people})
    dan = house.directory.people[house.person("Dan")]
    elsewhere = Role(role="researcher", team="core", since=0, model=house.new("model"))
    house.directory.people[dan.person] = replace(dan, roles=(elsewhere,))
    with refused(Denied):
        house.ask("Dan", house.grant_body())


# --- what happened since -------------------------------------------------------------------------


def test_an_approver_frozen_since_takes_the_approval_along(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Cleo", asked, "approver")
    house.enrol("Fay", ("governor", "core"))
    house.do("Ada", Freeze(target=house.person("Cleo"), reason=text("odd")))
    with refused(Denied):
        house.enact(asked)


def test_an_approver_frozen_since_takes_the_grant_along(house: House) -> None:
    grant = house.grant("Ada", "Cleo")
    house.release(grant)
    house.enrol("Fay", ("governor", "core"))
    house.do("Ada", Freeze(target=house.person("Cleo"), reason=text("odd")))
    with refused(Denied):
        house.release(grant)


def test_an_approver_removed_since_takes_the_grant_along(house: House) -> None:
    house.enrol("Fay", ("approver", "core"))
    grant = house.grant("Ada", "Fay")
    house.govern(PersonRemove(person=house.person("Fay")))
    with refused(Denied):
        house.release(grant)


def test_a_credential_reported_since_takes_the_approval_along(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Cleo", asked, "approver")
    report = CredentialReport(credential=house.people["Cleo"].keys[0].credential, reason=text("lost"))
    house.do("Ada", report)
    with refused(Denied):
        house.enact(asked)


def test_a_credential_reported_since_takes_the_grant_along(house: House) -> None:
    grant = house.grant("Ada", "Cleo")
    report = CredentialReport(credential=house.people["Cleo"].keys[0].credential, reason=text("lost"))
    house.do("Ada", report)
    with refused(Denied):
        house.release(grant)


def test_an_ordinary_change_of_role_leaves_the_grant(house: House) -> None:
    grant = house.grant("Ada", "Cleo")
    house.govern(RoleTake(subject=house.person("Cleo"), role="approver", team="core"), yes=("Ben", "Eve"))
    house.release(grant)


def test_whoever_gains_by_now_does_not_count_any_more(house: House) -> None:
    """The keep looks again at every use: an approver who answers for the workload now has no voice."""
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    grant = house.grant("Ada", "Ben", subject=house.job.subject, device=None)
    house.release(grant, who="job")
    job = house.directory.workloads[house.job.subject]
    house.use(workloads={job.workload: replace(job, sponsor=house.person("Ben"))})
    with refused(Denied):
        house.release(grant, who="job")


# --- from label 3 --------------------------------------------------------------------------------


def test_at_label_3_two_teams_and_the_command_line_open(critical: House) -> None:
    critical.release(critical.grant("Ada", "Ben"))


def test_at_label_3_two_people_of_one_team_do_not_open(critical: House) -> None:
    asked = critical.ask("Dan", critical.grant_body())
    critical.approve("Ada", asked, "approver")
    critical.approve("Cleo", asked, "approver")
    with refused(Denied):
        critical.enact(asked)


def test_at_label_3_the_approval_site_alone_does_not_open(critical: House) -> None:
    asked = critical.ask("Dan", critical.grant_body())
    for who in ("Ada", "Ben"):
        critical.approve(who, asked, "approver", critical.people[who].keys[0].at(APPROVALS))
    with refused(Denied):
        critical.enact(asked)
    critical.approve("Cleo", asked, "approver", critical.people["Cleo"].keys[0].at(CLI))
    critical.enact(asked)


@pytest.mark.parametrize("kind", ["eligible", "attested"])
def test_at_label_3_a_key_that_can_be_copied_does_not_count(critical: House, kind: str) -> None:
    critical.enrol("Fay", ("approver", "blue"), **{kind: kind == "eligible"})
    asked = critical.ask("Dan", critical.grant_body())
    critical.approve("Ada", asked, "approver")
    critical.approve("Fay", asked, "approver")
    with refused(Denied):
        critical.enact(asked)
    critical.approve("Ben", asked, "approver")
    critical.enact(asked)


def test_below_label_3_a_key_that_can_be_copied_counts(house: House) -> None:
    house.enrol("Fay", ("approver", "blue"), eligible=True)
    house.release(house.grant("Ada", "Fay"))


def test_a_grant_given_before_the_label_rose_is_looked_at_again(house: House) -> None:
    grant = house.grant("Ada", "Cleo")
    house.release(grant)
    house.do("Ada", LabelRaise(target=house.model, label=3))
    with refused(Denied):
        house.release(grant)


def test_at_label_3_whoever_has_a_software_key_opens_nothing(critical: House) -> None:
    grant = critical.grant("Ada", "Ben")
    key = critical.people["Dan"].keys[0].credential
    known = critical.directory.credentials[key]
    critical.release(grant)
    critical.use(credentials={**critical.directory.credentials, key: replace(known, software=True)})
    with refused(Denied, why="security key"):
        critical.release(grant)


def test_governance_takes_one_approval_by_the_command_line(house: House) -> None:
    asked = house.ask("Ada", ZoneDefine(zone=house.new("zone"), details=text("z"), ceiling=1, egress_bytes_per_day=1))
    for who in ("Ben", "Cleo"):
        house.approve(who, asked, "governor", house.people[who].keys[0].at(APPROVALS))
    with refused(Denied):
        house.enact(asked)
    house.approve("Eve", asked, "governor")
    house.enact(asked)


# --- rejections ----------------------------------------------------------------------------------


def test_one_rejection_ends_a_request_for_access(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Ben", asked, "approver")
    house.reject("Cleo", asked, "approver")
    with refused(AlreadyDone, why="rejected"):
        house.enact(asked)


@pytest.mark.parametrize("about", ["thaw", "role", "person"])
def test_a_rejection_of_governance_is_counted_only(house: House, about: str) -> None:
    house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    bodies: dict[str, Any] = {
        "thaw": Thaw(target=house.model, reason=text("well")),
        "role": RoleGive(subject=house.person("Dan"), role="responder", team="core"),
        "person": PersonRemove(person=house.person("Dan")),
    }
    asked = house.ask("Ada", bodies[about])
    house.reject("Ben", asked, "governor")
    with refused(AlreadyDone, why="rejected"):
        house.reject("Ben", asked, "governor")
    assert house.directory.proposals[asked].rejections == (house.person("Ben"),)
    house.approve("Cleo", asked, "governor")
    house.approve("Eve", asked, "governor")
    house.enact(asked)


def test_a_rejection_by_somebody_who_is_not_able_ends_nothing(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(NotAllowed, Denied):
        house.reject("Eve", asked, "approver")
    assert asked in house.directory.proposals

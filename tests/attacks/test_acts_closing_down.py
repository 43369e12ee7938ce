"""Attacks by freezing, and against it: one person closes, a quorum opens again, and no freeze locks everybody out."""

from __future__ import annotations

import pytest

from strongroom.acts.attester_revoke import AttesterRevoke
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.freeze import Freeze
from strongroom.acts.label_lower import LabelLower
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.role_take import RoleTake
from strongroom.acts.thaw import Thaw
from strongroom.terms.errors import AlreadyDone, BadRecord, Denied, NotAllowed, NotFound
from tests.acts.world import LAB, House, a_house, a_trial, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


def freeze(house: House, target: str, who: str = "Ada") -> None:
    house.do(who, Freeze(target=target, reason=text("odd")))


def test_one_responder_freezes_at_once(house: House) -> None:
    freeze(house, "deployment")
    assert house.directory.frozen


@pytest.mark.parametrize("who", ["Ben", "Dan"])
def test_nobody_but_a_responder_freezes_what_is_not_theirs(house: House, who: str) -> None:
    for target in ("deployment", house.model, house.people["Ada"].device.subject, LAB):
        with refused(Denied):
            freeze(house, target, who)


def test_anybody_freezes_what_is_their_own(house: House) -> None:
    freeze(house, house.people["Dan"].device.subject, "Dan")
    freeze(house, house.job.subject, "Dan")


def test_what_is_not_there_does_not_freeze(house: House) -> None:
    for kind in ("model", "person", "device", "zone", "workload"):
        with refused(NotFound):
            freeze(house, house.new(kind))
    with refused(BadRecord):
        freeze(house, house.attester.subject)


def test_what_is_frozen_does_not_freeze_again(house: House) -> None:
    freeze(house, house.model)
    with refused(AlreadyDone, why="frozen already"):
        freeze(house, house.model)


def test_what_is_not_frozen_does_not_thaw(house: House) -> None:
    with refused(AlreadyDone, why="not frozen"):
        house.ask("Ada", Thaw(target=house.model, reason=text("well")))


def test_a_frozen_deployment_proposes_approves_and_thaws(house: House) -> None:
    freeze(house, "deployment")
    house.session("Dan")
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Ben", asked, "approver")
    with refused(Denied, why="thawed"):
        house.enact(asked)
    house.govern(Thaw(target="deployment", reason=text("well")))
    house.enact(asked)


def test_one_person_does_not_thaw(house: House) -> None:
    freeze(house, house.model)
    asked = house.ask("Ada", Thaw(target=house.model, reason=text("well")))
    with refused(Denied):
        house.enact(asked)
    house.approve("Ben", asked, "governor")
    with refused(Denied):
        house.enact(asked)


def test_a_responder_proposes_a_thaw_and_nothing_else(house: House) -> None:
    house.enrol("Rae", ("responder", "soc"))
    freeze(house, house.model, "Rae")
    house.ask("Rae", Thaw(target=house.model, reason=text("well")))
    with refused(Denied):
        house.ask("Rae", LabelLower(target=house.model, label=0))


def test_freezing_so_many_that_nobody_could_thaw_is_refused(house: House) -> None:
    """Four governors; a thaw takes one who proposes and two others."""
    freeze(house, house.person("Eve"))
    with refused(NotAllowed, why="too few people"):
        freeze(house, house.person("Cleo"))
    freeze(house, "deployment")


def test_the_frozen_themselves_are_not_among_those_who_could_thaw(house: House) -> None:
    freeze(house, house.person("Dan"))  # no governor: enough are left
    freeze(house, house.person("Ben"))
    with refused(NotAllowed, why="too few people"):
        freeze(house, house.person("Eve"))


def test_whoever_has_no_key_left_is_not_among_those_who_could_thaw(house: House) -> None:
    report = CredentialReport(credential=house.people["Eve"].keys[0].credential, reason=text("lost"))
    house.do("Ada", report)
    with refused(NotAllowed, why="too few people"):
        freeze(house, house.person("Cleo"))


def test_a_trial_of_one_does_not_freeze_the_one(house: House) -> None:
    trial = House(directory=a_trial().begin(), people=a_trial().people)
    trial.people["Ada"].keys[0].counter = 99
    with refused(NotAllowed, why="too few people"):
        freeze(trial, trial.person("Ada"))


# --- labels --------------------------------------------------------------------------------------


def test_whoever_has_any_role_raises_a_label_and_nobody_lowers_it_alone(house: House) -> None:
    house.do("Eve", LabelRaise(target=house.model, label=2))
    for label in (2, 1):
        with refused(NotAllowed, why="lowered by a quorum"):
            house.do("Eve", LabelRaise(target=house.model, label=label))
    with refused(NotAllowed, why="not lower"):
        house.ask("Ada", LabelLower(target=house.model, label=2))
    house.govern(LabelLower(target=house.model, label=0))


def test_whoever_has_no_role_raises_no_label(house: House) -> None:
    house.enrol("Fay")
    with refused(Denied):
        house.do("Fay", LabelRaise(target=house.model, label=2))


def test_the_label_of_nothing_is_not_raised(house: House) -> None:
    for kind in ("model", "version"):
        with refused(NotFound):
            house.do("Ada", LabelRaise(target=house.new(kind), label=2))


# --- attesters -----------------------------------------------------------------------------------


def test_one_responder_revokes_an_attester_and_nobody_else_does(house: House) -> None:
    body = AttesterRevoke(attester=house.attester.subject, reason=text("lies"))
    with refused(Denied):
        house.do("Ben", body)
    house.do("Ada", body)
    with refused(NotFound, why="gone"):
        house.do("Ada", body)


# --- for good takes a quorum ---------------------------------------------------------------------


def test_a_responder_removes_nobody_for_good(house: House) -> None:
    house.enrol("Rae", ("responder", "soc"))
    for body in (
        PersonRemove(person=house.person("Dan")),
        RoleTake(subject=house.person("Dan"), role="researcher", team="core"),
    ):
        with refused(Denied):
            house.ask("Rae", body)

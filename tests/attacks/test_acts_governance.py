"""Attacks on who decides: changes to a state that has changed, rules that would not pass themselves, locking out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.acceptance_change import AcceptanceChange
from strongroom.acts.credential_remove import CredentialRemove
from strongroom.acts.label_lower import LabelLower
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory.state import PolicySource
from strongroom.terms.errors import BadPolicy, Denied, NotAllowed, Stale
from tests.acts.world import (
    CLI,
    CONSOLE,
    LAB,
    ORIGINS,
    House,
    a_house,
    a_trial,
    acceptance,
    default_policies,
    refused,
    text,
)


@pytest.fixture
def house() -> House:
    return a_house()


def policies(change: dict[str, tuple[str, str]]) -> PolicyChange:
    """Return the default policies with some text in some files replaced."""
    changed = []
    for one in default_policies():
        old, new = change.get(one.name, ("", ""))
        assert old in one.text
        changed.append(PolicySource(name=one.name, text=one.text.replace(old, new) if old else one.text))
    return PolicyChange(policies=tuple(changed))


# --- what it was proposed for --------------------------------------------------------------------


@pytest.mark.parametrize("act", ["policy", "acceptance", "zone", "role.give", "role.take", "label", "person"])
def test_a_change_of_a_state_that_has_changed_since_is_stale(house: House, act: str) -> None:
    dan = house.person("Dan")
    changes: dict[str, Any] = {
        "policy": policies({"access.cedar": ("label 0:", "label zero:")}),
        "acceptance": AcceptanceChange(acceptance=acceptance(software_keys=False), quorum=2),
        "zone": ZoneDefine(zone=LAB, details=text("lab"), ceiling=3, egress_bytes_per_day=1),
        "role.give": RoleGive(subject=dan, role="responder", team="core"),
        "role.take": RoleTake(subject=dan, role="researcher", team="core"),
        "label": LabelLower(target=house.model, label=0),
        "person": PersonRemove(person=dan),
    }
    asked = house.ask("Ada", changes[act])
    for who in ("Ben", "Cleo"):
        house.approve(who, asked, "governor")
    between: dict[str, Any] = {
        "policy": policies({"access.cedar": ("label 0:", "label nought:")}),
        "acceptance": AcceptanceChange(acceptance=acceptance(clock_tolerance_seconds=90), quorum=2),
        "zone": ZoneDefine(zone=LAB, details=text("lab"), ceiling=2, egress_bytes_per_day=1),
        "label": ZoneDefine(zone=LAB, details=text("lab"), ceiling=2, egress_bytes_per_day=1),
    }
    house.govern(between.get(act, RoleGive(subject=dan, role="observer", team="core")))
    if act == "label":
        model = house.directory.models[house.model]
        house.use(models={house.model: replace(model, label=2)})
    with refused(Stale, why="another state"):
        house.enact(asked)


def test_a_change_proposed_for_another_state_or_for_none_is_stale(house: House) -> None:
    body = RoleGive(subject=house.person("Dan"), role="responder", team="core")
    for base in (None, "sha256:" + "0" * 64):
        with refused(Stale, why="another state"):
            house.ask("Ada", body, base=base)
    new = ZoneDefine(zone=house.new("zone"), details=text("z"), ceiling=1, egress_bytes_per_day=1)
    with refused(Stale, why="another state"):
        house.ask("Ada", new, base="sha256:" + "0" * 64)


# --- old rules and new rules ---------------------------------------------------------------------

THREE = ('context.quorum.getTag("governor") >= context.deployment.quorum', 'context.quorum.getTag("governor") >= 3')
FOUR = ('context.quorum.getTag("governor") >= context.deployment.quorum', 'context.quorum.getTag("governor") >= 4')


def test_a_policy_that_its_own_approvals_do_not_satisfy_is_refused(house: House) -> None:
    house.enrol("Fay", ("governor", "core"))
    asked = house.ask("Ada", policies({"governance.cedar": THREE}))
    house.approve("Ben", asked, "governor")
    house.approve("Cleo", asked, "governor")
    with refused(Denied):
        house.enact(asked)
    house.approve("Eve", asked, "governor")
    house.enact(asked)


def test_a_policy_that_the_old_rules_refuse_is_refused(house: House) -> None:
    house.enrol("Fay", ("governor", "core"))
    house.govern(policies({"governance.cedar": THREE}), yes=("Ben", "Cleo", "Eve"))
    asked = house.ask("Ada", PolicyChange(policies=default_policies()))
    house.approve("Ben", asked, "governor")
    house.approve("Cleo", asked, "governor")
    with refused(Denied):
        house.enact(asked)


def test_a_quorum_that_its_own_approvals_do_not_reach_is_refused(house: House) -> None:
    house.enrol("Fay", ("governor", "core"))
    asked = house.ask("Ada", AcceptanceChange(acceptance=acceptance(), quorum=3))
    house.approve("Ben", asked, "governor")
    house.approve("Cleo", asked, "governor")
    with refused(Denied):
        house.enact(asked)
    house.approve("Eve", asked, "governor")
    house.enact(asked)
    assert house.directory.quorum == 3


def test_the_approvers_of_a_change_are_counted_by_what_they_are_afterwards_too(house: House) -> None:
    """Taking the role of one approver away takes that approver's voice for it away."""
    house.enrol("Fay", ("governor", "core"))
    asked = house.ask("Ada", RoleTake(subject=house.person("Ben"), role="governor", team="core"))
    house.approve("Cleo", asked, "governor")
    with refused(Denied):
        house.enact(asked)
    house.approve("Eve", asked, "governor")
    house.enact(asked)


def test_policies_that_lock_everybody_out_are_refused(house: House) -> None:
    asked = house.ask("Ada", policies({"governance.cedar": THREE}))
    for who in ("Ben", "Cleo", "Eve"):
        house.approve(who, asked, "governor")
    with refused(NotAllowed, why="without"):
        house.enact(asked)


@pytest.mark.parametrize("how", ["person", "role", "credential", "quorum"])
def test_a_change_after_which_one_absence_locks_everybody_out_is_refused(house: House, how: str) -> None:
    """Four governors: of three, one proposes and two approve, and nobody could be missing."""
    eve = house.person("Eve")
    bodies: dict[str, Any] = {
        "person": PersonRemove(person=eve),
        "role": RoleTake(subject=eve, role="governor", team="core"),
        "credential": CredentialRemove(credential=house.people["Eve"].keys[0].credential),
        "quorum": AcceptanceChange(acceptance=acceptance(), quorum=3),
    }
    asked = house.ask("Ada", bodies[how])
    for who in ("Ben", "Cleo", *(["Eve"] if how == "quorum" else [])):
        house.approve(who, asked, "governor")
    with refused(NotAllowed, why="policy could not be changed"):
        house.enact(asked)
    if how != "quorum":
        house.enrol("Fay", ("governor", "core"))
        house.enact(asked)


@pytest.mark.parametrize("broken", ["not Cedar", "erring", "unnamed", "claimed", "floor"])
def test_policies_that_cannot_be_used_are_refused(house: House, broken: str) -> None:
    texts = {
        "not Cedar": "permit all",
        "erring": '@id("a") @requires("b") permit (principal, action, resource) when { resource.nothing };',
        "unnamed": "permit (principal, action, resource);",
        "claimed": '@id("a") @requires("b") permit (principal, action, resource) when { context.claimed.agent == "" };',
        "floor": '@id("floor-mine") @requires("b") forbid (principal, action, resource);',
    }
    more = PolicySource(name="more.cedar", text=texts[broken])
    asked = house.ask("Ada", PolicyChange(policies=(*default_policies(), more)))
    house.approve("Ben", asked, "governor")
    house.approve("Cleo", asked, "governor")
    with refused(BadPolicy):
        house.enact(asked)


def test_no_policy_opens_without_two_people(house: House) -> None:
    """A quorum may vote itself down; the floor stays."""
    own = PolicySource(name="own.cedar", text='@id("own") @requires("nothing") permit (principal, action, resource);')
    house.govern(PolicyChange(policies=(*default_policies(), own)))
    asked = house.ask("Dan", house.grant_body())
    with refused(Denied, why="two people"):
        house.enact(asked)
    house.approve("Ada", asked, "approver")
    with refused(Denied, why="two people"):
        house.enact(asked)
    zone = house.ask("Ada", ZoneDefine(zone=house.new("zone"), details=text("z"), ceiling=1, egress_bytes_per_day=1))
    house.approve("Ben", zone, "governor")
    with refused(Denied, why="two people"):
        house.enact(zone)


def test_nobody_but_a_governor_proposes_governance(house: House) -> None:
    with refused(Denied):
        house.ask("Dan", ZoneDefine(zone=house.new("zone"), details=text("z"), ceiling=1, egress_bytes_per_day=1))


# --- acceptance ----------------------------------------------------------------------------------

EVIL = "https://strongroom.example.evil.example"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"origins": {**ORIGINS, CLI: "console"}}, "command line's, always"),
        ({"origins": {**ORIGINS, CONSOLE: "cli"}}, "no browser"),
        ({"origins": {CONSOLE: "approval"}}, "command line's, always"),
        ({"origins": {**ORIGINS, EVIL: "approval"}}, "not of"),
        ({"origins": {**ORIGINS, "https://evilstrongroom.example": "approval"}}, "not of"),
        ({"origins": {**ORIGINS, "https://strongroom.example:8443": "approval"}}, ""),
        ({"rp_id": "other.example"}, "not of"),
        ({"rp_id": "other.example", "origins": {CLI: "cli"}}, "bound to the rpId"),
        ({"clock_tolerance_seconds": 301}, "300 s"),
    ],
)
def test_an_acceptance_that_weakens_signatures_is_refused(house: House, change: dict[str, Any], why: str) -> None:
    body = AcceptanceChange(acceptance=acceptance(**change), quorum=2)
    if not why:
        house.ask("Ada", body)
        return
    with refused(NotAllowed, why=why):
        house.ask("Ada", body)


def test_a_quorum_of_one_is_refused(house: House) -> None:
    with refused(NotAllowed, why="two people"):
        house.ask("Ada", AcceptanceChange(acceptance=acceptance(), quorum=1))


def test_an_acceptance_is_changed_by_a_quorum_only(house: House) -> None:
    asked = house.ask("Ada", AcceptanceChange(acceptance=acceptance(software_keys=False), quorum=2))
    house.approve("Ben", asked, "governor")
    with refused(Denied):
        house.enact(asked)


# --- trials --------------------------------------------------------------------------------------


def test_a_trial_decides_alone_and_stops_at_label_2() -> None:
    begun = a_trial()
    trial = House(directory=begun.begin(), people=begun.people)
    body = ModelEnrol(model=trial.new("model"), details=text("m"), label=2)
    trial.govern(body, yes=())
    with refused(NotAllowed, why="label 2"):
        trial.ask("Ada", replace(body, model=trial.new("model"), label=3))
    with refused(NotAllowed, why="label 2"):
        trial.do("Ada", LabelRaise(target=body.model, label=3))
    trial.govern(AcceptanceChange(acceptance=acceptance(), quorum=1), yes=())
    assert trial.directory.trial


def test_a_trial_is_not_locked_out_by_one_absence() -> None:
    """There is one person: the lock-out check is about others."""
    begun = a_trial()
    trial = House(directory=begun.begin(), people=begun.people)
    trial.govern(RoleGive(subject=trial.person("Ada"), role="observer", team="me"), yes=())

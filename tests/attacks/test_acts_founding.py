"""Attacks on a founding: too few, too alone, unsigned, with keys that nobody holds, or not for this keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.deployment_found import FoundingRole
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.fold import deployment_name, genesis
from strongroom.acts.founding import verify_genesis
from strongroom.acts.table import act_named
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory.entries import Entry
from strongroom.statements.statement import FOUNDING
from strongroom.terms.errors import (
    BadAssertion,
    BadPolicy,
    BadSignature,
    LogTampered,
    NotAllowed,
    NotFound,
    NotNow,
    UnknownSigner,
    WrongDeployment,
)
from tests.acts.world import (
    APPROVALS,
    CONSOLE,
    DAY,
    FOUNDERS,
    START,
    Genesis,
    PlainKey,
    SecurityKey,
    a_genesis,
    a_trial,
    acceptance,
    custodian,
    default_policies,
    name,
    refused,
    text,
)


def first(number: int) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return so many founders, all of them governors."""
    names = [*FOUNDERS, *(f"P{one}" for one in range(20))]
    return dict.fromkeys(names[:number], (("governor", "core"),))


def with_founder(begun: Genesis, number: int, **changes: Any) -> Genesis:
    """Return the founding with one founder's fields changed."""
    founders = list(begun.body.founders)
    founders[number] = replace(founders[number], **changes)
    return Genesis(people=begun.people, body=replace(begun.body, founders=tuple(founders)))


def test_five_found_a_deployment_whose_name_is_the_digest_of_its_first_entry() -> None:
    begun = a_genesis()
    leaf = begun.leaf()
    directory = genesis(leaf)
    assert directory.deployment == deployment_name(leaf)
    assert (directory.size, directory.era, directory.at, directory.trial) == (1, 1, START, False)
    assert {one.person for one in directory.people.values()} == {name("person", number) for number in range(1, 6)}
    assert len(directory.key_owners) == len(directory.credentials) + len(directory.devices) == 10
    for one in begun.body.founders:
        assert directory.people[one.person].details == one.details
    assert genesis(a_genesis(quorum=3).leaf()).deployment != directory.deployment


@pytest.mark.parametrize(
    ("number", "quorum", "why"),
    [(2, 1, "3 to 16"), (2, 2, "3 to 16"), (17, 2, "3 to 16"), (4, 1, "at least 2"), (4, 4, "may be missing")],
)
def test_too_few_or_too_many_found_nothing(number: int, quorum: int, why: str) -> None:
    with refused(NotAllowed, why=why):
        a_genesis(first(number), custodians=("Ada", "Ben"), quorum=quorum).begin()


def test_four_with_a_quorum_of_two_are_enough() -> None:
    a_genesis(first(4), custodians=("Ada", "Ben")).begin()


def test_a_founding_after_which_one_absence_locks_everybody_out_is_refused() -> None:
    with refused(NotAllowed, why="policy could not be changed"):
        a_genesis(first(3), custodians=("Ada", "Ben")).begin()


@pytest.mark.parametrize(("needed", "custodians"), [(1, ("Ada", "Ben")), (3, ("Ada", "Ben")), (2, ("Ada",)), (2, ())])
def test_custodians_are_two_at_least_and_enough(needed: int, custodians: tuple[str, ...]) -> None:
    with refused(NotAllowed, why="custodians"):
        a_genesis(custodians=custodians, custodians_needed=needed).begin()


def test_a_custodian_who_is_no_founder_is_refused() -> None:
    begun = a_genesis()
    stray = {name("person", number): custodian(str(number)).public_key().raw for number in (1, 2, 77)}
    with refused(NotFound, why="not a founder"):
        Genesis(people=begun.people, body=replace(begun.body, custodians=stray)).begin()


def test_one_person_is_not_two_founders() -> None:
    begun = a_genesis()
    with refused(NotAllowed, why="two founders"):
        with_founder(begun, 1, person=begun.body.founders[0].person).begin()


def test_a_founder_without_a_security_key_is_refused() -> None:
    with refused(NotAllowed, why="no security key"):
        with_founder(a_genesis(), 1, credentials=()).begin()


def test_one_key_is_not_two_founders_key() -> None:
    begun = a_genesis()
    ada, ben = begun.body.founders[:2]
    shared = SecurityKey(1001, name("credential", 77)).register(FOUNDING, ben.person)
    with refused(NotAllowed, why="stands twice"):
        with_founder(begun, 1, credentials=(*ben.credentials, shared)).begin()
    twice = SecurityKey(1077, ada.credentials[0].credential).register(FOUNDING, ben.person)
    with refused(NotAllowed, why="stands twice"):
        with_founder(begun, 1, credentials=(*ben.credentials, twice)).begin()
    own = SecurityKey(1001, name("credential", 78)).register(FOUNDING, ada.person)
    with refused(NotAllowed, why="stands twice"):
        with_founder(begun, 0, credentials=(*ada.credentials, own)).begin()
    again = PlainKey(2078, ada.devices[0].device)
    device = DeviceEnrol(device=again.subject, person=ben.person, zone=name("zone", 1), key=again.new(FOUNDING))
    with refused(NotAllowed, why="stands twice"):
        with_founder(begun, 1, devices=(*ben.devices, device)).begin()


def test_a_founder_s_keys_are_proven() -> None:
    begun = a_genesis()
    ada, ben = begun.body.founders[:2]
    elsewhere = begun.people["Ben"].keys[0].register("sr1:" + "0" * 64, ben.person)
    with refused(BadAssertion):
        with_founder(begun, 1, credentials=(elsewhere,)).begin()
    (device,) = ben.devices
    unproven = replace(device, key=replace(device.key, proof=ada.devices[0].key.proof))
    with refused(BadSignature):
        with_founder(begun, 1, devices=(unproven,)).begin()


@pytest.mark.parametrize(
    "change", [{"person": name("person", 1)}, {"zone": name("zone", 77)}], ids=lambda one: str(*one)
)
def test_a_founder_s_device_is_theirs_and_in_a_zone(change: dict[str, Any]) -> None:
    begun = a_genesis()
    (device,) = begun.body.founders[1].devices
    with refused(NotFound, why="no zone"):
        with_founder(begun, 1, devices=(replace(device, **change),)).begin()


def test_software_keys_found_nothing_where_they_are_switched_off() -> None:
    begun = a_genesis(acceptance=acceptance(software_keys=False))
    begun.begin()
    soft = SecurityKey(1099, name("credential", 2), attested=False)
    with refused(NotAllowed, why="maker"):
        with_founder(begun, 1, credentials=(soft.register(FOUNDING, name("person", 2)),)).begin()


def test_an_acceptance_that_weakens_signatures_founds_nothing() -> None:
    with refused(NotAllowed, why="no browser"):
        a_genesis(acceptance=acceptance(origins={"strongroom:cli": "cli", CONSOLE: "cli"})).begin()


def test_two_custodians_with_one_key_found_nothing() -> None:
    begun = a_genesis()
    one = next(iter(begun.body.custodians.values()))
    with refused(NotAllowed, why="two custodians have one key"):
        Genesis(
            people=begun.people, body=replace(begun.body, custodians=dict.fromkeys(begun.body.custodians, one))
        ).begin()


def test_policies_that_cannot_be_used_found_nothing() -> None:
    with refused(BadPolicy):
        a_genesis(policies=[replace(default_policies()[0], text="permit all")]).begin()


# --- signatures ----------------------------------------------------------------------------------


def test_every_founder_signs() -> None:
    begun = a_genesis()
    signers = [one.keys[0].touch for one in begun.people.values()]
    for number in range(len(signers)):
        with refused(BadSignature, why=name("person", number + 1)):
            begun.begin(signers=[*signers[:number], *signers[number + 1 :]])


def test_nobody_but_founders_signs() -> None:
    begun = a_genesis()
    signers = [one.keys[0].touch for one in begun.people.values()]
    with refused(UnknownSigner, why="no founder's"):
        begun.begin(signers=[*signers, SecurityKey(1, name("credential", 77)).touch])


def test_a_founder_signs_with_a_touch_of_their_own_for_this_very_genesis() -> None:
    begun = a_genesis()
    keys = [one.keys[0] for one in begun.people.values()]
    rest = [key.touch for key in keys[1:]]
    with refused(BadSignature, why="security key"):
        begun.begin(signers=[PlainKey(keys[0].number, keys[0].credential), *rest])
    stolen = keys[0].touch(b"something else")
    with refused(BadAssertion):
        begun.begin(signers=[lambda message: stolen, *rest])
    other = replace(keys[1].touch(b"x"), keyid=keys[0].credential)
    with refused(BadAssertion):
        begun.begin(signers=[lambda message: other, *rest])


def test_a_founding_is_signed_on_the_command_line() -> None:
    begun = a_genesis()
    keys = [one.keys[0] for one in begun.people.values()]
    with refused(NotAllowed, why="command line"):
        begun.begin(signers=[keys[0].at(APPROVALS), *(key.touch for key in keys[1:])])


@pytest.mark.parametrize("elsewhere", [{"deployment": "sr1:" + "0" * 64}, {"era": 2}], ids=str)
def test_a_founding_for_something_that_is_there_is_refused(elsewhere: dict[str, Any]) -> None:
    with refused(WrongDeployment):
        a_genesis().begin(**elsewhere)


def test_a_statement_of_another_kind_founds_nothing() -> None:
    with refused(NotAllowed, why="no founding"):
        a_genesis().begin(kind="propose/1")


@pytest.mark.parametrize(
    "when", [{"at": START + 1}, {"at": START - DAY, "until": START - 1}, {"until": START + 7 * DAY + 1}], ids=str
)
def test_a_founding_that_lapsed_or_is_not_to_be_yet_is_refused(when: dict[str, int]) -> None:
    assert act_named("deployment.found").longest_seconds == 7 * DAY
    with refused(NotNow):
        a_genesis().begin(**when)


# --- trials --------------------------------------------------------------------------------------


def test_a_trial_says_so_for_ever() -> None:
    directory = a_trial().begin()
    assert directory.trial
    assert genesis(a_trial().leaf()).trial


@pytest.mark.parametrize(
    "change", [{"quorum": 2}, {"custodians": ("Ada",)}, {"founders": dict(list(FOUNDERS.items())[:2])}], ids=str
)
def test_a_trial_is_one_person_s(change: dict[str, Any]) -> None:
    with refused(NotAllowed, why="trial"):
        a_genesis(
            **{
                "trial": True,
                "quorum": 1,
                "custodians": (),
                "custodians_needed": 1,
                "founders": {"Ada": (("governor", "me"),)},
                **change,
            }
        ).begin()


# --- the first entry -----------------------------------------------------------------------------


def test_a_log_that_begins_otherwise_is_tampered() -> None:
    begun = a_genesis()
    for leaf in (
        b"{}",
        b"not canonical",
        Entry(at=START, kind="frozen", statement=begun.sign().json()).encode(),
        Entry(at=START, kind="deployment.founded").encode(),
        Entry(at=START, kind="deployment.founded", statement=begun.sign(body={}).json()).encode(),
    ):
        with refused(LogTampered):
            genesis(leaf)


def test_an_edited_genesis_is_another_deployment() -> None:
    begun = a_genesis()
    edited = Genesis(
        people=begun.people,
        body=replace(
            begun.body,
            zones=(ZoneDefine(zone=name("zone", 1), details=text("lab"), ceiling=4, egress_bytes_per_day=1),),
        ),
    )
    signatures = begun.sign().signatures
    envelope = replace(edited.sign(), signatures=signatures)
    with refused(BadAssertion):
        verify_genesis(envelope, name="sr1:" + "0" * 64, at=START)


def test_founders_begin_with_their_roles() -> None:
    begun = with_founder(a_genesis(), 3, roles=(FoundingRole(role="auditor", team="blue"),))
    (role,) = begun.begin().people[name("person", 4)].roles
    assert (role.role, role.team, role.since, role.model) == ("auditor", "blue", 0, None)

"""Attacks on enrolment: keys that are somebody else's, that nobody holds, or that are not what they say they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.acceptance_change import AcceptanceChange
from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.credential_add import CredentialAdd
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.enrol import NewCredential, NewKey
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_enrol import PersonEnrol
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.acts.workload_enrol import WorkloadEnrol
from strongroom.statements.envelope import Signature
from strongroom.statements.signatures import possession_message
from strongroom.statements.signing import prove_possession
from strongroom.terms.errors import (
    AlreadyDone,
    BadAssertion,
    BadAttestation,
    BadKey,
    BadSignature,
    Denied,
    NotAllowed,
    NotFound,
    StrongroomError,
    UnknownSigner,
)
from tests.acts.world import DAY, LAB, House, PlainKey, SecurityKey, a_house, acceptance, name, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


def enrolled(house: House, key: SecurityKey, **changes: Any) -> PersonEnrol:
    """Return what enrols somebody new, with fields of the credential that say something else."""
    person = house.new("person")
    new = replace(key.register(house.directory.deployment, person), **changes)
    return PersonEnrol(person=person, details=text("Fay"), credentials=(new,))


def wanted(house: House, person: str, new: NewCredential) -> bytes:
    """Return what an old key signs, for a new one."""
    return possession_message(house.directory.deployment, f"{person}/{new.credential}", new.public_key)


# --- people and their security keys --------------------------------------------------------------


def test_a_person_without_a_security_key_is_nobody(house: House) -> None:
    with refused(NotAllowed, why="without a security key"):
        house.ask("Ada", PersonEnrol(person=house.new("person"), details=text("Fay"), credentials=()))


def test_the_identifier_of_a_person_is_never_used_again(house: House) -> None:
    gone = house.person("Dan")
    house.govern(PersonRemove(person=gone))
    new = house.new_security_key().register(house.directory.deployment, gone)
    with refused(AlreadyDone, why="identifier"):
        house.ask("Ada", PersonEnrol(person=gone, details=text("Dan"), credentials=(new,)))


def test_the_identifier_of_a_credential_is_never_used_again(house: House) -> None:
    key = SecurityKey(31, house.people["Dan"].keys[0].credential)
    with refused(AlreadyDone, why="identifier"):
        house.ask("Ada", enrolled(house, key))


def test_the_key_of_somebody_is_nobody_else_s_for_ever(house: House) -> None:
    house.govern(PersonRemove(person=house.person("Dan")))
    key = SecurityKey(house.people["Dan"].keys[0].number, house.new("credential"))
    with refused(AlreadyDone, why="public key"):
        house.ask("Ada", enrolled(house, key))


def test_one_security_key_is_not_two_credentials(house: House) -> None:
    person, key = house.new("person"), house.new_security_key()
    other = SecurityKey(key.number, house.new("credential"))
    news = tuple(one.register(house.directory.deployment, person) for one in (key, other))
    with refused(NotAllowed, why="two credentials"):
        house.ask("Ada", PersonEnrol(person=person, details=text("Fay"), credentials=news))


def test_a_key_registered_for_another_person_or_credential_is_refused(house: House) -> None:
    key = house.new_security_key()
    new = key.register(house.directory.deployment, house.person("Dan"))
    with refused(BadAssertion):
        house.ask("Ada", PersonEnrol(person=house.new("person"), details=text("Fay"), credentials=(new,)))
    with refused(BadAssertion):
        house.ask("Ada", enrolled(house, key, credential=house.new("credential")))


def test_a_key_registered_for_another_deployment_is_refused(house: House) -> None:
    person = house.new("person")
    new = house.new_security_key().register("sr1:" + "0" * 64, person)
    with refused(BadAssertion):
        house.ask("Ada", PersonEnrol(person=person, details=text("Fay"), credentials=(new,)))


@pytest.mark.parametrize(
    "claim",
    [{"raw_id": b"another"}, {"public_key": "other"}, {"backup_eligible": True}, {"software": True}],
    ids=lambda claim: str(*claim),
)
def test_a_key_that_is_not_what_its_registration_says_is_refused(house: House, claim: dict[str, Any]) -> None:
    key = house.new_security_key()
    if "public_key" in claim:
        claim = {"public_key": house.new_key("").point}
    with refused(BadSignature):
        house.ask("Ada", enrolled(house, key, **claim))


def test_a_software_key_does_not_pass_for_an_attested_one(house: House) -> None:
    with refused(BadSignature):
        house.ask("Ada", enrolled(house, house.new_security_key(attested=False), software=False))


def test_a_key_that_nobody_proved_to_hold_is_refused(house: House) -> None:
    key = house.new_security_key()
    stolen = house.people["Dan"].keys[0].touch(b"something else")
    with refused(BadAssertion):
        house.ask("Ada", enrolled(house, key, possession=replace(stolen, keyid=key.credential)))
    with refused(BadSignature, why="security key"):
        house.ask("Ada", enrolled(house, key, possession=Signature(keyid=key.credential, sig=b"0")))


def test_a_key_that_does_not_count_from_where_it_says_is_refused(house: House) -> None:
    with refused(BadSignature, why="count"):
        house.ask("Ada", enrolled(house, house.new_security_key(), counter=77))


def test_a_key_of_a_maker_that_nobody_accepts_is_refused(house: House) -> None:
    house.use(acceptance=acceptance(attestation_roots=()))
    with refused(BadAttestation):
        house.ask("Ada", enrolled(house, house.new_security_key()))


def test_software_keys_are_refused_where_they_are_switched_off(house: House) -> None:
    house.govern(enrolled(house, house.new_security_key(attested=False)))
    house.govern(AcceptanceChange(acceptance=acceptance(software_keys=False), quorum=2))
    with refused(NotAllowed, why="maker"):
        house.ask("Ada", enrolled(house, house.new_security_key(attested=False)))
    house.govern(enrolled(house, house.new_security_key()))


def test_what_was_right_when_proposed_is_looked_at_again_when_enacted(house: House) -> None:
    asked = house.ask("Ada", enrolled(house, house.new_security_key(attested=False)))
    house.approve("Ben", asked, "governor")
    house.approve("Cleo", asked, "governor")
    house.use(acceptance=acceptance(software_keys=False))
    with refused(NotAllowed):
        house.enact(asked)


def test_two_proposals_for_one_key_end_in_one_enrolment(house: House) -> None:
    key = house.new_security_key()
    first, second = enrolled(house, key), enrolled(house, SecurityKey(key.number, house.new("credential")))
    asked = [house.ask("Ada", one) for one in (first, second)]
    for one in asked:
        house.approve("Ben", one, "governor")
        house.approve("Cleo", one, "governor")
    house.enact(asked[0])
    with refused(AlreadyDone, why="public key"):
        house.enact(asked[1])


# --- one more credential -------------------------------------------------------------------------


def added(house: House, who: str, **changes: Any) -> CredentialAdd:
    """Return what adds a key to somebody, touched by an old one of theirs."""
    person, key = house.people[who], house.new_security_key()
    new = key.register(house.directory.deployment, person.person)
    fields: dict[str, Any] = {"touch": person.keys[0].touch(wanted(house, person.person, new)), **changes}
    return CredentialAdd(person=person.person, new=new, **fields)


def test_a_new_security_key_needs_a_touch_of_an_old_one(house: House) -> None:
    with refused(NotAllowed, why="touch of an old one"):
        house.ask("Dan", added(house, "Dan", touch=None))


def test_a_new_security_key_needs_a_touch_of_the_same_person(house: House) -> None:
    body = added(house, "Dan")
    touch = house.people["Ada"].keys[0].touch(wanted(house, body.person, body.new))
    with refused(NotAllowed, why="another person's"):
        house.ask("Dan", replace(body, touch=touch))


def test_the_touch_is_for_this_very_key(house: House) -> None:
    body = added(house, "Dan")
    other = added(house, "Dan")
    with refused(BadAssertion):
        house.ask("Dan", replace(body, touch=other.touch))


def test_the_touch_of_a_key_that_was_reported_does_not_count(house: House) -> None:
    body = added(house, "Dan")
    house.do("Ada", CredentialReport(credential=house.people["Dan"].keys[0].credential, reason=text("lost")))
    with refused(NotFound, why="gone"):
        house.ask("Ada", body)


def test_the_touch_of_an_unknown_key_does_not_count(house: House) -> None:
    body = added(house, "Dan")
    touch = house.new_security_key().touch(wanted(house, body.person, body.new))
    with refused(NotFound):
        house.ask("Dan", replace(body, touch=touch))


def test_a_signature_of_another_sort_is_no_touch(house: House) -> None:
    body = added(house, "Dan")
    old = house.people["Dan"].keys[0]
    plain = PlainKey(old.number, old.credential)(wanted(house, body.person, body.new))
    with refused(BadSignature, why="security key"):
        house.ask("Dan", replace(body, touch=plain))


def test_with_no_key_left_the_quorum_of_people_decides(house: House) -> None:
    house.do("Ada", CredentialReport(credential=house.people["Dan"].keys[0].credential, reason=text("lost")))
    body = added(house, "Dan", touch=None)
    house.govern(body)
    assert house.directory.credentials[body.new.credential].person == house.person("Dan")


def test_a_new_security_key_takes_another_person_s_approval(house: House) -> None:
    asked = house.ask("Dan", added(house, "Dan"))
    with refused(Denied):
        house.enact(asked)
    house.approve("Ada", asked, "governor")
    house.approve("Ben", asked, "governor")
    house.enact(asked)


def test_a_new_credential_is_checked_like_the_first(house: House) -> None:
    body = added(house, "Dan")
    used = house.people["Ada"].keys[0]
    again = SecurityKey(used.number, house.new("credential")).register(house.directory.deployment, body.person)
    with refused(AlreadyDone):
        house.ask("Dan", replace(body, new=again))


def test_nobody_who_is_gone_gets_a_new_credential(house: House) -> None:
    body = added(house, "Dan")
    house.govern(PersonRemove(person=house.person("Dan")))
    with refused(NotFound, why="gone"):
        house.ask("Ada", body)


# --- devices, workloads, attesters ---------------------------------------------------------------


def bodies(house: House, key: PlainKey, new: NewKey, **changes: Any) -> Any:
    """Return what enrols a device, a workload or an attester with this key."""
    kind = key.subject.partition("-")[0]
    fields: dict[str, Any] = {kind: key.subject, "key": new, "details": text(kind), "zone": LAB}
    match kind:
        case "device":
            del fields["details"]
            return DeviceEnrol(**{**fields, "person": house.person("Dan"), **changes})
        case "workload":
            return WorkloadEnrol(**{**fields, "sponsor": house.person("Eve"), **changes})
        case _:
            del fields["zone"]
            return AttesterEnrol(**{**fields, "kinds": ("training",), "longest_seconds": DAY, **changes})


KINDS = ["device", "workload", "attester"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_without_proof_of_possession_is_refused(house: House, kind: str) -> None:
    key = house.new_key(house.new(kind))
    good = key.new(house.directory.deployment)
    for proof in (
        prove_possession(key.key, house.directory.deployment, house.new(kind)),
        prove_possession(key.key, "sr1:" + "0" * 64, key.subject),
        prove_possession(house.attester.key, house.directory.deployment, key.subject),
    ):
        with refused(BadSignature):
            house.ask("Ada", bodies(house, key, replace(good, proof=proof)))
    house.ask("Ada", bodies(house, key, good))


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_that_somebody_has_is_refused(house: House, kind: str) -> None:
    for number in (house.job.number, house.people["Dan"].keys[0].number, house.people["Dan"].device.number):
        key = PlainKey(number, house.new(kind))
        with refused(AlreadyDone, why="public key"):
            house.ask("Ada", bodies(house, key, key.new(house.directory.deployment)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_identifier_that_was_used_is_refused(house: House, kind: str) -> None:
    used = {"device": house.people["Dan"].device, "workload": house.job, "attester": house.attester}[kind]
    key = house.new_key(used.subject)
    if kind == "device":
        house.govern(DeviceRemove(device=used.subject))
    with refused(AlreadyDone, why="identifier"):
        house.ask("Ada", bodies(house, key, key.new(house.directory.deployment)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_that_is_not_on_the_curve_is_refused(house: House, kind: str) -> None:
    key = house.new_key(house.new(kind))
    new = replace(key.new(house.directory.deployment), public_key=b"\x04" + bytes(64))
    with refused(BadKey):
        house.ask("Ada", bodies(house, key, new))


@pytest.mark.parametrize("kind", ["device", "workload"])
def test_what_stands_in_no_zone_is_refused(house: House, kind: str) -> None:
    key = house.new_key(house.new(kind))
    with refused(NotFound, why="no zone"):
        house.ask("Ada", bodies(house, key, key.new(house.directory.deployment), zone=name("zone", 77)))


@pytest.mark.parametrize("kind", ["device", "workload"])
def test_what_belongs_to_nobody_is_refused(house: House, kind: str) -> None:
    key, owner = house.new_key(house.new(kind)), {"device": "person", "workload": "sponsor"}[kind]
    body = bodies(house, key, key.new(house.directory.deployment), **{owner: house.new("person")})
    with refused(NotFound, why="no person"):
        house.ask("Ada", body)


def test_an_attester_for_nothing_is_refused(house: House) -> None:
    key = house.new_key(house.new("attester"))
    with refused(NotAllowed, why="some kind"):
        house.ask("Ada", bodies(house, key, key.new(house.directory.deployment), kinds=()))


# --- models and roles ----------------------------------------------------------------------------


def test_the_identifier_of_a_model_is_never_used_again(house: House) -> None:
    with refused(AlreadyDone, why="identifier"):
        house.ask("Ada", ModelEnrol(model=house.model, details=text("m"), label=1))


def test_a_role_that_is_held_is_not_given_again(house: House) -> None:
    with refused(AlreadyDone, why="held already"):
        house.ask("Ada", RoleGive(subject=house.person("Dan"), role="researcher", team="core"))


def test_a_role_that_is_not_held_is_not_taken(house: House) -> None:
    for role, team, model in (
        ("approver", "core", None),
        ("researcher", "red", None),
        ("researcher", "core", house.model),
    ):
        with refused(NotFound, why="not held"):
            house.ask("Ada", RoleTake(subject=house.person("Dan"), role=role, team=team, model=model))


def test_a_role_for_no_model_or_for_nobody_is_refused(house: House) -> None:
    with refused(NotFound, why="no model"):
        house.ask("Ada", RoleGive(subject=house.person("Eve"), role="x", team="core", model=house.new("model")))
    for nobody in (house.new("person"), house.new("workload")):
        with refused(NotFound):
            house.ask("Ada", RoleGive(subject=nobody, role="x", team="core"))
        with refused(NotFound):
            house.ask("Ada", RoleTake(subject=nobody, role="x", team="core"))


@pytest.mark.parametrize("roles", [("approver", "researcher"), ("approver", "writer"), ("auditor", "governor")])
def test_nobody_holds_roles_that_must_not_meet(house: House, roles: tuple[str, str]) -> None:
    house.enrol("Fay", (roles[0], "core"))
    with refused(Denied):
        house.ask("Ada", RoleGive(subject=house.person("Fay"), role=roles[1], team="core"))


def test_a_person_who_comes_again_inherits_nothing(house: House) -> None:
    house.govern(PersonRemove(person=house.person("Dan")))
    house.enrol("Dan")
    assert house.directory.people[house.person("Dan")].roles == ()
    with refused(Denied):
        house.ask("Dan", house.grant_body())


# --- removing ------------------------------------------------------------------------------------


def test_what_is_gone_is_not_removed_twice(house: House) -> None:
    house.govern(PersonRemove(person=house.person("Dan")))
    with refused(NotFound, why="gone"):
        house.ask("Ada", PersonRemove(person=house.person("Dan")))
    with refused(NotFound, why="gone"):
        house.ask("Ada", DeviceRemove(device=house.people["Dan"].device.subject))


@pytest.mark.parametrize("error", [UnknownSigner])
def test_a_device_that_was_removed_opens_nothing(house: House, error: type[StrongroomError]) -> None:
    grant = house.grant()
    session = house.session("Dan")
    house.use(
        devices={
            **house.directory.devices,
            house.people["Dan"].device.subject: replace(
                house.directory.devices[house.people["Dan"].device.subject], removed=True
            ),
        }
    )
    with refused(error):
        house.do("Dan", house.release_body(grant), session, house.people["Dan"].device)

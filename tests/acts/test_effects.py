"""Every act, in its good case: it is allowed, and it changes exactly this of the directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strongroom.acts.acceptance_change import AcceptanceChange
from strongroom.acts.alias_set import AliasSet
from strongroom.acts.approve import Approve
from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.attester_revoke import AttesterRevoke
from strongroom.acts.clock_confirm import ClockConfirm
from strongroom.acts.credential_add import CredentialAdd
from strongroom.acts.credential_remove import CredentialRemove
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.freeze import Freeze
from strongroom.acts.grant_revoke import GrantRevoke
from strongroom.acts.label_lower import LabelLower
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_enrol import PersonEnrol
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.read import Read
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.acts.session_close import SessionClose
from strongroom.acts.session_open import SessionOpen
from strongroom.acts.table import schema
from strongroom.acts.thaw import Thaw
from strongroom.acts.withdraw import Withdraw
from strongroom.acts.workload_enrol import WorkloadEnrol
from strongroom.acts.workload_remove import WorkloadRemove
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory.state import PUBLIC_KEY_BYTES, Directory, PolicySource
from strongroom.statements.signatures import possession_message
from strongroom.terms.digests import sha256
from strongroom.terms.records import record_json
from tests.acts.world import (
    DAILY_BYTES,
    DAY,
    FOUNDERS,
    HOUR,
    HUGE,
    LAB,
    START,
    House,
    a_house,
    acceptance,
    changed,
    default_policies,
    name,
    text,
)
from tests.vectors.statements.writer import b64


@pytest.fixture
def house() -> House:
    return a_house()


Do = Callable[[], object]
Expected = dict[str, dict[str, Any] | object | None]
"""A path in the directory, to what of it is now there: some fields, a plain value, or nothing."""
Case = Callable[[House], tuple[Do, Expected]]


def session_open(h: House) -> tuple[Do, Expected]:
    key = h.new_key(h.new("session"))
    body = SessionOpen(session=key.subject, public_key=key.point, device=h.people["Ben"].device.subject)
    fields = {
        "credential": h.people["Ben"].keys[0].credential,
        "device": h.people["Ben"].device.subject,
        "opened_at": START,
        "person": h.person("Ben"),
        "until": START + HOUR,
    }
    return lambda: h.do("Ben", body), {f"sessions/{key.subject}": fields}


def session_close(h: House) -> tuple[Do, Expected]:
    session = h.session("Ben").subject
    return lambda: h.do("Ben", SessionClose(session=session)), {f"sessions/{session}": None}


def propose(h: House) -> tuple[Do, Expected]:
    asked = h.new("statement")
    fields = {"act": "grant.give", "approvals": [], "by": h.person("Dan"), "rejections": [], "until": START + HOUR}
    return lambda: h.ask("Dan", h.grant_body(), id=asked), {f"proposals/{asked}": fields}


def approve(h: House) -> tuple[Do, Expected]:
    asked = h.ask("Dan", h.grant_body())
    approval = {
        "credential": h.people["Ada"].keys[0].credential,
        "path": "cli",
        "person": h.person("Ada"),
        "role": "approver",
        "team": "core",
    }
    return lambda: h.approve("Ada", asked, "approver"), {f"proposals/{asked}": {"approvals": [approval]}}


def reject(h: House) -> tuple[Do, Expected]:
    asked = h.ask("Ada", ModelEnrol(model=h.new("model"), details=text("m"), label=0))
    return lambda: h.reject("Ben", asked, "governor"), {f"proposals/{asked}": {"rejections": [h.person("Ben")]}}


def withdraw(h: House) -> tuple[Do, Expected]:
    asked = h.ask("Dan", h.grant_body())
    return lambda: h.do("Dan", Withdraw(proposal=asked)), {f"proposals/{asked}": None, f"closed/{asked}": "withdrawn"}


def grant_give(h: House) -> tuple[Do, Expected]:
    asked = h.ask("Dan", h.grant_body(files=("a",)))
    for who in ("Ada", "Ben"):
        h.approve(who, asked, "approver")
    fields = {
        "device": h.people["Dan"].device.subject,
        "files": ["a"],
        "manifest": h.manifest,
        "proposer": h.person("Dan"),
        "subject": h.person("Dan"),
        "until": START + 4 * HOUR,
        "version": h.version,
        "zone": LAB,
    }
    grant = asked.replace("statement", "grant")
    ended = {f"proposals/{asked}": None, f"closed/{asked}": "enacted"}
    return lambda: h.enact(asked), {f"grants/{grant}": fields, **ended}


def grant_revoke(h: House) -> tuple[Do, Expected]:
    grant = h.grant()
    return lambda: h.do("Ada", GrantRevoke(grant=grant, reason=text("over"))), {f"grants/{grant}": None}


def release(h: House) -> tuple[Do, Expected]:
    grant = h.grant()
    return lambda: h.release(grant), {}


def read(h: House) -> tuple[Do, Expected]:
    return lambda: h.do("Dan", Read(digests=(text("Ada"),))), {}


def version_register(h: House) -> tuple[Do, Expected]:
    body = h.version_body(lineage=(h.version,))
    fields = {"by": h.job.subject, "label": 1, "lineage": [h.version], "number": 2, "size_bytes": HUGE}
    return lambda: h.do("job", body), {
        f"versions/{body.version}": fields,
        f"seals/{body.seal_id}": body.version,
        f"models/{h.model}": {"versions": 2},
    }


def alias_set(h: House) -> tuple[Do, Expected]:
    h.govern(RoleGive(subject=h.person("Eve"), role="writer", team="core"))
    body = AliasSet(alias=h.new("alias"), details=text("prod"), model=h.model, version=h.version)
    return lambda: h.do("Eve", body), {f"aliases/{body.alias}": record_json(body)}


def fact_attest(h: House) -> tuple[Do, Expected]:
    fact = {"training": {h.attester.subject: {"at": START, "until": START + HOUR, "value": 1}}}
    return lambda: h.attest(h.person("Dan"), "training", 1), {f"facts/{h.person('Dan')}": fact}


def freeze(h: House) -> tuple[Do, Expected]:
    body = Freeze(target=h.model, reason=text("odd"))
    return lambda: h.do("Ada", body), {f"models/{h.model}": {"frozen": True}}


def thaw(h: House) -> tuple[Do, Expected]:
    h.do("Ada", Freeze(target=h.model, reason=text("odd")))
    body = Thaw(target=h.model, reason=text("well"))
    return lambda: h.govern(body), {f"models/{h.model}": {"frozen": False}}


def label_raise(h: House) -> tuple[Do, Expected]:
    return lambda: h.do("Dan", LabelRaise(target=h.model, label=2)), {f"models/{h.model}": {"label": 2}}


def label_lower(h: House) -> tuple[Do, Expected]:
    return lambda: h.govern(LabelLower(target=h.model, label=0)), {f"models/{h.model}": {"label": 0}}


def model_enrol(h: House) -> tuple[Do, Expected]:
    body = ModelEnrol(model=h.new("model"), details=text("m"), label=2)
    key = b64(bytes(PUBLIC_KEY_BYTES))
    fields = {"details": text("m"), "frozen": False, "generation": 1, "label": 2, "public_key": key, "versions": 0}
    return lambda: h.govern(body), {f"models/{body.model}": fields}


def zone_define(h: House) -> tuple[Do, Expected]:
    body = ZoneDefine(zone=name("zone", 9), details=text("far"), ceiling=2, egress_bytes_per_day=7)
    return lambda: h.govern(body), {f"zones/{body.zone}": {**record_json(body), "frozen": False}}


def person_enrol(h: House) -> tuple[Do, Expected]:
    person, key = h.new("person"), h.new_security_key(eligible=True)
    new = key.register(h.directory.deployment, person)
    body = PersonEnrol(person=person, details=text("Fay"), credentials=(new,))
    credential = {"backup_eligible": True, "compromised": False, "person": person, "software": False}
    return lambda: h.govern(body), {
        f"people/{person}": {"details": text("Fay"), "frozen": False, "removed": False, "roles": []},
        f"credentials/{key.credential}": credential,
        f"key_owners/{sha256(new.public_key)}": key.credential,
    }


def person_remove(h: House) -> tuple[Do, Expected]:
    dan, grant, session = h.people["Dan"], h.grant(), h.session("Dan").subject
    return lambda: h.govern(PersonRemove(person=dan.person)), {
        f"people/{dan.person}": {"removed": True, "roles": []},
        f"credentials/{dan.keys[0].credential}": {"removed": True},
        f"devices/{dan.device.subject}": {"removed": True},
        f"workloads/{h.job.subject}": {"removed": True, "roles": []},
        f"grants/{grant}": None,
        f"sessions/{session}": None,
    }


def credential_add(h: House) -> tuple[Do, Expected]:
    ben, key = h.people["Ben"], h.new_security_key(attested=False)
    new = key.register(h.directory.deployment, ben.person)
    wanted = possession_message(h.directory.deployment, f"{ben.person}/{key.credential}", new.public_key)
    body = CredentialAdd(person=ben.person, new=new, touch=ben.keys[0].touch(wanted))
    fields = {"backup_eligible": False, "person": ben.person, "software": True}
    return lambda: h.govern(body, yes=("Cleo", "Eve")), {
        f"credentials/{key.credential}": fields,
        f"key_owners/{sha256(new.public_key)}": key.credential,
    }


def credential_remove(h: House) -> tuple[Do, Expected]:
    session, credential = h.session("Dan").subject, h.people["Dan"].keys[0].credential
    return lambda: h.govern(CredentialRemove(credential=credential)), {
        f"credentials/{credential}": {"removed": True, "compromised": False},
        f"sessions/{session}": None,
    }


def credential_report(h: House) -> tuple[Do, Expected]:
    session, credential = h.session("Dan").subject, h.people["Dan"].keys[0].credential
    body = CredentialReport(credential=credential, reason=text("lost"))
    return lambda: h.do("Ada", body), {
        f"credentials/{credential}": {"removed": False, "compromised": True},
        f"sessions/{session}": None,
    }


def device_enrol(h: House) -> tuple[Do, Expected]:
    key = h.new_key(h.new("device"))
    enrolled = key.new(h.directory.deployment)
    body = DeviceEnrol(device=key.subject, person=h.person("Dan"), zone=LAB, key=enrolled)
    fields = {"frozen": False, "person": h.person("Dan"), "removed": False, "software": True, "zone": LAB}
    return lambda: h.govern(body), {
        f"devices/{key.subject}": fields,
        f"key_owners/{sha256(key.point)}": key.subject,
    }


def device_remove(h: House) -> tuple[Do, Expected]:
    device, grant, session = h.people["Dan"].device.subject, h.grant(), h.session("Dan").subject
    return lambda: h.govern(DeviceRemove(device=device)), {
        f"devices/{device}": {"removed": True},
        f"grants/{grant}": None,
        f"sessions/{session}": None,
    }


def workload_enrol(h: House) -> tuple[Do, Expected]:
    key = h.new_key(h.new("workload"))
    enrolled = key.new(h.directory.deployment)
    body = WorkloadEnrol(
        workload=key.subject, sponsor=h.person("Eve"), zone=LAB, key=enrolled, details=text("evaluation")
    )
    fields = {"frozen": False, "removed": False, "roles": [], "sponsor": h.person("Eve"), "zone": LAB}
    return lambda: h.govern(body), {
        f"workloads/{key.subject}": fields,
        f"key_owners/{sha256(key.point)}": key.subject,
    }


def workload_remove(h: House) -> tuple[Do, Expected]:
    h.govern(RoleGive(subject=h.job.subject, role="researcher", team="core"))
    grant = h.grant(subject=h.job.subject, device=None)
    return lambda: h.govern(WorkloadRemove(workload=h.job.subject)), {
        f"workloads/{h.job.subject}": {"removed": True, "roles": []},
        f"grants/{grant}": None,
    }


def role_give(h: House) -> tuple[Do, Expected]:
    body = RoleGive(subject=h.person("Eve"), role="approver", team="blue", model=h.model)
    size = h.directory.size + 3  # proposed, approved twice
    held = {"model": h.model, "role": "approver", "since": size, "team": "blue"}
    governor = {"role": "governor", "since": 0, "team": "core"}
    return lambda: h.govern(body), {f"people/{h.person('Eve')}": {"roles": [governor, held]}}


def role_take(h: House) -> tuple[Do, Expected]:
    body = RoleTake(subject=h.person("Dan"), role="researcher", team="core")
    return lambda: h.govern(body), {f"people/{h.person('Dan')}": {"roles": []}}


def attester_enrol(h: House) -> tuple[Do, Expected]:
    key = h.new_key(h.new("attester"))
    body = AttesterEnrol(
        attester=key.subject,
        key=key.new(h.directory.deployment),
        kinds=("training",),
        longest_seconds=DAY,
        details=text("lms"),
    )
    fields = {"kinds": ["training"], "longest_seconds": DAY, "revoked": False}
    return lambda: h.govern(body), {
        f"attesters/{key.subject}": fields,
        f"key_owners/{sha256(key.point)}": key.subject,
    }


def attester_revoke(h: House) -> tuple[Do, Expected]:
    h.attest(LAB, "egress-bytes-per-day", DAILY_BYTES)
    body = AttesterRevoke(attester=h.attester.subject, reason=text("lies"))
    return lambda: h.do("Ada", body), {
        f"attesters/{h.attester.subject}": {"revoked": True},
        f"facts/{LAB}": {"egress-bytes-per-day": {}},
    }


def policy_change(h: House) -> tuple[Do, Expected]:
    more = PolicySource(
        name="more.cedar",
        text='@id("more") @requires("luck") forbid (principal, action, resource)\n'
        "when { resource has label && principal.frozen };",
    )
    policies = (*default_policies(), more)
    return lambda: h.govern(PolicyChange(policies=policies)), {"policies": [record_json(one) for one in policies]}


def acceptance_change(h: House) -> tuple[Do, Expected]:
    body = AcceptanceChange(acceptance=acceptance(software_keys=False), quorum=2)
    return lambda: h.govern(body), {"acceptance": record_json(body.acceptance)}


def clock_confirm(h: House) -> tuple[Do, Expected]:
    h.use(time_doubted=True)
    return lambda: h.govern(ClockConfirm(seen_at=START)), {"time_doubted": False}


CASES: tuple[Case, ...] = (
    session_open,
    session_close,
    propose,
    approve,
    reject,
    withdraw,
    grant_give,
    grant_revoke,
    release,
    read,
    version_register,
    alias_set,
    fact_attest,
    freeze,
    thaw,
    label_raise,
    label_lower,
    model_enrol,
    zone_define,
    person_enrol,
    person_remove,
    credential_add,
    credential_remove,
    credential_report,
    device_enrol,
    device_remove,
    workload_enrol,
    workload_remove,
    role_give,
    role_take,
    attester_enrol,
    attester_revoke,
    policy_change,
    acceptance_change,
    clock_confirm,
)
ENDS_A_PROPOSAL = {"propose", "withdraw", "grant_give"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_an_act_changes_exactly_this(house: House, case: Case) -> None:
    for who in FOUNDERS:
        house.session(who)
    do, expected = case(house)
    before = house.directory.copy()
    do()
    found = changed(before, house.directory)
    if case.__name__ not in ENDS_A_PROPOSAL:
        found = {path for path in found if not path.startswith("closed/")}
    assert found == expected.keys()
    for path, fields in expected.items():
        _check(at(house.directory, path), fields)


def test_every_act_has_its_good_case() -> None:
    assert {case.__name__.replace("_", ".") for case in CASES} == set(schema().rows)
    assert len(CASES) == 35


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_directory_that_an_act_may_have_changed_was_not_changed_in_place(house: House, case: Case) -> None:
    do, _ = case(house)
    before, kept = house.directory, house.directory.encode()
    house.directory = before.copy()
    do()
    assert before.encode() == kept


def at(directory: Directory, path: str) -> Any:
    found: Any = record_json(directory)
    for part in path.split("/"):
        found = found.get(part)
    return found


def _check(found: Any, fields: Any) -> None:
    """Compare what is named; a record may have more fields."""
    if isinstance(found, dict) and isinstance(fields, dict):
        for key, value in fields.items():
            _check(found.get(key), value)
    elif isinstance(found, list) and isinstance(fields, list):
        assert len(found) == len(fields)
        for one, value in zip(found, fields, strict=True):
            _check(one, value)
    else:
        assert found == fields


def test_a_zone_that_is_defined_anew_stays_frozen(house: House) -> None:
    house.do("Ada", Freeze(target=LAB, reason=text("odd")))
    house.govern(ZoneDefine(zone=LAB, details=text("lab"), ceiling=4, egress_bytes_per_day=1))
    assert house.directory.zones[LAB].frozen
    assert house.directory.zones[LAB].egress_bytes_per_day == 1


@pytest.mark.parametrize("kind", ["deployment", "person", "device", "workload", "zone", "model"])
def test_whatever_can_freeze_freezes_and_thaws(house: House, kind: str) -> None:
    targets = {
        "deployment": "deployment",
        "person": house.person("Dan"),
        "device": house.people["Dan"].device.subject,
        "workload": house.job.subject,
        "zone": LAB,
        "model": house.model,
    }
    house.session("Ada")
    before = house.directory.copy()
    house.do("Ada", Freeze(target=targets[kind], reason=text("odd")))
    frozen = "frozen" if kind == "deployment" else f"{'people' if kind == 'person' else f'{kind}s'}/{targets[kind]}"
    assert changed(before, house.directory) == {frozen}
    house.govern(Thaw(target=targets[kind], reason=text("well")))
    assert frozen not in changed(before, house.directory)


def test_a_version_s_own_label_is_raised_and_lowered(house: House) -> None:
    house.do("Dan", LabelRaise(target=house.version, label=3))
    assert house.directory.label_of(house.directory.versions[house.version]) == 3
    house.govern(LabelLower(target=house.version, label=0))
    assert house.directory.label_of(house.directory.versions[house.version]) == 1  # its model's


def test_a_descendant_is_as_sensitive_as_its_ancestor(house: House) -> None:
    house.do("Dan", LabelRaise(target=house.version, label=4))
    body = house.version_body(lineage=(house.version,))
    house.do("job", body)
    assert house.directory.versions[body.version].label == 4


def test_an_approval_says_how_it_was_given(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.do(
        "Ben",
        house.voice(Approve, asked, "approver", "red"),
        house.people["Ben"].keys[0].at("https://approve.strongroom.example"),
    )
    (given,) = house.directory.proposals[asked].approvals
    assert (given.path, given.team) == ("approval", "red")

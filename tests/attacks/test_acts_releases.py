"""Attacks on a release: a grant for something else, for somebody else, or that is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.freeze import Freeze
from strongroom.acts.grant_revoke import GrantRevoke
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.acts.zone_define import ZoneDefine
from strongroom.terms.errors import AlreadyDone, BadRecord, Denied, NotAllowed, NotFound, NotNow, Stale
from tests.acts.world import DAILY_BYTES, DAY, HOUR, LAB, House, Somebody, a_critical_house, a_house, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


@pytest.fixture
def critical() -> House:
    """A house whose model has label 3, where every fact is said that this takes."""
    return a_critical_house()


def another_version(house: House) -> str:
    """Register one more version, of another manifest."""
    body = house.version_body(manifest="sha256:" + "cd" * 32)
    house.do("job", body)
    return body.version


def another_device(house: House, who: str, zone: str = LAB) -> Somebody:
    """Give somebody one more device; return them as they work on it."""
    key = house.new_key(house.new("device"))
    body = DeviceEnrol(device=key.subject, person=house.person(who), zone=zone, key=key.new(house.directory.deployment))
    house.govern(body, yes=("Cleo", "Eve"))
    house.people[f"{who} elsewhere"] = Somebody(person=house.person(who), keys=house.people[who].keys, device=key)
    return house.people[f"{who} elsewhere"]


def another_zone(house: House, ceiling: int = 4) -> str:
    zone = house.new("zone")
    house.govern(ZoneDefine(zone=zone, details=text("far"), ceiling=ceiling, egress_bytes_per_day=DAILY_BYTES))
    return zone


# --- the grant, word for word --------------------------------------------------------------------


def test_without_a_grant_nothing_opens(house: House) -> None:
    with refused(NotFound, why="no grant"):
        house.release(house.new("grant"))


def test_a_grant_of_somebody_else_opens_nothing(house: House) -> None:
    house.enrol("Fay", ("researcher", "core"))
    with refused(NotAllowed, why="somebody else's"):
        house.release(house.grant(), who="Fay")


def test_a_grant_for_another_version_opens_nothing(house: House) -> None:
    grant, other = house.grant(), another_version(house)
    with refused(NotAllowed, why="another version"):
        house.release(grant, version=other)


def test_a_grant_for_another_manifest_opens_nothing(house: House) -> None:
    other = "sha256:" + "cd" * 32
    with refused(Stale, why="manifest"):
        house.release(house.grant(), manifest=other)
    grant = house.grant()
    given = house.directory.grants[grant]
    house.use(grants={grant: replace(given, manifest=other)})
    with refused(Stale):
        house.release(grant)
    with refused(Stale):
        house.release(grant, manifest=other)


def test_a_grant_for_another_device_opens_nothing(house: House) -> None:
    grant = house.grant()
    another_device(house, "Dan")
    with refused(NotAllowed, why="another device"):
        house.release(grant, who="Dan elsewhere")


def test_a_grant_for_another_zone_opens_nothing(house: House) -> None:
    grant = house.grant()
    given = house.directory.grants[grant]
    house.use(grants={grant: replace(given, zone=another_zone(house))})
    with refused(NotAllowed, why="another zone"):
        house.release(grant)


def test_a_workload_in_another_zone_opens_nothing(house: House) -> None:
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    grant = house.grant(subject=house.job.subject, device=None)
    house.release(grant, who="job")
    job = house.directory.workloads[house.job.subject]
    house.use(workloads={job.workload: replace(job, zone=another_zone(house))})
    with refused(NotAllowed, why="another zone"):
        house.release(grant, who="job")


def test_a_grant_that_is_over_opens_nothing(house: House) -> None:
    grant = house.grant(seconds=HOUR // 2)
    session = house.session("Dan")
    house.at += HOUR // 2
    house.release(grant)
    house.at += 1
    with refused(NotNow, why="ended"):
        house.do("Dan", house.release_body(grant), session, house.people["Dan"].device)


def test_a_grant_that_was_revoked_opens_nothing(house: House) -> None:
    grant = house.grant()
    house.do("Dan", GrantRevoke(grant=grant, reason=text("done")))
    with refused(NotFound):
        house.release(grant)
    with refused(NotFound):
        house.do("Dan", GrantRevoke(grant=grant, reason=text("done")))


def test_nobody_but_a_responder_revokes_the_grant_of_somebody_else(house: House) -> None:
    with refused(Denied):
        house.do("Eve", GrantRevoke(grant=house.grant(), reason=text("no")))


def test_a_grant_for_named_files_opens_those_only(house: House) -> None:
    grant = house.grant(files=("a", "b"))
    house.release(grant, files=("a",))
    with refused(NotAllowed, why="named files only"):
        house.release(grant, files=("a", "c"))
    with refused(NotAllowed, why="named files only"):
        house.release(grant)
    house.release(house.grant(), files=("c",))


def test_a_lease_ends_with_its_grant_and_lasts_an_hour_at_most(house: House) -> None:
    short, long = house.grant(seconds=HOUR // 2), house.grant()
    for grant, seconds in ((short, HOUR // 2), (long, HOUR)):
        permitted = house.take(house.say("Dan", house.release_body(grant)))
        assert permitted.data["expires_at"] == house.at + seconds
        assert permitted.data["manifest"] == house.manifest
        assert permitted.data["open"] == permitted.move.digest


def test_whoever_lost_the_role_opens_nothing_more(house: House) -> None:
    grant = house.grant()
    house.govern(RoleTake(subject=house.person("Dan"), role="researcher", team="core"))
    with refused(Denied):
        house.release(grant)


# --- asking for a grant --------------------------------------------------------------------------


def test_a_grant_for_a_version_that_is_not_there_is_not_asked_for(house: House) -> None:
    with refused(NotFound, why="no version"):
        house.ask("Dan", house.grant_body(version=house.new("version")))


def test_a_grant_names_the_manifest_of_the_version(house: House) -> None:
    with refused(Stale, why="manifest"):
        house.ask("Dan", house.grant_body(manifest="sha256:" + "cd" * 32))


def test_the_grant_of_a_person_names_a_device_of_theirs(house: House) -> None:
    with refused(NotAllowed, why="device that is named"):
        house.ask("Dan", house.grant_body(device=None))
    with refused(NotAllowed, why="another person's"):
        house.ask("Dan", house.grant_body(device=house.people["Ada"].device.subject))
    with refused(NotFound):
        house.ask("Dan", house.grant_body(device=house.new("device")))


def test_the_grant_of_a_workload_names_no_device(house: House) -> None:
    device = house.people["Dan"].device.subject
    with refused(NotAllowed, why="no device"):
        house.ask("Dan", house.grant_body(subject=house.job.subject, device=device))


def test_a_grant_is_for_somebody_who_is_there(house: House) -> None:
    for nobody, device in ((house.new("person"), house.people["Dan"].device.subject), (house.new("workload"), None)):
        with refused(NotFound):
            house.ask("Dan", house.grant_body(subject=nobody, device=device))


def test_a_grant_to_somebody_who_left_is_not_enacted(house: House) -> None:
    house.enrol("Fay", ("researcher", "core"))
    body = house.grant_body(subject=house.person("Fay"), device=house.people["Fay"].device.subject)
    asked = house.ask("Dan", body)
    for who in ("Ada", "Ben"):
        house.approve(who, asked, "approver")
    house.govern(PersonRemove(person=house.person("Fay")))
    with refused(NotFound):
        house.enact(asked)


def test_a_grant_names_the_zone_of_whoever_opens(house: House) -> None:
    zone = another_zone(house)
    with refused(NotAllowed, why="another zone"):
        house.ask("Dan", house.grant_body(zone=zone))
    with refused(NotAllowed, why="another zone"):
        house.ask("Dan", house.grant_body(subject=house.job.subject, device=None, zone=zone))


def test_a_grant_for_no_file_is_refused(house: House) -> None:
    with refused(NotAllowed, why="no file"):
        house.ask("Dan", house.grant_body(files=()))


@pytest.mark.parametrize("seconds", [0, 59, 30 * DAY + 1])
def test_a_grant_lasts_a_minute_at_least_and_thirty_days_at_most(house: House, seconds: int) -> None:
    with refused(BadRecord):
        house.ask("Dan", house.grant_body(seconds=seconds))


def test_a_grant_is_asked_for_by_whoever_may_open(house: House) -> None:
    with refused(Denied):
        house.ask("Ada", house.grant_body())


# --- versions ------------------------------------------------------------------------------------


def test_only_a_writer_registers_versions(house: House) -> None:
    with refused(Denied):
        house.do("Dan", house.version_body())


def test_a_writer_opens_nothing(house: House) -> None:
    with refused(Denied):
        house.enact(house.ask("Dan", house.grant_body(subject=house.job.subject, device=None)))
    asked = house.ask("Dan", house.grant_body(subject=house.job.subject, device=None))
    house.approve("Ada", asked, "approver")
    house.approve("Ben", asked, "approver")
    grant = house.enact(asked).replace("statement", "grant")
    with refused(Denied, why="researcher"):
        house.release(grant, who="job")


@pytest.mark.parametrize("field", ["version", "seal_id"])
def test_a_version_is_registered_once(house: House, field: str) -> None:
    first = house.version_body()
    house.do("job", first)
    with refused(AlreadyDone):
        house.do("job", house.version_body(**{field: getattr(first, field)}))


def test_a_version_sealed_to_an_older_key_is_refused(house: House) -> None:
    with refused(Stale, why="generation"):
        house.do("job", house.version_body(generation=2))


def test_a_version_of_no_model_or_no_ancestor_is_refused(house: House) -> None:
    with refused(NotFound, why="no model"):
        house.do("job", house.version_body(model=house.new("model")))
    with refused(NotFound, why="descended"):
        house.do("job", house.version_body(lineage=(house.new("version"),)))


def test_lineage_passes_the_label_on_to_another_model(house: House) -> None:
    """Fine-tuning under a public name does not make critical weights public."""
    house.do("Ada", LabelRaise(target=house.model, label=4))
    public = ModelEnrol(model=house.new("model"), details=text("public"), label=0)
    house.govern(public)
    body = house.version_body(model=public.model, lineage=(house.version,))
    house.do("job", body)
    assert house.directory.label_of(house.directory.versions[body.version]) == 4


# --- zones, labels, time to steal ----------------------------------------------------------------


def test_a_zone_opens_nothing_above_its_ceiling(house: House) -> None:
    grant = house.grant()
    house.govern(ZoneDefine(zone=LAB, details=text("lab"), ceiling=0, egress_bytes_per_day=1))
    with refused(Denied, why="ceiling"):
        house.release(grant)


def test_a_zone_that_lets_out_too_much_opens_nothing_at_label_3(critical: House) -> None:
    grant = critical.grant()
    critical.release(grant)
    critical.govern(ZoneDefine(zone=LAB, details=text("lab"), ceiling=4, egress_bytes_per_day=DAILY_BYTES + 1))
    with refused(Denied, why="90 days"):
        critical.release(grant)


def test_a_session_of_more_than_a_quarter_of_an_hour_opens_nothing_at_label_3(critical: House) -> None:
    grant = critical.grant()
    critical.session("Dan")
    critical.at += 15 * 60
    critical.release(grant)
    critical.at += 1
    with refused(Denied, why="15 minutes"):
        critical.release(grant)


@pytest.mark.parametrize("target", ["deployment", "model", "zone", "device", "person"])
def test_what_is_frozen_opens_nothing(house: House, target: str) -> None:
    grant, session = house.grant(), house.session("Dan")
    targets: dict[str, Any] = {
        "deployment": "deployment",
        "model": house.model,
        "zone": LAB,
        "device": house.people["Dan"].device.subject,
        "person": house.person("Dan"),
    }
    house.do("Ada", Freeze(target=targets[target], reason=text("odd")))
    with refused(Denied):
        house.do("Dan", house.release_body(grant), session, house.people["Dan"].device)


def test_a_frozen_workload_opens_nothing(house: House) -> None:
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    grant = house.grant(subject=house.job.subject, device=None)
    house.do("Ada", Freeze(target=house.job.subject, reason=text("odd")))
    with refused(Denied):
        house.release(grant, who="job")


def test_a_doubted_clock_opens_nothing(house: House) -> None:
    grant = house.grant()
    house.use(time_doubted=True)
    with refused(Denied, why="time"):
        house.release(grant)
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    house.approve("Ben", asked, "approver")
    with refused(Denied, why="time"):
        house.enact(asked)

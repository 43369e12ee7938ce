"""The registry of copies: every release is in it, and says how it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.freeze import Freeze
from strongroom.acts.grant_revoke import GrantRevoke
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.role_give import RoleGive
from strongroom.acts.session_close import SessionClose
from strongroom.acts.workload_remove import WorkloadRemove
from strongroom.client.copies import STATES, Copies, Copy, copies_of
from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.directory.entries import Entry
from strongroom.objects import open_store
from tests.acts.world import HOUR, LAB, House, a_house, text
from tests.attacks.versions import write_model
from tests.client_keep.logs import World

End = Callable[[House, str], object]


def copies(house: House) -> Copies:
    found = Copies()
    for leaf in house.leaves:
        found.take(leaf)
    return found


def states(house: House) -> list[str]:
    return [one.state for one in copies(house).find(house.directory, at=house.at)]


def job_grant(house: House) -> str:
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    return house.grant(subject=house.job.subject, device=None)


def test_a_release_is_a_copy_that_says_whose_where_and_until_when() -> None:
    house = a_house()
    grant = house.grant()
    house.release(grant)
    (copy,) = copies(house).find(house.directory, at=house.at)
    session = house.people["Dan"].session
    assert session is not None
    assert copy == Copy(
        index=len(house.leaves) - 1,
        version=house.version,
        model=house.model,
        subject=house.person("Dan"),
        zone=LAB,
        grant=grant,
        at=house.at,
        expires_at=house.at + HOUR,
        state="live",
        device=house.people["Dan"].device.subject,
        session=session.subject,
    )


def test_a_copy_of_named_files_names_them() -> None:
    house = a_house()
    house.release(house.grant(files=("a", "b")), files=("b",))
    assert [one.files for one in copies(house).find(house.directory, at=house.at)] == [("b",)]


def test_a_workload_has_copies_too() -> None:
    house = a_house()
    house.release(job_grant(house), "job")
    (copy,) = copies(house).find(house.directory, at=house.at)
    assert (copy.subject, copy.zone, copy.device, copy.session, copy.state) == (
        house.job.subject,
        LAB,
        None,
        None,
        "live",
    )


def lapse(house: House, grant: str) -> None:
    house.at += HOUR + 1


def outlive_the_session(house: House, grant: str) -> None:
    house.at += 1800


def freeze(house: House, target: str) -> str:
    return house.do("Ada", Freeze(target=target, reason=text("odd")))


ENDS: dict[str, tuple[End, str]] = {
    "nothing": (lambda house, grant: None, "live"),
    "its lease runs out": (lapse, "ended"),
    "its grant is revoked": (lambda h, grant: h.do("Ada", GrantRevoke(grant=grant, reason=text("no"))), "revoked"),
    "its holder is removed": (lambda h, _: h.govern(PersonRemove(person=h.person("Dan"))), "removed"),
    "its device is removed": (lambda h, _: h.govern(DeviceRemove(device=h.people["Dan"].device.subject)), "removed"),
    "its session is closed": (
        lambda h, _: h.do("Ada", SessionClose(session=h.session("Dan").subject)),
        "logged-out",
    ),
    "its session runs out first": (outlive_the_session, "logged-out"),
    "its security key is reported": (
        lambda h, _: h.do("Ada", CredentialReport(credential=h.people["Dan"].keys[0].credential, reason=text("lost"))),
        "logged-out",
    ),
    "its deployment is frozen": (lambda h, _: freeze(h, "deployment"), "frozen"),
    "its model is frozen": (lambda h, _: freeze(h, h.model), "frozen"),
    "its zone is frozen": (lambda h, _: freeze(h, LAB), "frozen"),
    "its device is frozen": (lambda h, _: freeze(h, h.people["Dan"].device.subject), "frozen"),
    "its holder is frozen": (lambda h, _: freeze(h, h.person("Dan")), "frozen"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_copy_is_over_when(how: str) -> None:
    house = a_house()
    grant = house.grant()
    session = house.session("Dan").subject
    if how == "its session runs out first":
        house.at = house.directory.sessions[session].until - 1000
    house.release(grant)
    end, state = ENDS[how]
    end(house, grant)
    assert states(house) == [state]


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (lambda h: h.govern(WorkloadRemove(workload=h.job.subject)), "removed"),
        (lambda h: freeze(h, h.job.subject), "frozen"),
        (lambda h: freeze(h, h.person("Dan")), "frozen"),
        (lambda h: h.govern(PersonRemove(person=h.person("Dan"))), "removed"),
    ],
    ids=["removed", "frozen", "whoever answers for it is frozen", "whoever answers for it is removed"],
)
def test_a_workloads_copy_is_over_when_it_is(end: Callable[[House], object], state: str) -> None:
    house = a_house()
    house.release(job_grant(house), "job")
    end(house)
    assert states(house) == [state]


def test_every_state_is_shown() -> None:
    assert {state for _, state in ENDS.values()} == STATES.keys()


def test_copies_are_found_by_model_version_and_holder_in_the_order_of_the_log() -> None:
    house = a_house()
    first, second = house.grant(), job_grant(house)
    for grant, who in ((first, "Dan"), (second, "job"), (first, "Dan")):
        house.release(grant, who)
    other = house.version_body()
    house.do("job", other)
    house.release(house.grant(version=other.version), version=other.version)
    registry, directory = copies(house), house.directory

    def found(**chosen: str) -> list[tuple[str, str]]:
        copied = registry.find(directory, at=house.at, **chosen)
        assert [one.index for one in copied] == sorted(one.index for one in copied)
        return [(one.subject, one.version) for one in copied]

    dan, job = house.person("Dan"), house.job.subject
    everything = [(dan, house.version), (job, house.version), (dan, house.version), (dan, other.version)]
    assert found() == everything
    assert found(model=house.model) == everything
    assert found(model=house.new("model")) == []
    assert found(version=other.version) == everything[3:]
    assert found(subject=job) == everything[1:2]
    assert found(version=house.version, subject=dan) == [everything[0], everything[2]]


def test_an_older_directory_leaves_out_what_it_does_not_know() -> None:
    house = a_house()
    grant = house.grant()
    house.release(grant)
    before = house.directory.copy()
    house.release(grant)
    other = house.version_body()
    house.do("job", other)
    house.release(house.grant(version=other.version), version=other.version)
    registry = copies(house)
    assert [one.index < before.size for one in registry.find(house.directory, at=house.at)] == [True, False, False]
    assert len(registry.find(before, at=house.at)) == 1


def test_an_entry_that_only_speaks_of_a_release_is_no_copy() -> None:
    house, registry = a_house(), Copies()
    registry.take(Entry(at=house.at, kind="refused", data={"kind": "key.released"}).encode())
    assert (registry.size, registry.find(house.directory, at=house.at)) == (1, [])


def test_the_registry_of_a_clients_own_log_catches_up_with_it(world: World, tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    world.model()
    job = world.workload("trainer", "writer")
    job.deployment.names.add(world.keeper.details.values())
    seal_through_keep(job, [write_model(tmp_path / "model")], "acme/atlas", store, notes="first run")
    world.grant("acme/atlas@1")
    dan, registry = world.session("Dan"), Copies()
    replica = dan.deployment.replica
    registry.catch_up(replica)
    assert registry.find(dan.directory, at=dan.now()) == []
    for _ in range(2):
        open_through_keep(dan, "acme/atlas@1", store).close()
    registry.catch_up(replica)
    found = registry.find(dan.directory, at=dan.now())
    assert [one.subject for one in found] == [dan.subject, dan.subject]
    assert found == copies_of(replica, at=dan.now())
    assert copies_of(replica, at=dan.now(), version=found[0].version) == found

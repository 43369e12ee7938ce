"""The directory: its bytes are canonical, a copy goes its own way, and what is gone is found by nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from strongroom.directory import find
from strongroom.directory.state import Directory, parse_directory
from strongroom.terms.errors import AlreadyDone, BadRecord, BadRequest, NotCanonical, NotFound
from tests.acts.world import LAB, House, a_house, refused


@pytest.fixture
def house() -> House:
    return a_house()


def test_a_directory_is_read_back_as_it_was(house: House) -> None:
    assert parse_directory(house.directory.encode()) == house.directory


@pytest.mark.parametrize("harm", [lambda data: b" " + data, lambda data: data[:-1], lambda data: b"{}"])
def test_bytes_that_are_no_directory_are_refused(house: House, harm: Callable[[bytes], bytes]) -> None:
    with refused(NotCanonical, BadRecord):
        parse_directory(harm(house.directory.encode()))


def test_a_copy_changes_apart(house: House) -> None:
    copied = house.directory.copy()
    for field in ("people", "grants", "facts", "closed", "custodians"):
        getattr(copied, field).clear()
    copied.frozen = True
    assert house.directory.people
    assert house.directory.custodians
    assert not house.directory.frozen


def test_the_label_of_a_version_is_the_higher_of_its_own_and_its_model_s(house: House) -> None:
    version = house.directory.versions[house.version]
    for own, model, both in ((0, 3, 3), (3, 0, 3), (2, 2, 2)):
        house.directory.models[house.model] = replace(house.directory.models[house.model], label=model)
        assert house.directory.label_of(replace(version, label=own)) == both


Finder = Callable[[Directory, str], Any]
GONE: list[tuple[str, Finder, str, str]] = [
    ("people", find.person, "person", "removed"),
    ("credentials", find.credential, "credential", "removed"),
    ("credentials", find.credential, "credential", "compromised"),
    ("devices", find.device, "device", "removed"),
    ("workloads", find.workload, "workload", "removed"),
    ("attesters", find.attester, "attester", "revoked"),
]
THERE: list[tuple[str, Finder, str]] = [
    *((things, finder, kind) for things, finder, kind, _ in GONE),
    ("zones", find.zone, "zone"),
    ("models", find.model, "model"),
    ("versions", find.version, "version"),
    ("grants", find.grant, "grant"),
    ("proposals", find.proposal, "statement"),
]


@pytest.mark.parametrize(("things", "finder", "kind"), THERE)
def test_what_is_there_is_found_and_what_is_not_is_refused(
    house: House, things: str, finder: Finder, kind: str
) -> None:
    house.grant()
    house.ask("Dan", house.grant_body())
    for identifier, thing in getattr(house.directory, things).items():
        assert finder(house.directory, identifier) == thing
    with refused(NotFound):
        finder(house.directory, house.new(kind))


@pytest.mark.parametrize(("things", "finder", "kind", "mark"), GONE)
def test_what_is_gone_is_refused(house: House, things: str, finder: Finder, kind: str, mark: str) -> None:
    found = getattr(house.directory, things)
    name = next(iter(found))
    assert name.startswith(kind)
    found[name] = replace(found[name], **{mark: True})
    with refused(NotFound, why="gone"):
        finder(house.directory, name)


def test_a_proposal_that_ended_says_how(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    house.reject("Ada", asked, "approver")
    with refused(AlreadyDone, why="rejected"):
        find.proposal(house.directory, asked)


def test_a_subject_is_anything_that_is_enrolled(house: House) -> None:
    there = (house.person("Dan"), house.people["Dan"].device.subject, house.job.subject, house.attester.subject)
    for subject in (*there, LAB, house.model, house.version):
        find.check_subject(house.directory, subject)
        with refused(NotFound):
            find.check_subject(house.directory, house.new(subject.partition("-")[0]))
    with refused(NotFound, why="nothing is said"):
        find.check_subject(house.directory, house.new("session"))
    with refused(BadRequest):
        find.check_subject(house.directory, "nothing")


def test_an_identifier_or_a_key_is_new_once(house: House) -> None:
    find.check_new(house.directory.people, house.new("person"))
    find.check_new_key(house.directory, house.new_key("").point)
    with refused(AlreadyDone):
        find.check_new(house.directory.people, house.person("Dan"))
    with refused(AlreadyDone):
        find.check_new_key(house.directory, house.job.point)


def test_the_origin_names_deployment_and_era(house: House) -> None:
    assert house.directory.origin == f"{house.directory.deployment}/1"

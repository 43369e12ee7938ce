"""Attacks on an alias: `prod` is to mean what it should not, from where it should not, or while something is frozen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.alias_set import AliasSet
from strongroom.acts.freeze import Freeze
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.role_give import RoleGive
from strongroom.acts.thaw import Thaw
from strongroom.terms.errors import AlreadyDone, Denied, NotFound, UnknownSigner
from strongroom.terms.errors import NotAllowed as Forbidden
from tests.acts.world import LAB, House, a_house, refused, text


@pytest.fixture
def house() -> House:
    """Return a house where Eve may write versions of the one model."""
    house = a_house()
    house.govern(RoleGive(subject=house.person("Eve"), role="writer", team="core", model=house.model))
    return house


def prod(house: House, **changes: Any) -> AliasSet:
    fields = {"alias": house.new("alias"), "details": text("prod"), "model": house.model, "version": house.version}
    return AliasSet(**{**fields, **changes})


def another_version(house: House, **changes: Any) -> str:
    body = house.version_body(**changes)
    house.do("job", body)
    return body.version


def another_model(house: House) -> str:
    """Enrol one more model, which Eve may write versions of as well."""
    model = house.new("model")
    house.govern(ModelEnrol(model=model, details=text("acme/other"), label=1))
    for writer in (house.person("Eve"), house.job.subject):
        house.govern(RoleGive(subject=writer, role="writer", team="core", model=model))
    return model


def test_an_alias_moves_to_another_version_of_its_model_and_back(house: House) -> None:
    body, second = prod(house), another_version(house)
    for version in (house.version, second, house.version):
        house.do("Eve", replace(body, version=version))
        assert house.directory.aliases[body.alias].version == version
    assert len(house.directory.aliases) == 1


def test_an_alias_does_not_point_to_another_model_s_version(house: House) -> None:
    model = another_model(house)
    foreign = another_version(house, model=model)
    body = prod(house)
    house.do("Eve", body)
    with refused(Forbidden, why="another model's"):
        house.do("Eve", prod(house, version=foreign))
    with refused(Forbidden, why="another model's"):
        house.do("Eve", replace(body, version=foreign))
    with refused(AlreadyDone, why="of another name or model"):
        house.do("Eve", replace(body, model=model, version=foreign))
    assert house.directory.aliases[body.alias].version == house.version


def test_an_alias_does_not_point_to_what_there_is_not(house: House) -> None:
    with refused(NotFound, why="no version"):
        house.do("Eve", prod(house, version=house.new("version")))
    with refused(Forbidden, why="another model's"):
        house.do("Eve", prod(house, model=house.new("model")))
    assert not house.directory.aliases


def test_another_name_s_identifier_is_not_taken(house: House) -> None:
    body = prod(house)
    house.do("Eve", body)
    with refused(AlreadyDone, why="of another name"):
        house.do("Eve", prod(house, alias=body.alias, details=text("test")))
    assert house.directory.aliases[body.alias].details == text("prod")


def test_whoever_writes_another_model_moves_no_alias_of_this_one(house: House) -> None:
    body, model = prod(house), another_model(house)
    house.do("Eve", body)
    house.govern(RoleGive(subject=house.person("Dan"), role="writer", team="core", model=model))
    with refused(Denied, why="`writer` on the model"):
        house.do("Dan", replace(body, version=another_version(house)))


@pytest.mark.parametrize("who", ["Ada", "Ben", "Dan"])
def test_governing_approving_and_opening_move_no_alias(house: House, who: str) -> None:
    with refused(Denied, why="`writer` on the model"):
        house.do(who, prod(house))


def test_a_training_job_moves_no_alias(house: House) -> None:
    """It may register versions, but what production runs a person says."""
    with refused(UnknownSigner):
        house.do("job", prod(house))


def test_no_browser_moves_an_alias(house: House) -> None:
    browser = house.browser("Eve")
    with refused(Denied, why="enrolled device"):
        house.do("Eve", prod(house), browser)


@pytest.mark.parametrize("what", ["deployment", "model", "device", "zone", "person"])
def test_nothing_moves_while_something_is_frozen(house: House, what: str) -> None:
    eve = house.people["Eve"]
    targets = {"model": house.model, "device": eve.device.subject, "zone": LAB, "person": eve.person}
    house.session("Eve")
    body, target = prod(house), targets.get(what, what)
    house.do("Ada", Freeze(target=target, reason=text("odd")))
    with refused(Denied, why="frozen" if what != "person" else "thawed"):
        house.do("Eve", body)
    house.govern(Thaw(target=target, reason=text("well")))
    house.do("Eve", body)


def test_an_alias_opens_nothing(house: House) -> None:
    """It does not even widen a grant: a release names the version, and the grant for that very one."""
    grant, second = house.grant(), another_version(house)
    house.do("Eve", prod(house, version=second))
    with refused(Forbidden, why="another version"):
        house.release(grant, version=second)

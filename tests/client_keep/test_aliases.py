"""`acme/atlas@prod`: an alias counts only where its name and its model's are proven, and names one version or none."""

from __future__ import annotations

import pytest

from strongroom.acts.alias_set import AliasSet
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.role_give import RoleGive
from strongroom.client.names import NOT_PROVEN, Detail, Names, details_of
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.outer_errors import BadName
from tests.acts.world import SALT, House, a_house, refused, text


@pytest.fixture
def house() -> House:
    """Return a house where Eve writes versions, of this model and of any other."""
    house = a_house()
    house.govern(RoleGive(subject=house.person("Eve"), role="writer", team="core"))
    return house


def called(house: House, name: str, version: str = "", model: str = "") -> str:
    """Have a version called so; return the alias."""
    alias, model = house.new("alias"), model or house.model
    house.do("Eve", AliasSet(alias=alias, details=text(name), model=model, version=version or house.version))
    return alias


def another_version(house: House, model: str = "") -> str:
    body = house.version_body(model=model or house.model)
    house.do("job", body)
    return body.version


def names(*texts: str) -> Names:
    return Names(Detail(salt=SALT.hex(), text=one) for one in texts)


def test_an_alias_is_the_version_that_it_points_to_now(house: House) -> None:
    known, alias, second = names("acme/atlas", "prod"), called(house, "prod"), another_version(house)
    for version in (house.version, second):
        house.do("Eve", AliasSet(alias=alias, details=text("prod"), model=house.model, version=version))
        assert known.version(house.directory, "acme/atlas@prod").version == version
        assert known.version(house.directory, alias).version == version
        assert known.alias(house.directory, "acme/atlas@prod").alias == alias


def test_an_alias_of_another_model_with_the_same_name_is_another(house: House) -> None:
    called(house, "prod")
    other = house.new("model")
    house.govern(ModelEnrol(model=other, details=text("acme/other"), label=1))
    house.govern(RoleGive(subject=house.job.subject, role="writer", team="core", model=other))
    known = names("acme/atlas", "acme/other", "prod")
    with refused(NotFound, why="`prod`"):
        known.version(house.directory, "acme/other@prod")
    version = another_version(house, other)
    called(house, "prod", version, other)
    assert known.version(house.directory, "acme/other@prod").version == version
    assert known.version(house.directory, "acme/atlas@prod").version == house.version


def test_two_aliases_of_one_name_name_neither(house: House) -> None:
    """So whoever sets a second `prod` beside the first stops what follows it, and redirects nothing."""
    one, two = called(house, "prod"), called(house, "prod", another_version(house))
    known = names("acme/atlas", "prod")
    with pytest.raises(BadRequest, match="2 are called `prod`") as raised:
        known.version(house.directory, "acme/atlas@prod")
    assert one in raised.value.hint
    assert two in raised.value.hint
    assert known.version(house.directory, one).version == house.version


@pytest.mark.parametrize("known", [(), ("prod",), ("acme/atlas",), ("acme/atlas", "test")])
def test_an_alias_that_is_not_proven_names_nothing(house: House, known: tuple[str, ...]) -> None:
    called(house, "prod")
    with refused(NotFound, why="proven"):
        names(*known).version(house.directory, "acme/atlas@prod")


@pytest.mark.parametrize(
    "name", ["acme/atlas@Prod", "acme/atlas@prod ", "acme/atlas@", "acme/atlas@prod@1", "atlas@prod"]
)
def test_a_name_is_not_mended(house: House, name: str) -> None:
    called(house, "prod")
    with refused(BadName):
        names("acme/atlas", "prod").version(house.directory, name)


def test_no_alias_takes_the_place_of_a_number(house: House) -> None:
    """Somebody may give an alias the text `1`; the number is looked up, and the text never."""
    called(house, "1", another_version(house))
    known = names("acme/atlas", "1")
    assert known.version(house.directory, "acme/atlas@1").version == house.version


def test_an_alias_is_shown_by_its_name_where_that_is_proven(house: House) -> None:
    alias = called(house, "prod")
    assert details_of(house.directory, alias) == text("prod")
    assert names("acme/atlas", "prod").called(house.directory, alias) == f"{alias} (acme/atlas@prod)"
    for known in ((), ("prod",), ("acme/atlas",)):
        assert names(*known).called(house.directory, alias) == f"{alias} ({NOT_PROVEN})"

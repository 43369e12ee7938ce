"""Aliases: one name, one alias, whoever moves it; and what a newcomer is shown before anybody knows them."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from strongroom.acts.alias_set import AliasSet
from strongroom.acts.role_give import RoleGive
from strongroom.acts.table import act_named
from strongroom.client.aliases import set_alias
from strongroom.client.connection import Answer
from strongroom.client.names import new_detail
from strongroom.client.newcomer import founding_shown
from strongroom.client.released import seal_through_keep
from strongroom.client.session import Session
from strongroom.objects.local import LocalStore
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, NotAllowed, NotFound, WrongDeployment
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import BadAnswer
from tests.attacks.versions import write_model
from tests.client_keep.logs import World


def sealed(world: World, folder: Path, name: str, count: int = 1) -> list[str]:
    """Enrol a model, and have a job seal versions of it."""
    world.model(name)
    job = world.workload(f"job-{name.partition('/')[2]}", "writer")
    model = write_model(folder / name.replace("/", "-"), {"weights.bin": b"weights"})
    store = LocalStore(folder / "store")
    return [seal_through_keep(job, [model], name, store).version for _ in range(count)]


def writer(world: World) -> Session:
    world.govern("role.give", RoleGive(subject=world.person("Dan"), role="writer", team="core"))
    return world.session("Dan")


def test_an_alias_is_made_once_and_then_moves(world: World, tmp_path: Path) -> None:
    versions = sealed(world, tmp_path, "acme/atlas", 2)
    dan = writer(world)
    made = [set_alias(dan, "acme/atlas@prod", version)[0] for version in versions]
    assert made[0] == made[1]
    assert [one.version for one in dan.directory.aliases.values()] == [versions[1]]
    assert dan.deployment.names.version(dan.directory, "acme/atlas@prod").version == versions[1]
    # Another person, who has to learn the name first, moves the very same one.
    world.govern("role.give", RoleGive(subject=world.person("Eve"), role="writer", team="core"))
    assert set_alias(world.session("Eve"), "acme/atlas@prod", "acme/atlas@1")[0] == made[0]


def test_an_alias_of_one_model_never_means_another_s_version(world: World, tmp_path: Path) -> None:
    sealed(world, tmp_path, "acme/atlas")
    (other,) = sealed(world, tmp_path, "acme/borealis")
    with pytest.raises(NotAllowed):
        set_alias(writer(world), "acme/atlas@prod", other)


def test_no_second_alias_is_made_while_the_names_of_others_cannot_be_read(world: World, tmp_path: Path) -> None:
    """A keep that withholds names would otherwise bring about two aliases of one name, which then name nothing."""
    (version,) = sealed(world, tmp_path, "acme/atlas")
    dan = writer(world)
    alias, _ = set_alias(dan, "acme/atlas@prod", version)
    withheld = dan.directory.aliases[alias].details
    world.keeper.details.pop(withheld)
    world.govern("role.give", RoleGive(subject=world.person("Eve"), role="writer", team="core"))
    with pytest.raises(NotFound, match="cannot be read"):
        set_alias(world.session("Eve"), "acme/atlas@prod", version)
    assert len(world.keeper.directory.aliases) == 1


def test_two_aliases_of_one_name_are_moved_by_nobody(world: World, tmp_path: Path) -> None:
    (version,) = sealed(world, tmp_path, "acme/atlas")
    dan = writer(world)
    set_alias(dan, "acme/atlas@prod", version)
    detail = new_detail("prod", os.urandom)
    model = dan.directory.versions[version].model
    body = AliasSet(alias=new_id("alias", os.urandom), details=detail.digest, model=model, version=version)
    dan.say(act_named("alias.set"), body, details=[detail])
    with pytest.raises(BadRequest, match="2 are called"):
        set_alias(dan, "acme/atlas@prod", version)


# --- newcomers ---------------------------------------------------------------------------------


@dataclass
class Showing:
    """A gateway that shows these entries to everybody."""

    entries: Json

    @property
    def where(self) -> str:
        return "https://127.0.0.1"

    def within(self, seconds: float) -> Showing:
        return self

    def ask(self, what: str, /, *, since: int | None = None, **fields: Json) -> Answer:
        assert (what, fields) == ("entries", {"start": 0, "count": 1})
        return Answer(ok={"entries": self.entries}, checkpoint=None)


def test_a_newcomer_takes_the_founding_that_has_the_name_and_no_other(world: World) -> None:
    founding = base64.b64encode(world.keeper.leaves[0]).decode("ascii")
    shown = founding_shown(Showing([founding]), world.deployment)
    assert (shown.deployment, shown.size) == (world.deployment, 1)
    with pytest.raises(WrongDeployment):
        founding_shown(Showing([founding]), f"sr1:{'0' * 64}")
    other = base64.b64encode(world.keeper.leaves[0] + b" ").decode("ascii")
    with pytest.raises(WrongDeployment):
        founding_shown(Showing([other]), world.deployment)


@pytest.mark.parametrize("entries", [None, [], ["AAAA", "AAAA"], ["not base64!"], {"0": "AAAA"}])
def test_what_is_no_founding_is_no_answer(world: World, entries: Json) -> None:
    with pytest.raises(BadAnswer):
        founding_shown(Showing(entries), world.deployment)

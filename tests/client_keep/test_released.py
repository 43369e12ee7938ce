"""Sealing and opening through the keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from strongroom.client.names import Names
from strongroom.client.released import Registered, find_grant, open_through_keep, register, seal_through_keep
from strongroom.client.requests import freeze, request_access, revoke_grant
from strongroom.client.session import Program
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import AlreadyDone, BadRequest, Denied, NotAllowed, NotFound, NotReleased
from strongroom.terms.outer_errors import BadName, WrongManifest
from tests.attacks.versions import MODEL, overwrite, write_model
from tests.client_keep.logs import World, founded


@dataclass
class Vault:
    world: World
    store: ObjectStore
    job: Program
    made: Registered
    model: str


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with founded(tmp_path) as world:
        store = open_store((tmp_path / "store").as_uri())
        model = world.model()
        job = world.workload("trainer", "writer")
        job.deployment.names.add(world.keeper.details.values())
        made = seal_through_keep(job, [write_model(tmp_path / "model")], "acme/atlas", store, notes="first run")
        yield Vault(world, store, job, made, model)


def test_a_model_is_sealed_by_a_job_that_cannot_read_it_and_opened_by_a_researcher_whom_two_let(vault: Vault) -> None:
    assert (vault.made.name, vault.made.number) == ("acme/atlas@1", 1)
    version = vault.world.keeper.directory.versions[vault.made.version]
    assert (version.by, version.manifest) == (vault.job.subject, vault.made.sealed.manifest)
    given = vault.world.grant("acme/atlas@1")
    assert given.enacted is not None
    with open_through_keep(vault.world.session("Dan"), "acme/atlas@1", vault.store) as model:
        assert {path: model.read_bytes(path) for path in model.files()} == MODEL
    assert [entry for entry in vault.world.keeper.leaves if b'"kind":"key.released"' in entry]
    with pytest.raises(NotAllowed, match="no live grant"):
        open_through_keep(vault.job, "acme/atlas@1", vault.store)


def test_an_identifier_opens_where_no_name_is_known(vault: Vault) -> None:
    vault.world.grant(vault.made.version)
    dan = vault.world.session("Dan")
    vault.world.keeper.details.clear()
    dan.deployment.names = Names()
    with open_through_keep(dan, vault.made.version, vault.store) as model:
        assert model.read_bytes("config.json") == MODEL["config.json"]
    for name, error in (("acme/atlas@1", NotFound), ("acme/atlas", BadName), ("acme/atlas@2", NotFound)):
        with pytest.raises(error):
            open_through_keep(dan, name, vault.store)


def test_a_version_that_does_not_exist_is_not_found_under_a_proven_name(vault: Vault) -> None:
    with pytest.raises(NotFound, match="no version `acme/atlas@2`"):
        open_through_keep(vault.world.session("Dan"), "acme/atlas@2", vault.store)


def test_a_grant_of_named_files_opens_those_and_no_others(vault: Vault) -> None:
    vault.world.grant("acme/atlas@1", files=["config.json"])
    dan = vault.world.session("Dan")
    with open_through_keep(dan, "acme/atlas@1", vault.store) as model:
        assert model.files() == ["config.json"]
        assert model.read_bytes("config.json") == MODEL["config.json"]
        other = next(path for path in MODEL if path != "config.json")
        with pytest.raises(NotReleased):
            model.read_bytes(other)
    with pytest.raises(NotAllowed):
        open_through_keep(dan, "acme/atlas@1", vault.store, files=[other])


def test_a_part_may_be_asked_for_of_a_grant_of_everything(vault: Vault) -> None:
    vault.world.grant("acme/atlas@1")
    with open_through_keep(vault.world.session("Dan"), "acme/atlas@1", vault.store, files=["config.json"]) as model:
        assert model.files() == ["config.json"]


def test_the_grant_that_lasts_longest_is_used_and_another_may_be_named(vault: Vault) -> None:
    first = vault.world.grant("acme/atlas@1")
    vault.world.clock.at += 30
    vault.world.grant("acme/atlas@1")
    dan = vault.world.session("Dan")
    version = dan.directory.versions[vault.made.version]
    grants = sorted(dan.directory.grants.values(), key=lambda grant: grant.until)
    assert find_grant(dan, version) == grants[1]
    assert find_grant(dan, version, grant=grants[0].grant) == grants[0]
    vault.world.clock.at = grants[1].until
    with pytest.raises(NotAllowed):
        find_grant(dan, version)
    assert first.enacted is not None


def test_a_machine_that_is_no_device_asks_for_nothing(vault: Vault) -> None:
    dan = vault.world.session("Dan")
    dan.profile.who = replace(dan.profile.who, device=None)
    with pytest.raises(BadRequest, match="not enrolled"):
        request_access(dan, "acme/atlas@1", 1, "to look")


def test_a_grant_for_a_workload_opens_for_it_alone(vault: Vault) -> None:
    world = vault.world
    evaluator = world.workload("evaluator", "researcher")
    done = request_access(world.session("Dan"), "acme/atlas@1", 1, "to evaluate", workload=evaluator.subject)
    world.agree(done, "Ada", "Ben", role="approver")
    evaluator.deployment.names.add(world.keeper.details.values())
    with open_through_keep(evaluator, "acme/atlas@1", vault.store) as model:
        assert model.read_bytes("config.json") == MODEL["config.json"]
    with pytest.raises(NotAllowed):
        open_through_keep(world.session("Dan"), "acme/atlas@1", vault.store)


def test_what_is_frozen_or_revoked_does_not_open(vault: Vault) -> None:
    world = vault.world
    world.grant("acme/atlas@1")
    dan, ada = world.session("Dan"), world.session("Ada")
    freeze(ada, vault.model, "odd reads")
    with pytest.raises(Denied, match="thawed"):
        open_through_keep(dan, "acme/atlas@1", vault.store)
    (grant,) = world.keeper.directory.grants
    revoke_grant(ada, grant, "no longer needed")
    with pytest.raises(NotAllowed):
        open_through_keep(dan, "acme/atlas@1", vault.store)


def test_a_manifest_that_is_not_the_one_in_the_log_does_not_open(vault: Vault) -> None:
    vault.world.grant("acme/atlas@1")
    name = f"m/{vault.model}/{vault.made.sealed.seal_id}"
    overwrite(vault.store, name, vault.store.read(name, most_bytes=1 << 20) + b" ")
    with pytest.raises(WrongManifest):
        open_through_keep(vault.world.session("Dan"), "acme/atlas@1", vault.store)


def test_versions_know_what_they_descend_from(vault: Vault, tmp_path: Path) -> None:
    made = seal_through_keep(vault.job, [tmp_path / "model"], vault.model, vault.store, lineage=["acme/atlas@1"])
    assert made.name == "acme/atlas@2"
    assert vault.world.keeper.directory.versions[made.version].lineage == (vault.made.version,)


def test_what_was_sealed_is_registered_once(vault: Vault) -> None:
    with pytest.raises(AlreadyDone):
        register(vault.job, vault.made.sealed)


def test_whoever_is_no_writer_registers_nothing(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(Denied):
        seal_through_keep(vault.world.session("Dan"), [tmp_path / "model"], "acme/atlas", vault.store)

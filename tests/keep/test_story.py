"""The life of a release, through the real keep: founded, sealed to, asked for, approved, opened, and closed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.client.requests import freeze
from strongroom.objects import open_store
from strongroom.terms.errors import Denied, KeepSealed
from tests.client_keep.logs import World
from tests.keep.world import founded_keep, shares, unseal_again


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with founded_keep(tmp_path) as world:
        yield world


def test_a_version_opens_on_two_approvals_and_not_when_it_is_frozen(world: World, tmp_path: Path) -> None:
    model = world.model()
    job = world.workload("training", "writer")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "a.txt").write_bytes(b"weights")
    (tmp_path / "store").mkdir()
    store = open_store((tmp_path / "store").as_uri())
    seal_through_keep(job, [weights], "acme/atlas", store, notes="first")
    world.session("Dan")
    world.grant("acme/atlas@1")
    with open_through_keep(world.session("Dan"), "acme/atlas@1", store) as opened:
        assert opened.read_bytes("a.txt") == b"weights"
    freeze(world.session("Ada"), model, "somebody is at it")
    with pytest.raises(Denied):
        open_through_keep(world.session("Dan"), "acme/atlas@1", store)


def test_a_keep_that_starts_again_is_sealed_until_custodians_unseal_it(world: World) -> None:
    world.model()
    before = world.keeper.directory.encode()
    shares(world)
    keeper: Any = world.keeper
    keeper.stop()
    keeper.start()
    with pytest.raises(KeepSealed):
        world.connect("Ada").sync()
    assert unseal_again(world) == 0
    assert world.keeper.directory.encode() != before
    world.session("Ada")

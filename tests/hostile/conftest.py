"""One house and one hostile gateway for all of these tests; each of them leaves both as it found them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strongroom.objects import open_store
from tests.gateway.world import real_gateway
from tests.hostile.proxy import HostileGateway, hostile_gateway
from tests.hostile.scene import Scene, open_scene


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("real", "scene", "store"):
        (folder / name).mkdir()
    store = (folder / "store").as_uri()
    with real_gateway(folder / "real", house=True, flags=("--store", store)) as real, hostile_gateway(real) as mallory:
        yield open_scene(folder / "scene", real, mallory, open_store(store))


@pytest.fixture
def scene(scenes: Scene) -> Iterator[Scene]:
    yield scenes
    scenes.end_of_test()


@pytest.fixture
def mallory(scene: Scene) -> HostileGateway:
    return scene.mallory

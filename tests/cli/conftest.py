"""Houses that tests may share: founded, and with everybody logged in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.keeping import House, Keep


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Five people who founded a deployment, all of them logged in but Eve; a model, and a training job that writes."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "keep").mkdir(mode=0o700)
    house = House(folder=folder, keep=Keep(folder / "keep"))
    with house.keep.running():
        house.found()
        house.login("Ada", "Ben", "Cleo", "Dan")
        house.govern("model.enrol", "--name", "acme/atlas", "--label", 1)
        house.writer("job")
        yield house

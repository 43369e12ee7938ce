"""A log that the real keep wrote is valid, and is told as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strongroom.directory.entries import parse_entry
from tests.verify.stories import Story, told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(tmp_path_factory.mktemp("story")) as story:
        yield story


def test_what_the_keep_wrote_is_valid(story: Story) -> None:
    verifier = story.forger.verify(story.world.deployment)
    assert verifier.directory.encode() == story.world.keeper.directory.encode()
    print(len(story.forger.leaves), {parse_entry(leaf).kind for leaf in story.forger.leaves})

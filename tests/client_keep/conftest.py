"""A deployment that was founded a moment ago."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client_keep.logs import World, founded


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with founded(tmp_path) as world:
        yield world

"""Fixtures: a gateway that tests share as long as they only read, or say what leaves others alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.world import RealGateway, real_gateway


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """One person's trial for all tests of a worker. Nobody stops anything of it, freezes, or ends Ada's session."""
    with real_gateway(tmp_path_factory.mktemp("shared", numbered=True)) as real:
        yield real


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealGateway]:
    """One person's trial for this test alone."""
    with real_gateway(tmp_path) as real:
        yield real

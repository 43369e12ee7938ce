"""Fixtures that every room's tests may use: stores of each kind."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import S3Server, running_s3_server

# Properties take the time they take: on a busy machine a deadline would say nothing of the code.
settings.register_profile("strongroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("strongroom")

# A shell without job control starts what runs in its background with interrupts ignored, and every child inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# One worker runs all that needs the server, so that there is one server.
S3_MARKS = (pytest.mark.s3, pytest.mark.xdist_group("s3"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let `--dist loadgroup` group: pytest-xdist 3.8 marks groups where pytest 9.2 no longer looks (its issue 1386)."""
    if getattr(config.option, "loadgroup", False):
        for item in items:
            if item.get_closest_marker("xdist_group") and not item.nodeid.endswith("@s3"):
                item._id = type(item._id).parse(f"{item.nodeid}@s3")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running_s3_server() as server:
        yield server


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, with an environment in which it can be reached."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.bucket}/{secrets.token_hex(8)}"


@pytest.fixture(params=["file", pytest.param("s3", marks=S3_MARKS)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "file":
        folder = tmp_path / "store"
        folder.mkdir()
        return folder.as_uri()
    url: str = request.getfixturevalue("s3_url")
    return url

"""How the keep and the gateway are started: where, with what of an environment, and what the gateway takes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.gateway.__main__ import settings_of
from strongroom.gateway.settings import Relay
from strongroom.service.programs import (
    KEEP_ENVIRONMENT,
    gateway_command,
    gateway_environment,
    keep_command,
    make_places,
)
from strongroom.service.settings import GatewaySection, KeepSettings
from strongroom.terms.errors import BadRequest, StoreUnavailable

NAME = f"sr1:{'0' * 64}"


def keep_in(folder: Path) -> KeepSettings:
    return KeepSettings(
        folder=str(folder / "keep" / "journal"),
        high_water=str(folder / "high" / "water"),
        socket=str(folder / "run" / "socket"),
    )


def modes(folder: Path) -> list[int]:
    return [(folder / name).stat().st_mode & 0o7777 for name in ("keep", "high", "run")]


def test_the_keeps_places_are_for_its_user_alone(tmp_path: Path) -> None:
    make_places(keep_in(tmp_path))
    assert modes(tmp_path) == [0o700, 0o700, 0o700]


def test_through_the_sockets_folder_alone_a_group_may_pass_where_others_may_connect(tmp_path: Path) -> None:
    # As in a volume that gives its group to what is made in it.
    tmp_path.chmod(0o2770)
    make_places(replace(keep_in(tmp_path), allow_users=("10002",)))
    assert modes(tmp_path) == [0o2700, 0o2700, 0o2710]


def test_places_that_are_there_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    (tmp_path / "run").chmod(0o755)
    make_places(keep_in(tmp_path))
    assert modes(tmp_path) == [0o700, 0o700, 0o755]  # the keep looks itself, and refuses


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="keep"):
        make_places(keep_in(tmp_path / "missing"))


def test_the_gateway_gets_the_stores_credential_and_nothing_else_of_the_environment() -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": "id",
        "PYTHONPATH": "/planted",
        "LD_PRELOAD": "x",
        "HOME": "/root",
        "PATH": "/x",
    }
    assert gateway_environment(environment) == KEEP_ENVIRONMENT | {"AWS_ACCESS_KEY_ID": "id"}
    for command in (keep_command(keep_in(Path("/srv"))), gateway_command(section(), deployment=NAME, keep="/run/keep")):
        assert command[1:3] == ["-I", "-m"]


def section() -> GatewaySection:
    return GatewaySection(
        folder="/var/gateway",
        certificate="/c.pem",
        key="/k.pem",
        ca="/ca.pem",
        names=("weights.example.org", "10.0.0.1"),
        public="weights.example.org",
        store="s3://bucket/prefix",
        metrics_port=0,
    )


def test_the_gateway_is_started_with_what_the_settings_say() -> None:
    command = gateway_command(section(), deployment=NAME, keep="/run/keep")
    settings = settings_of(command[4:])
    assert (settings.deployment, settings.keep, settings.folder) == (NAME, Path("/run/keep"), Path("/var/gateway"))
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 8443, 0)
    assert settings.names == ("weights.example.org", "10.0.0.1")
    assert (settings.certificate, settings.key, settings.ca) == (Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"))
    assert settings.store == "s3://bucket/prefix"


def test_the_gateway_is_told_of_a_relay_with_all_that_it_takes() -> None:
    files: dict[str, Any] = {"keep_ca": "/ca", "keep_certificate": "/cert", "keep_key": "/key"}
    command = gateway_command(replace(section(), **files), deployment=NAME, keep="tls://keep:1")
    known = Relay(url="tls://keep:1", ca=Path("/ca"), certificate=Path("/cert"), key=Path("/key"))
    assert settings_of(command[4:]).keep == known
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("tls://keep:1", {}),
        ("tls://keep:1", {"keep_ca": "/ca"}),
        ("/run/keep", files),
    ]
    for keep, given in wrong:
        with pytest.raises(BadRequest):
            settings_of(gateway_command(replace(section(), **given), deployment=NAME, keep=keep)[4:])

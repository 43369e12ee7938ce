"""The systemd units: well formed, closed as they say, starting what the command line takes, with settings that hold."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.service.settings import Settings, read_settings
from tests.deploy.commands import check_accepted

SYSTEMD = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = {"strongroom-keep.service": 0.9, "strongroom-gateway.service": 1.5, "strongroom-relay.service": 1.5}
"""Each unit, and how exposed `systemd-analyze security` may find it, out of 10."""
PROGRAM = "/usr/lib/strongroom/bin/strongroom"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a unit, each with all of its values."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def settings_of(name: str) -> tuple[Settings, list[str]]:
    """Return the example's settings that a unit starts with, and its command's arguments."""
    (command,) = unit(name)["ExecStart"]
    program, *arguments = shlex.split(command)
    assert program == PROGRAM
    config = Path(arguments[arguments.index("--config") + 1])
    assert config.parent == Path("/etc/strongroom")
    return read_settings(SYSTEMD / config.name), arguments


def users() -> dict[str, set[str]]:
    """Return the users that `sysusers.conf` makes, with the groups that each is in."""
    lines = [line.split() for line in (SYSTEMD / "sysusers.conf").read_text().splitlines() if line[:1] in {"u", "m"}]
    found: dict[str, set[str]] = {line[1]: {line[1]} for line in lines if line[0] == "u"}
    for line in lines:
        if line[0] == "m":
            found[line[1]].add(line[2])
    return found


def test_there_are_three_units() -> None:
    assert {path.name for path in SYSTEMD.glob("*.service")} == set(UNITS)


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong(tmp_path: Path, name: str) -> None:
    text = (SYSTEMD / name).read_text(encoding="utf-8")
    # It looks whether the program is there: another one is.
    (tmp_path / name).write_text(text.replace(PROGRAM, sys.executable), encoding="utf-8")
    found = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False, timeout=60
    )
    assert (found.returncode, found.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(("name", "most"), UNITS.items())
def test_systemd_finds_them_closed(name: str, most: float) -> None:
    found = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", SYSTEMD / name],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", found.stdout)
    assert level is not None, found.stdout
    assert float(level[1]) <= most, found.stdout


@pytest.mark.parametrize("name", UNITS)
def test_each_runs_as_a_user_of_its_own_without_any_capability(name: str) -> None:
    found, part = unit(name), name.removesuffix(".service")
    assert (found["User"], found["Group"]) == ([part], [part])
    assert users()[part] == {part, *found["SupplementaryGroups"]}
    assert len({one["User"][0] for one in map(unit, UNITS)}) == len(UNITS)
    assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == [""]
    assert (found["NoNewPrivileges"], found["ProtectSystem"], found["LimitCORE"]) == (["yes"], ["strict"], ["0"])
    assert found["MemoryDenyWriteExecute"] == ["yes"]
    assert found["SystemCallFilter"][:2] == ["@system-service", "~@privileged @resources"]


def test_the_keep_has_no_network_and_the_others_no_more_than_the_internet() -> None:
    keep = unit("strongroom-keep.service")
    assert (keep["PrivateNetwork"], keep["RestrictAddressFamilies"]) == (["yes"], ["AF_UNIX"])
    for name in ("strongroom-gateway.service", "strongroom-relay.service"):
        assert set(unit(name)["RestrictAddressFamilies"][0].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}


def test_what_will_not_mend_itself_is_not_started_again() -> None:
    for name in UNITS:
        found = unit(name)
        assert found["Restart"] == ["on-failure"]
        assert found["RestartPreventExitStatus"] == ["2 3 4 5 6"]


@pytest.mark.parametrize("name", UNITS)
def test_its_command_is_one_that_the_command_line_takes(name: str) -> None:
    _, arguments = settings_of(name)
    check_accepted(arguments)


def test_the_keep_writes_to_no_folder_but_its_own_three() -> None:
    (settings, _), found = settings_of("strongroom-keep.service"), unit("strongroom-keep.service")
    keep = settings.keep
    assert keep is not None
    states = [Path("/var/lib") / one for one in found["StateDirectory"][0].split()]
    assert [Path(keep.folder).parent, Path(keep.high_water).parent] == states
    assert [str(Path(keep.socket).parent)] == found["ReadWritePaths"]
    assert found["StateDirectoryMode"] == ["0700"]


def test_the_keep_lets_in_those_who_are_in_the_group_of_its_sockets_folder() -> None:
    (settings, _) = settings_of("strongroom-keep.service")
    keep = settings.keep
    assert keep is not None
    (line,) = [one.split() for one in (SYSTEMD / "tmpfiles.conf").read_text().splitlines() if "/run/" in one]
    assert line[:5] == ["d", str(Path(keep.socket).parent), "0710", "strongroom-keep", "strongroom-socket"]
    assert keep.allow_users
    for user in (*keep.allow_users, "strongroom-keep", "strongroom-relay"):
        assert "strongroom-socket" in users()[user]


def test_gateway_and_relay_ask_the_keep_at_its_socket() -> None:
    keep = settings_of("strongroom-keep.service")[0].keep
    gateway = settings_of("strongroom-gateway.service")[0].gateway
    relay = settings_of("strongroom-relay.service")[0].relay
    assert keep is not None
    assert gateway is not None
    assert relay is not None
    assert gateway.keep == relay.keep == keep.socket
    state = unit("strongroom-gateway.service")["StateDirectory"][0]
    assert Path(gateway.folder).is_relative_to(Path("/var/lib") / state)

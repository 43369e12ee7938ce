"""`strongroom doctor`: each thing that is unsafe is found where it is planted, and says how to mend it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongroom.cli.doctor import Finding, journal_findings, library_findings, machine_findings
from strongroom.terms.errors import Refused
from tests.cli.command import run_inside
from tests.cli.keeping import House

SWAPS = "Filename\tType\tSize\tUsed\tPriority\n"
HEALTHY = {
    "proc/swaps": f"{SWAPS}/dev/zram0 partition 1 0 5\n",
    "proc/sys/kernel/core_pattern": "core\n",
    "proc/sys/kernel/yama/ptrace_scope": "1\n",
}


def machine(root: Path, **unsafe: str) -> list[str]:
    for name, text in HEALTHY.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(unsafe.get(file.name, text))
    return [one.check for one in machine_findings(root)]


@contextmanager
def core_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_a_machine_is_looked_over(tmp_path: Path) -> None:
    with core_limit(0):
        assert machine(tmp_path) == []
        assert machine(tmp_path, swaps=f"{SWAPS}/dev/sda2 partition 1 0 -2\n") == ["swap"]
        assert machine(tmp_path, core_pattern="|/usr/bin/handler %p\n") == ["core-handler"]
        assert machine(tmp_path, ptrace_scope="0\n") == ["ptrace"]
        assert machine(tmp_path, ptrace_scope="2\n") == []
        assert list(machine_findings(tmp_path / "without-proc")) == []
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
        with core_limit(1):
            assert machine(tmp_path) == ["core-dumps"]


def test_the_libraries_here_are_new_enough() -> None:
    assert list(library_findings()) == []


def checks(findings: list[Finding] | list[dict[str, Any]]) -> set[str]:
    return {one.check if isinstance(one, Finding) else one["check"] for one in findings}


def test_the_places_of_a_journal_are_for_the_keep_alone(tmp_path: Path) -> None:
    journal, water = tmp_path / "journal", tmp_path / "water"
    journal.mkdir(mode=0o700)
    for file in (journal / "log.sqlite", water):
        file.touch(mode=0o600)
    assert list(journal_findings(journal, water)) == []
    (journal / "log.sqlite").chmod(0o640)
    (found,) = journal_findings(journal, water)
    assert (found.check, "chmod go-rwx" in found.mend) == ("journal", True)
    (journal / "log.sqlite").chmod(0o600)
    journal.chmod(0o755)
    assert checks(list(journal_findings(journal, water))) == {"journal"}
    journal.chmod(0o700)
    (journal / "link").symlink_to(water)
    assert checks(list(journal_findings(journal, water))) == {"journal"}
    (journal / "link").unlink()
    water.chmod(0o644)
    assert checks(list(journal_findings(journal, water))) == {"high-water"}
    inside = journal / "water"
    inside.touch(mode=0o600)
    assert checks(list(journal_findings(journal, inside))) == {"high-water"}
    assert checks(list(journal_findings(tmp_path / "nowhere", None))) == {"journal"}


def test_a_profile_its_socket_and_its_keys_are_looked_over(house: House, tmp_path: Path) -> None:
    home = house.home("Eve")

    def found(*options: object) -> set[str]:
        outcome = run_inside("--home", home, "doctor", "--json", *options)
        assert outcome.code == Refused.exit_code
        for one in outcome.json()["findings"]:
            assert set(one) == {"check", "what", "why", "mend"}
            assert all(one.values())
        return checks(outcome.json()["findings"]) - {"swap", "core-dumps", "core-handler", "ptrace", "clock"}

    usual = {"software-key", "software-keys"}
    assert found() == usual
    journal = ("--journal", house.keep.folder / "data" / "journal")
    assert found(*journal, "--high-water", house.keep.folder / "high" / "water") == usual
    home.chmod(0o755)
    assert found() == {"profile"}
    home.chmod(0o700)
    house.keep.socket.parent.chmod(0o755)
    assert found() == {*usual, "socket"}
    house.keep.socket.parent.chmod(0o700)
    profile = home / "profile.json"
    text = profile.read_text()
    profile.write_text(text.replace(str(house.keep.socket), str(tmp_path / "nowhere" / "socket")))
    assert found() == {*usual, "socket", "stale"}
    profile.write_text(text)


def test_nothing_is_made_where_there_is_no_profile(tmp_path: Path) -> None:
    outcome = run_inside("--home", tmp_path / "nowhere", "doctor", "--json")
    assert outcome.code == (Refused.exit_code if outcome.json()["findings"] else 0)
    assert "software-key" not in checks(outcome.json()["findings"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("default", [True, False])
def test_policies_are_checked_without_a_deployment(tmp_path: Path, default: bool) -> None:
    (tmp_path / "small.cedar").write_text(
        '@id("look")\n@requires("being enrolled")\npermit (principal, action == Action::"read", resource);\n'
    )
    outcome = run_inside("policy", "check", "--default" if default else tmp_path)
    assert outcome.code == 0, outcome
    assert "can be taken: sha256:" in outcome.out

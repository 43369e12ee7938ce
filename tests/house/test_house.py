"""House rules that no other tool checks: functions from a tree to its offences, each of them seen to fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
LOCKS = {"run.txt", "dev.txt", "model.txt", "bench.txt", "torch.txt"}
MAX_LINES = 500
NO_ROOMS = {"utils", "common", "helpers", "core", "base", "manager"}

# In pieces, so that this file does not break its own rule.
REGISTRIES = [
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("anaconda", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
]
MACHINE_FOLDERS = ["work", "root", "opt", "tmp/lab"]


def locked(lock: str) -> dict[str, set[str]]:
    """Return the hashes of each requirement (`name==version`, then any marker) in the text of a lock."""
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", lock))
    return {
        line.partition(" --hash")[0].strip(): set(re.findall(r"--hash=sha256:([0-9a-f]{64})(?!\S)", line))
        for line in text.splitlines()
        if line.strip()
    }


def requirements_not_locked(root: Path) -> list[str]:
    """Every line of a lock is one exact version with hashes: no option, address or path."""
    exact = re.compile(r"[a-z0-9.-]+==[0-9][a-z0-9.+]*( ; [a-z_]+ [^/\\@:]+)?")
    return [
        f"{path.name}: {requirement}"
        for path in sorted((root / "requirements").glob("*.txt"))
        for requirement, hashes in locked(path.read_text()).items()
        if not exact.fullmatch(requirement) or not hashes
    ]


def requirements_that_disagree(root: Path) -> list[str]:
    """One release has the same hashes in every lock, and one package the same releases."""
    releases: dict[str, dict[str, dict[str, set[str]]]] = {}
    for path in sorted((root / "requirements").glob("*.txt")):
        for requirement, hashes in locked(path.read_text()).items():
            name, _, version = requirement.partition(" ")[0].partition("==")
            releases.setdefault(name, {}).setdefault(path.name, {})[version] = hashes
    return [name for name, by_lock in releases.items() if any(a != b for a, b in pairwise(by_lock.values()))]


def places_named(root: Path) -> list[str]:
    """Nothing in the tree depends on one registry or on the folders of one machine."""
    hosts = "|".join(re.escape(host) for host in REGISTRIES)
    folders = "|".join(MACHINE_FOLDERS)
    pattern = f"(^|[^a-z0-9-])({hosts})($|[^a-z0-9-])|(^|[^A-Za-z0-9_.}})/-])/({folders})[0-9]*/"
    # --no-index reads what is on disk, .gitignore obeyed, in a checkout or out of one
    grep = ["git", "grep", "--no-index", "--exclude-standard", "-InE", "-e", pattern, "--", "."]
    found = subprocess.run(grep, cwd=root, capture_output=True, text=True, check=False)
    assert found.returncode in {0, 1}, found.stderr
    return found.stdout.splitlines()


def files_too_long(root: Path) -> list[str]:
    """A file of more than 500 lines is a room trying to be a house."""
    return [str(path) for path in (root / "src").rglob("*.py") if len(path.read_bytes().splitlines()) > MAX_LINES]


def rooms_without_meaning(root: Path) -> list[str]:
    """A room is named for what it does."""
    return [str(path) for path in (root / "src").rglob("*") if path.name.partition(".")[0] in NO_ROOMS]


RULES = [
    requirements_not_locked,
    requirements_that_disagree,
    places_named,
    files_too_long,
    rooms_without_meaning,
]

HASH = f"--hash=sha256:{'0' * 64}"
BREACHES: list[tuple[Callable[[Path], list[str]], str, str]] = [
    (requirements_not_locked, "requirements/run.txt", "click==8.5.1\n"),
    (requirements_not_locked, "requirements/run.txt", f"click>=8 \\\n    {HASH}\n"),
    (requirements_not_locked, "requirements/run.txt", f"click==8.5.1 \\\n    {HASH}0\n"),
    (requirements_not_locked, "requirements/run.txt", f"click @ file:///wheels/click.whl \\\n    {HASH}\n"),
    (requirements_not_locked, "requirements/run.txt", "--find-links /wheels\n"),
    (requirements_not_locked, "requirements/run.txt", "--index-url https://example.net/simple\n"),
    (requirements_that_disagree, "requirements/zz.txt", f"click==0.0.1 \\\n    {HASH}\n"),
    *((places_named, "docs/a.md", f"see https://{host}/x\n") for host in REGISTRIES),
    *((places_named, "docs/a.toml", f'path = "/{folder}/x"\n') for folder in MACHINE_FOLDERS),
    (files_too_long, "src/strongroom/a.py", "\n" * (MAX_LINES + 1)),
    *((rooms_without_meaning, f"src/strongroom/{name}/a.py", "") for name in sorted(NO_ROOMS)),
    *((rooms_without_meaning, f"src/strongroom/client/{name}.py", "") for name in sorted(NO_ROOMS)),
]


def test_the_rules_have_something_to_read() -> None:
    assert {path.name for path in (HOUSE / "requirements").glob("*.txt")} == LOCKS
    assert all(locked((HOUSE / "requirements" / name).read_text()) for name in LOCKS)
    assert list((HOUSE / "src" / "strongroom").rglob("*.py"))


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(rule: Callable[[Path], list[str]]) -> None:
    assert rule(HOUSE) == []


@pytest.mark.parametrize(("rule", "path", "text"), BREACHES)
def test_a_breach_is_seen(tmp_path: Path, rule: Callable[[Path], list[str]], path: str, text: str) -> None:
    shutil.copytree(HOUSE / "requirements", tmp_path / "requirements")
    assert rule(tmp_path) == []
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    assert rule(tmp_path) != []


@pytest.mark.parametrize(
    ("room", "planted", "verdict"),
    [
        ("sealing", "", 0),
        ("sealing", "import strongroom.client", 1),
        ("terms", "def later() -> None:\n    import strongroom.sealing", 1),
        ("sealing", "import os", 1),
        ("terms", "from datetime import datetime", 1),
        ("objects", "import numpy", 1),
    ],
)
def test_an_import_that_goes_up_is_caught(tmp_path: Path, room: str, planted: str, verdict: int) -> None:
    shutil.copytree(HOUSE / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    (tmp_path / "src/strongroom" / room / "planted.py").write_text(f"{planted}\n")
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == verdict, linted.stdout
    assert not planted or f"strongroom.{room}.planted ->" in linted.stdout

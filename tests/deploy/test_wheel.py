"""What an ML engineer does in five minutes with nothing but the wheel: install, `up --trial`, `seal`, three lines."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.service.upping import up

HOUSE = Path(__file__).resolve().parents[2]
SOURCES = ("src", "requirements", "pyproject.toml", "README.md", "LICENSE")
THREE_LINES = """
import strongroom
room = strongroom.connect()
weights = room.open_version("acme/mine@1", purpose="to try it").load_all()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a copy of the sources, and install it, and nothing else, beside what it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (HOUSE / name).is_dir():
            shutil.copytree(HOUSE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(HOUSE / name, folder)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    building = [
        "wheel",
        "-q",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder / "dist"),
        str(folder),
    ]
    subprocess.run([*pip, *building], check=True, timeout=120)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        [*pip, "--python", python, "install", "-q", "--no-index", "--no-deps", "--no-compile", wheel],
        check=True,
        timeout=120,
    )
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # After its own, the packages that are here: of them it takes what it needs, but for itself.
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def imported(folder: Path) -> set[str]:
    """Return the packages that the sources in a folder import, wherever in a file."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names - {"strongroom", "_typeshed"}


def needed(wheel: Distribution) -> set[str]:
    """Return what a wheel asks for, without versions, extras included."""
    names = (re.split("[^A-Za-z0-9._-]", one, maxsplit=1)[0] for one in wheel.requires or ())
    return {plain(name) for name in names}


def plain(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub("[-_.]+", "-", name).lower()


def test_the_wheel_asks_for_what_its_code_imports_and_for_nothing_else(installed: Path) -> None:
    """Here everything is at hand; elsewhere, what is not asked for is not there."""
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")
    (wheel,) = distributions(name="strongroom", path=[str(packages)])
    names = imported(packages / "strongroom")
    assert {"cryptography", "h11", "numpy"} <= names
    known = packages_distributions()
    assert needed(wheel) == {plain(known.get(name, [name])[0]) for name in names}


def test_five_minutes_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    home, model = tmp_path / "home", tmp_path / "my-model"
    environment = {"STRONGROOM_HOME": str(home), "PATH": os.environ["PATH"]}
    weights: dict[str, Any] = {"a": np.arange(12, dtype=np.float32), "b": np.ones((3, 4), dtype=np.float16)}
    model.mkdir()
    save_file(weights, model / "model.safetensors")

    def run(*command: object) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    strongroom, python = installed / "strongroom", installed / "python"
    assert str(installed.parent) in run(python, "-c", "import strongroom; print(strongroom.__file__)")
    with up(home, "--trial", "--port", 0, program=(str(strongroom),)) as service:
        service.result()
        run(strongroom, "propose", "model.enrol", "--name", "acme/mine", "--label", 1, "--purpose", "to try it")
        run(strongroom, "seal", model, "--as", "acme/mine")
        told = run(python, "-c", THREE_LINES + "print({name: value.sum().item() for name, value in weights.items()})")
        assert told == str({name: value.sum().item() for name, value in weights.items()}) + "\n"
        assert service.stop() == 0

"""The verifier as one file: the same bytes each time, and nothing beside it but Python and two libraries."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verify.stories import Story, told

TOOL = Path(__file__).resolve().parents[2] / "tools" / "verifier"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(tmp_path_factory.mktemp("story")) as story:
        yield story


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist") / "strongroom-verify.pyz")


def built(target: Path) -> Path:
    subprocess.run([sys.executable, TOOL, target], check=True, stdout=subprocess.DEVNULL)
    return target


def bare_python(folder: Path, *distributions: str) -> Path:
    """Return a Python that has these installed, as they are here, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for name in distributions:
        found = importlib.metadata.distribution(name)
        for top in {Path(path).parts[0] for path in found.files or () if ".." not in Path(path).parts}:
            (packages / top).symlink_to(Path(str(found.locate_file(top))))
    return folder / "bin" / "python"


def run(python: Path, archive: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["/usr/bin/env", "-i", str(python), "-I", str(archive), *map(str, arguments)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def test_the_same_sources_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    os.utime(TOOL)
    assert built(tmp_path / "again.pyz").read_bytes() == archive.read_bytes()


def test_only_the_rooms_that_decide_are_in_it(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    rooms = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert rooms == {"acts", "directory", "policy", "statements", "terms", "tlog", "verify"}
    assert {Path(name).suffix for name in names} == {".py", ".cedar", ".txt"}
    assert "strongroom/policy/floor.cedar" in names
    assert "strongroom/statements/words.txt" in names


def test_it_tells_a_good_log_from_a_bad_one_in_an_empty_environment(
    story: Story, archive: Path, tmp_path: Path
) -> None:
    python = bare_python(tmp_path / "bare", "cryptography", "cffi", "cedarpy")
    good = run(python, archive, story.forger.export(tmp_path / "good"), story.world.deployment)
    assert (good.returncode, good.stdout.splitlines()[-1:], good.stderr) == (0, ["valid"], "")
    forger = story.forger.cut(len(story.forger.leaves))
    index = forger.edit(forger.index("key.released"), lambda data: data.update(expires_at=1 << 39))
    bad = run(python, archive, forger.export(tmp_path / "bad"), story.world.deployment)
    assert (bad.returncode, bad.stdout) == (6, "")
    assert f"entry {index}, `key.released`" in bad.stderr


@pytest.mark.parametrize(("there", "missing"), [(["cryptography", "cffi"], "cedarpy"), (["cedarpy"], "cryptography")])
def test_a_library_that_is_missing_is_named(archive: Path, tmp_path: Path, there: list[str], missing: str) -> None:
    ended = run(bare_python(tmp_path / "bare", *there), archive, tmp_path, f"sr1:{'0' * 64}")
    assert (ended.returncode, ended.stdout) == (7, "")
    assert f"No module named '{missing}'" in ended.stderr
    assert "Traceback" not in ended.stderr

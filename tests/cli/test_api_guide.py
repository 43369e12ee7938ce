"""docs/api.md, run: every example of the guide against a real keep and a real gateway, in the order of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.versions import write_model
from tests.cli.command import run_inside
from tests.gateway.world import RealGateway, real_gateway

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"
TOOLS = ("curl", "openssl", "sha256sum")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A trial with a version in it, which was released to its one person, who is logged in over HTTPS."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "store").mkdir()
    with real_gateway(folder, flags=("--store", (folder / "store").as_uri())) as real:
        for arguments in (
            ("connect", real.place),
            ("login",),
            ("propose", "model.enrol", "--name", "acme/atlas", "--label", 1, "--purpose", "to try"),
            ("seal", write_model(folder / "model"), "--as", "acme/atlas"),
            ("request", "acme/atlas@1", "--for", "1h", "--purpose", "to try"),
            ("open", "acme/atlas@1", "--to", folder / "opened"),
        ):
            outcome = run_inside("--home", real.ada.path, *arguments)
            assert outcome.code == 0, outcome
        yield real


def run(real: RealGateway, *command: str) -> str:
    environment = os.environ | {"URL": real.url, "STRONGROOM_HOME": str(real.ada.path)}
    made = subprocess.run(
        command, cwd=real.ada.path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert made.returncode == 0, made.stderr + made.stdout
    return made.stdout


def test_the_guide_has_examples() -> None:
    assert (len(blocks("sh")), len(blocks("python"))) == (2, 8)


@pytest.mark.parametrize("number", range(2))
def test_the_examples_for_the_shell_work(real: RealGateway, number: int) -> None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"this machine has no {missing[0]}")
    said = run(real, "bash", "-euo", "pipefail", "-c", blocks("sh")[number])
    assert (real.ca if number == 1 else '"state":"open"') in said


def test_the_examples_in_python_work_one_after_the_other(real: RealGateway, tmp_path: Path) -> None:
    program = tmp_path / "guide.py"
    program.write_text("\n".join(blocks("python")), encoding="utf-8")
    said = run(real, sys.executable, "-W", "error", str(program))
    lines = (rf"{real.ada.who.subject} \[", r"entry \d+", r"proven: entry \d+", r"404 not-found - .+")
    given = (r"sealed: m/model-\w+/\w+ \d+ bytes", r"sealed: o/\w+/0 \d+ bytes", r"objects in all: \d+", r"put: 200")
    for line in (*lines, *given):
        assert re.search(f"^{line}", said, re.MULTILINE), (line, said)

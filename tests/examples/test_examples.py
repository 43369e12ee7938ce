"""Every example runs, as a program of its own, against one trial and a real model; and fits a screen."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.command import COMMAND
from tests.client.sealed import real_model
from tests.client_keep.trials import Trial, running_trial

HOUSE = Path(__file__).parents[2]
EXAMPLES = sorted((HOUSE / "examples").glob("*.py"))
SENTENCE = "the keep holds the key"
MOST_LINES = 40


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with running_trial(tmp_path_factory.mktemp("trial")) as trial:
        trial.model("acme/minilm")
        trial.room().seal(real_model(), "acme/minilm")
        yield trial


def run(trial: Trial, example: str, *arguments: str, path: str = "") -> str:
    """Run an example as its reader would; return what it says."""
    done = subprocess.run(
        [sys.executable, HOUSE / "examples" / example, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=trial.environment | {"PYTHONWARNINGS": "default", "PYTHONPATH": path},  # theirs are not ours to mend
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_one_of_those_below_and_fits_a_screen() -> None:
    here = Path(__file__).read_text()
    readme = (HOUSE / "examples" / "README.md").read_text()
    assert len(EXAMPLES) == 6
    for example in EXAMPLES:
        assert example.name in readme
        assert example.name in here or f"examples.{example.stem}" in here
        assert len(example.read_text().splitlines()) <= MOST_LINES, example.name
        assert "strongroom.connect()" in example.read_text() or "strongroom exec" in example.read_text()


def test_numpy(trial: Trial) -> None:
    said = run(trial, "numpy_arrays.py", "acme/minilm@1")
    assert "one row of [30522, 384] F32" in said
    assert "tensors" in said


def test_safetensors(trial: Trial) -> None:
    assert run(trial, "safetensors_files.py").endswith("tensors, the same both ways: True\n")


@pytest.mark.torch
def test_pytorch(trial: Trial) -> None:
    pytest.importorskip("torch")
    assert "pooled: (1, 384)" in run(trial, "pytorch.py")


@pytest.mark.torch
def test_transformers_gives_the_embedding_that_numpy_gives(trial: Trial) -> None:
    pytest.importorskip("transformers")
    said = run(trial, "transformers_pretrained.py", "acme/minilm@1", SENTENCE)
    shown = [float(value) for value in said.split()[2:6]]
    np.testing.assert_allclose(shown, expected()[:4], atol=1e-3)


def test_a_server_serves_what_exec_gives_it_and_stops_when_it_is_told(trial: Trial) -> None:
    serving = ["exec", "acme/minilm@1", "--", sys.executable, "-m", "examples.server", "--port", "0", "--model", "{}"]
    trial.room().request("acme/minilm@1", "to serve it")
    with subprocess.Popen(
        [*COMMAND, *serving], stdout=subprocess.PIPE, text=True, env=trial.environment, cwd=HOUSE
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().rpartition(" ")[2].strip()
            connection = HTTPConnection("127.0.0.1", int(port), timeout=60)
            connection.request("POST", "/v1/embeddings", json.dumps({"input": SENTENCE}))
            told: Any = json.loads(connection.getresponse().read())
            connection.close()
            np.testing.assert_allclose(told["data"][0]["embedding"], expected(), atol=1e-5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM
        finally:
            process.kill()


@pytest.mark.parametrize("library", ["numpy", pytest.param("torch", marks=pytest.mark.torch)])
def test_training_leaves_its_last_snapshots(trial: Trial, library: str, tmp_path: Path) -> None:
    if library == "torch" and find_spec("torch") is None:
        pytest.skip("no torch")
    model = f"acme/line-{library}"
    trial.model(model)
    if library == "numpy":
        (tmp_path / "torch.py").write_text("raise ImportError('as where there is none')\n")
    said = run(trial, "train.py", model, path=str(tmp_path))
    assert [line.split()[1] for line in said.splitlines()] == ["200", "300"]
    room = trial.room()
    with room.open_version(f"{model}@3", purpose="to see") as opened:
        assert opened.metadata() == {"step": "300"}
        weights = opened.load_all()
    np.testing.assert_allclose([weights["weight"].item(), weights["bias"].item()], [3, 1], atol=0.1)


def expected() -> Any:
    """Return the embedding of the sentence by the unsealed model."""
    from safetensors.numpy import load_file

    model = real_model()
    texts = ((model / name).read_text() for name in ("config.json", "tokenizer.json"))
    embed = runpy.run_path(str(HOUSE / "demo" / "bert.py"))["embed"]
    return embed(SENTENCE, load_file(model / "model.safetensors"), *texts)

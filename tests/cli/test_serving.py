"""`strongroom keep serve`: what the keep is started with, when it is started again, and when it never is; a trial."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from strongroom.terms.errors import BadRequest, NotAllowed, Refused, Tampered, Unavailable
from tests.attacks.versions import MODEL, read_tree, write_model
from tests.cli.command import COMMAND
from tests.cli.keeping import House, Keep, Serving


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    (tmp_path / "keep").mkdir(mode=0o700)
    return Keep(tmp_path / "keep")


def test_the_keep_gets_nothing_of_the_environment_of_whoever_starts_it(keep: Keep) -> None:
    planted, marker = keep.folder / "planted", keep.folder / "marker"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(
        f"import sys\nif 'strongroom.keep' in sys.orig_argv:\n    open({str(marker)!r}, 'w').close()\n"
    )
    with keep.running():
        assert not marker.exists()
    # The plant is one that works.
    without = subprocess.run(
        [COMMAND[0], "-m", "strongroom.keep", "--help"],
        env=os.environ | {"PYTHONPATH": str(planted)},
        capture_output=True,
        check=True,
    )
    assert b"strongroom-keep" in without.stdout
    assert marker.exists()


def test_a_keep_that_dies_is_started_again_sealed_and_never_after_tampering(keep: Keep) -> None:
    house = House(folder=keep.folder.parent, keep=keep)
    with keep.running("--restart") as serving:
        house.found()
        first = serving.words
        os.kill(serving.keep_process(), signal.SIGKILL)
        serving.wait()
        assert "the keep died (signal 9)" in serving.said
        assert serving.words != first
        assert house.json("Ada", "deployment", "status")["state"] == "sealed"

        water = keep.folder / "high" / "water"
        water.write_bytes(water.read_bytes()[::-1])
        os.kill(serving.keep_process(), signal.SIGKILL)
        assert serving.process.wait(20) == Tampered.exit_code
        assert serving.process.stderr is not None
        assert "it stays stopped until people have looked" in serving.process.stderr.read().decode()


def test_a_keep_that_is_told_to_stop_stays_stopped(keep: Keep) -> None:
    with keep.running("--restart") as serving:
        child = serving.keep_process()
        assert child != serving.process.pid
        serving.process.terminate()
        assert serving.process.wait(20) == 0
        assert not Path(f"/proc/{child}").exists()


def test_a_file_of_settings_says_all_that_the_keep_takes(keep: Keep, tmp_path: Path) -> None:
    config = keep.folder / "strongroom.toml"
    config.write_text('[keep]\nfolder = "data/journal"\nhigh_water = "high/water"\nsocket = "run/socket"\n')
    house = House(folder=tmp_path, keep=keep)
    with subprocess.Popen([*COMMAND, "keep", "serve", "--config", str(config)], stderr=subprocess.PIPE) as process:
        Serving(process).wait()
        assert house.json("nobody", "deployment", "status", "--socket", keep.socket)["state"] == "unfounded"
        process.terminate()
    assert house.run("nobody", "keep", "serve", "--config", config, "--trial").code == 2
    assert house.run("nobody", "keep", "serve", "--folder", tmp_path / "journal").code == 2
    config.write_text("[deployment]\n")
    assert house.run("nobody", "keep", "serve", "--config", config).code == BadRequest.exit_code


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    keep = Keep(tmp_path / "file" / "below")
    outcome = House(folder=tmp_path, keep=keep).run("nobody", *keep.serve)
    assert outcome.code == Unavailable.exit_code
    assert "cannot be made" in outcome.err


def test_one_person_founds_a_trial_and_does_everything_alone(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir(mode=0o700)
    keep = Keep(tmp_path / "keep", trial=True)
    house = House(folder=tmp_path, keep=keep)
    card, draft, signature = (tmp_path / name for name in ("fay.card", "genesis.draft", "fay.sig"))
    store = (tmp_path / "store").as_uri()
    with keep.running():
        house.done("Fay", "deployment", "card", "--name", "Fay", "--trial", "--key", "software", "-o", card)
        made = house.json("Fay", "deployment", "draft", card, "--trial", "--socket", keep.socket, "-o", draft)
        house.done("Fay", "deployment", "sign", draft, "--yes", made["words"], "-o", signature)
        house.deployment = house.done(
            "Fay", "deployment", "found", draft, signature, "--socket", keep.socket
        ).out.strip()
        house.done("Fay", "connect", house.place)
        house.login("Fay")
        enrolled = house.done("Fay", "propose", "model.enrol", "--name", "acme/atlas", "--label", 2, "--purpose", "try")
        assert "that was enough: model.enrolled" in enrolled.err
        house.refused("Fay", NotAllowed, "propose", "model.enrol", "--name", "a/b", "--label", 3, "--purpose", "try")
        house.done("Fay", "seal", write_model(tmp_path / "model"), "--as", "acme/atlas", "--store", store)
        house.done("Fay", "request", "acme/atlas@1", "--for", "1h", "--purpose", "try")
        house.done("Fay", "open", "acme/atlas@1", "--store", store, "--to", tmp_path / "opened")
        assert read_tree(tmp_path / "opened") == dict(sorted(MODEL.items()))
        unsafe = house.run("Fay", "doctor")
        assert unsafe.code == Refused.exit_code
        for shouted in ("A SOFTWARE SECURITY KEY", "SOFTWARE SECURITY KEYS: 1 person", "this is a trial"):
            assert f"UNSAFE: {shouted}" in unsafe.out
    with keep.running():
        assert house.json("Fay", "deployment", "status")["state"] == "open"

"""Completion: what a shell is told while somebody types, without keep, network or anything that takes long to load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.cli.known import FILE, MOST
from strongroom.client.profile import DEFAULT_HOME, HOME, profile_folder
from tests.attacks.versions import write_model
from tests.cli.command import COMMAND, run_inside
from tests.cli.keeping import House

SLOW = ("cedarpy", "cbor2", "obstore", "numpy", "webauthn", "strongroom.client.session", "strongroom.acts.table")


def complete(line: str, home: Path, shell: str = "bash", *, loads: str = "") -> list[str]:
    """Return what a shell is told for `line`; assert that none of `loads` was loaded for it."""
    words = line.split(" ")
    environment = os.environ | {"STRONGROOM_HOME": str(home), "_STRONGROOM_COMPLETE": f"{shell}_complete"}
    environment |= {"COMP_WORDS": line, "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1)}
    program = "import sys\nfrom strongroom.cli import main\ntry:\n    main()\nfinally:\n    "
    program += f"assert not set({loads.split()!r}) & set(sys.modules), set(sys.modules)"
    command = [sys.executable, "-c", program]
    made = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (made.returncode, made.stderr) == (0, ""), made
    return [line for line in made.stdout.splitlines() if line]


@pytest.fixture(scope="module")
def home(house: House) -> Path:
    """Dan's profile, in which names are remembered, and a version, an alias and a proposal are known."""
    model = write_model(house.folder / "model", {"weights.bin": b"weights"})
    store = (house.folder / "store").as_uri()
    house.json("job", "seal", model, "--as", "acme/atlas", "--store", store)
    script = house.done("Dan", "completion", "bash").out
    assert "complete -o nosort -F" in script
    house.json("Dan", "request", "acme/atlas@1", "--for", "1h", "--purpose", "to look")
    house.done("Dan", "show")
    return house.home("Dan")


def test_commands_options_and_acts_are_completed_without_a_profile(tmp_path: Path) -> None:
    nowhere = tmp_path / "none"
    assert "plain,follow" in complete("strongroom log ", nowhere)
    assert complete("strongroom propose gra", nowhere) == ["plain,grant.give"]
    assert "plain,--for" in complete("strongroom request x --", nowhere)
    assert complete("strongroom show acme/at", nowhere) == []
    assert not nowhere.exists()


def test_known_names_are_completed_while_no_keep_can_be_asked(home: Path) -> None:
    assert complete("strongroom show acme/at", home) == ["plain,acme/atlas", "plain,acme/atlas@1"]
    assert complete("strongroom request acme/atlas@", home) == ["plain,acme/atlas@1"]
    assert complete("strongroom open acme/atlas@", home) == ["plain,acme/atlas@1"]
    assert complete("strongroom seal model --as ac", home) == ["plain,acme/atlas"]
    assert complete("strongroom freeze ac", home) == ["plain,acme/atlas"]
    assert complete("strongroom propose role.give --subject D", home) == ["plain,Dan"]
    (proposal,) = complete("strongroom approve ", home)
    assert proposal.startswith("plain,statement-")


def test_completing_loads_nothing_that_takes_long(home: Path) -> None:
    assert complete("strongroom show acme/atlas@", home, loads=" ".join(SLOW)) == ["plain,acme/atlas@1"]


def test_no_store_is_opened_and_no_identity_read_to_complete(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_STORE", "s3://nowhere/at-all")
    monkeypatch.setenv("STRONGROOM_IDENTITY", "/nowhere/identity")
    assert complete("strongroom scrub --man", home, loads="obstore") == ["plain,--manifest"]
    assert complete("strongroom inspect acme/atlas@1 --ide", home) == ["plain,--identity"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_the_same(home: Path, shell: str) -> None:
    told = "\n".join(complete("strongroom show acme/atl", home, shell))
    assert "acme/atlas@1" in told
    script = run_inside("--home", home, "completion", shell)
    assert script.code == 0
    assert "_STRONGROOM_COMPLETE" in script.out


def test_bash_completes_a_name_with_its_at_sign(home: Path, tmp_path: Path) -> None:
    """Bash breaks words at `@`: what it puts in must be what comes after it, or the name would be doubled."""
    program = tmp_path / "strongroom"
    command = " ".join(f"'{part}'" for part in COMMAND)
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(run_inside("--home", home, "completion", "bash").out)

    def replies(line: str) -> list[str]:
        ask = f'source {script}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; _strongroom_completion strongroom'
        tell = "; printf '%s\\n' \"${COMPREPLY[@]}\""
        environment = os.environ | {"STRONGROOM_HOME": str(home), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = ["bash", "--norc", "-c", ask + tell]
        made = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
        return made.stdout.split()

    assert replies("strongroom show acme/atlas@") == ["1"]
    assert replies("strongroom show acme/atl") == ["acme/atlas", "acme/atlas@1"]
    assert replies("strongroom lo") == ["log", "login", "logout"]


def test_nothing_is_remembered_unless_completion_was_asked_for(house: House) -> None:
    house.done("Ada", "show")
    assert not (house.home("Ada") / FILE).exists()


def test_what_is_remembered_is_for_its_owner_alone(home: Path) -> None:
    path = home / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    try:
        assert complete("strongroom show acme/at", home) == []
    finally:
        path.chmod(0o600)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"person-1": 7}', b"\xff", b"[" * 100_000])
def test_a_broken_file_completes_nothing_and_breaks_nothing(house: House, home: Path, data: bytes) -> None:
    path = home / FILE
    good = path.read_bytes()
    path.write_bytes(data)
    try:
        assert complete("strongroom show acme/at", home) == []
        house.done("Dan", "show")
        assert complete("strongroom show acme/atlas@", home) == ["plain,acme/atlas@1"]
    finally:
        path.write_bytes(good)


def test_a_name_that_would_be_more_than_a_word_to_the_shell_is_not_offered(home: Path) -> None:
    path = home / FILE
    good = path.read_bytes()
    evil = {
        "model-1": "acme/$(reboot) x",
        "model-2": "acme/a\nplain,b",
        "model-3": "acme/\x1b[2J",
        "model-4": "acme/ok",
    }
    path.write_text(json.dumps(evil))
    try:
        assert [one for one in complete("strongroom freeze acme/", home) if one] == ["plain,acme/ok"]
    finally:
        path.write_bytes(good)


def test_what_is_gone_is_forgotten_and_what_is_too_much_is_left_out(house: House, home: Path) -> None:
    path = home / FILE
    good = path.read_bytes()
    path.write_text(json.dumps(json.loads(good) | {f"model-{number:032x}": f"gone/{number}" for number in range(MOST)}))
    house.done("Dan", "show")
    assert "gone/" not in path.read_text()
    assert json.loads(path.read_bytes()).keys() <= json.loads(good).keys()


def test_the_profile_is_found_where_every_command_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion looks for it by itself: what finds it otherwise takes long to load."""
    from strongroom.cli.known import home_folder

    for home in (None, tmp_path):
        for value in (None, "", str(tmp_path / "other")):
            monkeypatch.delenv(HOME, raising=False)
            if value is not None:
                monkeypatch.setenv(HOME, value)
            assert home_folder(home) == profile_folder(home)
    assert DEFAULT_HOME == "~/.strongroom"

"""What commands print: JSON with stable keys, help for every one, and progress only where somebody looks."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from strongroom.acts.table import ACTS
from strongroom.cli import cli
from tests.attacks.versions import ATLAS_1, MODEL, write_model
from tests.cli.command import Outcome, done, run, run_inside

ROOT = Path(__file__).parents[2]


def commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


COMMANDS = list(commands())
KNOWN = """
keygen, seal, open, exec, ls, inspect, scrub, store, store sweep, keep, keep serve, share, share fetch, unseal
deployment, deployment card, deployment draft, deployment sign, deployment found, deployment status
up, relay, connect, device, device enrol, alias, alias set, alias list, copies, watch, completion
login, logout, session, session end, whoami, request, propose, show, inbox, approve, reject, withdraw
freeze, thaw, attest, doctor
grant, grant revoke, label, label raise, credential, credential report, attester, attester revoke
log, log list, log show, log follow, log verify, log prove, log export
policy, policy check, policy explain, policy show
"""


def test_every_command_is_known_to_these_tests() -> None:
    known = {name.strip() for line in KNOWN.strip().splitlines() for name in line.split(",")}
    proposals = {f"propose {act.name}" for act in ACTS if act.is_proposed}
    assert len(proposals) == 19
    assert {" ".join(path) for path in COMMANDS} == {"", *known, *proposals}


@pytest.mark.parametrize("room", sorted(one.name for one in (ROOT / "src/strongroom").iterdir() if one.is_dir()))
def test_every_command_that_a_hint_names_is_there(room: str) -> None:
    for file in (ROOT / "src/strongroom" / room).rglob("*.py"):
        for words in re.findall(r"`strongroom ((?:[a-z][a-z.]*[ `])+)", file.read_text(encoding="utf-8")):
            command: click.Command | None = cli
            for word in words.replace("`", " ").split():
                if isinstance(command, click.Group):
                    command = command.get_command(click.Context(command), word)
                    assert command is not None, (file, words)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    outcome = run_inside(*path, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: {' '.join(('strongroom', *path))}")
    assert outcome.err == ""
    assert run_inside(*path, "-h").out == outcome.out


def test_a_terminal_of_another_encoding_is_no_trouble() -> None:
    assert "PATH\\u2026" in done("seal", "--help", environment={"PYTHONIOENCODING": "latin-1"}).out


def inside(*arguments: object) -> Outcome:
    outcome = run_inside(*arguments)
    assert outcome.code == 0, outcome
    return outcome


def test_json_of_every_command_has_stable_keys(tmp_path: Path) -> None:
    key, store = tmp_path / "identity.key", (tmp_path / "store").as_uri()
    model = write_model(tmp_path / "model")
    made = inside("keygen", "-o", key, "--json").json()
    assert set(made) == {"identity", "public_key", "digest"}
    sealing = ("seal", model, "--as", ATLAS_1, "--to", made["public_key"], "--store", store, "--sha256")
    sealed = inside(*sealing, "--json").json()
    assert set(sealed) == {"name", "manifest", "seal_id", "files", "size_bytes", "left_out"}
    assert (sealed["name"], sealed["files"], sealed["left_out"]) == (str(ATLAS_1), len(MODEL), [])

    (listed,) = inside("ls", "--store", store, "--json").json()["versions"]
    assert set(listed) == {*("name", "objects", "size_bytes", "modified_at", "recipient", "manifest", "problem")}
    assert (listed["name"], listed["manifest"]) == (str(ATLAS_1), sealed["manifest"])

    public = inside("inspect", ATLAS_1, "--store", store, "--json").json()
    keys = {"version", "manifest", "seal_id", "deployment", "recipient", "sealed_size", "objects"}
    assert set(public) == keys
    assert set(public["objects"][0]) == {"name", "size_bytes"}
    known = inside("inspect", ATLAS_1, "--store", store, "--identity", key, "--json").json()
    assert set(known) == keys | {"files"}
    assert {file["path"]: file["size_bytes"] for file in known["files"]} == {
        path: len(content) for path, content in MODEL.items()
    }
    assert set(known["files"][0]) == {"path", "size_bytes", "sha256"}

    scrubbed = inside("scrub", "--store", store, "--json").json()
    assert set(scrubbed) == {"versions", "objects", "size_bytes", "damage", "stray"}
    opening = ("open", ATLAS_1, "--store", store, "--identity", key)
    result = inside(*opening, "--to", tmp_path / "opened", "--json").json()
    assert set(result) == {"name", "manifest", "writer_verified", "files"}
    assert result["files"] == [str(tmp_path / "opened" / path) for path in sorted(MODEL)]
    assert inside("store", "sweep", "--store", store, "--json").json() == {"leftovers": []}


def test_plain_output_is_what_the_next_command_takes(tmp_path: Path) -> None:
    """The digest of `seal`, the public key of `keygen` and the place of `open` stand alone on standard output."""
    key, public, store = tmp_path / "identity.key", tmp_path / "identity.pub", tmp_path / "store"
    model = write_model(tmp_path / "model")
    environment = {"STRONGROOM_STORE": store.as_uri(), "STRONGROOM_IDENTITY": str(key)}
    public.write_text(done("keygen", "-o", key).out)
    sealed = done("seal", model, "--as", ATLAS_1, "--to", public, environment=environment)
    digest = sealed.out.strip()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    shown = done("ls", environment=environment).out
    assert str(ATLAS_1) in shown
    assert digest in shown
    assert digest in done("inspect", ATLAS_1, environment=environment | {"STRONGROOM_IDENTITY": ""}).out
    inspected = done("inspect", ATLAS_1, environment=environment)
    assert "weights.bin" in inspected.out
    place = done("open", ATLAS_1, "--manifest", digest, "--to", tmp_path / "a", environment=environment)
    assert place.out == f"{tmp_path / 'a'}\n"
    one = done("open", ATLAS_1, "--to", tmp_path / "b", "--file", "weights.bin", environment=environment)
    assert one.out == f"{tmp_path / 'b' / 'weights.bin'}\n"
    assert "writer not verified" in one.err
    assert digest in one.err
    assert "all as it was sealed" in done("scrub", ATLAS_1, "--manifest", digest, environment=environment).out


def test_names_that_no_terminal_can_show_are_no_trouble(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    key = tmp_path / "identity.key"
    public = done("keygen", "-o", key).out.strip()
    store = (tmp_path / "store").as_uri()
    done("seal", model, "--as", ATLAS_1, "--to", public, "--store", store)
    to = tmp_path / os.fsdecode(b"opened-\xff\xc3\xa9")
    for arguments in (("--json",), ()):
        outcome = run("open", ATLAS_1, "--identity", key, "--store", store, "--to", f"{to}{len(arguments)}", *arguments)
        assert outcome.code == 0, outcome
        assert "opened-" in outcome.out


def on_a_terminal(*command: str) -> bytes:
    """Run a command whose standard error is a terminal; return what that shows."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal)
        os.close(terminal)
        shown = b""
        while True:
            try:
                if not (data := os.read(controller, 65536)):
                    break
            except OSError:
                break  # how Linux says that nobody has the other end any more
            shown += data
        assert process.wait(60) == 0
        return shown
    finally:
        os.close(controller)


BAR = """
import sys, time
from strongroom.cli.output import bar
with bar("sealing") as progress:
    progress.start(100)
    for _ in range(3):
        time.sleep(float(sys.argv[1]))
        progress.advance(30)
"""


def test_progress_is_shown_on_a_terminal_and_only_after_a_second() -> None:
    slow = on_a_terminal(sys.executable, "-c", BAR, "0.4")
    assert b"sealing" in slow
    assert b"%" in slow
    quick = on_a_terminal(sys.executable, "-c", BAR, "0.01")
    assert quick == b""
    piped = subprocess.run([sys.executable, "-c", BAR, "0.4"], capture_output=True, check=True)
    assert piped.stdout + piped.stderr == b""


def test_a_session_on_a_store_of_each_kind(store_url: str, tmp_path: Path) -> None:
    key = tmp_path / "identity.key"
    public = done("keygen", "-o", key).out.strip()
    model = write_model(tmp_path / "model")
    digest = done("seal", model, "--as", ATLAS_1, "--to", public, "--store", store_url).out.strip()
    opening = ("open", ATLAS_1, "--identity", key, "--store", store_url, "--manifest", digest)
    done(*opening, "--to", tmp_path / "opened")
    assert {path: (tmp_path / "opened" / path).read_bytes() for path in MODEL} == MODEL
    assert str(ATLAS_1) in done("ls", "--store", store_url).out
    done("scrub", "--store", store_url)
    done("store", "sweep", "--store", store_url)

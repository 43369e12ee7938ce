"""`strongroom exec`: a program with a private folder in memory, and what is left of it however anything ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.extract import extract_version
from strongroom.client.memory import IN_MEMORY, is_in_memory
from strongroom.client.requests import revoke_grant
from strongroom.client.room import Room
from strongroom.client.session import Session
from strongroom.client.version import SealedVersion, open_released
from strongroom.objects import open_store
from strongroom.sealing.keys import DataKey
from strongroom.terms.errors import NotAllowed, UnsafePlace
from tests.attacks.versions import MODEL, data_key, fetched, read_tree, seal_deployed, write_model
from tests.cli.command import COMMAND
from tests.client_keep.trials import Trial, running_trial

# Says what it was given, then waits for what it is told: perhaps while it says the first, hence without `print`.
PROGRAM = """
import os, pathlib, signal, sys, time
def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
def stop(number, frame):
    say("got", signal.Signals(number).name)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, stop)
folder = pathlib.Path(os.environ["STRONGROOM_MODEL"])
assert sys.argv[1:] == [f"--model={folder}"], sys.argv
say(os.getpid(), folder, sum(len(path.read_bytes()) for path in folder.rglob("*") if path.is_file()))
time.sleep(600)
"""
# As `strongroom exec`, but for where the files lie, and a clock that leaps when a file appears.
SCRIPT = """
import sys
from pathlib import Path
from strongroom.client.mark import boot_seconds
from strongroom.client.released import sealed_through_keep
from strongroom.client.room import connect
from strongroom.client.transfer.stores import store_to_read
from strongroom.client.running import run
home, mount, leap, label, keep, name, *command = sys.argv[1:]
def clock():
    return boot_seconds() + (4000 if Path(leap).exists() else 0)
def open_():
    room = connect(home)
    speaker = room.speaker()
    version = sealed_through_keep(speaker, name, store_to_read(speaker), again=room.speaker, monotonic=clock)
    version.label = int(label)
    return version
place = Path(home) / "opened"
place.mkdir(mode=0o700, exist_ok=True)
def tell(text):
    print("told:", text, flush=True)
sys.exit(run(command, open_, mount_point=place, mount=bool(mount), outlives_lease=bool(keep), tell=tell))
"""
SIZE = sum(map(len, MODEL.values()))
PYTHON_PROGRAM = (sys.executable, "-c", PROGRAM, "--model={}")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with running_trial(tmp_path_factory.mktemp("trial")) as trial:
        trial.model("acme/atlas")
        room = trial.room()
        room.seal(write_model(trial.folder / "model"), "acme/atlas")
        room.request("acme/atlas@1", "to serve it", hours=4)
        yield trial


@dataclass
class Running:
    """`exec`, and the program in it once that has said where it is."""

    process: subprocess.Popen[str]
    pid: int = 0
    folder: Path = Path()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ready(self) -> Running:
        """Wait until the program has read its files."""
        pid, folder, size = self.line().split()
        self.pid, self.folder = int(pid), Path(folder)
        assert int(size) == SIZE
        return self

    def is_running(self) -> bool:
        """Whether the program is, other than as what nobody has asked after."""
        try:
            return ") Z " not in Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False

    def ends(self, code: int) -> None:
        assert self.process.wait(60) == code
        wait_for(lambda: not self.is_running())


@contextmanager
def started(trial: Trial, *command: object) -> Iterator[Running]:
    with subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=trial.environment
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def by_command(trial: Trial, *command: object, name: str = "acme/atlas@1") -> Any:
    return started(trial, *COMMAND, "exec", name, "--", *command)


def by_script(
    trial: Trial,
    *command: object,
    mount: bool = False,
    leap: Path = Path("/nowhere"),
    label: int = 1,
    keep: bool = False,
    name: str = "acme/atlas@1",
) -> Any:
    how = ("1" if mount else "", leap, label, "1" if keep else "", name)
    return started(trial, sys.executable, "-c", SCRIPT, trial.home, *how, *command)


def wait_for(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def nothing_is_left(trial: Trial, running: Running) -> bool:
    """Whether the profile and the machine's memory hold nothing that this `exec` put there."""
    opened = trial.home / "opened"
    return not (opened.exists() and list(opened.iterdir())) and not in_memory(running)


def in_memory(running: Running) -> list[Path]:
    return list(IN_MEMORY.glob(f"strongroom-{running.process.pid}-*"))


WAYS = [by_command, by_script]


@pytest.mark.parametrize("way", WAYS)
def test_a_program_has_the_files_its_exit_code_is_ours_and_nothing_is_left(
    trial: Trial, way: Callable[..., Any]
) -> None:
    with way(trial, *PYTHON_PROGRAM) as running:
        running.ready()
        folder = Path(f"/proc/{running.pid}/root") / str(running.folder).lstrip("/")
        assert is_in_memory(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        running.process.send_signal(signal.SIGTERM)
        assert running.line() == "got SIGTERM"
        running.ends(3)
    assert nothing_is_left(trial, running)


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this user may not mount anything")
def test_where_it_may_be_mounted_nobody_else_finds_the_files_under_any_path(trial: Trial) -> None:
    with by_command(trial, *PYTHON_PROGRAM) as running:
        running.ready()
        assert running.folder.parent == trial.home / "opened"
        assert list(running.folder.parent.iterdir()) == []
        assert in_memory(running) == []
        assert read_tree(Path(f"/proc/{running.pid}/root{running.folder}")) == MODEL


@pytest.mark.parametrize("way", WAYS)
def test_when_it_is_killed_the_program_and_the_files_are_gone_with_it(trial: Trial, way: Callable[..., Any]) -> None:
    with way(trial, *PYTHON_PROGRAM) as running:
        running.ready().process.kill()
        running.ends(-signal.SIGKILL)
    wait_for(lambda: nothing_is_left(trial, running))


def test_a_program_that_is_killed_is_told_of_as_a_shell_does(trial: Trial) -> None:
    with by_command(trial, *PYTHON_PROGRAM) as running:
        os.kill(running.ready().pid, signal.SIGKILL)
        running.ends(128 + signal.SIGKILL)


def test_other_signals_are_handed_on_too(trial: Trial) -> None:
    with by_command(trial, *PYTHON_PROGRAM) as running:
        running.ready().process.send_signal(signal.SIGUSR1)
        assert running.line() == "got SIGUSR1"
        running.ends(3)


def test_a_program_that_is_not_there_is_named(trial: Trial) -> None:
    with by_command(trial, "no-such-program", "{}") as running:
        out, err = running.process.communicate(timeout=60)
        assert (out, running.process.returncode) == ("", 127)
        assert "`no-such-program` cannot be run: No such file or directory" in err
    assert nothing_is_left(trial, running)


def test_what_may_not_be_opened_runs_nothing(trial: Trial) -> None:
    trial.room().seal(write_model(trial.folder / "other"), "acme/atlas")
    with by_command(trial, *PYTHON_PROGRAM, name="acme/atlas@2") as running:
        out, err = running.process.communicate(timeout=60)
        assert (out, running.process.returncode) == ("", NotAllowed.exit_code), err
    assert nothing_is_left(trial, running)


# --- the lease -------------------------------------------------------------------------------------


def leased(trial: Trial, model: str) -> tuple[Room, str]:
    """Return a version that has one grant, and that grant's end in one's hand."""
    trial.model(model)
    room = trial.room()
    made = room.seal(write_model(trial.folder / "model"), model)
    room.request(made.name, "to serve it", hours=4)
    return room, made.name


def revoke(room: Room, name: str) -> None:
    session = room.speaker()
    assert isinstance(session, Session)
    session.deployment.sync()
    session.learn(session.directory.models)
    version = session.deployment.names.version(session.directory, name).version
    for grant in [one for one in session.directory.grants.values() if one.version == version]:
        revoke_grant(session, grant.grant, "enough")


def test_while_the_grant_lives_a_program_outlives_a_lease(trial: Trial, tmp_path: Path) -> None:
    room, name = leased(trial, "acme/long")
    with by_script(trial, *PYTHON_PROGRAM, leap=tmp_path / "leap", name=name) as running:
        running.ready()
        before = len(room.copies(name))
        (tmp_path / "leap").touch()
        wait_for(lambda: len(room.copies(name)) > before)
        assert running.is_running()
        running.process.send_signal(signal.SIGTERM)
        assert running.line() == "got SIGTERM"


def test_a_program_ends_with_its_lease_and_is_told_why(trial: Trial, tmp_path: Path) -> None:
    room, name = leased(trial, "acme/short")
    with by_script(trial, *PYTHON_PROGRAM, leap=tmp_path / "leap", name=name) as running:
        running.ready()
        revoke(room, name)
        assert running.is_running()
        (tmp_path / "leap").touch()
        assert {running.line().partition(" the lease ")[0], running.line()} == {"told:", "got SIGTERM"}
        running.ends(3)


def test_a_program_may_be_left_alone_below_label_3_and_never_above(trial: Trial, tmp_path: Path) -> None:
    room, name = leased(trial, "acme/kept")
    with by_script(trial, *PYTHON_PROGRAM, keep=True, label=3, name=name) as running:
        out, err = running.process.communicate(timeout=60)
        assert (out, running.process.returncode != 0) == ("", True)
        assert "has label 3" in err
    with by_script(trial, *PYTHON_PROGRAM, keep=True, leap=tmp_path / "leap", name=name) as running:
        running.ready()
        revoke(room, name)
        (tmp_path / "leap").touch()
        assert running.line().startswith("told: the lease ")
        assert running.is_running()


# --- onto disk -------------------------------------------------------------------------------------


def labelled(folder: Path, label: int) -> SealedVersion:
    store = open_store((folder / "store").as_uri())
    sealed = seal_deployed(store)
    return open_released(store, fetched(store, sealed), DataKey(data_key(sealed)), label=label)


def test_from_label_3_on_nothing_is_opened_onto_a_disk(tmp_path: Path) -> None:
    if is_in_memory(tmp_path):
        pytest.skip("here, everything is in memory")
    extract_version(labelled(tmp_path / "2", 2), tmp_path / "opened")
    version = labelled(tmp_path / "3", 3)
    for to, path in ((tmp_path / "new" / "deep", None), (tmp_path / "opened", "config.json"), (tmp_path / "one", None)):
        with pytest.raises(UnsafePlace, match=r"has label 3, and `.*` is on a disk"):
            extract_version(version, to, path=path)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "one").exists()


def test_from_label_3_on_a_folder_in_memory_will_do(tmp_path: Path) -> None:
    to = IN_MEMORY / f"strongroom-test-{os.getpid()}"
    try:
        extract_version(labelled(tmp_path, 3), to)
        assert read_tree(to) == MODEL
    finally:
        subprocess.run(["rm", "-rf", str(to)], check=True)

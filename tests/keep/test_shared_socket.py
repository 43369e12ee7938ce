"""A gateway with a user of its own: it reaches the keep's socket, alone of all others, and nothing else there."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.keep.server import Server
from strongroom.terms.errors import BadRequest, UnsafePlace
from tests.keep.raw import Client, Clock, Served, echo

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs other users to be")
GATEWAY, STRANGER, GROUP = 65534, 65533, 65532
BOTH = frozenset({os.geteuid(), GATEWAY})


@contextmanager
def being(uid: int, gid: int = GROUP) -> Iterator[None]:
    """Be another user for a while."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that everybody can find; the group may pass through it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        folder.mkdir()
        os.chown(folder, -1, GROUP if os.geteuid() == 0 else os.getegid())
        folder.chmod(0o710)
        Path(place).chmod(0o711)
        yield folder


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    """Give a keep's socket that the gateway may use."""
    path = folder / "keep.sock"
    served = Served(path, Server(path, echo, clock=time.monotonic, allowed_uids=BOTH), Clock())
    yield served
    served.server.close()


@contextmanager
def running(served: Served) -> Iterator[None]:
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        yield
    finally:
        served.stop(thread)
        assert not served.errors


def connected(served: Served, uid: int, gid: int = GROUP) -> Client:
    with being(uid, gid):
        return Client(served.path)


@needs_root
def test_the_gateway_and_the_keep_s_own_user_are_answered(served: Served) -> None:
    clients = [connected(served, GATEWAY), Client(served.path)]
    with running(served):
        assert [client.ask("a") for client in clients] == ["a", "a"]
        for client in clients:
            client.close()


@needs_root
def test_another_user_of_the_same_group_is_closed_at_once(served: Served) -> None:
    stranger = connected(served, STRANGER)
    with running(served):
        assert stranger.is_closed()
    stranger.close()


@needs_root
@pytest.mark.parametrize("uid", [GATEWAY, STRANGER])
def test_whoever_is_not_in_the_group_does_not_get_there(served: Served, uid: int) -> None:
    """Not even by the name that is allowed."""
    with socket.socket(socket.AF_UNIX) as client, being(uid, gid=uid):
        assert client.connect_ex(str(served.path)) == errno.EACCES


@needs_root
def test_the_gateway_can_neither_look_around_nor_make_or_remove_or_lock_anything(served: Served) -> None:
    """A lock on the folder would keep a keep from starting; another socket in its place would be taken for it."""
    folder = served.path.parent
    (folder / "other").touch(mode=0o600)
    with being(GATEWAY):
        for harm in (
            lambda: os.listdir(folder),
            lambda: os.open(folder, os.O_RDONLY),
            (folder / "new").touch,
            (folder / "other").read_bytes,
            served.path.unlink,
            lambda: served.path.chmod(0o666),
            lambda: os.open(served.path, os.O_RDONLY),
        ):
            with pytest.raises(OSError, match=r"Permission denied|not permitted|No such device"):
                harm()
        # Of what may be opened without a right to it, nothing can be locked.
        passing = os.open(folder, os.O_PATH)
        try:
            with pytest.raises(OSError, match="Bad file descriptor"):
                fcntl.flock(passing, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(passing)


def test_the_socket_is_for_the_folder_s_group_to_write_to_and_no_more(served: Served) -> None:
    found, folder = served.path.stat(), served.path.parent.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o620, os.geteuid())
    assert found.st_gid == folder.st_gid


@pytest.mark.parametrize("mode", [0o711, 0o714, 0o720, 0o730, 0o740, 0o750, 0o755, 0o770, 0o701, 0o777])
def test_a_folder_that_gives_the_group_more_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(UnsafePlace, match="others have rights"):
        Server(folder / "keep.sock", echo, clock=time.monotonic, allowed_uids=BOTH)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("allowed", [None, frozenset({os.geteuid()})])
def test_without_another_user_nothing_is_open_to_the_group(folder: Path, allowed: frozenset[int] | None) -> None:
    with pytest.raises(UnsafePlace, match="others have rights"):
        Server(folder / "keep.sock", echo, clock=time.monotonic, allowed_uids=allowed)
    folder.chmod(0o700)
    server = Server(folder / "keep.sock", echo, clock=time.monotonic, allowed_uids=allowed)
    assert stat.S_IMODE((folder / "keep.sock").stat().st_mode) == 0o600
    server.close()


def test_a_folder_closed_to_the_group_will_do(folder: Path) -> None:
    folder.chmod(0o700)
    Server(folder / "keep.sock", echo, clock=time.monotonic, allowed_uids=BOTH).close()


@needs_root
def test_a_group_that_the_keep_is_not_in_is_refused(folder: Path) -> None:
    """It cannot give the socket to that group, and opens it to nobody else instead."""
    os.chown(folder, STRANGER, GROUP)
    os.setgroups([])
    try:
        with being(STRANGER, gid=STRANGER), pytest.raises(BadRequest, match="cannot be a socket"):
            Server(folder / "keep.sock", echo, clock=time.monotonic, allowed_uids=frozenset({GATEWAY}))
    finally:
        os.setgroups([0])
        os.chown(folder, 0, GROUP)


# --- the process ---------------------------------------------------------------------------------


def command(folder: Path, *more: str) -> list[str]:
    places = ["--folder", folder / "journal", "--high-water", folder / "high" / "water", "--socket", folder / "keep"]
    return [sys.executable, "-m", "strongroom.keep", *map(str, places), *more]


@needs_root
@pytest.mark.parametrize("user", [str(GATEWAY), "nobody"])
def test_the_keep_answers_the_user_that_it_was_told_of(folder: Path, user: str) -> None:
    (folder / "high").mkdir(mode=0o700)
    with subprocess.Popen(command(folder, "--allow-user", user), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert said.startswith("keep: listening on"), said + process.stderr.read()
            with being(GATEWAY):
                client = Client(folder / "keep")
            with being(STRANGER):
                stranger = Client(folder / "keep")
            answer = client.ask({"ask": "status"})
            assert isinstance(answer, dict)
            assert "ok" in answer
            assert stranger.is_closed()
            client.close()
            stranger.close()
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize("user", ["nobody-of-that-name", "", "-1", "１２"])
def test_a_user_that_there_is_not_is_refused_before_anything_is_made(folder: Path, user: str) -> None:
    done = subprocess.run(
        command(folder, f"--allow-user={user}"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert f"no user is called `{user}`" in done.stderr
    assert not list(folder.iterdir())

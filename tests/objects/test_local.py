"""What the store on local disk does beyond the port: durability, planted files, full disks, crashes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.objects import ObjectInfo, ObjectStore, open_store
from strongroom.objects.local import LocalStore
from strongroom.terms.errors import BadRequest, NotFound, ObjectTampered, StoreUnavailable
from strongroom.terms.outer_errors import BadStoreUrl, MarkLost, VersionExists


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> LocalStore:
    root.mkdir()
    return LocalStore(root)


def names(store: ObjectStore) -> list[str]:
    return [info.name for info in store.list("")]


def python(code: str, *args: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start a new interpreter that runs `code`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*prefix, sys.executable, "-c", code, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


# --- URLs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("file:///a", "/a"),
        ("file:///a/b/", "/a/b"),
        ("file:///a%20b/%C3%BC%25%3F%23", "/a b/ü%?#"),
        ("file:///a b", "/a b"),
    ],
)
def test_a_url_names_one_folder(url: str, root: str) -> None:
    store = LocalStore.from_url(url)
    assert store.root == Path(root)
    assert LocalStore.from_url(store.url) == store


def test_a_folder_whose_name_is_not_utf8_has_a_url() -> None:
    store = LocalStore.from_url("file:///a%FF")
    assert os.fsencode(store.root) == b"/a\xff"
    assert store.url == "file:///a%FF"


@pytest.mark.parametrize(
    "url",
    [
        "file:",
        "file://",
        "file:///",
        "file:////",
        "file:a",
        "file:/a",
        "file://host/a",
        "file://localhost/a",
        "file://./a",
        "file://a",
        "file:////a",
        "file:///a//b",
        "file:///a/../b",
        "file:///a/./b",
        "file:///a/..",
        "file:///a/%2e%2e/b",
        "file:///a%2Fb",
        "file:///a%2fb",
        "file:///a%00b",
        "file:///a%",
        "file:///a%zz",
        "file:///a?b",
        "file:///a#b",
        "file:///a\nb",
        "file:///a\0b",
    ],
)
def test_a_url_that_names_no_one_folder_is_refused(url: str) -> None:
    with pytest.raises(BadStoreUrl):
        LocalStore.from_url(url)
    with pytest.raises(BadStoreUrl):
        open_store(url)


# --- the folder itself -------------------------------------------------------------------------


def test_a_store_that_is_not_there_is_no_empty_store(root: Path) -> None:
    store = LocalStore(root)
    reads: list[Callable[[], object]] = [
        lambda: list(store.list("")),
        lambda: list(store.list_partial()),
        lambda: store.read("x", most_bytes=1),
        lambda: store.read_into("x", 0, memoryview(bytearray(1))),
        lambda: store.delete([ObjectInfo(name="x", size_bytes=1, modified_at=0.0)]),
    ]
    for attempt in reads:
        with pytest.raises(StoreUnavailable, match=re.escape(f"there is no store at {store.url}")):
            attempt()
    assert not root.exists()


def test_a_file_is_no_store(root: Path) -> None:
    root.write_text("x")
    store = LocalStore(root)
    with pytest.raises(StoreUnavailable, match="not a folder"):
        store.put("x", b"x")
    with pytest.raises(StoreUnavailable, match="not a folder"):
        list(store.list(""))


def test_the_first_write_makes_the_store_for_its_owner_alone(root: Path) -> None:
    before = os.umask(0)
    try:
        LocalStore(root / "deep" / "er").put("o/x", b"x")
    finally:
        os.umask(before)
    modes = {str(path.relative_to(root)): path.stat().st_mode & 0o777 for path in root.rglob("*")}
    assert modes == {"deep": 0o700, "deep/er": 0o700, "deep/er/o": 0o700, "deep/er/o/x": 0o600}
    assert root.stat().st_mode & 0o777 == 0o700


def test_a_store_may_be_reached_by_a_symlink(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)
    LocalStore(tmp_path / "link").put("o/x", b"x")
    assert names(store) == ["o/x"]


def test_free_room_is_that_of_the_disk_even_before_the_store_is_made(root: Path) -> None:
    free = LocalStore(root / "not" / "yet").free_bytes()
    there = os.statvfs(root.parent)
    assert free is not None
    assert abs(free - there.f_bavail * there.f_frsize) < 1 << 30
    assert not root.exists()


def test_emptied_folders_go_and_the_store_stays(store: LocalStore) -> None:
    store.put("o/a/b/c", b"x")
    store.put("o/a/d", b"x")
    store.delete([info for info in store.list("") if info.name == "o/a/b/c"])
    assert sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*")) == ["o", "o/a", "o/a/d"]
    store.delete(store.list(""))
    assert list(store.root.iterdir()) == []


# --- what somebody else put there --------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "x").write_bytes(b"secret")
    return folder


def test_a_planted_symlink_to_a_file_is_never_followed(store: LocalStore, outside: Path) -> None:
    store.put("o/y", b"y")
    (store.root / "o/x").symlink_to(outside / "x")
    with pytest.raises(ObjectTampered, match="is a symlink"):
        store.read("o/x", most_bytes=100)
    with pytest.raises(ObjectTampered, match="is a symlink"):
        store.read_into("o/x", 0, memoryview(bytearray(1)))
    with pytest.raises(VersionExists):
        store.put_new("o/x", b"new")
    assert names(store) == ["o/y"]
    store.put("o/x", b"new")  # takes the place of the link itself
    assert store.read("o/x", most_bytes=100) == b"new"
    assert (outside / "x").read_bytes() == b"secret"


def test_a_planted_symlink_is_removed_and_not_what_it_points_to(store: LocalStore, outside: Path) -> None:
    store.put("o/y", b"y")
    (store.root / "o/x").symlink_to(outside / "x")
    store.delete([ObjectInfo(name="o/x", size_bytes=1, modified_at=0.0)])
    assert sorted(os.listdir(store.root / "o")) == ["y"]
    assert (outside / "x").read_bytes() == b"secret"


def test_a_planted_symlink_to_a_folder_is_never_entered(store: LocalStore, outside: Path) -> None:
    store.put("y", b"y")
    (store.root / "o").symlink_to(outside)
    partial = f".{'0' * 32}.partial"
    (outside / partial).write_bytes(b"x")
    attempts: list[Callable[[], object]] = [
        lambda: store.read("o/x", most_bytes=100),
        lambda: store.read_into("o/x", 0, memoryview(bytearray(1))),
        lambda: store.put("o/x", b"new"),
        lambda: store.put_new("o/new", b"new"),
        lambda: store.create("o/new", size_bytes=1),
        lambda: store.delete([ObjectInfo(name="o/x", size_bytes=1, modified_at=0.0)]),
        lambda: store.delete([ObjectInfo(name=f"o/{partial}", size_bytes=1, modified_at=0.0, is_partial=True)]),
    ]
    for attempt in attempts:
        with pytest.raises(ObjectTampered, match="behind something that is no folder"):
            attempt()
    for listing in (store.list(""), store.list("o/"), store.list_partial()):
        with pytest.raises(ObjectTampered, match="symlink"):
            list(listing)
    assert sorted(os.listdir(outside)) == [partial, "x"]
    assert (outside / "x").read_bytes() == b"secret"


def test_a_planted_fifo_or_socket_or_device_holds_nobody_up(store: LocalStore) -> None:
    store.put("o/y", b"y")
    os.mkfifo(store.root / "o/x")
    with pytest.raises(ObjectTampered, match="is not a regular file"):
        store.read("o/x", most_bytes=100)
    assert names(store) == ["o/y"]


def test_what_has_no_name_of_ours_is_no_object(store: LocalStore) -> None:
    store.put("o/y", b"y")
    for planted in (".hidden", "sp ace", "ü", os.fsdecode(b"\xff"), "new\nline", ".x.partial"):
        (store.root / "o" / planted).write_bytes(b"x")
    (store.root / ".folder").mkdir()
    (store.root / ".folder" / "x").write_bytes(b"x")
    assert names(store) == ["o/y"]
    assert list(store.list_partial()) == []


@pytest.mark.parametrize(
    "name", ["../.{}.partial", "o/.x.partial", ".{}.partial/x", "o/../.{}.partial", "/.{}.partial", "o/x"]
)
def test_only_our_own_partial_files_are_removed_as_such(store: LocalStore, name: str) -> None:
    store.put("o/x", b"x")
    (store.root.parent / f".{'0' * 32}.partial").write_bytes(b"x")
    named = name.format("0" * 32)
    with pytest.raises(BadRequest):
        store.delete([ObjectInfo(name=named, size_bytes=1, modified_at=0.0, is_partial=True)])
    assert names(store) == ["o/x"]
    assert (store.root.parent / f".{'0' * 32}.partial").exists()


# --- crashes -----------------------------------------------------------------------------------

KILLED_WRITER = """
import os, sys
from strongroom.objects import open_store
writer = open_store(sys.argv[1]).create("o/seal/0", size_bytes=10)
writer.write_at(0, memoryview(b"1234"))
os._exit(9)
"""


def test_what_a_killed_writer_leaves_is_shown_apart_and_can_be_removed(store: LocalStore) -> None:
    store.put("o/other/0", b"x")
    with python(KILLED_WRITER, store.url) as killed:
        assert killed.wait() == 9
    assert names(store) == ["o/other/0"]
    [left] = store.list_partial()
    assert re.fullmatch(r"o/seal/\.[0-9a-f]{32}\.partial", left.name)
    assert (left.size_bytes, left.is_partial) == (4, True)
    assert abs(left.modified_at - time.time()) < 60
    with pytest.raises(BadRequest):
        store.read(left.name, most_bytes=10)
    store.delete([left])
    assert list(store.list_partial()) == []
    assert sorted(os.listdir(store.root / "o")) == ["other"]


def test_a_swept_writer_is_told_so(store: LocalStore) -> None:
    writer = store.create("o/seal/0", size_bytes=1)
    writer.write_at(0, memoryview(b"1"))
    store.delete(store.list_partial())
    with pytest.raises(MarkLost, match="`o/seal/0` was swept away"):
        writer.finish()
    assert list(store.root.iterdir()) == []


def spy(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[str]:
    """Record, in their order, the calls that make a write durable and those that show it."""
    calls: list[str] = []

    def shown(path: object) -> str:
        text = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else str(path)
        text = text.replace(str(root), "root").replace(str(root.parent), "parent")
        return re.sub(r"\.[0-9a-f]{32}\.partial", "partial", text)

    def wrap(name: str, paths: int) -> None:
        original = getattr(os, name)

        def recorded(*args: object, **kwargs: object) -> object:
            calls.append(" ".join([name, *(shown(arg) for arg in args[:paths])]))
            return original(*args, **kwargs)

        monkeypatch.setattr(os, name, recorded)

    for name, paths in {"mkdir": 1, "fsync": 1, "rename": 2, "link": 2, "unlink": 1, "rmdir": 1}.items():
        wrap(name, paths)
    return calls


def test_an_object_is_synced_before_it_is_shown_and_its_folder_after(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = spy(monkeypatch, store.root)
    store.put("o/x", b"x")
    assert calls == ["mkdir o", "fsync root", "fsync root/o/partial", "rename partial x", "fsync root/o"]
    calls.clear()
    store.put_new("o/y", b"y")
    assert calls == [
        "mkdir o",  # which is there: but whoever made it may not have synced it yet
        "fsync root",
        "fsync root/o/partial",
        "link partial y",
        "unlink partial",
        "fsync root/o",
    ]
    calls.clear()
    store.delete([info for info in store.list("") if info.name == "o/x"])
    assert calls == ["unlink x", "fsync root/o", "rmdir o"]
    calls.clear()
    store.delete(store.list(""))
    assert calls == ["unlink y", "fsync root/o", "rmdir o", "fsync root"]


def test_a_new_store_is_synced_into_its_parents(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = spy(monkeypatch, root)
    LocalStore(root / "deep").put("x", b"x")
    assert calls == [
        "mkdir root",
        "fsync parent",
        "mkdir root/deep",
        "fsync root",
        "fsync root/deep/partial",
        "rename partial x",
        "fsync root/deep",
    ]


# --- many at once ------------------------------------------------------------------------------

RACER = """
import sys
from strongroom.objects import open_store
from strongroom.terms.outer_errors import VersionExists
store = open_store(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    try:
        store.put_new("m/a/b/" + line.strip(), sys.argv[2].encode())
        print(sys.argv[2], flush=True)
    except VersionExists:
        print("lost", flush=True)
"""


def test_of_sixteen_racing_processes_exactly_one_wins(store: LocalStore) -> None:
    racers = [python(RACER, store.url, str(number)) for number in range(16)]
    try:
        assert [racer.stdout.readline() for racer in racers if racer.stdout] == ["ready\n"] * 16
        for number in range(1, 21):
            for racer in racers:
                assert racer.stdin
                racer.stdin.write(f"{number}\n")
                racer.stdin.flush()
            outcomes = [racer.stdout.readline().strip() for racer in racers if racer.stdout]
            assert outcomes.count("lost") == 15
            [winner] = [outcome for outcome in outcomes if outcome != "lost"]
            assert store.read(f"m/a/b/{number}", most_bytes=10).decode() == winner
    finally:
        for racer in racers:
            racer.communicate()
    assert [racer.returncode for racer in racers] == [0] * 16
    assert list(store.list_partial()) == []


def test_writing_into_a_folder_while_others_empty_it_never_fails(store: LocalStore) -> None:
    def work(worker: int) -> int:
        for number in range(100):
            store.put(f"o/shared/deep/{worker}", str(number).encode())
            store.delete([ObjectInfo(name=f"o/shared/deep/{worker}", size_bytes=1, modified_at=0.0)])
        return 100

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 800
    assert list(store.root.iterdir()) == []


def test_an_abort_waits_for_a_write_so_that_it_hits_no_other_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, original = threading.Event(), threading.Event(), os.pwrite

    def slow(file: int, data: memoryview, offset: int) -> int:
        begun.set()
        assert go_on.wait(60)
        return original(file, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    writer = store.create("o/x", size_bytes=10)
    with ThreadPoolExecutor(2) as threads:
        written = threads.submit(writer.write_at, 0, memoryview(b"12345"))
        assert begun.wait(60)
        aborted = threads.submit(writer.abort)
        with pytest.raises(TimeoutError):
            aborted.result(timeout=0.2)  # its descriptor would be free for another file by now
        with pytest.raises(BadRequest):
            writer.write_at(5, memoryview(b"12345"))
        go_on.set()
        assert written.result() is None
        assert aborted.result() is None
    assert list(store.root.iterdir()) == []


def test_an_abort_leaves_no_folder_either(store: LocalStore) -> None:
    store.put("o/x", b"x")
    store.create("o/a/b/c", size_bytes=1).abort()
    assert sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*")) == ["o", "o/x"]


def test_no_descriptor_is_left_open(store: LocalStore) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    store.put("o/x", b"x")
    store.create("o/y", size_bytes=1).abort()
    for attempt in (lambda: store.put_new("o/x", b"x"), lambda: store.read("o/none", most_bytes=1)):
        with pytest.raises((VersionExists, NotFound)):
            attempt()
    writer = store.create("o/z", size_bytes=1)
    with pytest.raises(BadRequest):
        writer.finish()
    next(iter(store.list("")))
    store.delete(store.list(""))
    assert sorted(os.listdir("/proc/self/fd")) == before


# --- full and read-only disks ------------------------------------------------------------------

# In a mount namespace of its own, so that the mounts are gone with the process, whatever happens.
ON_A_SMALL_DISK = """
import json, subprocess, sys
from pathlib import Path
from strongroom.objects.local import LocalStore
from strongroom.terms.errors import StrongroomError

folder = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
store, outcomes = LocalStore(Path(folder, "store")), {}

def attempt(label, call):
    try:
        call()
        outcomes[label] = "done"
    except StrongroomError as error:
        outcomes[label] = [error.code, error.message]

def state():
    return [[i.name for i in store.list("")], [i.name for i in store.list_partial()], store.free_bytes()]

store.put("o/first", b"x")
outcomes["before"] = state()
attempt("announced", lambda: store.create("o/big", size_bytes=2_000_000))
attempt("put", lambda: store.put("o/big", bytes(2_000_000)))
attempt("put_new", lambda: store.put_new("m/big", bytes(2_000_000)))
outcomes["after announced"] = state()

one, two = (store.create(f"o/{name}", size_bytes=700_000) for name in ("one", "two"))
one.write_at(0, memoryview(bytes(700_000)))
attempt("written", lambda: two.write_at(0, memoryview(bytes(700_000))))
attempt("finished though not written", two.finish)
one.finish()
outcomes["after written"] = state()
store.delete([info for info in store.list("") if info.name == "o/one"])
outcomes["after delete"] = state()

subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
attempt("read", lambda: store.read("o/first", most_bytes=1))
attempt("read-only put", lambda: store.put("o/x", b"x"))
attempt("read-only put_new", lambda: store.put_new("m/x", b"x"))
attempt("read-only create", lambda: store.create("new/x", size_bytes=1))
attempt("read-only delete", lambda: store.delete(store.list("")))
print(json.dumps(outcomes))
"""


def test_a_full_or_read_only_disk_is_named_and_what_was_begun_is_given_back(tmp_path: Path) -> None:
    unshare = ("unshare", *(["--map-root-user"] if os.geteuid() else []), "--mount")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nobody may mount here")
    with python(ON_A_SMALL_DISK, str(tmp_path), prefix=unshare) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    outcomes = json.loads(output)
    before = outcomes["before"]
    assert before[:2] == [["o/first"], []]
    free = before[2]
    assert 1_000_000 < free < 1 << 20
    full = ["no-space", f"disk full: the object needs 2000000 bytes, {free} are free"]
    assert [outcomes[label] for label in ("announced", "put", "put_new")] == [full] * 3
    assert outcomes["after announced"] == before

    code, message = outcomes["written"]
    assert code == "no-space"
    found = re.fullmatch(r"disk full: the object needs 700000 bytes, (\d+) are free", message)
    assert found
    assert free - 710_000 < int(found[1]) < free - 700_000
    assert outcomes["finished though not written"][0] == BadRequest.code
    assert outcomes["after written"][:2] == [["o/first", "o/one"], []]
    assert outcomes["after delete"] == before

    assert outcomes["read"] == "done"
    for label in ("put", "put_new", "create", "delete"):
        code, message = outcomes[f"read-only {label}"]
        assert code == "access-denied"
        assert message.endswith(": read-only file system")

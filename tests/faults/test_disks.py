"""Disks that are full, or fill up midway: real ones, small, of memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.client.extract import extract_version
from strongroom.client.scrub import scrub
from strongroom.client.sweep import sweep
from strongroom.client.version import open_sealed
from strongroom.objects import open_store
from strongroom.terms.errors import NoSpace, OutputExists
from tests.attacks.versions import ATLAS_1, OWNER, opened, read_tree, seal, stored, versions, write_key, write_model
from tests.cli.command import check_refused, done, run
from tests.faults.hooked import READS, WRITES, Call, HookedStore

DISK_BYTES = 2 << 20
INODES = 40
FILES = {"a.bin": os.urandom(300_000), "b.bin": os.urandom(500_000)}
SIZE = sum(map(len, FILES.values()))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB, in a mount namespace of its own, so that it goes when its keeper does."""
    folder = tmp_path / "disk"
    folder.mkdir()
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t tmpfs -o size={DISK_BYTES},nr_inodes={INODES} none "$0" && echo ready && exec sleep 1000'
    keeper = subprocess.Popen(
        ["unshare", *who, "--mount", "sh", "-c", mount, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    try:
        if keeper.stdout.readline() != "ready\n":
            pytest.skip(f"nobody may mount here: {keeper.stderr.read()}")
        yield Path(f"/proc/{keeper.pid}/root", *folder.parts[1:])
    finally:
        keeper.kill()
        keeper.communicate()


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with (disk / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return


def empty(disk: Path) -> None:
    (disk / "filler").unlink()


def begun(size_bytes: int) -> None:
    pytest.fail("the work began")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "identity.key", OWNER)


def test_sealing_into_too_small_a_disk_says_how_much_is_needed_and_leaves_nothing(disk: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {"weights.bin": bytes(3 << 20)})
    store = (disk / "store").as_uri()
    for room in ("some", "none"):
        if room == "none":
            fill(disk)
        outcome = run("seal", model, "--as", ATLAS_1, "--to", OWNER.public_key(), "--store", store, "--json")
        check_refused(outcome, NoSpace)
        assert f"needs {3 * (1 << 20) + 74 + 4 * 32} bytes" in outcome.err
        assert set(read_tree(disk)) <= {"filler"}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_disk_that_fills_at_any_write_of_a_seal_leaves_no_part_of_it(disk: Path, threads: int) -> None:
    (disk / "store").mkdir()
    inner = open_store((disk / "store").as_uri())
    number = 0
    while True:
        failure: NoSpace | None = None
        writes = 0
        filled: list[Call] = []

        def fill_now(call: Call, at: int = number, filled: list[Call] = filled) -> None:
            nonlocal writes
            if call.verb in WRITES:
                writes += 1
                if writes == at + 1:
                    fill(disk)
                    filled.append(call)

        try:
            seal(HookedStore(inner, before=fill_now), FILES, segment_bytes=1 << 16, threads=threads)
        except NoSpace as error:
            failure = error
        if failure is not None:
            assert "bytes" in failure.message
            assert versions(inner) == []
            # what a full disk let it take away is away: at most a mark and partial files, which are the sweep's
            assert {name[0] for name in stored(inner)} <= {"w"}
            empty(disk)
            sweep(inner, grace_seconds=0)
            assert read_tree(disk) == {}
        else:
            assert opened(inner) == FILES
            assert scrub(inner).damage == ()
            if not filled:
                break
            # too late to hurt: the manifest was there
            assert filled[0].verb in ("put_new", "delete")
            empty(disk)
            inner.delete([info for prefix in ("m/", "o/", "w/") for info in inner.list(prefix)])
        number += 1
        assert number < 60
    assert number >= 15


def test_opening_onto_too_small_a_disk_says_how_much_is_needed_and_leaves_nothing(
    disk: Path, tmp_path: Path, key: Path
) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, {"weights.bin": bytes(3 << 20), "small.bin": b"small"})
    opening = ("open", ATLAS_1, "--identity", key, "--store", store.url, "--to", disk / "opened", "--json")
    outcome = run(*opening)
    check_refused(outcome, NoSpace)
    assert f"needs {(3 << 20) + 5} bytes, " in outcome.err
    assert list(disk.iterdir()) == []
    # it is told before the work, not after it
    with pytest.raises(NoSpace, match="are free"):
        extract_version(open_sealed(store, ATLAS_1, OWNER), disk / "opened", on_start=begun)
    done(*opening, "--file", "small.bin")
    assert read_tree(disk) == {"opened/small.bin": b"small"}


def test_a_disk_that_fills_at_any_read_of_an_opening_leaves_no_part_of_it(disk: Path, tmp_path: Path) -> None:
    inner = open_store((tmp_path / "store").as_uri())
    seal(inner, FILES, segment_bytes=1 << 16)
    number = failed = 0
    while True:
        reads = 0

        def fill_now(call: Call, at: int = number) -> None:
            nonlocal reads
            if call.verb in READS:
                reads += 1
                if reads == at + 1:
                    fill(disk)

        try:
            version = open_sealed(HookedStore(inner, before=fill_now), ATLAS_1, OWNER, threads=1)
            extract_version(version, disk / "opened")
            break
        except NoSpace as error:
            message = error.message
        failed += 1
        assert f"needs {SIZE} bytes" in message
        assert list(disk.iterdir()) == [disk / "filler"]
        empty(disk)
        number += 1
    assert failed >= 4
    assert read_tree(disk / "opened") == FILES


def test_a_disk_without_inodes_is_full_as_well(disk: Path, tmp_path: Path) -> None:
    files = {f"{number}.bin": b"" for number in range(INODES)}
    store = open_store((disk / "store").as_uri())
    with pytest.raises(NoSpace):
        seal(store, files)
    sweep(store, grace_seconds=0)
    assert read_tree(disk) == {}
    elsewhere = open_store((tmp_path / "store").as_uri())
    seal(elsewhere, files)
    with pytest.raises(NoSpace):
        extract_version(open_sealed(elsewhere, ATLAS_1, OWNER), disk / "opened")
    assert not [place for place in disk.iterdir() if "opened" in place.name]


def test_what_is_opened_into_a_mounted_folder_stays_on_that_disk(disk: Path, tmp_path: Path) -> None:
    """Weights that somebody opens into memory must not pass by the disk around it."""
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES)
    version = open_sealed(store, ATLAS_1, OWNER)
    with pytest.raises(OutputExists, match="mount point") as raised:
        extract_version(version, disk)
    assert raised.value.hint == "choose a new folder inside it"
    extract_version(version, disk, path="a.bin")
    extract_version(version, disk / "inside", path="b.bin")
    assert read_tree(disk) == {"a.bin": FILES["a.bin"], "inside/b.bin": FILES["b.bin"]}


def test_a_key_that_found_no_room_is_not_half_there(disk: Path) -> None:
    fill(disk)
    outcome = run("keygen", "-o", disk / "identity.key")
    assert outcome.code == NoSpace.exit_code
    assert not (disk / "identity.key").exists()

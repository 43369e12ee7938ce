"""Opening onto disk: all of it or nothing, private, and never over anything that is there."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from strongroom.client.extract import extract_version
from strongroom.client.version import SealedVersion, open_sealed
from strongroom.objects import open_store
from strongroom.terms.errors import BadRequest, NotFound, OutputExists, StrongroomError
from tests.attacks.versions import ATLAS_1, MODEL, OWNER, read_tree, seal
from tests.faults.hooked import Call, HookedStore


@pytest.fixture
def version(tmp_path: Path) -> SealedVersion:
    store = open_store((tmp_path / "store").as_uri())
    seal(store)
    return open_sealed(store, ATLAS_1, OWNER)


def test_what_is_opened_is_what_was_sealed(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url)
    files = {f"part-{number}.bin": os.urandom(number * 10_007) for number in range(9)}
    seal(store, files, threads=4)
    to = tmp_path / "new" / "parents" / "opened"
    made = extract_version(open_sealed(store, ATLAS_1, OWNER), to)
    assert read_tree(to) == files
    assert made == [to / name for name in sorted(files)]
    assert [place.name for place in to.parent.iterdir()] == ["opened"]


@pytest.mark.parametrize("size_bytes", [0, 1, 4063, 4064, 4065, 8128, 64 * 4064, 64 * 4064 + 1, 128 * 4064])
def test_files_of_every_length_around_a_segment_and_a_part_come_back(tmp_path: Path, size_bytes: int) -> None:
    """4096 bytes of segment hold 4064 of the file; 64 segments make a part."""
    store = open_store((tmp_path / "store").as_uri())
    files = {"weights.bin": os.urandom(size_bytes)}
    seal(store, files)
    extract_version(open_sealed(store, ATLAS_1, OWNER), tmp_path / "opened")
    assert read_tree(tmp_path / "opened") == files


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_opened_files_are_for_their_owner_alone(version: SealedVersion, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        extract_version(version, tmp_path / "opened")
        extract_version(version, tmp_path / "one", path="config.json")
    finally:
        os.umask(before)
    modes = {
        place.relative_to(tmp_path).as_posix(): oct(stat.S_IMODE(place.stat().st_mode))
        for folder in ("opened", "one")
        for place in (tmp_path / folder, *(tmp_path / folder).rglob("*"))
    }
    assert modes == {
        "opened": "0o700",
        "opened/deep": "0o700",
        "opened/deep/er": "0o700",
        "opened/deep/er/empty.bin": "0o600",
        "opened/config.json": "0o600",
        "opened/weights.bin": "0o600",
        "one": "0o700",
        "one/config.json": "0o600",
    }


def test_an_empty_folder_is_taken(version: SealedVersion, tmp_path: Path) -> None:
    (tmp_path / "opened").mkdir()
    extract_version(version, tmp_path / "opened")
    assert read_tree(tmp_path / "opened") == MODEL


def begun(size_bytes: int) -> None:
    pytest.fail("the work began")


def test_nothing_that_is_there_is_overwritten(version: SealedVersion, tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_bytes(b"mine")
    folder.mkdir()
    (folder / "config.json").write_bytes(b"mine")
    before = read_tree(tmp_path)
    for to, path in ((file, None), (folder, None), (folder, "config.json")):
        with pytest.raises(OutputExists, match=f"`{to}"):
            extract_version(version, to, path=path, on_start=begun)
    with pytest.raises(OutputExists, match=f"`{file}"):
        extract_version(version, file, path="config.json")
    for path in (None, "config.json"):
        with pytest.raises(StrongroomError):
            extract_version(version, file / "below", path=path)
    assert read_tree(tmp_path) == before
    # beside it, one file of another name goes in
    extract_version(version, folder, path="deep/er/empty.bin")
    assert read_tree(folder) == {"config.json": b"mine", "empty.bin": b""}


def test_what_comes_to_be_while_opening_is_not_overwritten(tmp_path: Path) -> None:
    inner = open_store((tmp_path / "store").as_uri())
    seal(inner)
    place = tmp_path / "place"
    place.mkdir()
    to = place / "opened"

    def intrude(call: Call) -> None:
        if call.verb == "read_into" and not to.exists():
            to.mkdir()
            (to / "config.json").write_bytes(b"mine")

    version = open_sealed(HookedStore(inner, after=intrude), ATLAS_1, OWNER)
    for path in (None, "config.json"):
        with pytest.raises(OutputExists):
            extract_version(version, to, path=path)
        assert read_tree(place) == {"opened/config.json": b"mine"}
        assert list(place.iterdir()) == [to]
        (to / "config.json").unlink()
        to.rmdir()

    def intrude_with_a_link(call: Call) -> None:
        if call.verb == "read_into" and not to.is_symlink():
            to.symlink_to(tmp_path / "elsewhere")

    version = open_sealed(HookedStore(inner, after=intrude_with_a_link), ATLAS_1, OWNER)
    with pytest.raises(OutputExists):
        extract_version(version, to)
    assert list(place.iterdir()) == [to]
    assert not (tmp_path / "elsewhere").exists()


def test_one_file_that_is_not_in_the_version(version: SealedVersion, tmp_path: Path) -> None:
    for path in ("nothing.bin", "deep", "deep/er", "../config.json", "", "CONFIG.JSON", "./config.json"):
        with pytest.raises(NotFound):
            extract_version(version, tmp_path / "opened", path=path)
    assert not (tmp_path / "opened").exists()


def test_of_openings_to_one_place_at_once_one_wins_and_the_rest_are_told(
    version: SealedVersion, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    for _ in range(5):
        ends: list[StrongroomError | None] = []
        start = threading.Barrier(4)

        def run(start: threading.Barrier = start, ends: list[StrongroomError | None] = ends) -> None:
            start.wait()
            try:
                extract_version(version, place / "opened")
            except StrongroomError as error:
                ends.append(error)
            else:
                ends.append(None)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(type(end).__name__ for end in ends) == ["NoneType"] + ["OutputExists"] * 3
        assert read_tree(place) == {f"opened/{path}": content for path, content in MODEL.items()}
        for file in sorted(place.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()


def test_what_a_killed_opening_left_goes_and_what_a_living_one_writes_stays(
    version: SealedVersion, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    stale, living, other = (
        place / name
        for name in (
            ".strongroom-0123456789abcdef.partial",
            ".strongroom-fedcba9876543210.partial",
            ".strongroom-mine.partial",
        )
    )
    inside = place / "one" / ".strongroom-0123456789abcdef.partial"
    for folder in (stale, living, other, inside):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"half")
    lock = os.open(living, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        extract_version(version, place / "opened")
        extract_version(version, place / "one", path="config.json")
    finally:
        os.close(lock)
    assert not stale.exists()
    assert not inside.exists()
    assert (living / "half").exists()
    assert (other / "half").exists()


def test_a_stale_folder_that_is_a_symlink_is_left_alone(version: SealedVersion, tmp_path: Path) -> None:
    """Nobody can have somebody else's folder removed by a link with the right name."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    (tmp_path / ".strongroom-0123456789abcdef.partial").symlink_to(tmp_path / "mine")
    extract_version(version, tmp_path / "opened")
    assert read_tree(tmp_path / "mine") == {"file": b"mine"}


@pytest.mark.parametrize("name", ["[a]*?", "with blank", "é", ".hidden", "-rf"])
def test_folders_of_any_name_are_opened_to(version: SealedVersion, tmp_path: Path, name: str) -> None:
    extract_version(version, tmp_path / "place" / name)
    assert read_tree(tmp_path / "place" / name) == MODEL
    assert len(list((tmp_path / "place").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_told(version: SealedVersion) -> None:
    with pytest.raises(StrongroomError) as raised:
        extract_version(version, Path("/proc/strongroom"))
    assert isinstance(raised.value, BadRequest)


def test_a_hidden_folder_that_is_swapped_for_a_symlink_diverts_no_plaintext(
    version: SealedVersion, tmp_path: Path
) -> None:
    """Somebody else may write to the folder around the destination, and be quick."""
    place, theirs = tmp_path / "place", tmp_path / "theirs"
    place.mkdir()
    theirs.mkdir()

    first = threading.Lock()

    def swap(size_bytes: int) -> None:
        if first.acquire(blocking=False):
            (partial,) = place.glob(".strongroom-*.partial")
            partial.rename(place / "aside")
            partial.symlink_to(theirs)

    with pytest.raises(OutputExists):
        extract_version(version, place / "opened", progress=swap)
    assert (place / "opened").is_symlink()  # theirs, as they could have made it themselves
    assert read_tree(theirs) == {}
    assert read_tree(place / "aside") == {}


def test_the_working_folder_is_not_replaced_under_its_user(
    version: SealedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputExists, match="working folder"):
        extract_version(version, Path())


def test_progress_counts_every_byte(version: SealedVersion, tmp_path: Path) -> None:
    counted: list[int] = []
    extract_version(version, tmp_path / "opened", progress=counted.append, on_start=counted.append)
    assert counted[0] == sum(counted[1:]) == sum(map(len, MODEL.values()))

"""The directory kept beside a copy of the log: a start begins there, if it is ours and of these very entries."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.client.connection import Connection
from strongroom.client.folded import LEAST_ENTRIES, Folded
from strongroom.client.private_folder import PrivateFolder
from strongroom.client.profile import Profile, create_profile
from strongroom.client.replica import Replica
from strongroom.directory.entries import Entry
from tests.client_keep.logs import World

OURS, THEIRS = b"o" * 32, b"t" * 32


class Copy:
    """A copy of the log in a folder, opened anew as often as wanted."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.warnings: list[str] = []

    def open(self, *, secret: bytes = OURS) -> Replica:
        clock, warn = self.world.clock, self.warnings.append
        return Replica(self.folder, self.world.deployment, clock=clock, warn=warn, secret=lambda: secret)

    def synced(self) -> Replica:
        found = self.open()
        found.sync(Connection(self.world.socket))
        return found

    def keep_marked(self, *, secret: bytes = OURS, of: Replica | None = None) -> None:
        """Keep a directory that no fold gives: who shows it has not folded what it is of."""
        found = self.synced() if of is None else of
        assert found.checkpoint is not None
        marked = replace(found.directory.copy(), quorum=99)
        Folded(PrivateFolder(self.folder), lambda: secret).keep(marked, found.checkpoint.root)


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Copy:
    world.model("acme/first")
    return Copy(world, tmp_path / "copy")


def test_a_start_folds_only_what_came_after(copy: Copy) -> None:
    copy.keep_marked()
    copy.world.model("acme/second")
    copy.synced()
    again = copy.open()
    assert again.directory.quorum == 99
    assert again.directory.models == copy.world.keeper.directory.models
    assert [again.leaf(index) for index in range(again.directory.size)] == copy.world.keeper.leaves
    assert copy.warnings == []


def test_a_directory_by_somebody_who_can_write_here_and_has_not_our_key_is_not_taken(copy: Copy) -> None:
    copy.keep_marked(secret=THEIRS)
    assert copy.open().directory.encode() == copy.world.keeper.directory.encode()
    assert copy.open(secret=THEIRS).directory.quorum == 99


@pytest.mark.parametrize("at", [0, 31, 32, 300, -2])
def test_a_flipped_bit_is_folded_over(copy: Copy, at: int) -> None:
    copy.keep_marked()
    path = copy.folder / "folded"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert copy.open().directory.encode() == copy.world.keeper.directory.encode()


@pytest.mark.parametrize("size", [0, 31, 32])
def test_a_torn_one_is_folded_over(copy: Copy, size: int) -> None:
    copy.keep_marked()
    path = copy.folder / "folded"
    path.write_bytes(path.read_bytes()[:size])
    assert copy.open().directory.encode() == copy.world.keeper.directory.encode()


def test_one_in_a_form_of_another_release_is_folded_over(copy: Copy) -> None:
    copy.synced()
    folded = Folded(PrivateFolder(copy.folder), lambda: OURS)
    for text in (b"{}", b'{"directory":{},"root":"00"}', b'{"directory":{}}', b"not JSON", b"[]", b'{"directory":1}'):
        (copy.folder / "folded").write_bytes(folded._code(text) + text)
        (copy.folder / "folded").chmod(0o600)
        assert copy.open().directory.encode() == copy.world.keeper.directory.encode()


def test_one_of_another_log_is_let_go_and_the_log_fetched_anew(copy: Copy, tmp_path: Path) -> None:
    """As after the keep was put back to a backup, and this copy was fetched again."""
    copy.keep_marked()
    kept = (copy.folder / "folded").read_bytes()
    shutil.rmtree(copy.folder)
    keeper = copy.world.keeper
    other = keeper.leaves[-1]
    del keeper.leaves[-1]
    keeper.tree = type(keeper.tree)(map(keeper.tree.leaf, range(len(keeper.leaves))))
    keeper.append(Entry(at=copy.world.clock.at, kind="refusals.counted", data={"code": "denied", "count": 1}))
    assert keeper.leaves[-1] != other
    copy.synced()
    (copy.folder / "folded").write_bytes(kept)
    (copy.folder / "folded").chmod(0o600)
    with_wrong = copy.open()
    assert ["damaged" in line for line in copy.warnings] == [True]
    assert not (copy.folder / "folded").exists()
    with_wrong.sync(Connection(copy.world.socket))
    assert with_wrong.directory.quorum != 99


def test_one_that_is_ahead_of_the_checkpoint_is_folded_over(copy: Copy) -> None:
    copy.synced()
    checkpoint, entries = (copy.folder / "checkpoint").read_bytes(), (copy.folder / "entries").read_bytes()
    copy.world.model("acme/second")
    copy.keep_marked()
    (copy.folder / "checkpoint").write_bytes(checkpoint)
    (copy.folder / "entries").write_bytes(entries)
    before = copy.open()
    assert before.directory.quorum != 99
    assert before.directory.size < len(copy.world.keeper.leaves)
    assert copy.warnings == []


def test_a_copy_keeps_what_took_long_to_fold_and_its_maps_in_the_order_of_the_log(copy: Copy) -> None:
    world = copy.world
    for number in range(LEAST_ENTRIES):
        assert not (copy.folder / "folded").exists()
        world.keeper.append(Entry(at=world.clock.at, kind="refusals.counted", data={"code": "denied", "count": number}))
        if number in {0, LEAST_ENTRIES // 2}:
            copy.synced()
    copy.synced()
    assert (copy.folder / "folded").stat().st_mode & 0o777 == 0o600
    found = copy.open().directory
    assert found.encode() == world.keeper.directory.encode()
    for name in ("people", "credentials", "devices", "models", "closed", "statements"):
        assert list(getattr(found, name)) == list(getattr(world.keeper.directory, name)), name


def test_a_large_directory_is_written_more_seldom(tmp_path: Path, copy: Copy) -> None:
    ours = copy.synced()
    folder = PrivateFolder(tmp_path / "large")
    folded = Folded(folder, lambda: OURS)
    large = ours.directory.copy()
    large.closed |= {f"statement-{number:032x}": "lapsed" for number in range(LEAST_ENTRIES * 25)}
    large.size = LEAST_ENTRIES
    folded.keep_if_due(large, b"\0" * 32)
    size_bytes = (folder.path / "folded").stat().st_size
    assert size_bytes > 1000 * LEAST_ENTRIES
    for size, is_due in ((LEAST_ENTRIES + size_bytes // 1000 - 1, False), (LEAST_ENTRIES + size_bytes // 1000, True)):
        (folder.path / "folded").unlink(missing_ok=True)
        large.size = size
        folded.keep_if_due(large, b"\0" * 32)
        assert (folder.path / "folded").exists() is is_due


def test_each_profile_and_each_use_has_a_secret_of_its_own(tmp_path: Path) -> None:
    def made(name: str) -> Profile:
        return create_profile(f"person-{'0' * 32}", tmp_path / name)

    one, other = made("one"), made("other")
    assert one.secret(b"folded") == one.secret(b"folded")
    assert len({one.secret(b"folded"), one.secret(b"else"), other.secret(b"folded")}) == 3


def test_what_another_release_folded_is_folded_anew(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("strongroom.client.folded.__version__", "0.0.9")
        copy.keep_marked()
        assert copy.open().directory.quorum == 99
    assert copy.open().directory.encode() == copy.world.keeper.directory.encode()

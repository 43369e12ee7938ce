"""The copy of the log: what is in it was verified, and whatever happens to its files is noticed or harmless."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.client.connection import Connection
from strongroom.client.replica import Replica
from strongroom.terms.errors import LogTampered, NotFound, UnsafePlace
from strongroom.terms.outer_errors import KeepUnavailable
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from tests.client_keep.logs import Clock, Keeper, Reply, Request, World, served


def replica(world: World, folder: Path, warnings: list[str] | None = None) -> Replica:
    warn = ([] if warnings is None else warnings).append
    return Replica(folder, world.deployment, clock=world.clock, warn=warn)


def test_a_copy_folds_to_the_very_directory_that_the_keep_has(world: World, tmp_path: Path) -> None:
    world.model()
    ours = replica(world, tmp_path / "copy")
    ours.sync(Connection(world.socket))
    assert ours.directory.encode() == world.keeper.directory.encode()
    assert ours.checkpoint is not None
    assert ours.checkpoint.root == world.keeper.tree.root()
    assert [ours.leaf(index) for index in range(len(world.keeper.leaves))] == world.keeper.leaves
    assert ours.keep_time == world.clock.at


def test_a_copy_is_the_same_after_a_new_start_and_goes_on_from_there(world: World, tmp_path: Path) -> None:
    warnings: list[str] = []
    replica(world, tmp_path / "copy").sync(Connection(world.socket))
    world.model()
    again = replica(world, tmp_path / "copy", warnings)
    assert again.directory.size == 1
    asked: list[int] = []

    def listen(request: Request, answer: Reply) -> Reply:
        asked.extend([request["start"]] if "start" in request else [])
        return answer

    world.keeper.lie = listen
    again.sync(Connection(world.socket))
    assert min(asked) == 1
    assert replica(world, tmp_path / "copy", warnings).directory.encode() == world.keeper.directory.encode()
    assert warnings == []


def test_two_copies_in_one_folder_do_not_write_over_each_other(world: World, tmp_path: Path) -> None:
    one, two = replica(world, tmp_path / "copy"), replica(world, tmp_path / "copy")
    for writer in (one, two, one):
        world.session("Ada").close_session(world.session("Ben")._key.session)
        del world.sessions["Ben"]
        writer.sync(Connection(world.socket))
        assert writer.directory.encode() == world.keeper.directory.encode()
    warnings: list[str] = []
    assert replica(world, tmp_path / "copy", warnings).directory.encode() == world.keeper.directory.encode()
    assert warnings == []


@pytest.mark.parametrize("torn", [b"\0", b"\0\0\1\0half of an entry", b"\0\0\0\3abc"])
def test_a_torn_tail_is_cut_off(world: World, tmp_path: Path, torn: bytes) -> None:
    replica(world, tmp_path / "copy").sync(Connection(world.socket))
    entries = tmp_path / "copy" / "entries"
    whole = entries.read_bytes()
    entries.write_bytes(whole + torn)
    warnings: list[str] = []
    replica(world, tmp_path / "copy", warnings)
    assert entries.read_bytes() == whole
    assert warnings == []


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "note"])
def test_a_copy_that_was_changed_is_fetched_anew(world: World, tmp_path: Path, damage: str) -> None:
    world.model()
    replica(world, tmp_path / "copy").sync(Connection(world.socket))
    entries, checkpoint = tmp_path / "copy" / "entries", tmp_path / "copy" / "checkpoint"
    data = entries.read_bytes()
    match damage:
        case "flip":
            entries.write_bytes(data.replace(b'"at":18', b'"at":17', 1))
        case "cut":
            entries.write_bytes(data[: len(data) // 2])
        case "gone":
            entries.unlink()
        case _:
            checkpoint.write_bytes(checkpoint.read_bytes()[:-20] + b"A" * 19 + b"\n")
    warnings: list[str] = []
    ours = replica(world, tmp_path / "copy", warnings)
    assert len(warnings) == 1
    with pytest.raises(NotFound):
        _ = ours.directory
    ours.sync(Connection(world.socket))
    assert ours.directory.encode() == world.keeper.directory.encode()
    assert entries.read_bytes() == data


def test_a_leaf_that_changes_on_the_disk_meanwhile_is_not_given_out(world: World, tmp_path: Path) -> None:
    ours = replica(world, tmp_path / "copy")
    ours.sync(Connection(world.socket))
    entries = tmp_path / "copy" / "entries"
    entries.write_bytes(entries.read_bytes().replace(b'"at":18', b'"at":17', 1))
    with pytest.raises(LogTampered):
        ours.leaf(0)
    with pytest.raises(NotFound):
        ours.leaf(1)


def test_a_failed_sync_leaves_the_copy_as_it_was(world: World, tmp_path: Path) -> None:
    ours = replica(world, tmp_path / "copy")
    ours.sync(Connection(world.socket))
    before = (tmp_path / "copy" / "entries").read_bytes()
    world.model()
    world.model("acme/borealis")
    world.keeper.lie = lambda request, answer: {**answer, "ok": {}} if request.get("start", 0) > 5 else answer
    with pytest.raises(KeepUnavailable):
        ours.sync(Connection(world.socket))
    assert ours.directory.size == 1
    assert (tmp_path / "copy" / "entries").read_bytes() == before
    world.keeper.lie = lambda request, answer: answer
    ours.sync(Connection(world.socket))
    assert ours.directory.encode() == world.keeper.directory.encode()


def test_an_old_checkpoint_is_warned_of(world: World, tmp_path: Path) -> None:
    warnings: list[str] = []
    ours = replica(world, tmp_path / "copy", warnings)
    made = world.clock.at
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": world.keeper.note(at=made).decode()}
    world.clock.at = made + 60
    ours.sync(Connection(world.socket))
    assert warnings == []
    world.clock.at = made + 61
    ours.sync(Connection(world.socket))
    assert len(warnings) == 1
    assert "61 s old" in warnings[0]


def test_a_sealed_keep_tells_no_time_and_that_is_no_alarm(world: World, tmp_path: Path) -> None:
    ours = replica(world, tmp_path / "copy")
    ours.sync(Connection(world.socket))
    directory, tree = world.keeper.directory, world.keeper.tree
    bare = sign_checkpoint(
        Checkpoint(origin=directory.origin, size=tree.size, root=tree.root()), world.keeper.log_key
    ).decode()
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": bare}
    ours.sync(Connection(world.socket))
    assert ours.keep_time == world.clock.at


def test_a_keep_that_has_founded_nothing_has_nothing_to_copy(tmp_path: Path) -> None:
    clock = Clock()
    with served(Keeper(clock).handle, tmp_path / "keep" / "socket") as socket, pytest.raises(KeepUnavailable):
        Replica(tmp_path / "copy", "sr1:" + "0" * 64, clock=clock).sync(Connection(socket))


def test_an_answer_without_a_checkpoint_shows_nothing(world: World, tmp_path: Path) -> None:
    ours = replica(world, tmp_path / "copy")
    ours.sync(Connection(world.socket))
    world.keeper.lie = lambda request, answer: {"ok": answer["ok"]}
    with pytest.raises(KeepUnavailable):
        ours.sync(Connection(world.socket))


def test_a_folder_that_others_can_read_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy").chmod(0o750)
    with pytest.raises(UnsafePlace):
        replica(world, tmp_path / "copy")

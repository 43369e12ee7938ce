"""The copy of the log: what is in it was verified, and whatever happens to its files is noticed or harmless."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from strongroom.client.connection import Answer, Connection
from strongroom.client.replica import Replica
from strongroom.directory.entries import Entry
from strongroom.terms.canonical import Json
from strongroom.terms.errors import LogTampered, NotFound, UnsafePlace
from strongroom.terms.outer_errors import BadProof, KeepUnavailable, StaleTime
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from strongroom.tlog.proofs import consistency_proof
from strongroom.tlog.tree import Tree, leaf_hash
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


def test_an_old_time_stops_whoever_is_shown_it(world: World, tmp_path: Path) -> None:
    ours = replica(world, tmp_path / "copy")
    made = world.clock.at
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": world.keeper.note(at=made).decode()}
    world.clock.at = made + 60
    ours.sync(Connection(world.socket))
    world.clock.at = made + 61
    with pytest.raises(StaleTime, match="61 s old"):
        ours.sync(Connection(world.socket))


def more_entries(world: World, count: int) -> None:
    for number in range(count):
        data: Json = {"by": "person-" + "0" * 32, "count": number + 1}
        world.keeper.append(Entry(at=world.clock.at, kind="refusals.counted", data=data))


def fork(world: World) -> None:
    """The keep's last entry was another one, and one more has come."""
    leaves = world.keeper.leaves
    world.keeper.leaves, world.keeper.tree = [], Tree()
    for leaf in leaves[:-1]:
        world.keeper.leaves.append(leaf)
        world.keeper.tree.append(leaf_hash(leaf))
    more_entries(world, 2)


@dataclass
class Proving:
    """A gateway, as far as a client needs one: the keep's answers, with a proof of consistency beside them."""

    connection: Connection
    world: World
    proof: tuple[bytes, ...] | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return self.connection.where

    def within(self, seconds: float) -> Proving:
        return self

    def ask(self, what: str, /, *, since: int | None = None, **fields: Json) -> Answer:
        self.asked.append(what)
        answer = self.connection.ask(what, since=None, **fields)
        if since is None:
            return answer
        tree = self.world.keeper.tree
        proof = consistency_proof(tree, since, tree.size) if self.proof is None else self.proof
        return replace(answer, consistency=proof)


def test_a_checkpoint_may_be_ahead_of_the_entries_by_a_proof_and_is_remembered(world: World, tmp_path: Path) -> None:
    gateway = Proving(Connection(world.socket), world)
    ours = replica(world, tmp_path / "copy")
    ours.sync(gateway)
    before, gateway.asked = ours.directory.size, []
    more_entries(world, 5)
    seen = ours.follow(gateway.ask("status", since=ours.seen_size), gateway)
    assert gateway.asked == ["status"]
    assert (seen.size, ours.seen_size, ours.directory.size) == (before + 5, before + 5, before)
    # The next start knows it still; a log that is shorter than what was seen, or forked below it, is refused.
    again = replica(world, tmp_path / "copy")
    assert (again.seen_size, again.directory.size) == (before + 5, before)
    again.sync(gateway)
    assert again.directory.size == before + 5
    assert replica(world, tmp_path / "copy").directory.encode() == world.keeper.directory.encode()


def test_a_proof_of_something_else_moves_no_checkpoint(world: World, tmp_path: Path) -> None:
    ours = replica(world, tmp_path / "copy")
    ours.sync(Connection(world.socket))
    seen = ours.seen_size
    more_entries(world, 3)
    for proof in ((), (b"\1" * 32,), tuple(b"\2" * 32 for _ in range(4))):
        gateway = Proving(Connection(world.socket), world, proof)
        with pytest.raises(BadProof):
            ours.follow(gateway.ask("status", since=seen), gateway)
        assert ours.seen_size == seen


def test_whoever_was_ahead_is_not_led_back_nor_onto_a_fork(world: World, tmp_path: Path) -> None:
    gateway = Proving(Connection(world.socket), world)
    ours = replica(world, tmp_path / "copy")
    ours.sync(gateway)
    old_note = world.keeper.note()
    more_entries(world, 2)
    ours.follow(gateway.ask("status", since=ours.seen_size), gateway)
    again = replica(world, tmp_path / "copy")
    with pytest.raises(LogTampered, match="entries and had"):
        again.follow(Answer(ok={}, checkpoint=old_note), gateway)
    fork(world)
    with pytest.raises(LogTampered, match=r"fork|edited"):
        again.sync(gateway)


def test_a_sealed_keep_tells_no_time_and_after_a_minute_that_is_warned_of_once(world: World, tmp_path: Path) -> None:
    warnings: list[str] = []
    ours = replica(world, tmp_path / "copy", warnings)
    ours.sync(Connection(world.socket))
    at = world.clock.at
    directory, tree = world.keeper.directory, world.keeper.tree
    bare = sign_checkpoint(
        Checkpoint(origin=directory.origin, size=tree.size, root=tree.root()), world.keeper.log_key
    ).decode()
    world.keeper.lie = lambda request, answer: {"checkpoint": bare, "ok": {**answer["ok"], "state": "sealed"}}
    world.clock.at += 60
    ours.sync(Connection(world.socket))
    assert (ours.keep_time, warnings) == (at, [])
    world.clock.at += 1
    for _ in range(2):
        ours.sync(Connection(world.socket))
    assert (ours.keep_time, len(warnings)) == (at, 1)
    assert "said to be sealed, and the newest checkpoint to be had is 61 s old" in warnings[0]
    fresh: list[str] = []
    replica(world, tmp_path / "fresh", fresh).sync(Connection(world.socket))
    assert "tells no time" in fresh[0]


def test_an_open_keep_that_tells_no_time_is_not_believed_to_be_up_to_date(world: World, tmp_path: Path) -> None:
    text, _, signatures = world.keeper.note().decode().partition("\n\n")
    untimed = text + "\n\n" + signatures.splitlines(keepends=True)[0]
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": untimed}
    with pytest.raises(StaleTime, match="tells no time"):
        replica(world, tmp_path / "copy").sync(Connection(world.socket))


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

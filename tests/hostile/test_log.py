"""A gateway that shows another log: older, edited, with holes, of another deployment, or with another ending."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.client.copies import copies_of
from strongroom.client.following import follow
from strongroom.client.released import open_through_keep
from strongroom.client.session import Session
from strongroom.terms.errors import BadNote, BadSignature, LogTampered
from strongroom.terms.outer_errors import BadAnswer, BadProof, KeepUnavailable, StaleTime
from strongroom.tlog.checkpoints import parse_checkpoint, sign_checkpoint
from tests.hostile.forged import Fork, Leaves, b64, entries_edited, odd, replaced
from tests.hostile.proxy import HostileGateway, edited, is_log, is_status, only, says
from tests.hostile.scene import Scene
from tests.keep.world import founded_keep


class Hand:
    """A clock that somebody moves."""

    ahead = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


def leaves(scene: Scene) -> Leaves:
    return [entry.encode() for entry in scene.log()]


def check_honest_again(scene: Scene, victim: Session, before: bytes) -> None:
    """See that a victim took nothing in, and comes to know the true log once Mallory behaves."""
    assert victim.directory.encode() == before
    scene.mallory.attack = lambda asked, ask: ask(asked)
    victim.deployment.sync()
    assert victim.directory.size == len(scene.log())


# --- entries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        replaced(b'"path":"cli"', b'"path":"web"'),
        replaced(b'"label":1', b'"label":0'),
        replaced(b'"role":"writer"', b'"role":"approver"'),
        lambda shown: [*shown[:10], *shown[11:]],
        lambda shown: [*shown[:10], shown[11], shown[10], *shown[12:]],
        lambda shown: [*shown[:10], *shown[9:-1]],
        lambda shown: [*shown[:-1], odd()],
    ],
    ids=["edited", "a-label", "a-role", "left-out", "swapped", "twice", "another-ending"],
)
def test_entries_that_are_not_those_of_the_log_are_refused(
    scene: Scene, mallory: HostileGateway, change: Callable[[Leaves], Leaves]
) -> None:
    scene.world.session("Dan")
    laptop = scene.laptop("Dan")
    mallory.attack = entries_edited(change)
    with pytest.raises(LogTampered):
        scene.join(laptop)
    assert laptop.who.url != mallory.url


def test_entries_that_are_withheld_are_missed(scene: Scene, mallory: HostileGateway) -> None:
    scene.world.session("Dan")
    mallory.attack = entries_edited(lambda shown: [])
    with pytest.raises(KeepUnavailable, match="does not give the entries that it has signed for"):
        scene.join(scene.laptop("Dan"))


def test_an_entry_that_was_made_up_is_not_followed(scene: Scene, mallory: HostileGateway) -> None:
    victim = scene.victim("Dan")
    mallory.attack = only(is_log, lambda asked, ask: says({"checkpoint": "", "ok": {"entries": [b64(odd())]}}))
    scene.fresh_model()
    with pytest.raises(LogTampered):
        list(follow(victim.deployment, 0, pause=lambda seconds: None, once=True))


# --- checkpoints -------------------------------------------------------------------------------


def checkpoint_is(note: str | Callable[[str], str]) -> Any:
    """Return an attack that puts another checkpoint under every answer."""
    change = (lambda honest: note) if isinstance(note, str) else note
    return edited(lambda answer: {**answer, "checkpoint": change(answer["checkpoint"])})


def test_an_older_log_is_refused_by_whoever_has_seen_more(scene: Scene, mallory: HostileGateway) -> None:
    victim = scene.victim("Dan")
    old = str(canonical_status(scene)["checkpoint"])
    scene.fresh_model()
    victim.deployment.sync()
    before = victim.directory.encode()
    mallory.attack = only(is_status, checkpoint_is(old))
    with pytest.raises(LogTampered, match=r"the log has \d+ entries and had \d+"):
        victim.deployment.sync()
    check_honest_again(scene, victim, before)


def canonical_status(scene: Scene) -> dict[str, Any]:
    """Return the keep's whole answer to `status`, as it is now."""
    answer = scene.keep.ask("status")
    assert answer.checkpoint is not None
    return {"ok": answer.ok, "checkpoint": answer.checkpoint.decode()}


def test_an_older_time_is_refused_though_the_log_has_not_grown(scene: Scene, mallory: HostileGateway) -> None:
    victim = scene.victim("Dan")
    old = canonical_status(scene)
    while canonical_status(scene)["checkpoint"] == old["checkpoint"]:
        time.sleep(0.05)  # the keep's clock has whole seconds
    victim.deployment.sync()
    mallory.attack = only(is_status, lambda asked, ask: says(old))
    with pytest.raises(LogTampered, match="s before the last one: an old answer"):
        victim.deployment.sync()


def test_withheld_entries_are_noticed_within_a_minute_and_not_before(scene: Scene, mallory: HostileGateway) -> None:
    clock = Hand()
    victim = scene.victim("Dan", clock=clock)
    old = canonical_status(scene)
    scene.fresh_model()
    mallory.attack = only(is_status, lambda asked, ask: says(old))
    assert victim.deployment.sync().size < len(scene.log())
    clock.ahead = 62
    with pytest.raises(StaleTime, match="something may be withheld"):
        victim.deployment.sync()
    with pytest.raises(StaleTime):
        copies_are_up_to_date(victim)
    with pytest.raises(StaleTime):
        open_through_keep(victim, "acme/atlas@1", scene.store)


def copies_are_up_to_date(victim: Session) -> None:
    """List the copies, as `strongroom copies` does."""
    victim.deployment.sync()
    copies_of(victim.deployment.replica, at=victim.now())


def untimed(note: str) -> str:
    """Return a checkpoint without the keep's word on the time."""
    return "".join(line for line in note.splitlines(keepends=True) if "/time " not in line)


def test_a_checkpoint_whose_time_was_taken_off_is_refused(scene: Scene, mallory: HostileGateway) -> None:
    clock = Hand()
    victim = scene.victim("Dan", clock=clock)
    mallory.attack = checkpoint_is(untimed)
    with pytest.raises(StaleTime, match="tells no time"):
        victim.deployment.sync()
    with pytest.raises(StaleTime, match="tells no time"):
        scene.join(scene.laptop("Dan"))


def test_a_log_of_another_deployment_is_refused(scene: Scene, mallory: HostileGateway, tmp_path: Path) -> None:
    victim = scene.victim("Dan")
    before = victim.directory.encode()
    with founded_keep(tmp_path) as other:
        theirs = other.connect("Ada").connection.ask("status").checkpoint
        assert theirs is not None
        mallory.attack = only(is_status, checkpoint_is(theirs.decode()))
        with pytest.raises(BadSignature, match="has not signed"):
            victim.deployment.sync()
    check_honest_again(scene, victim, before)


def by_another_key(note: str) -> str:
    checkpoint = parse_checkpoint(note.partition("\n\n")[0] + "\n")
    return sign_checkpoint(checkpoint, Ed25519PrivateKey.generate()).decode()


def with_another_size(note: str) -> str:
    origin, size, rest = note.split("\n", 2)
    return f"{origin}\n{int(size) + 1}\n{rest}"


def by_the_time_key_alone(note: str) -> str:
    text, _, signatures = note.partition("\n\n")
    return text + "\n\n" + "".join(line for line in signatures.splitlines(keepends=True) if "/time " in line)


@pytest.mark.parametrize(
    ("forge", "error"),
    [
        (by_another_key, BadSignature),
        (by_the_time_key_alone, LogTampered),
        (with_another_size, BadSignature),
        (lambda note: "", BadNote),
    ],
    ids=["another-key", "time-key-alone", "another-size", "nothing"],
)
def test_a_checkpoint_that_the_log_has_not_signed_is_refused(
    scene: Scene, mallory: HostileGateway, forge: Callable[[str], str], error: type[Exception]
) -> None:
    victim = scene.victim("Dan")
    before = victim.directory.encode()
    mallory.attack = only(is_status, checkpoint_is(forge))
    with pytest.raises(error):
        victim.deployment.sync()
    check_honest_again(scene, victim, before)


# --- proofs that a log continues another --------------------------------------------------------


def consistency_is(change: Callable[[list[Any]], list[Any]]) -> Any:
    return only("release", edited(lambda answer: {**answer, "consistency": change(answer["consistency"])}))


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: [],
        lambda proof: proof[1:],
        lambda proof: [*proof, proof[0]],
        lambda proof: [b64(bytes(32)), *proof[1:]],
        lambda proof: [b64(base64.b64decode(one)[:31]) for one in proof],
    ],
    ids=["none", "one-less", "one-more", "another", "cut"],
)
def test_a_false_proof_of_consistency_is_refused_and_nothing_opens(
    scene: Scene, mallory: HostileGateway, change: Callable[[list[Any]], list[Any]]
) -> None:
    victim = scene.victim("Dan")
    mallory.attack = consistency_is(change)
    with pytest.raises(BadProof):
        open_through_keep(victim, "acme/atlas@1", scene.store)


def test_without_a_proof_of_consistency_the_entries_are_fetched(scene: Scene, mallory: HostileGateway) -> None:
    victim = scene.victim("Dan")
    mallory.attack = only(
        "release", edited(lambda answer: {name: value for name, value in answer.items() if name != "consistency"})
    )
    with open_through_keep(victim, "acme/atlas@1", scene.store) as model:
        assert model.files()
    assert victim.directory.size == len(scene.log())


# --- forks, signed by the log's own key -----------------------------------------------------------


@pytest.mark.parametrize("more", [1, 3], ids=["as-long", "longer"])
def test_a_forked_log_is_refused_though_its_own_key_signed_it(scene: Scene, mallory: HostileGateway, more: int) -> None:
    victim = scene.victim("Dan")
    before = victim.directory.encode()
    mallory.attack = Fork(scene, [*leaves(scene)[:-1], *(odd() for _ in range(more))]).attack
    with pytest.raises(LogTampered):
        victim.deployment.sync()
    check_honest_again(scene, victim, before)


def test_a_proof_of_consistency_does_not_hide_a_fork(scene: Scene, mallory: HostileGateway) -> None:
    victim = scene.victim("Dan")
    fork = Fork(scene, [*leaves(scene)[:-1], odd(), odd()])
    mallory.attack = only("release", fork.attack)
    with scene.nothing_happens(), pytest.raises(BadProof, match="does not lead to the root of"):
        open_through_keep(victim, "acme/atlas@1", scene.store)
    assert mallory.asked_for("release")


def test_a_fork_that_was_believed_once_is_found_out_by_the_true_log(scene: Scene, mallory: HostileGateway) -> None:
    victim = scene.victim("Dan")
    fork = Fork(scene, leaves(scene))
    mallory.attack = only("release", fork.attack)
    with scene.nothing_happens(), pytest.raises(BadAnswer, match="no answer of the keep's"):
        # Its entry is proven, by the log's own key. The answer that goes with it takes the answer key.
        open_through_keep(victim, "acme/atlas@1", scene.store)
    mallory.attack = lambda asked, ask: ask(asked)
    scene.fresh_model()
    with pytest.raises(LogTampered, match="does not continue"):
        victim.deployment.sync()

"""A gateway that keeps a freeze from the keep, or its effect from those whom it concerns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from strongroom.client.https import Response
from strongroom.client.opened import OpenVersion
from strongroom.client.released import open_through_keep
from strongroom.client.requests import freeze
from strongroom.terms.errors import AlreadyDone, Denied, LogTampered
from strongroom.terms.outer_errors import KeepUnavailable, LeaseEnded, NotFrozen
from tests.attacks.versions import MODEL
from tests.hostile.proxy import Ask, Asked, Attack, HostileGateway, only, pass_on, refuses, says
from tests.hostile.scene import Scene

LEASE_SECONDS = 5.5
"""After so long no renewal is fresh that was there before."""
SILENCE_SECONDS = 30
"""Nobody waits for the end of it."""


@pytest.fixture(scope="module")
def model(scenes: Scene) -> str:
    """A model that nobody manages to freeze."""
    return scenes.fresh_model()


@pytest.fixture
def silence() -> Iterator[Attack]:
    """An attack that says nothing while the test lasts."""
    is_over = threading.Event()

    def attack(asked: Asked, ask: Ask) -> Response:
        is_over.wait(SILENCE_SECONDS)
        return says({})

    yield attack
    is_over.set()


def proof_of_another(scene: Scene) -> Attack:
    """Return an attack that swallows a freeze and shows a true one, of something else, truly proven."""
    scene.freeze_something()
    index = max(index for index, entry in enumerate(scene.log()) if entry.kind == "frozen")

    def attack(asked: Asked, ask: Ask) -> Response:
        proven = scene.entry(index)
        ok = {name: proven[name] for name in ("index", "leaf", "proof")}
        # The time beside it is the keep's: whoever reads a log gets checkpoints.
        return says({"checkpoint": proven["checkpoint"], "ok": ok})

    return attack


ANSWERS: dict[str, Callable[[Scene], Attack]] = {
    "done": lambda scene: lambda asked, ask: scene.answer({}),
    "done-with-an-index": lambda scene: lambda asked, ask: scene.answer({"index": len(scene.log()) - 1}),
    "proof-of-another": proof_of_another,
    "already": lambda scene: lambda asked, ask: refuses(AlreadyDone("it is frozen already")),
    "refused": lambda scene: lambda asked, ask: refuses(Denied("no policy lets you")),
    "later": lambda scene: lambda asked, ask: refuses(KeepUnavailable("the keep is being restarted")),
    "nonsense": lambda scene: lambda asked, ask: Response(status=502, headers={}, body=b"<html>"),
}


@pytest.mark.parametrize("how", ANSWERS)
def test_a_freeze_that_was_swallowed_is_not_called_one(
    scene: Scene, mallory: HostileGateway, model: str, how: str
) -> None:
    ada = scene.victim("Ada")
    mallory.attack = only("freeze", ANSWERS[how](scene))
    with scene.nothing_happens(), pytest.raises(NotFrozen) as raised:
        freeze(ada, model, "somebody is at it")
    assert raised.value.message.startswith(f"NOT FROZEN: `{model}`")
    assert "at the keep's own socket" in raised.value.hint
    assert mallory.url in raised.value.hint
    assert mallory.asked_for("freeze")


def test_a_freeze_that_nobody_answers_is_not_called_one(
    scene: Scene, mallory: HostileGateway, model: str, silence: Attack
) -> None:
    ada = scene.victim("Ada", timeout_seconds=2 * SILENCE_SECONDS)
    mallory.attack = only("freeze", silence)
    with scene.nothing_happens(), pytest.raises(NotFrozen, match=r"NOT FROZEN.*not answered in time"):
        freeze(ada, model, "somebody is at it")


def test_a_freeze_whose_proof_is_withheld_is_found_in_the_log(scene: Scene, mallory: HostileGateway) -> None:
    model = scene.fresh_model()
    ada = scene.victim("Ada")

    def withhold(asked: Asked, ask: Ask) -> Response:
        ask(asked)
        return says({"ok": {}})

    mallory.attack = only("freeze", withhold)
    with pytest.raises(NotFrozen):
        freeze(ada, model, "somebody is at it")
    # The log itself says that it is frozen: that takes no word of Mallory's.
    mallory.attack = pass_on
    with pytest.raises(AlreadyDone):
        freeze(ada, model, "somebody is at it")
    assert ada.directory.models[model].frozen


def test_who_does_not_see_a_freeze_opens_nothing_all_the_same(scene: Scene, mallory: HostileGateway) -> None:
    made = scene.seal_and_grant()
    dan = scene.victim("Dan")
    status = scene.keep.ask("status")
    freeze(scene.world.session("Ada"), made.model, "somebody is at it")
    # Mallory shows the log as it was.
    mallory.attack = only(lambda asked: asked.path == "/v1/status", lambda asked, ask: scene.told(status))
    with scene.nothing_happens(), pytest.raises(Denied):
        open_through_keep(dan, made.version, scene.store)
    assert not dan.directory.models[made.model].frozen


def reads(opened: OpenVersion) -> bool:
    return opened.read_bytes("config.json") == MODEL["config.json"]


def test_an_answer_from_before_a_freeze_renews_no_lease(scene: Scene, mallory: HostileGateway) -> None:
    made = scene.seal_and_grant()
    dan = scene.victim("Dan")
    first = open_through_keep(dan, made.version, scene.store)
    second = open_through_keep(dan, made.version, scene.store)
    statements = [asked.body for asked in mallory.asked_for("release")]
    answers: dict[bytes, Response] = {}

    def note(asked: Asked, ask: Ask) -> Response:
        answers[asked.body] = ask(asked)
        return answers[asked.body]

    mallory.attack = only("release", note)
    time.sleep(LEASE_SECONDS)
    assert reads(first)
    assert reads(second)
    assert set(answers) >= set(statements)  # both were renewed, by the very statements that were sent first
    freeze(scene.world.session("Ada"), made.model, "somebody is at it")
    with scene.nothing_happens():
        # The renewals are played back; a new release, which Dan asks for then, goes to the keep.
        mallory.attack = only("release", lambda asked, ask: answers.get(asked.body) or ask(asked))
        time.sleep(LEASE_SECONDS)
        with pytest.raises(LeaseEnded, match="the keep does not renew it"):
            reads(first)
        # Whatever Dan asks for is answered with what was said before.
        mallory.attack = only("release", lambda asked, ask: answers[statements[1]])
        with pytest.raises(LogTampered, match=r"the log has \d+ entries and had \d+"):
            reads(second)

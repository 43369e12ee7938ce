"""A gateway that shows false names: of models, people, aliases, and of what a proposal is for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.aliases import set_alias
from strongroom.client.names import NOT_PROVEN
from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.client.requests import proposal_id, request_access
from strongroom.client.review import review
from strongroom.objects import open_store
from strongroom.terms.errors import LogTampered, NotFound
from tests.attacks.versions import stored, write_model
from tests.hostile.forged import entries_edited, replaced
from tests.hostile.proxy import Attack, HostileGateway, edited, only
from tests.hostile.scene import NAME, Scene

Details = dict[str, dict[str, str]]


def texts_are(change: Callable[[Details], Details]) -> Attack:
    """Return an attack on the texts that the keep shows to who may read them: by digest, `salt` and `text`."""

    def edit(told: Any) -> Any:
        return {**told, "ok": {"answer": {"details": change(told["ok"]["answer"]["details"])}}}

    return only("read", edited(edit))


def all_say(text: str) -> Attack:
    return texts_are(lambda details: {digest: {**detail, "text": text} for digest, detail in details.items()})


def rotated(details: Details) -> Details:
    """Show each text under the digest of the next."""
    values = list(details.values())
    return dict(zip(details, [*values[1:], *values[:1]], strict=True))


def test_a_false_name_is_not_shown_and_nothing_opens_by_it(scene: Scene, mallory: HostileGateway) -> None:
    scene.fresh_model()
    dan = scene.victim("Dan")
    mallory.attack = all_say("acme/borealis")
    with scene.nothing_happens(), pytest.raises(NotFound, match="no model is proven to be called `acme/borealis`"):
        open_through_keep(dan, "acme/borealis@1", scene.store)
    with pytest.raises(NotFound, match="no model is proven to be called `acme/atlas`"):
        open_through_keep(dan, "acme/atlas@1", scene.store)
    ada = scene.world.person("Ada")
    dan.learn([ada])
    assert dan.deployment.called(ada) == f"{ada} ({NOT_PROVEN})"


def test_true_texts_under_each_others_digests_name_what_they_always_did(scene: Scene, mallory: HostileGateway) -> None:
    scene.fresh_model()
    dan = scene.victim("Dan")
    mallory.attack = texts_are(rotated)
    dan.learn(dan.directory.models)
    assert dan.deployment.names.model(dan.directory, NAME).model == scene.model


def test_nothing_is_sealed_to_a_model_under_a_false_name(scene: Scene, mallory: HostileGateway, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = open_store((tmp_path / "store").as_uri())
    ada = scene.victim("Ada")
    mallory.attack = all_say("acme/borealis")
    with scene.nothing_happens(), pytest.raises(NotFound):
        seal_through_keep(ada, [write_model(tmp_path / "plain")], "acme/borealis", store)
    assert stored(store) == {}


def test_an_approver_is_not_shown_another_purpose_than_was_given(scene: Scene, mallory: HostileGateway) -> None:
    done = request_access(scene.world.session("Dan"), scene.versions[1].version, 40, "to take it home")
    ada = scene.victim("Ada")
    mallory.attack = all_say("to look at it for an hour")
    lines = review(ada, proposal_id(done)).lines
    assert not any("to look at it" in line for line in lines)
    assert any(line.startswith("purpose: ") and line.endswith(f"({NOT_PROVEN})") for line in lines)
    assert any(line == f"seconds: {40 * 3600}" for line in lines)


def test_an_alias_means_what_the_log_says(scene: Scene, mallory: HostileGateway) -> None:
    name = f"prod-{time.monotonic_ns()}"
    alias, _ = set_alias(scene.writer(), f"{NAME}@{name}", scene.versions[0].version)
    dan = scene.victim("Dan")
    dan.learn([*dan.directory.models, *dan.directory.aliases])
    assert dan.deployment.names.version(dan.directory, f"{NAME}@{name}").number == 1
    # Mallory shows another version where it says which one, and then another name.
    old, new = (f'"model":"{scene.model}","version":"{made.version}"'.encode() for made in scene.versions)
    mallory.attack = entries_edited(replaced(old, new))
    with pytest.raises(LogTampered):
        scene.victim("Dan")
    mallory.attack = lambda asked, ask: ask(asked)
    again = scene.victim("Dan")
    mallory.attack = all_say(name)
    with scene.nothing_happens(), pytest.raises(NotFound, match="is proven to be called"):
        open_through_keep(again, f"{NAME}@{name}", scene.store)
    assert not any(asked.path.startswith("/v1/aliases") for asked in mallory.asked)
    assert alias in again.directory.aliases

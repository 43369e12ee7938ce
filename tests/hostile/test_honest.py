"""Without an attack all of it works: what the other tests see refused is refused because of the attack."""

from __future__ import annotations

import pytest

from strongroom.client.released import open_through_keep
from tests.attacks.versions import MODEL
from tests.hostile.proxy import Attack, edited, pass_on
from tests.hostile.scene import Scene

without_consistency = edited(lambda answer: {name: value for name, value in answer.items() if name != "consistency"})


def test_through_a_gateway_that_only_passes_things_on_a_version_opens(scene: Scene) -> None:
    dan = scene.victim("Dan")
    with open_through_keep(dan, "acme/atlas@1", scene.store) as model:
        assert {path: model.read_bytes(path) for path in MODEL} == MODEL
    assert scene.mallory.asked_for("release")


@pytest.mark.parametrize("attack", [pass_on, without_consistency], ids=["proven", "fetched"])
def test_a_session_is_ended_over_a_gateway_and_that_is_proven_though_it_reads_no_more(
    scene: Scene, attack: Attack
) -> None:
    dan = scene.victim("Dan", anew=True)
    session = dan.profile.session()
    assert session is not None
    scene.mallory.attack = attack
    dan.logout()
    assert dan.profile.session() is None
    dan.deployment.sync()
    assert session.session not in dan.directory.sessions

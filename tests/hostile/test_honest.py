"""Without an attack all of it works: what the other tests see refused is refused because of the attack."""

from __future__ import annotations

import pytest

from strongroom.client.joining import connect
from strongroom.client.released import open_through_keep
from strongroom.client.session import login
from strongroom.terms.errors import UnknownSigner
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


def test_whoever_s_session_was_ended_by_another_logs_in_again_over_a_gateway(scene: Scene) -> None:
    dan, ada = scene.victim("Dan", anew=True), scene.victim("Ada", anew=True)
    key = dan.profile.session()
    assert key is not None
    ada.close_session(key.session)
    with pytest.raises(UnknownSigner):
        connect(dan.profile).sync()
    again = login(dan.profile, connect(dan.profile), scene.world.profiles["Dan"].security_key())
    again.deployment.sync()
    assert key.session not in again.directory.sessions
    again.logout()

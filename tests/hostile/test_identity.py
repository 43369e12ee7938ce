"""A gateway that is not who it says, or leads to a deployment, a keep or a host that nobody meant."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.connection import Connection
from strongroom.client.founding import fetch_share, unseal, unseal_key, unseal_words
from strongroom.client.https import Response
from strongroom.client.newcomer import acquaint
from strongroom.client.profile import create_profile
from strongroom.sealing.keys import SEED_BYTES, Identity, unwrap_with
from strongroom.terms import canonical
from strongroom.terms.errors import StrongroomError, WrongDeployment, WrongKey
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import GatewayImpostor, KeepUnavailable
from tests.client_keep.test_https import certified
from tests.hostile.forged import b64
from tests.hostile.proxy import Ask, Asked, Attack, HostileGateway, edited, is_status, only, says
from tests.hostile.scene import Scene
from tests.keep.world import founded_keep


def from_another_keep(connection: Connection) -> Attack:
    """Return an attack that has another keep answer in the place of ours: a well founded one of Mallory's own."""

    def attack(asked: Asked, ask: Ask) -> Response:
        if asked.path == "/v1/ca":
            return ask(asked)
        answer = (
            connection.ask("entries", start=0, count=1)
            if asked.path == "/v1/log/entries"
            else connection.ask("act", **asked.json())
            if asked.act
            else connection.ask("status")
        )
        assert answer.checkpoint is not None
        return says({"checkpoint": answer.checkpoint.decode(), "ok": answer.ok})

    return attack


def test_a_well_founded_deployment_that_is_not_the_one_that_was_meant_is_refused(
    scene: Scene, mallory: HostileGateway, tmp_path: Path
) -> None:
    scene.world.session("Dan")
    laptop = scene.laptop("Dan")
    before = laptop.who
    newcomer = create_profile(new_id("person", os.urandom), tmp_path / "newcomer")
    with founded_keep(tmp_path) as other:
        mallory.attack = from_another_keep(Connection(other.socket))
        with pytest.raises(WrongDeployment, match=f"`{other.deployment}`, not of `{scene.real.deployment}`"):
            scene.join(laptop)
        with pytest.raises(WrongDeployment, match=other.deployment):
            acquaint(newcomer, mallory.place)
        # Nor is anybody lured there who knows the true one already.
        mallory.attack = lambda asked, ask: ask(asked)
        victim = scene.victim("Dan")
        mallory.attack = from_another_keep(Connection(other.socket))
        with pytest.raises(StrongroomError, match="has not signed"):
            victim.deployment.sync()
    assert laptop.who == before
    assert newcomer.who.deployment is None


def is_founding(asked: Asked) -> bool:
    return asked.target == "/v1/log/entries?start=0&count=1"


def other_founding(answer: Any) -> Any:
    """Say that it was founded at another time."""
    leaf = base64.b64decode(answer["ok"]["entries"][0]).replace(b'"at":1', b'"at":2', 1)
    return {**answer, "ok": {"entries": [b64(leaf)]}}


def test_an_edited_founding_is_not_the_one_that_was_meant(
    scene: Scene, mallory: HostileGateway, tmp_path: Path
) -> None:
    newcomer = create_profile(new_id("person", os.urandom), tmp_path / "newcomer")

    mallory.attack = only(is_founding, edited(other_founding))
    with pytest.raises(WrongDeployment):
        acquaint(newcomer, mallory.place)
    scene.world.session("Dan")
    with pytest.raises(WrongDeployment):
        scene.join(scene.laptop("Dan"))
    assert newcomer.who.deployment is None


def test_a_newcomer_is_not_shown_another_founding_at_the_second_look(
    scene: Scene, mallory: HostileGateway, tmp_path: Path
) -> None:
    newcomer = create_profile(new_id("person", os.urandom), tmp_path / "newcomer")

    def edit(asked: Asked, ask: Ask) -> Response:
        # The first is held against the name; then a newcomer may read nothing more, and looks at the founding again.
        is_second = sum(is_founding(one) for one in mallory.asked) > 1
        return edited(other_founding)(asked, ask) if is_second else ask(asked)

    mallory.attack = only(is_founding, edit)
    with pytest.raises(WrongDeployment):
        acquaint(newcomer, mallory.place)
    assert newcomer.who.deployment is None
    mallory.attack = lambda asked, ask: ask(asked)
    assert acquaint(newcomer, mallory.place).deployment == scene.real.deployment


def test_another_authority_than_the_one_that_was_named_is_not_trusted(
    scene: Scene, mallory: HostileGateway, tmp_path: Path
) -> None:
    hers = certified(tmp_path)
    mallory.attack = only(
        lambda asked: asked.path == "/v1/ca", lambda asked, ask: Response(status=200, headers={}, body=hers)
    )
    scene.world.session("Dan")
    laptop = scene.laptop("Dan")
    with pytest.raises(GatewayImpostor, match="another authority than the one that you were told"):
        scene.join(laptop)
    assert [asked.path for asked in mallory.asked] == ["/v1/ca"]
    assert laptop.ca is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_sent_to_another_host(scene: Scene, mallory: HostileGateway, status: int) -> None:
    victim = scene.victim("Dan")
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        url = f"https://127.0.0.1:{elsewhere.getsockname()[1]}/v1/status"
        mallory.attack = lambda asked, ask: Response(status=status, headers={"location": url}, body=b"{}")
        with pytest.raises(KeepUnavailable, match=f"is no gateway: status {status}"):
            victim.deployment.sync()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


# --- custodians --------------------------------------------------------------------------------


def test_who_gives_a_share_compares_words_and_those_of_mallorys_key_are_others(
    scene: Scene, mallory: HostileGateway
) -> None:
    ada = scene.laptop("Ada")
    connection = scene.connection(ada)
    printed = scene.words_on_the_console()
    assert unseal_words(unseal_key(connection)) == printed
    hers = Identity(os.urandom(SEED_BYTES))
    mallory.attack = only(
        is_status,
        edited(lambda answer: {**answer, "ok": {**answer["ok"], "unseal_key": b64(hers.public_key().raw)}}),
    )
    assert unseal_words(unseal_key(connection)) != printed
    mallory.attack = lambda asked, ask: ask(asked)
    compared = unseal_key(connection)
    # What goes to the key that was compared is none of hers to open; she keeps it from the keep, which is open anyway.
    sent: list[bytes] = []

    def swallow(asked: Asked, ask: Ask) -> Response:
        sent.append(base64.b64decode(asked.json()["share"]))
        return says({"ok": {"missing": 1}})

    mallory.attack = only(lambda asked: asked.path == "/v1/unseal", swallow)
    assert unseal(ada, connection, scene.real.shares["Ada"], to=compared) == 1
    info = canonical.encode(
        {"deployment": scene.real.deployment, "format": "strongroom/unseal/1", "person": ada.who.subject}
    )
    with pytest.raises(WrongKey):
        unwrap_with(hers, sent[0], info)


def test_a_share_opens_for_its_own_custodian_alone(scene: Scene, mallory: HostileGateway) -> None:
    # The keep hands out shares to whoever asks at its socket: they are wrapped.
    cleo = scene.world.profiles["Cleo"]
    wrapped = scene.keep.ask("share", person=cleo.who.subject).ok["share"]
    info = canonical.encode(
        {"deployment": scene.real.deployment, "format": "strongroom/share/1", "person": cleo.who.subject}
    )
    for identity in (Identity(os.urandom(SEED_BYTES)), scene.world.profiles["Ben"].custodian()):
        with pytest.raises(WrongKey):
            unwrap_with(identity, base64.b64decode(str(wrapped)), info)
    # Nor does Cleo take another's for her own.
    theirs = scene.keep.ask("share", person=scene.world.profiles["Ben"].who.subject)
    assert theirs.checkpoint is not None
    told = says({"checkpoint": theirs.checkpoint.decode(), "ok": theirs.ok})
    mallory.attack = only(lambda asked: asked.path == "/v1/share", lambda asked, ask: told)
    laptop = scene.laptop("Cleo")
    with pytest.raises(WrongKey):
        fetch_share(laptop, scene.connection(laptop))
    assert laptop.share() is None

"""A gateway that changes, repeats, swallows or makes up what people say, and what the keep answers."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts import freeze as freeze_act
from strongroom.acts import session_open
from strongroom.acts.table import act_named
from strongroom.client.deployment import Done
from strongroom.client.looks import HEADER
from strongroom.client.names import new_detail
from strongroom.client.released import open_through_keep
from strongroom.client.requests import (
    approve,
    attest,
    freeze,
    proposal_id,
    raise_label,
    report_credential,
    request_access,
    revoke_grant,
)
from strongroom.client.review import review
from strongroom.client.say import enveloped, sign_with_key
from strongroom.client.session import Session
from strongroom.statements.signing import point_of
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import AlreadyDone, BadRequest, BadSignature, StrongroomError, UnknownSigner
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import BadAnswer, BadProof
from tests.hostile.forged import b64
from tests.hostile.proxy import Ask, Asked, Attack, HostileGateway, edited, only, refuses, resent, said_otherwise, says
from tests.hostile.scene import Scene

# --- edited on the way to the keep ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [('"label":2', '"label":3'), ('"by":"person-', '"by":"person-0'), ('"era":1', '"era":2')],
    ids=["what", "who", "where"],
)
def test_a_statement_that_was_edited_does_not_count(scene: Scene, mallory: HostileGateway, old: str, new: str) -> None:
    ada = scene.victim("Ada")
    mallory.attack = only("label.raise", said_otherwise(old, new))
    with scene.nothing_happens(), pytest.raises(StrongroomError) as raised:
        raise_label(ada, scene.model, 2)
    assert raised.value.family in {"Tampered", "Malformed", "Refused"}
    assert mallory.asked_for("label.raise")


def test_a_request_for_another_version_than_was_meant_is_not_made(scene: Scene, mallory: HostileGateway) -> None:
    dan = scene.victim("Dan")
    first, second = (made.version for made in scene.versions)
    mallory.attack = only("propose", said_otherwise(first, second))
    with scene.nothing_happens(), pytest.raises(BadSignature):
        request_access(dan, first, 1, "to look at the first")


def test_an_approval_does_not_become_one_of_another_proposal(scene: Scene, mallory: HostileGateway) -> None:
    good = proposal_id(request_access(scene.world.session("Dan"), scene.versions[1].version, 1, "to look"))
    hers = proposal_id(request_access(scene.world.session("Dan"), scene.versions[1].version, 40, "to steal"))
    ada = scene.victim("Ada")
    read = review(ada, good)
    mallory.attack = only("approve", said_otherwise(good, hers))
    with scene.nothing_happens(), pytest.raises(StrongroomError):
        approve(ada, read, ada.profile.security_key(), role="approver", team="core")
    assert not scene.world.session("Ada").directory.proposals[hers].approvals


@pytest.mark.parametrize("put", ["another-text", "no-text", "one-more"])
def test_a_text_that_was_exchanged_does_not_count(scene: Scene, mallory: HostileGateway, put: str) -> None:
    dan = scene.victim("Dan")
    hers = new_detail("to steal it", os.urandom).json()
    texts: dict[str, Callable[[Any], Any]] = {
        "another-text": lambda told: [hers],
        "no-text": lambda told: [],
        "one-more": lambda told: [*told, hers],
    }
    mallory.attack = only("propose", resent(lambda body: {**body, "details": texts[put](body["details"])}))
    with scene.nothing_happens(), pytest.raises(BadRequest):
        request_access(dan, scene.versions[1].version, 1, "to look at it")


# --- repeated, and taken elsewhere ------------------------------------------------------------------


def test_what_was_said_is_not_said_twice_by_repeating_it(scene: Scene, mallory: HostileGateway) -> None:
    dan = scene.victim("Dan")
    done = request_access(dan, scene.versions[1].version, 1, "to look at it")
    (sent,) = mallory.asked_for("propose")
    with scene.nothing_happens():
        for _ in range(3):
            assert scene.keep.ask("act", **sent.json()).ok["index"] == done.logged.index


def test_a_release_that_is_repeated_is_wrapped_to_the_same_key_and_after_the_session_to_none(
    scene: Scene, mallory: HostileGateway
) -> None:
    dan = scene.victim("Dan", anew=True)
    open_through_keep(dan, "acme/atlas@1", scene.store).close()
    (sent,) = mallory.asked_for("release")
    recipient = sha256(base64.b64decode(sent.payload()["body"]["recipient"]))
    with scene.nothing_happens():
        again: Any = scene.keep.ask("act", **sent.json()).ok["answer"]
        told: Any = canonical.parse(base64.b64decode(again["envelope"]["payload"]))
        assert told["body"]["recipient"] == recipient
    dan.logout()
    with scene.nothing_happens(), pytest.raises(UnknownSigner):
        scene.keep.ask("act", **sent.json())


def test_a_look_is_worth_nothing_at_the_keep_or_for_another_target(scene: Scene, mallory: HostileGateway) -> None:
    dan = scene.victim("Dan")
    https = dan.deployment.connection
    https.get("/v1/whoami")  # type: ignore[attr-defined]  # over HTTPS
    look = next(asked for asked in mallory.asked if asked.path == "/v1/whoami").headers[HEADER]
    statement = canonical.parse(base64.b64decode(look))
    with scene.nothing_happens():
        with pytest.raises(StrongroomError) as raised:
            scene.keep.ask("act", statement=statement, details=[])
        assert raised.value.code == "unknown-format"
        for target in ("/v1/inbox", "/v1/whoami?limit=1"):
            hers = Asked(method="GET", target=target, headers={HEADER: look}, body=b"")
            assert mallory.ask(hers).status == 400


def test_a_statement_at_the_path_of_another_act_is_what_it_says_or_nothing(
    scene: Scene, mallory: HostileGateway
) -> None:
    ada = scene.victim("Ada")
    mallory.attack = only("label.raise", lambda asked, ask: ask(replace(asked, target="/v1/acts/freeze")))
    with scene.nothing_happens(), pytest.raises(BadRequest, match=r"a statement of kind `label\.raise/1` at `freeze`"):
        raise_label(ada, scene.model, 2)


# --- made up ---------------------------------------------------------------------------------------


def test_mallory_speaks_for_nobody(scene: Scene, mallory: HostileGateway) -> None:
    ada, hers = scene.victim("Ada"), ec.generate_private_key(ec.SECP256R1())
    session, device = ada.profile.session(), ada.device
    assert session is not None
    assert device is not None
    act, why = act_named("freeze"), new_detail("she wants to", os.urandom)
    statement = ada.statement(act, freeze_act.Freeze(target=scene.model, reason=why.digest))
    for keyid in (session.session, device, new_id("session", os.urandom), new_id("device", os.urandom), ada.subject):
        forged = enveloped(statement, sign_with_key(statement, keyid, hers))
        with scene.nothing_happens(), pytest.raises(StrongroomError) as raised:
            scene.keep.ask("act", statement=forged.json(), details=[why.json()])
        assert raised.value.code in {"bad-signature", "unknown-signer", "bad-record"}
    # Nor does she log in as Ada, with a session key of her own.
    opening = session_open.SessionOpen(
        session=new_id("session", os.urandom), public_key=point_of(hers), device=ada.device
    )
    act = act_named("session.open")
    statement = ada.statement(act, opening)
    forged = enveloped(statement, sign_with_key(statement, device, hers))
    with scene.nothing_happens(), pytest.raises(StrongroomError):
        scene.keep.ask("act", statement=forged.json(), details=[])


def changed(**fields: Any) -> Attack:
    return edited(lambda answer: {**answer, "ok": {**answer["ok"], **fields}})


def dropped(*names: str) -> Attack:
    return edited(
        lambda answer: {**answer, "ok": {name: value for name, value in answer["ok"].items() if name not in names}}
    )


@pytest.mark.parametrize(
    "attack",
    [
        dropped("proof"),
        dropped("leaf"),
        dropped("index"),
        changed(proof=[]),
        changed(proof=[b64(bytes(32))] * 6),
        changed(index=0),
        changed(leaf=b64(b"{}")),
    ],
    ids=["no-proof", "no-leaf", "no-index", "empty-proof", "other-proof", "other-index", "other-leaf"],
)
def test_what_is_not_proven_is_not_taken_for_done(scene: Scene, mallory: HostileGateway, attack: Attack) -> None:
    model = scene.fresh_model()
    ada = scene.victim("Ada")
    mallory.attack = only("label.raise", attack)
    with pytest.raises(BadProof):
        raise_label(ada, model, 2)


def test_an_act_that_was_swallowed_is_not_taken_for_done_by_a_true_proof_of_another(
    scene: Scene, mallory: HostileGateway
) -> None:
    ada = scene.victim("Ada")
    model, other = scene.fresh_model(), scene.fresh_model()
    raise_label(ada, other, 2)
    (earlier,) = mallory.asked_for("label.raise")
    told = mallory.told[-1]

    def swallow(asked: Asked, ask: Ask) -> Any:
        # The same answer again, under the newest checkpoint: for the earlier statement it is as true as it was.
        return ask(replace(asked, body=earlier.body))

    mallory.attack = only("label.raise", swallow)
    with scene.nothing_happens(), pytest.raises(BadAnswer, match=r"is not what was asked for with `label\.raise`"):
        raise_label(ada, model, 2)
    mallory.attack = only("label.raise", lambda asked, ask: told)
    with scene.nothing_happens(), pytest.raises(StrongroomError):
        raise_label(ada, model, 2)


def test_the_enactment_of_another_proposal_is_not_taken_for_that_of_this_one(
    scene: Scene, mallory: HostileGateway
) -> None:
    done = request_access(scene.world.session("Dan"), scene.versions[1].version, 1, "to look")
    enacted = scene.world.agree(done, "Ada", "Ben", role="approver").enacted
    assert enacted is not None
    dan = scene.victim("Dan")

    def claim(asked: Asked, ask: Ask) -> Any:
        told: Any = canonical.parse(ask(asked).body)
        # The newest entry is what was just proposed: with its checkpoint, one of anything before it can be had.
        other: Any = scene.entry(enacted.index)
        assert other["checkpoint"].split("\n")[1] == told["checkpoint"].split("\n")[1]
        proven = {name: other[name] for name in ("index", "leaf", "proof")}
        return says({**told, "ok": {**told["ok"], "enacted": proven}})

    mallory.attack = only("propose", claim)
    with pytest.raises(BadAnswer, match="enacts another proposal"):
        request_access(dan, scene.versions[1].version, 1, "to look again")


CLOSING: dict[str, Callable[[Scene, Session], Done]] = {
    "grant.revoke": lambda scene, ada: revoke_grant(ada, next(iter(ada.directory.grants)), "odd"),
    "session.close": lambda scene, ada: ada.close_session(next(iter(ada.directory.sessions))),
    "credential.report": lambda scene, ada: report_credential(ada, next(iter(ada.directory.credentials)), "lost"),
    "freeze": lambda scene, ada: freeze(ada, scene.model, "odd"),
}


@pytest.mark.parametrize("act", CLOSING)
def test_that_something_is_closed_already_is_never_taken_from_a_gateway_for_done(
    scene: Scene, mallory: HostileGateway, act: str
) -> None:
    ada = scene.victim("Ada")
    mallory.attack = only(act, lambda asked, ask: refuses(AlreadyDone("it is so already")))
    with scene.nothing_happens(), pytest.raises(StrongroomError) as raised:
        CLOSING[act](scene, ada)
    assert raised.value.code == ("not-frozen" if act == "freeze" else "already-done")
    assert mallory.asked_for(act)


def test_a_fact_that_was_swallowed_is_not_taken_for_said_before(scene: Scene, mallory: HostileGateway) -> None:
    mdm = scene.attester("disk-encrypted")
    zone = scene.world.zone()
    assert attest(mdm, zone, "disk-encrypted", 1, seconds=7200) is not None
    assert attest(mdm, zone, "disk-encrypted", 1, seconds=7200) is None
    mallory.attack = only("fact.attest", lambda asked, ask: scene.answer({"answer": {"repeated": True}}))
    with scene.nothing_happens(), pytest.raises(BadProof, match="was said already, and the log does not"):
        attest(mdm, zone, "disk-encrypted", 0, seconds=7200)

"""A gateway that stands between a keep and whoever it releases a key to, or between them and the ciphertext."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.client.answers import release_info
from strongroom.client.https import Response
from strongroom.client.looks import HEADER
from strongroom.client.released import open_through_keep
from strongroom.client.session import Session
from strongroom.client.transfer.gateway_store import GatewayStore
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import DATA_KEY_BYTES, SEED_BYTES, Identity, PublicKey, wrap_to
from strongroom.statements.envelope import pae
from strongroom.statements.signatures import sign_ed25519
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadSignature, ObjectTampered, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadAnswer, BadProof, ObjectSize, WrongManifest
from tests.attacks.versions import MODEL
from tests.hostile.forged import b64
from tests.hostile.proxy import Ask, Asked, Attack, HostileGateway, edited, only, pass_on, said_otherwise, says
from tests.hostile.scene import Scene

NAME = "acme/atlas@1"


def opening(dan: Session, store: ObjectStore) -> dict[str, bytes]:
    """Open the version and read all of it."""
    with open_through_keep(dan, NAME, store) as model:
        return {path: model.read_bytes(path) for path in MODEL}


# --- the answer to a release --------------------------------------------------------------------


def answer_changed(change: Callable[[Any, Asked], Any], key: Ed25519PrivateKey | None = None) -> Attack:
    """Return an attack on what the keep signed: `change` gets its statement. With `key`, that signs it anew."""

    def attack(asked: Asked, ask: Ask) -> Response:
        told: Any = canonical.parse(ask(asked).body)
        envelope = told["ok"]["answer"]["envelope"]
        payload = canonical.encode(change(canonical.parse(base64.b64decode(envelope["payload"])), asked))
        signatures = envelope["signatures"]
        if key is not None:
            signatures = [{**signatures[0], "sig": b64(sign_ed25519(key, pae(payload)))}]
        told["ok"]["answer"]["envelope"] = {**envelope, "payload": b64(payload), "signatures": signatures}
        return says(told)

    return only("release", attack)


def in_body(**fields: Any) -> Callable[[Any, Asked], Any]:
    return lambda statement, asked: {**statement, "body": {**statement["body"], **fields}}


def her_own_key(statement: Any, asked: Asked) -> Any:
    """Wrap a key of Mallory's own to Dan, in just the way that the keep does it."""
    body = statement["body"]
    info = release_info(
        deployment=statement["deployment"],
        version=body["version"],
        entry=body["entry"],
        recipient=body["recipient"],
        expires_at=body["expires_at"],
    )
    recipient = PublicKey(base64.b64decode(asked.payload()["body"]["recipient"]))
    hers = canonical.encode({"data_key": b64(os.urandom(DATA_KEY_BYTES))})
    return {**statement, "body": {**body, "wrapped": b64(wrap_to(recipient, hers, info))}}


def as_it_was(statement: Any, asked: Asked) -> Any:
    return statement


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (her_own_key, None),
        (her_own_key, Ed25519PrivateKey.generate()),
        (as_it_was, Ed25519PrivateKey.generate()),
        (in_body(expires_at=4_000_000_000), None),
        (in_body(entry=sha256(b"another")), None),
        (in_body(version="version-" + "0" * 32), None),
        (lambda statement, asked: {**statement, "at": statement["at"] + 3600}, None),
    ],
    ids=[
        "her-key",
        "her-key-signed-by-her",
        "signed-by-her",
        "lasts-longer",
        "another-entry",
        "another-version",
        "later",
    ],
)
def test_what_the_keep_has_not_signed_is_no_release(
    scene: Scene, mallory: HostileGateway, change: Callable[[Any, Asked], Any], key: Ed25519PrivateKey | None
) -> None:
    dan = scene.victim("Dan")
    mallory.attack = answer_changed(change, key)
    with pytest.raises(BadSignature):
        opening(dan, scene.store)
    mallory.attack = answer_changed(as_it_was)
    assert opening(dan, scene.store) == MODEL


def released_to(scene: Scene, who: Session) -> Any:
    """Return the keep's true answer to a release, with its proof."""
    opening(who, scene.store)
    answered = [told for told in scene.mallory.told if b'"answer":{"envelope"' in told.body]
    told: Any = canonical.parse(answered[-1].body)
    return {"checkpoint": told["checkpoint"], "ok": told["ok"]}


def test_the_true_answer_to_another_release_opens_nothing(scene: Scene, mallory: HostileGateway) -> None:
    dan = scene.victim("Dan")
    earlier = released_to(scene, dan)
    # The whole of it, and then its key alone beside the proof of the new one.
    mallory.attack = only("release", lambda asked, ask: says(earlier))
    with pytest.raises(BadAnswer, match="is not what was asked for"), scene.nothing_happens():
        opening(dan, scene.store)
    mallory.attack = only(
        "release",
        edited(lambda told: {**told, "ok": {**told["ok"], "answer": earlier["ok"]["answer"]}}),
    )
    with pytest.raises(BadAnswer, match="something else than what was asked for, or to somebody else"):
        opening(dan, scene.store)


def test_a_release_to_her_own_key_is_not_made_in_anothers_name(scene: Scene, mallory: HostileGateway) -> None:
    dan = scene.victim("Dan")
    hers = Identity(os.urandom(SEED_BYTES)).public_key()

    def to_her(asked: Asked, ask: Ask) -> Response:
        return said_otherwise(asked.payload()["body"]["recipient"], b64(hers.raw))(asked, ask)

    mallory.attack = only("release", to_her)
    with scene.nothing_happens(), pytest.raises(BadSignature):
        opening(dan, scene.store)


@pytest.mark.parametrize(
    ("without", "error"),
    [({"index", "leaf", "proof"}, BadProof), ({"proof"}, BadProof), ({"answer"}, BadAnswer)],
    ids=["entry", "proof", "answer"],
)
def test_a_release_that_is_not_in_the_log_or_has_no_key_opens_nothing(
    scene: Scene, mallory: HostileGateway, without: set[str], error: type[StrongroomError]
) -> None:
    dan = scene.victim("Dan")
    mallory.attack = only(
        "release",
        edited(lambda told: {**told, "ok": {name: one for name, one in told["ok"].items() if name not in without}}),
    )
    with pytest.raises(error):
        opening(dan, scene.store)


# --- ciphertext ---------------------------------------------------------------------------------


def over_urls(dan: Session, *, patience_seconds: float = 30) -> GatewayStore:
    """Return the store as Mallory's URLs show it."""
    return GatewayStore(
        dan.deployment.connection,  # type: ignore[arg-type]  # it is one over HTTPS
        lambda: dan.directory,
        patience_seconds=patience_seconds,
    )


def are_urls(asked: Asked) -> bool:
    return asked.path.startswith("/v1/versions/") and asked.path.endswith("/urls")


def is_object(asked: Asked) -> bool:
    return asked.path.startswith("/v1/objects/")


def is_first_object(asked: Asked) -> bool:
    return asked.path.startswith("/v1/objects/o/") and asked.path.endswith("/0")


def urls_changed(change: Callable[[dict[str, str]], dict[str, str]]) -> Attack:
    return only(are_urls, edited(lambda told: {**told, "urls": change(told["urls"])}))


def all_are(url: str) -> Attack:
    return urls_changed(lambda urls: dict.fromkeys(urls, url))


def body_changed(change: Callable[[bytes], bytes], which: Callable[[Asked], bool] = is_first_object) -> Attack:
    def attack(asked: Asked, ask: Ask) -> Response:
        honest = ask(asked)
        return replace(honest, body=change(honest.body))

    return only(which, attack)


def head_changed(status: int = 206, **headers: str) -> Attack:
    def attack(asked: Asked, ask: Ask) -> Response:
        honest = ask(asked)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(honest, status=status, headers={**honest.headers, **more})

    return only(is_first_object, attack)


def swapped(urls: dict[str, str]) -> dict[str, str]:
    """Exchange the first two objects."""
    one, two = sorted(name for name in urls if name.startswith("o/"))[:2]
    return {**urls, one: urls[two], two: urls[one]}


def of_the_other_version(scene: Scene, kind: str) -> Attack:
    """Return an attack that serves the objects, or the manifest, of the other version in the place of this one's."""
    mine, other = (made.sealed.seal_id for made in scene.versions)

    def attack(asked: Asked, ask: Ask) -> Response:
        name = asked.path.removeprefix("/v1/objects/").replace(mine, other)
        data = scene.store.read(name, most_bytes=1 << 24)
        first, last = (int(edge) for edge in asked.headers["Range"].removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        told = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        return Response(status=206, headers={"content-range": told}, body=part)

    return only(lambda asked: asked.path.startswith(f"/v1/objects/{kind}/"), attack)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


CIPHERTEXT: dict[str, tuple[Callable[[Scene], Attack], tuple[type[StrongroomError], ...]]] = {
    "a-flipped-bit": (lambda scene: body_changed(flipped), (ObjectTampered,)),
    "a-flipped-bit-in-the-manifest": (
        lambda scene: body_changed(flipped, lambda asked: asked.path.startswith("/v1/objects/m/")),
        (WrongManifest,),
    ),
    "cut-short": (lambda scene: body_changed(lambda data: data[:-1]), (StoreUnavailable,)),
    "objects-swapped": (lambda scene: urls_changed(swapped), (ObjectTampered, ObjectSize)),
    "objects-of-another-version": (lambda scene: of_the_other_version(scene, "o"), (ObjectTampered, ObjectSize)),
    "manifest-of-another-version": (lambda scene: of_the_other_version(scene, "m"), (WrongManifest,)),
    "not-there": (lambda scene: only(is_object, lambda asked, ask: Response(status=404, headers={}, body=b"")), ()),
    "no-urls": (lambda scene: urls_changed(lambda urls: {}), (BadAnswer,)),
    "on-another-host-without-tls": (lambda scene: all_are("http://store.example.org/object"), (BadAnswer,)),
    "with-a-credential": (lambda scene: all_are("https://mallory:pw@127.0.0.1/object"), (BadAnswer,)),
    "a-file": (lambda scene: all_are("file:///etc/passwd"), (BadAnswer,)),
    "another-path-of-hers": (lambda scene: all_are("/v1/whoami"), (BadAnswer,)),
    "whole-instead-of-a-range": (lambda scene: head_changed(200), (StoreUnavailable,)),
    "another-range": (lambda scene: head_changed(content_range="bytes 1-2/3"), (StoreUnavailable,)),
    "compressed": (lambda scene: head_changed(content_encoding="gzip"), (StoreUnavailable,)),
}


@pytest.mark.parametrize("how", CIPHERTEXT)
def test_other_bytes_than_were_sealed_do_not_open(scene: Scene, mallory: HostileGateway, how: str) -> None:
    attack, errors = CIPHERTEXT[how]
    dan = scene.victim("Dan")
    mallory.attack = attack(scene)
    with pytest.raises(errors or StrongroomError) as raised:
        opening(dan, over_urls(dan, patience_seconds=0.3 if StoreUnavailable in errors else 30))
    assert raised.value.message
    assert any(map(are_urls, mallory.asked))


def test_over_true_urls_it_opens_and_no_right_to_read_goes_where_they_lead(
    scene: Scene, mallory: HostileGateway
) -> None:
    dan = scene.victim("Dan")
    assert opening(dan, over_urls(dan)) == MODEL
    fetched = [asked for asked in mallory.asked if is_object(asked)]
    assert fetched
    for asked in fetched:
        assert HEADER not in asked.headers
        assert {name.lower() for name in asked.headers} <= {"host", "range", "accept-encoding"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_who_fetches_ciphertext_is_not_sent_elsewhere(scene: Scene, mallory: HostileGateway, status: int) -> None:
    dan = scene.victim("Dan")
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        there = {"location": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/object"}
        mallory.attack = only(is_object, lambda asked, ask: Response(status=status, headers=there, body=b""))
        with pytest.raises(StoreUnavailable, match=f"answers {status}, which is no answer to this"):
            opening(dan, over_urls(dan, patience_seconds=0.3))
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_a_grant_that_a_gateway_makes_up_opens_nothing(scene: Scene, mallory: HostileGateway) -> None:
    eve = scene.victim("Eve")
    mallory.attack = only(is_grants, lambda asked, ask: says({"items": [], "next": None}))
    with scene.nothing_happens(), pytest.raises(StrongroomError, match="no live grant lets you open"):
        open_through_keep(eve, NAME, scene.store)
    assert not any(map(is_grants, mallory.asked))
    mallory.attack = pass_on


def is_grants(asked: Asked) -> bool:
    return asked.path.startswith("/v1/grants")

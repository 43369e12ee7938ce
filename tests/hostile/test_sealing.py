"""A gateway that would have a writer seal to another key, or under another name, than the deployment's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.released import seal_through_keep
from strongroom.client.session import Program
from strongroom.client.transfer.gateway_uploads import GatewayUploads
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import SEED_BYTES, Binding, Identity
from strongroom.terms.errors import BadSignature, LogTampered, NotFound
from tests.attacks.versions import MODEL, stored, write_model
from tests.hostile.forged import Fork, b64, entries_edited, odd
from tests.hostile.proxy import Asked, HostileGateway, only, pass_on, said_otherwise, says
from tests.hostile.scene import Scene


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_model(tmp_path / "plain")


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """A store in which there is nothing."""
    (tmp_path / "store").mkdir()
    return open_store((tmp_path / "store").as_uri())


def false_key(scene: Scene, model: str, hers: Identity | None = None) -> Callable[[bytes], bytes]:
    """Return what puts a key of Mallory's in the place of a model's, in the entry that has it."""
    true = scene.world.session("Ada").directory.models[model].public_key
    false = (hers or Identity(os.urandom(SEED_BYTES))).public_key().raw
    return lambda leaf: leaf.replace(b64(true).encode(), b64(false).encode())


def test_a_writer_takes_no_key_that_is_not_in_the_log(
    scene: Scene, mallory: HostileGateway, plain: Path, store: ObjectStore
) -> None:
    job = scene.job()
    model = scene.fresh_model()
    change = false_key(scene, model)
    mallory.attack = entries_edited(lambda shown: [change(leaf) for leaf in shown])
    with scene.nothing_happens(), pytest.raises(LogTampered, match="edited, or a fork"):
        seal_through_keep(job, [plain], model, store)
    assert stored(store) == {}
    # Nor does one that comes to the log for the first time.
    with pytest.raises(LogTampered, match="edited, or a fork"):
        scene.job()


def test_a_writer_is_shown_no_other_log_though_its_own_key_signed_it(
    scene: Scene, mallory: HostileGateway, plain: Path, store: ObjectStore
) -> None:
    job = scene.job()
    before = job.directory.models[scene.model].public_key
    change = false_key(scene, scene.model)
    mallory.attack = Fork(scene, [*(change(entry.encode()) for entry in scene.log()), odd()]).attack
    with scene.nothing_happens(), pytest.raises(LogTampered, match="edited, or a fork"):
        seal_through_keep(job, [plain], scene.model, store)
    assert stored(store) == {}
    assert job.directory.models[scene.model].public_key == before


def test_with_two_custodians_shares_whoever_has_seen_nothing_seals_to_a_stranger_and_that_is_conceded(
    scene: Scene, mallory: HostileGateway, plain: Path, store: ObjectStore
) -> None:
    hers = Identity(os.urandom(SEED_BYTES))
    change = false_key(scene, scene.model, hers)
    mallory.attack = Fork(scene, [change(entry.encode()) for entry in scene.log()]).attack
    job = scene.job()
    with scene.nothing_happens():
        sealed = seal_through_keep(job, [plain], scene.model, store).sealed
    binding = Binding(
        deployment=sealed.deployment, model=sealed.model, generation=sealed.generation, seal_id=sealed.seal_id
    )
    assert hers.unwrap(sealed.wrapped_key, binding)
    # The keep knows nothing of that version, and the first look at the true log shows that there are two.
    mallory.attack = pass_on
    with pytest.raises(LogTampered, match="had"):
        job.deployment.sync()


def test_a_model_that_is_withheld_is_not_sealed_to(
    scene: Scene, mallory: HostileGateway, plain: Path, store: ObjectStore
) -> None:
    job = scene.job()
    status = scene.told(scene.keep.ask("status"))
    model = scene.fresh_model()
    mallory.attack = only(lambda asked: asked.path == "/v1/status", lambda asked, ask: status)
    with scene.nothing_happens(), pytest.raises(NotFound, match="no model is proven"):
        seal_through_keep(job, [plain], model, store)
    assert stored(store) == {}


def test_what_a_gateway_says_of_models_by_itself_is_not_even_asked(
    scene: Scene, mallory: HostileGateway, plain: Path
) -> None:
    hers = Identity(os.urandom(SEED_BYTES)).public_key()
    mallory.attack = only(is_collection, lambda asked, ask: says({"items": [{"public_key": b64(hers.raw)}]}))
    job = scene.job()
    made = seal_through_keep(job, [plain], scene.model, scene.store)
    assert not any(map(is_collection, mallory.asked))
    registered = scene.world.session("Ada").directory.versions[made.version]
    assert registered.wrapped_key == made.sealed.wrapped_key


def is_collection(asked: Asked) -> bool:
    return asked.path.startswith(("/v1/models", "/v1/versions"))


@pytest.mark.parametrize("field", ["wrapped_key", "header", "manifest", "seal_id"])
def test_what_is_registered_is_what_was_sealed(
    scene: Scene, mallory: HostileGateway, plain: Path, store: ObjectStore, field: str
) -> None:
    job = scene.job()

    def attack(asked: Asked, ask: Any) -> Any:
        value = asked.payload()["body"][field]
        other = value[:-8] + ("A" if value[-8] != "A" else "B") + value[-7:]
        if field in {"manifest", "seal_id"}:
            other = value[:-8] + "0" * 8
        return said_otherwise(f'"{field}":"{value}"', f'"{field}":"{other}"')(asked, ask)

    mallory.attack = only("version.register", attack)
    with scene.nothing_happens(), pytest.raises(BadSignature):
        seal_through_keep(job, [plain], scene.model, store)
    assert mallory.asked_for("version.register")


# --- over the gateway's own URLs ----------------------------------------------------------------


def uploads(job: Program, model: str) -> GatewayUploads:
    return GatewayUploads(job.deployment.connection, model, patience_seconds=30)  # type: ignore[arg-type]  # it is one over HTTPS


def test_what_is_sealed_through_a_gateway_is_ciphertext_to_it(
    scene: Scene, mallory: HostileGateway, plain: Path
) -> None:
    job = scene.job()
    made = seal_through_keep(job, [plain], scene.model, uploads(job, scene.model))
    sent = [asked for asked in mallory.asked if asked.method == "PUT"]
    assert sum(len(asked.body) for asked in sent) > sum(map(len, MODEL.values()))
    assert all(content not in asked.body for asked in sent for content in MODEL.values() if content)
    assert made.version in scene.world.session("Ada").directory.versions

"""Uploads: a writer gets URLs for one new seal of a model that policy lets them write to, and for nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import pytest

from strongroom.acts.freeze import Freeze
from strongroom.acts.table import act_named
from strongroom.client.names import new_detail
from strongroom.client.released import seal_through_keep
from strongroom.client.transfer.gateway_uploads import GatewayUploads
from strongroom.client.transfer.gateway_urls import LARGEST_MARK_BYTES
from strongroom.objects import open_store
from strongroom.objects.s3 import part_bytes
from strongroom.sealing.manifest import LARGEST_MANIFEST_BYTES
from strongroom.terms.canonical import Json
from strongroom.terms.errors import AlreadyDone, BadRecord, BadRequest, Denied, NotFound
from tests.attacks.versions import write_model
from tests.conftest import S3_MARKS
from tests.gateway.stored import Stored, stored
from tests.gateway.world import RealGateway, real_gateway
from tests.servers import S3Server

Test = TypeVar("Test", bound=Callable[..., None])

MODEL, SEAL = "model-" + "0" * 32, "5" * 32
MIB, TIB = 1 << 20, 1 << 40


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("uploads", numbered=True)
    with stored(folder, (folder / "store").as_uri()) as trial:
        yield trial


@pytest.fixture(scope="module")
def in_s3(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("uploads-s3", numbered=True)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_server.environment().items():
            environment.setenv(name, value)
        with stored(folder, f"s3://{s3_server.bucket}/{folder.name}") as trial:
            yield trial


def ask(trial: Stored, *objects: tuple[str, int], model: str | None = None, seal_id: str = SEAL) -> dict[str, Any]:
    wanted: list[Json] = [{"name": name, "size_bytes": size_bytes} for name, size_bytes in objects]
    asked: Json = {"model": model or trial.model, "objects": wanted, "seal_id": seal_id}
    answer = trial.real.https(trial.real.ada).post("/v1/uploads", asked)
    assert isinstance(answer, dict)
    return dict(answer)


def ask_parts(trial: Stored, **other: Json) -> dict[str, Any]:
    asked: dict[str, Json] = {
        "first": 1,
        "model": trial.model,
        "name": f"o/{SEAL}/0",
        "seal_id": SEAL,
        "size_bytes": 100 * MIB,
        "upload": "the-upload",
    }
    answer = trial.real.https(trial.real.ada).post("/v1/uploads/parts", asked | other)
    assert isinstance(answer, dict)
    return dict(answer)


def test_a_writer_gets_a_url_for_each_object(trial: Stored) -> None:
    names = [f"o/{SEAL}/0", f"o/{SEAL}/999", f"w/{SEAL}", f"m/{trial.model}/{SEAL}"]
    assert sorted(ask(trial, *((name, 5) for name in names))["urls"]) == sorted(names)


@pytest.mark.parametrize(
    "name",
    [
        "o/" + "6" * 32 + "/0",
        f"o/{SEAL}/00",
        f"o/{SEAL}/-1",
        f"o/{SEAL}/1000000000",
        f"o/{SEAL}/0/1",
        f"o/{SEAL}/",
        f"o/{SEAL}",
        f"m/{MODEL}/{SEAL}",
        f"m/acme/atlas/{SEAL}",
        "w/" + "6" * 32,
        f"w/{SEAL}/0",
        f"x/{SEAL}",
    ],
)
def test_a_name_of_another_seal_or_model_gets_no_url(trial: Stored, name: str) -> None:
    with pytest.raises(BadRequest, match="no object of this seal"):
        ask(trial, (name, 5))


@pytest.mark.parametrize(
    ("name", "size_bytes"),
    [(f"w/{SEAL}", LARGEST_MARK_BYTES), ("manifest", LARGEST_MANIFEST_BYTES), (f"o/{SEAL}/0", 5 * TIB)],
)
def test_an_object_may_be_so_large_and_no_larger(trial: Stored, name: str, size_bytes: int) -> None:
    name = f"m/{trial.model}/{SEAL}" if name == "manifest" else name
    assert name in ask(trial, (name, size_bytes))["urls"]
    with pytest.raises(BadRequest, match="may have"):
        ask(trial, (name, size_bytes + 1))


def test_an_object_has_a_size(trial: Stored) -> None:
    with pytest.raises(BadRecord):
        ask(trial, (f"o/{SEAL}/0", 0))


def test_so_many_objects_at_once_and_no_more(trial: Stored) -> None:
    many = [(f"o/{SEAL}/{number}", 1) for number in range(1_001)]
    assert len(ask(trial, *many[:1_000])["urls"]) == 1_000
    with pytest.raises(BadRequest, match="more than 1000"):
        ask(trial, *many)


def test_what_is_a_version_already_is_not_written_to(trial: Stored) -> None:
    """Not even where one of its objects has been lost."""
    with pytest.raises(AlreadyDone, match="is a version"):
        ask(trial, (f"o/{trial.version.seal_id}/99", 5), seal_id=trial.version.seal_id)
    with pytest.raises(AlreadyDone, match="is a version"):
        ask_parts(trial, seal_id=trial.version.seal_id, name=f"o/{trial.version.seal_id}/99")


def test_there_is_nothing_to_write_to_of_a_model_that_is_not_there(trial: Stored) -> None:
    with pytest.raises(NotFound, match="no model"):
        ask(trial, model=MODEL)


def test_nobody_gets_urls_to_write_at_without_a_look(trial: Stored) -> None:
    for target in ("/v1/uploads", "/v1/uploads/parts"):
        assert trial.real.https().request("POST", target, b"{}").status == 403


def test_a_store_that_takes_no_parts_gives_no_urls_for_them(trial: Stored) -> None:
    assert ask(trial, (f"o/{SEAL}/0", TIB))["parted"] == {}
    with pytest.raises(BadRequest, match="no uploads in parts"):
        ask_parts(trial)


# --- in parts ----------------------------------------------------------------------------------


def in_parts(test: Test) -> Test:
    """Mark a test that needs the S3 server."""
    for mark in S3_MARKS:
        test = mark(test)
    return test


@in_parts
def test_what_is_large_goes_in_parts(in_s3: Stored) -> None:
    small, large = f"o/{SEAL}/0", f"o/{SEAL}/1"
    answer = ask(in_s3, (small, 16 * MIB), (large, 16 * MIB + 1))
    assert set(answer["urls"]) == {small}
    assert answer["parted"][large]["part_bytes"] == 8 * MIB


@in_parts
def test_the_urls_of_parts_end_with_the_last_one(in_s3: Stored) -> None:
    size_bytes = 2 * TIB
    each = part_bytes(size_bytes)
    number = -(-size_bytes // each)
    for first, due in ((1, 100), (number, 1), (number - 1, 2), (number + 1, 0)):
        assert len(ask_parts(in_s3, first=first, size_bytes=size_bytes)["urls"]) == due


@in_parts
@pytest.mark.parametrize("upload", ["", "a&b=c", "a b", "ä"])
def test_an_upload_s_name_is_no_more_than_a_name(in_s3: Stored, upload: str) -> None:
    with pytest.raises(BadRecord):
        ask_parts(in_s3, upload=upload)


@in_parts
def test_parts_are_of_objects_of_the_seal(in_s3: Stored) -> None:
    with pytest.raises(BadRequest, match="no object of this seal"):
        ask_parts(in_s3, name="o/" + "6" * 32 + "/0")


# --- who may -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    folder = tmp_path_factory.mktemp("uploads-house", numbered=True)
    with real_gateway(folder, house=True, flags=("--store", (folder / "store").as_uri())) as real:
        yield real


def uploads(real: RealGateway, name: str, model: str) -> GatewayUploads:
    return GatewayUploads(real.https(real.world.profiles[name]), model, patience_seconds=10)


def test_a_training_job_seals_through_a_gateway_and_a_researcher_does_not(
    house: RealGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = house.world
    model = world.model()
    job = world.workload("job", "writer")
    plain = write_model(tmp_path_factory.mktemp("plain"))
    world.session("Dan")
    made = seal_through_keep(job, [plain], "acme/atlas", uploads(house, "job", model))
    assert made.version in job.directory.versions
    with pytest.raises(Denied, match="role `writer`"):
        uploads(house, "Dan", model).put(f"w/{SEAL}", b"x")

    session = world.session("Ada")
    reason = new_detail("odd", os.urandom)
    session.say(act_named("freeze"), Freeze(target=job.subject, reason=reason.digest), details=[reason])
    connection = house.https(world.profiles["Dan"])
    house.until(lambda: cast("dict[str, Json]", connection.get(f"/v1/workloads/{job.subject}"))["frozen"] is True)
    with pytest.raises(Denied, match="froze"):
        uploads(house, "job", model).put(f"w/{SEAL}", b"x")
    store = open_store((house.folder / "store").as_uri())
    assert list(store.list(f"w/{SEAL}")) == []

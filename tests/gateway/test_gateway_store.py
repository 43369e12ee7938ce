"""The store of a gateway: what was released opens through it, at S3 and on a local disk, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.client.requests import request_access
from strongroom.client.transfer.puts import HELD_BYTES
from strongroom.objects import ObjectInfo, ObjectStore, ObjectWriter
from strongroom.terms.errors import AccessDenied, AlreadyDone, BadRequest, NotFound
from strongroom.terms.outer_errors import ObjectMissing, VersionExists
from tests.attacks.versions import read_tree, write_model
from tests.conftest import S3_MARKS
from tests.gateway.stored import Stored, stored
from tests.servers import S3Server

MIB = 1 << 20


@pytest.fixture(scope="module", params=["file", pytest.param("s3", marks=S3_MARKS)])
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("stored", numbered=True)
    with pytest.MonkeyPatch.context() as environment:
        url = (folder / "store").as_uri()
        if request.param == "s3":
            server: S3Server = request.getfixturevalue("s3_server")
            for name, value in server.environment().items():
                environment.setenv(name, value)
            url = f"s3://{server.bucket}/{folder.name}"
        with stored(folder, url) as trial:
            yield trial


def plain(trial: Stored) -> dict[str, bytes]:
    return read_tree(trial.folder)


def opened(trial: Stored, store: ObjectStore | None = None) -> dict[str, bytes]:
    with closing(trial.open(store)) as version:
        return {path: version.read(path) for path in version.files}


def write(store: ObjectStore, name: str, data: bytes) -> None:
    writer = store.create(name, size_bytes=len(data))
    for offset in range(0, len(data), MIB):
        writer.write_at(offset, memoryview(data)[offset : offset + MIB])
    writer.finish()


def test_a_version_that_was_sealed_through_a_gateway_opens_through_it(trial: Stored) -> None:
    assert opened(trial) == plain(trial)


def test_a_large_object_goes_in_parts_or_as_a_stream_and_comes_back(trial: Stored, tmp_path: Path) -> None:
    """More than is sent at once to S3, and more than is held for a local store."""
    large = {"large.bin": os.urandom(HELD_BYTES + 3 * MIB + 17), "small.bin": b"x"}
    made = trial.seal([write_model(tmp_path / "large", large)])
    request_access(trial.session, made.version, 1, "to look at it")
    with closing(trial.open(version=made.version)) as version:
        assert {path: version.read(path) for path in version.files} == large


def test_nothing_that_is_there_is_written_over(trial: Stored) -> None:
    seal_id = os.urandom(16).hex()
    manifest, small, large = f"m/{trial.model}/{seal_id}", f"o/{seal_id}/0", f"o/{seal_id}/1"
    for name, data in ((small, b"first"), (large, bytes(HELD_BYTES + MIB))):
        write(trial.writes, name, data)
        with pytest.raises(VersionExists):
            write(trial.writes, name, b"y" * len(data))
        assert trial.behind.read(name, most_bytes=len(data)) == data
    trial.writes.put_new(manifest, b"first")
    with pytest.raises(VersionExists):
        trial.writes.put_new(manifest, b"other")
    with pytest.raises(VersionExists):
        trial.writes.put(manifest, b"other")
    trial.writes.put(manifest, b"first")
    assert trial.behind.read(manifest, most_bytes=10) == b"first"


def test_a_mark_is_renewed(trial: Stored) -> None:
    name = f"w/{os.urandom(16).hex()}"
    trial.writes.put(name, b"one")
    trial.writes.put(name, b"another")
    assert trial.behind.read(name, most_bytes=10) == b"another"


def test_a_writer_reads_back_its_own_manifest_and_no_more(trial: Stored) -> None:
    """What is a version already, its writer reads like everybody else: with a release."""
    seal_id = os.urandom(16).hex()
    manifest = f"m/{trial.model}/{seal_id}"
    assert list(trial.writes.list(manifest)) == []
    trial.writes.put_new(manifest, b"mine")
    (info,) = trial.writes.list(manifest)
    assert (info.name, info.size_bytes) == (manifest, 4)
    assert trial.writes.read(manifest, most_bytes=10) == b"mine"
    with pytest.raises(AlreadyDone):
        trial.writes.read(f"m/{trial.model}/{trial.version.seal_id}", most_bytes=1 << 20)


SOME = "0" * 32
CANNOT: dict[str, Callable[[Stored], object]] = {
    "a reader creates": lambda trial: trial.reads.create(f"o/{SOME}/0", size_bytes=1),
    "a reader puts": lambda trial: trial.reads.put(f"w/{SOME}", b"x"),
    "a reader puts what is new": lambda trial: trial.reads.put_new(f"m/{trial.model}/{SOME}", b"x"),
    "a reader deletes": lambda trial: trial.reads.delete([ObjectInfo(name="x", size_bytes=1, modified_at=0)]),
    "a reader lists everything": lambda trial: list(trial.reads.list("o/")),
    "a reader lists manifests": lambda trial: list(trial.reads.list("m/")),
    "a reader reads a mark": lambda trial: trial.reads.read(f"w/{SOME}", most_bytes=10),
    "a writer reads objects": lambda trial: trial.writes.read_into(f"o/{SOME}/0", 0, memoryview(bytearray(1))),
    "a writer reads what it wrote": lambda trial: trial.writes.read(f"o/{SOME}/0", most_bytes=10),
    "a writer reads of another model": lambda trial: trial.writes.read(f"m/model-{SOME}/{SOME}", most_bytes=10),
    "a writer lists": lambda trial: list(trial.writes.list(f"o/{SOME}/")),
    "a writer deletes": lambda trial: trial.writes.delete([ObjectInfo(name="x", size_bytes=1, modified_at=0)]),
    "a writer writes elsewhere": lambda trial: trial.writes.put("x/y", b"x"),
}


@pytest.mark.parametrize("what", CANNOT)
def test_what_nobody_can_through_a_gateway(trial: Stored, what: str) -> None:
    with pytest.raises(AccessDenied, match="through a gateway"):
        CANNOT[what](trial)


def test_what_no_gateway_shows_is_empty(trial: Stored) -> None:
    for store in (trial.reads, trial.writes):
        assert list(store.list_partial()) == []
        assert store.free_bytes() is None
        assert store.url == trial.real.url


def test_a_writer_that_gives_up_leaves_nothing_that_is_listed(trial: Stored) -> None:
    seal_id = os.urandom(16).hex()
    for number, size_bytes in enumerate((10, HELD_BYTES + MIB)):
        writer = trial.writes.create(f"o/{seal_id}/{number}", size_bytes=size_bytes)
        writer.write_at(0, memoryview(b"x" * 5))
        writer.abort()
        with pytest.raises(BadRequest):
            writer.write_at(5, memoryview(b"y"))
    assert list(trial.behind.list(f"o/{seal_id}/")) == []


def test_a_writer_takes_what_was_announced_in_order_and_no_more(trial: Stored) -> None:
    def writer() -> ObjectWriter:
        return trial.writes.create(f"o/{os.urandom(16).hex()}/0", size_bytes=10)

    for offset, data in ((1, b"x"), (0, b"x" * 11)):
        one = writer()
        with pytest.raises(BadRequest):
            one.write_at(offset, memoryview(data))
        one.abort()
    one = writer()
    one.write_at(0, memoryview(b"123"))
    with pytest.raises(BadRequest):
        one.finish()


def test_a_seal_that_nobody_registered_is_not_given(trial: Stored) -> None:
    with pytest.raises(NotFound, match="is no version"):
        trial.reads.read(f"m/{trial.model}/{SOME}", most_bytes=10)


def test_an_object_that_is_missing_is_told(trial: Stored, tmp_path: Path) -> None:
    made = trial.seal([write_model(tmp_path / "model")])
    request_access(trial.session, made.version, 1, "to look at it")
    trial.behind.delete([ObjectInfo(name=f"o/{made.seal_id}/1", size_bytes=0, modified_at=0)])
    with pytest.raises(ObjectMissing, match=f"o/{made.seal_id}/1"):
        trial.open(version=made.version)


def test_urls_that_lapse_are_renewed(trial: Stored) -> None:
    """A gateway that starts anew knows none of its old ones; those of S3 go on."""
    with closing(trial.open()) as version:
        before = version.read("weights.bin")
        trial.real.gateway.kill()
        trial.real.start_gateway()
        assert version.read("weights.bin") == before

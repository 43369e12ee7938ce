"""Versions of a deployment: sealed under opaque ids, opened with keys that were released, whole or by the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from strongroom.client.catalogue import describe_versions
from strongroom.client.extract import extract_version
from strongroom.client.opened import OpenVersion, opened
from strongroom.client.scrub import scrub
from strongroom.client.seal import SealedForDeployment, seal_for_deployment
from strongroom.client.sweep import sweep
from strongroom.client.version import SealedVersion, fetch_deployment_manifest, open_released
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import DataKey, released_file_keys
from strongroom.sealing.manifest import parse_manifest
from strongroom.sealing.places import SealName
from strongroom.sealing.registration import check_data_key
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NotFound, NotReleased, StoreUnavailable
from strongroom.terms.names import VersionName
from strongroom.terms.outer_errors import BadName, BadTensors, OutcomeUnknown
from tests.attacks.versions import (
    ATLAS_1,
    DEPLOYMENT,
    MODEL,
    MODEL_ID,
    OWNER,
    Files,
    data_key,
    fetched,
    objects,
    overwrite,
    read_tree,
    remove,
    seal,
    seal_deployed,
    stored,
    versions,
    write_model,
)
from tests.cli.command import done
from tests.client.sealed import filled, safetensors
from tests.faults.hooked import Call, HookedStore

FIRST, SECOND, INDEX = "a-1.safetensors", "a-2.safetensors", "a.safetensors.index.json"
SHARDS: Files = {
    FIRST: safetensors({"one": filled("F32", 300), "both": filled("U8", 3)}),
    SECOND: safetensors({"two": filled("F32", 2000, seed=1), "both": filled("U8", 3, seed=1)}),
    INDEX: b'{"weight_map": {"one": "a-1.safetensors", "two": "a-2.safetensors", "both": "a-2.safetensors"}}',
    "notes.txt": b"mind the gap",
}


def whole(store: ObjectStore, sealed: SealedForDeployment) -> SealedVersion:
    return open_released(store, fetched(store, sealed), DataKey(data_key(sealed)), threads=1)


def named(store: ObjectStore, sealed: SealedForDeployment, *paths: str) -> SealedVersion:
    keys = released_file_keys(data_key(sealed), sealed.seal_id, paths)
    return open_released(store, fetched(store, sealed), keys, threads=1)


def model(store: ObjectStore, sealed: SealedForDeployment, *paths: str, files: str | None = None) -> OpenVersion:
    return opened(named(store, sealed, *paths), files=files)


# --- sealing -----------------------------------------------------------------------------------


def test_a_seal_for_a_deployment_says_all_that_its_registration_needs(store_url: str) -> None:
    store = open_store(store_url)
    sealed = seal_deployed(store)
    held = stored(store)
    assert sorted(held) == [
        f"m/{MODEL_ID}/{sealed.seal_id}",
        *(f"o/{sealed.seal_id}/{number}" for number in range(len(MODEL))),
    ]
    data = held[f"m/{MODEL_ID}/{sealed.seal_id}"]
    public = parse_manifest(data).public
    assert (public.deployment, public.model, public.number, public.generation) == (DEPLOYMENT, MODEL_ID, None, 3)
    assert (sealed.deployment, sealed.model, sealed.generation) == (DEPLOYMENT, MODEL_ID, 3)
    assert (sealed.manifest, sealed.public_digest) == (sha256(data), public.digest())
    assert (sealed.wrapped_key, public.recipient) == (public.wrapped_key, OWNER.public_key().digest())
    assert sealed.header == parse_manifest(data).sealed[:74]
    assert (sealed.files, sealed.size_bytes) == (len(MODEL), sum(map(len, MODEL.values())))
    assert b'"version"' not in data
    check_data_key(data_key(sealed), sealed.seal_id, sealed.header)


def test_tensor_bytes_are_those_of_tensors_or_of_all_files_where_there_are_none(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    assert seal_deployed(store, SHARDS).tensor_bytes == 300 * 4 + 3 + 2000 * 4 + 3
    assert seal_deployed(store, MODEL).tensor_bytes == sum(map(len, MODEL.values()))


def test_two_seals_of_one_model_never_meet(store_url: str) -> None:
    store = open_store(store_url)
    one, two = seal_deployed(store), seal_deployed(store)
    assert len({one.seal_id, two.seal_id}) == 2
    for sealed in (one, two):
        assert whole(store, sealed).read("config.json") == MODEL["config.json"]


@pytest.mark.parametrize(
    ("deployment", "model_id"),
    [
        ("standalone", MODEL_ID),
        ("sr1:" + "A1" * 32, MODEL_ID),
        (DEPLOYMENT, "acme/atlas"),
        (DEPLOYMENT, "person-" + "c3" * 16),
    ],
)
def test_nothing_is_sealed_under_what_is_no_deployment_or_model(tmp_path: Path, deployment: str, model_id: str) -> None:
    store = open_store((tmp_path / "store").as_uri())
    with pytest.raises(BadName) as raised:
        seal_for_deployment(
            [write_model(tmp_path / "model")],
            deployment=deployment,
            model_id=model_id,
            generation=1,
            to=OWNER.public_key(),
            store=store,
        )
    assert "hexadecimal" in raised.value.hint
    assert not (tmp_path / "store").exists()


def test_a_manifest_that_may_have_been_written_keeps_its_objects(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())

    def killed(call: Call) -> None:
        if call.verb in ("put_new", "read"):
            raise StoreUnavailable("killed")

    with pytest.raises(OutcomeUnknown, match=f"version {MODEL_ID}/"):
        seal_deployed(HookedStore(store, before=killed))
    assert len(list(store.list("o/"))) == len(MODEL)


# --- the store ---------------------------------------------------------------------------------


def test_versions_of_deployments_are_listed_after_those_outside(store_url: str) -> None:
    store = open_store(store_url)
    sealed = [seal_deployed(store), seal_deployed(store)]
    seal(store)
    zoo = VersionName(model="zoo/atlas", number=1)
    seal(store, name=zoo)
    names = sorted(SealName(model=MODEL_ID, seal_id=one.seal_id) for one in sealed)
    assert versions(store) == [ATLAS_1, zoo, *names]
    entries = list(describe_versions(store))
    assert {entry.manifest for entry in entries[2:]} == {one.manifest for one in sealed}
    assert {entry.problem for entry in entries} == {None}
    shown = done("ls", "--store", store_url)
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["acme/atlas@1", "zoo/atlas@1", *map(str, names)]


def test_what_a_deployments_manifest_names_is_never_swept(store_url: str) -> None:
    store = open_store(store_url)
    seal_deployed(store)
    before = stored(store)
    assert sweep(store, grace_seconds=0) == ()
    store.put("o/" + "ab" * 16 + "/0", b"left behind")
    (leftover,) = sweep(store, grace_seconds=0)
    assert leftover.seal_id == "ab" * 16
    assert stored(store) == before


@pytest.mark.parametrize("name", [f"m/{MODEL_ID}/backup", f"m/{MODEL_ID[:-1]}/" + "ab" * 16, f"m/{MODEL_ID}"])
def test_something_else_among_a_deployments_manifests_keeps_the_sweep_away(tmp_path: Path, name: str) -> None:
    store = open_store((tmp_path / "store").as_uri())
    store.put(name, b"")
    assert versions(store) == []
    with pytest.raises(BadName, match=name):
        sweep(store, grace_seconds=0)


def test_a_scrub_checks_versions_of_deployments_without_a_key(store_url: str) -> None:
    store = open_store(store_url)
    sealed = seal_deployed(store)
    name = SealName(model=MODEL_ID, seal_id=sealed.seal_id)
    report = scrub(store)
    assert (report.versions, report.objects, report.damage, report.stray) == (1, len(MODEL), (), 0)
    place = f"o/{sealed.seal_id}/2"
    overwrite(store, place, bytes(len(stored(store)[place])))
    for damage in (scrub(store).damage, scrub(store, [name], digest=sealed.manifest).damage):
        assert {(found.version, found.object) for found in damage} == {(str(name), place)}


def test_a_seal_that_is_not_there_is_told(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(NotFound, match=MODEL_ID):
        fetch_deployment_manifest(store, MODEL_ID, "ab" * 16, deployment=DEPLOYMENT, digest=sha256(b""))


# --- opening -----------------------------------------------------------------------------------


def test_a_released_data_key_opens_the_whole_version(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url)
    sealed = seal_deployed(store)
    version = whole(store, sealed)
    extract_version(version, tmp_path / "out")
    assert read_tree(tmp_path / "out") == MODEL
    with opened(version) as atlas:
        assert atlas.name == f"{MODEL_ID}/{sealed.seal_id}"
        assert atlas.manifest == sealed.manifest
        assert atlas.files() == sorted(MODEL)


def test_a_missing_object_is_seen_before_anything_opens(store_url: str) -> None:
    """Also one that the release does not include: the store is not what was sealed."""
    store = open_store(store_url)
    sealed = seal_deployed(store)
    remove(store, list(objects(store, sealed))[-1])
    for version in (whole, named):
        with pytest.raises(Exception, match="is missing from the store"):
            version(store, sealed)


def test_a_release_of_named_files_gives_these_and_no_other(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url)
    sealed = seal_deployed(store)
    version = named(store, sealed, "weights.bin")
    atlas = opened(version)
    assert atlas.files() == ["weights.bin"]
    assert atlas.read_bytes("weights.bin", 7, 6) == MODEL["weights.bin"][7:13]
    for read in (atlas.read_bytes, atlas.size_bytes, atlas.open, atlas.as_path):
        with pytest.raises(NotReleased, match=r"does not include the file `config\.json`") as raised:
            read("config.json")
        assert "request a release" in raised.value.hint
    with pytest.raises(NotFound):
        atlas.read_bytes("nothing")
    with pytest.raises(NotReleased):
        extract_version(version, tmp_path / "one", path="config.json")
    assert not (tmp_path / "one").exists()
    extract_version(version, tmp_path / "out")
    assert read_tree(tmp_path / "out") == {"weights.bin": MODEL["weights.bin"]}


def test_the_keys_that_are_left_out_are_not_there_at_all(tmp_path: Path) -> None:
    """Below the lists of the client: not even the decryptor of another file can be made."""
    store = open_store((tmp_path / "store").as_uri())
    version = named(store, seal_deployed(store), "weights.bin")
    version.contents.decryptor(version.numbers["weights.bin"])
    with pytest.raises(NotReleased, match=r"config\.json"):
        version.contents.decryptor(version.numbers["config.json"])


def test_tensors_of_the_shards_that_were_released_load(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal_deployed(store, SHARDS)
    one = np.frombuffer(filled("F32", 300)[2], dtype="<f4")
    with model(store, sealed, FIRST, INDEX) as atlas:
        # `both` is in this shard too, and the index says that it is the other's.
        assert atlas.keys() == ["one"]
        assert np.array_equal(atlas.load_all()["one"], one, equal_nan=True)
        for name in ("two", "both"):
            with pytest.raises(NotReleased, match=SECOND):
                atlas.get_tensor(name)
        with pytest.raises(NotFound):
            atlas.get_tensor("three")
    with model(store, sealed, FIRST) as atlas:
        assert atlas.keys() == ["both", "one"]
    with model(store, sealed, FIRST, SECOND, INDEX) as atlas:
        assert atlas.keys() == ["both", "one", "two"]


def test_a_release_without_any_shard_says_what_to_ask_for(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal_deployed(store, SHARDS)
    for released, files in (((), None), ((INDEX,), None), ((FIRST, INDEX), "*-2*")):
        with model(store, sealed, *released, files=files) as atlas, pytest.raises(NotReleased, match=r"`a-[12]\."):
            atlas.keys()
    with model(store, sealed, "notes.txt", files="b*") as atlas, pytest.raises(NotFound, match="matches `b"):
        atlas.keys()


def test_an_index_whose_shards_were_all_withheld_says_nothing_of_the_others(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal_deployed(store, {**SHARDS, "b/b.safetensors": safetensors({"three": filled("U8", 5)})})
    with model(store, sealed, INDEX, "b/b.safetensors") as atlas:
        assert atlas.keys() == ["three"]
    with (
        model(store, sealed, INDEX, FIRST, files=SECOND) as atlas,
        pytest.raises(NotReleased, match=SECOND),
    ):
        atlas.keys()


def test_an_index_that_names_nothing_still_decides(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal_deployed(store, {FIRST: SHARDS[FIRST], INDEX: b'{"weight_map": {}}'})
    with opened(whole(store, sealed)) as atlas:
        assert atlas.keys() == []


def test_a_shard_that_the_version_never_had_is_still_refused(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal_deployed(store, {name: content for name, content in SHARDS.items() if name != SECOND})
    with model(store, sealed, INDEX, FIRST) as atlas, pytest.raises(BadTensors, match="is not there"):
        atlas.keys()

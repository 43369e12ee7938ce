"""Attacks on manifests: replay, rollback, replacement and forgery by somebody who can write to the store.

A manifest is public and carries a checksum that anybody can make anew, so every forgery here has a right one.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.scrub import scrub
from strongroom.client.sweep import sweep
from strongroom.client.version import open_released
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import FileKeys, released_file_keys
from strongroom.sealing.manifest import (
    open_manifest,
    open_with_data_key,
    parse_manifest,
    seal_manifest,
)
from strongroom.sealing.places import manifest_name
from strongroom.sealing.registration import check_data_key
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import (
    ManifestTampered,
    NotCanonical,
    ObjectTampered,
    StrongroomError,
    UnknownFormat,
    WrongKey,
)
from strongroom.terms.names import VersionName
from strongroom.terms.outer_errors import WrongManifest
from tests.attacks.versions import (
    ATLAS_1,
    ATLAS_2,
    DEPLOYMENT,
    MODEL,
    MODEL_ID,
    OTHER_DEPLOYMENT,
    OTHER_MODEL_ID,
    OWNER,
    STRANGER,
    data_key,
    fetched,
    opened,
    overwrite,
    seal,
    seal_deployed,
    stored,
    write_key,
)
from tests.cli.command import check_refused, done, run

Body = dict[str, Any]


def manifest_of(store: ObjectStore, name: VersionName = ATLAS_1) -> Body:
    body = canonical.parse(stored(store)[manifest_name(name)])
    assert isinstance(body, dict)
    return body


def forged(body: Body) -> bytes:
    """Return the manifest's bytes with its checksum made anew."""
    rest = {key: value for key, value in body.items() if key != "sha256"}
    return canonical.encode(rest | {"sha256": sha256(canonical.encode(rest))})


def flipped(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(raw).decode()


def changed(field: str, value: Callable[[Any], Any]) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        body["public"][field] = value(body["public"][field])

    change.__name__ = field
    return change


def other_part(body: Body) -> None:
    body["public"]["objects"][0]["parts"][0] = hashlib.sha256(b"").hexdigest()


def fewer_objects(body: Body) -> None:
    body["public"]["objects"].pop()


def more_objects(body: Body) -> None:
    body["public"]["objects"].append(body["public"]["objects"][0])


def objects_swapped(body: Body) -> None:
    body["public"]["objects"].reverse()


def sealed_part(body: Body) -> None:
    body["sealed"] = flipped(body["sealed"])


def no_sealed_part(body: Body) -> None:
    body["sealed"] = ""


def field_added(body: Body) -> None:
    body["public"]["note"] = "harmless"


def field_removed(body: Body) -> None:
    del body["public"]["generation"]


def field_beside(body: Body) -> None:
    body["note"] = "harmless"


FORGERIES: list[tuple[Callable[[Body], None], type[StrongroomError]]] = [
    (changed("deployment", lambda _: "acme"), ManifestTampered),
    (changed("generation", lambda number: number + 1), ManifestTampered),
    (changed("model", lambda _: "acme/other"), ManifestTampered),
    (changed("version", lambda number: number + 1), ManifestTampered),
    (changed("seal_id", lambda text: text[::-1]), ManifestTampered),
    (changed("segment_bytes", lambda number: number * 2), ManifestTampered),
    (changed("part_segments", lambda number: number * 2), ManifestTampered),
    (changed("wrapped_key", flipped), ManifestTampered),
    (changed("recipient", lambda _: STRANGER.public_key().digest()), WrongKey),
    (changed("suite", lambda text: text.replace("MLKEM768_", "")), UnknownFormat),
    (changed("format", lambda _: "strongroom/sealed-version/0"), UnknownFormat),
    (changed("format", lambda _: "strongroom/sealed-version/2"), UnknownFormat),
    (changed("format", lambda _: "somebody/else's/1"), UnknownFormat),
    (other_part, ManifestTampered),
    (fewer_objects, ManifestTampered),
    (more_objects, ManifestTampered),
    (objects_swapped, ManifestTampered),
    (sealed_part, ManifestTampered),
    (no_sealed_part, ManifestTampered),
    (field_added, ManifestTampered),
    (field_removed, ManifestTampered),
    (field_beside, ManifestTampered),
]


@pytest.mark.parametrize(("forge", "error"), FORGERIES, ids=[forge.__name__ for forge, _ in FORGERIES])
def test_a_forged_manifest_does_not_open(
    store_url: str, forge: Callable[[Body], None], error: type[StrongroomError]
) -> None:
    store = open_store(store_url)
    sealed = seal(store)
    body = manifest_of(store)
    assert forged(body) == stored(store)[manifest_name(ATLAS_1)]
    forge(body)
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    with pytest.raises(error):
        opened(store)
    with pytest.raises(WrongManifest):
        opened(store, digest=sealed.manifest)


def test_a_manifest_made_over_to_an_attacker_opens_for_nobody(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    body = manifest_of(store)
    body["public"]["recipient"] = STRANGER.public_key().digest()
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    with pytest.raises(WrongKey):
        opened(store)
    with pytest.raises(ManifestTampered, match="data key"):
        opened(store, identity=STRANGER)


def reordered(data: bytes) -> bytes:
    at = data.index(b',"sealed":')
    return b"{" + data[at + 1 : -1] + b"," + data[1:at] + b"}"


@pytest.mark.parametrize(
    ("mend", "error"),
    [
        pytest.param(lambda data: data + b"\n", NotCanonical, id="line-end"),
        pytest.param(lambda data: data.replace(b":", b": ", 1), NotCanonical, id="white-space"),
        pytest.param(lambda data: data.replace(b"acme", b"\\u0061cme", 1), NotCanonical, id="escape"),
        pytest.param(reordered, NotCanonical, id="key-order"),
        # What no longer says what its checksum was made of is no matter of form.
        pytest.param(lambda data: b"\xef\xbb\xbf" + data, ManifestTampered, id="byte-order-mark"),
        pytest.param(lambda data: data.replace(b'"version":1', b'"version":1.0', 1), ManifestTampered, id="float"),
        pytest.param(
            lambda data: data.replace(b'"version":1', b'"version":1,"version":1', 1), ManifestTampered, id="twice"
        ),
        pytest.param(lambda data: data.decode().encode("utf-16"), ManifestTampered, id="utf-16"),
        pytest.param(lambda data: b"[" * 100_000, ManifestTampered, id="deep"),
        pytest.param(lambda data: b"", ManifestTampered, id="empty"),
        pytest.param(lambda data: bytes(1000), ManifestTampered, id="zeros"),
    ],
)
def test_a_manifest_that_is_not_canonical_is_refused_not_mended(
    store_url: str, mend: Callable[[bytes], bytes], error: type[StrongroomError]
) -> None:
    store = open_store(store_url)
    seal(store)
    content = stored(store)[manifest_name(ATLAS_1)]
    assert mend(content) != content
    overwrite(store, manifest_name(ATLAS_1), mend(content))
    with pytest.raises(error):
        opened(store)
    (damage,) = scrub(store).damage
    assert damage.object == manifest_name(ATLAS_1)
    with pytest.raises(error):
        sweep(store, grace_seconds=0)


def test_a_version_replayed_under_another_number_does_not_open(store_url: str) -> None:
    store = open_store(store_url)
    old = seal(store)
    new = seal(store, {"weights.bin": b"better"}, name=ATLAS_2)
    content = stored(store)
    # forwards, backwards, and under a number that nobody has sealed
    for taken, place in (
        (ATLAS_1, ATLAS_2),
        (ATLAS_2, ATLAS_1),
        (ATLAS_1, VersionName(model="acme/atlas", number=3)),
        (ATLAS_1, VersionName(model="acme/other", number=1)),
    ):
        store.put(manifest_name(place), content[manifest_name(taken)])
        with pytest.raises(ManifestTampered, match=f"{place} is the manifest of {taken}"):
            opened(store, name=place)
        with pytest.raises(ManifestTampered):
            opened(store, name=place, digest=sha256(content[manifest_name(taken)]))
        assert str(place) in {found.version for found in scrub(store).damage}
        overwrite(store, manifest_name(ATLAS_1), content[manifest_name(ATLAS_1)])
        overwrite(store, manifest_name(ATLAS_2), content[manifest_name(ATLAS_2)])
    assert opened(store, digest=old.manifest) == MODEL
    assert opened(store, name=ATLAS_2, digest=new.manifest) == {"weights.bin": b"better"}


def test_a_manifest_over_another_versions_objects_does_not_open(store_url: str) -> None:
    """The seal id names the objects and is bound into every key: it cannot be pointed elsewhere."""
    store = open_store(store_url)
    seal(store)
    other = seal(store, name=ATLAS_2)
    body = manifest_of(store)
    body["public"]["seal_id"] = other.seal_id
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    with pytest.raises(ManifestTampered):
        opened(store)


def test_the_sealed_part_of_another_version_does_not_fit(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    seal(store, name=ATLAS_2)
    body, other = manifest_of(store), manifest_of(store, ATLAS_2)
    body["sealed"] = other["sealed"]
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    with pytest.raises(ManifestTampered):
        opened(store)
    body["public"]["wrapped_key"] = other["public"]["wrapped_key"]
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    with pytest.raises(ManifestTampered):
        opened(store)


@pytest.mark.parametrize("reuses_the_seal_id", [False, True])
def test_a_version_replaced_by_who_has_the_public_key_is_told_by_its_digest(
    store_url: str, tmp_path: Path, reuses_the_seal_id: bool
) -> None:
    """Whoever has the public key can make a version: without the digest its writer is not verified, and it is said."""
    key = write_key(tmp_path / "identity.key", OWNER)
    store = open_store(store_url)
    honest = seal(store)
    store.delete([info for prefix in ("m/", "o/") for info in store.list(prefix)])
    evil = {"weights.bin": b"a backdoor"}
    random = Recycled(honest.seal_id) if reuses_the_seal_id else os.urandom
    forgery = seal(store, evil, random=random)
    assert (forgery.seal_id == honest.seal_id) == reuses_the_seal_id

    opening = ("open", ATLAS_1, "--identity", key, "--store", store_url, "--json")
    unpinned = done(*opening, "--to", tmp_path / "one")
    assert unpinned.err.startswith("writer not verified: ")
    assert unpinned.json()["writer_verified"] is False
    assert (tmp_path / "one" / "weights.bin").read_bytes() == b"a backdoor"

    check_refused(run(*opening, "--to", tmp_path / "two", "--manifest", honest.manifest), WrongManifest)
    assert not (tmp_path / "two").exists()
    with pytest.raises(WrongManifest, match=honest.manifest):
        opened(store, digest=honest.manifest)
    assert scrub(store, [ATLAS_1]).damage == ()
    (damage,) = scrub(store, [ATLAS_1], digest=honest.manifest).damage
    assert (damage.object, damage.offset) == (manifest_name(ATLAS_1), 0)
    scrubbed = run("scrub", ATLAS_1, "--store", store_url, "--manifest", honest.manifest)
    assert scrubbed.code == ObjectTampered.exit_code
    assert forgery.manifest in scrubbed.out


class Recycled:
    """Random bytes, but for one seal id that somebody saw in the store."""

    def __init__(self, seal_id: str) -> None:
        self._seal_id: bytes | None = bytes.fromhex(seal_id)

    def __call__(self, size_bytes: int) -> bytes:
        if size_bytes == 16 and self._seal_id is not None:
            seal_id, self._seal_id = self._seal_id, None
            return seal_id
        return os.urandom(size_bytes)


def test_a_pinned_version_says_that_its_writer_is_verified(store_url: str, tmp_path: Path) -> None:
    key = write_key(tmp_path / "identity.key", OWNER)
    sealed = seal(open_store(store_url))
    outcome = done(
        *("open", ATLAS_1, "--identity", key, "--store", store_url, "--to", tmp_path / "to", "--json"),
        *("--manifest", sealed.manifest),
    )
    assert outcome.json()["writer_verified"] is True
    assert "not verified" not in outcome.err


def test_a_digest_of_another_version_is_refused(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    other = seal(store, name=ATLAS_2)
    with pytest.raises(WrongManifest):
        opened(store, digest=other.manifest)


# --- inside a deployment -----------------------------------------------------------------------


def test_a_manifest_of_another_deployment_model_or_seal_does_not_pass_for_one(store_url: str) -> None:
    """Not from the store, which the digest in the log tells; nor when its writer got the log to hold that digest."""
    store = open_store(store_url)
    honest = seal_deployed(store)
    place = f"m/{MODEL_ID}/{honest.seal_id}"
    for other in (
        seal_deployed(store, deployment=OTHER_DEPLOYMENT),
        seal_deployed(store, model_id=OTHER_MODEL_ID),
        seal_deployed(store),
    ):
        overwrite(store, place, stored(store)[f"m/{other.model}/{other.seal_id}"])
        with pytest.raises(WrongManifest, match=honest.manifest):
            fetched(store, honest)
        with pytest.raises(ManifestTampered, match=f"{other.model}/{other.seal_id}"):
            fetched(store, replace(honest, manifest=other.manifest))
    other = seal_deployed(store, deployment=OTHER_DEPLOYMENT)
    with pytest.raises(ManifestTampered, match=f"is of {OTHER_DEPLOYMENT}, not {DEPLOYMENT}"):
        fetched(store, replace(other, deployment=DEPLOYMENT))


def test_a_version_outside_and_one_inside_a_deployment_do_not_pass_for_each_other(store_url: str) -> None:
    store = open_store(store_url)
    outside, inside = seal(store), seal_deployed(store)
    content = stored(store)
    overwrite(store, manifest_name(ATLAS_1), content[f"m/{MODEL_ID}/{inside.seal_id}"])
    with pytest.raises(ManifestTampered, match=f"is the manifest of {MODEL_ID}/{inside.seal_id}"):
        opened(store)
    overwrite(store, f"m/{MODEL_ID}/{inside.seal_id}", content[manifest_name(ATLAS_1)])
    with pytest.raises(ManifestTampered, match=f"is the manifest of {ATLAS_1}"):
        fetched(store, replace(inside, manifest=outside.manifest))


def test_a_writer_who_swaps_the_wrapped_keys_of_two_seals_opens_neither(store_url: str) -> None:
    """The same model and key pair: a wrapped key is bound to its seal, and the sealed part to the wrapped key."""
    store = open_store(store_url)
    one, two = seal_deployed(store), seal_deployed(store)
    for mine, others in ((one, two), (two, one)):
        with pytest.raises(WrongKey):
            data_key(replace(mine, wrapped_key=others.wrapped_key))
        with pytest.raises(WrongKey):
            check_data_key(data_key(others), mine.seal_id, mine.header)
        body = canonical.parse(stored(store)[f"m/{MODEL_ID}/{mine.seal_id}"])
        assert isinstance(body, dict)
        assert isinstance(body["public"], dict)
        body["public"]["wrapped_key"] = base64.b64encode(others.wrapped_key).decode()
        swapped = parse_manifest(forged(body))
        with pytest.raises(ManifestTampered, match="data key is not bound"):
            open_manifest(swapped, OWNER)
        for of in (mine, others):
            with pytest.raises(ManifestTampered):
                open_with_data_key(swapped, data_key(of))


def test_a_data_key_that_its_writer_bound_to_the_seal_must_still_be_the_manifests(store_url: str) -> None:
    """A key that nobody could open the version with is refused when it is registered, not when it is needed."""
    store = open_store(store_url)
    sealed = seal_deployed(store)
    binding = fetched(store, sealed).public.binding
    wrapped = OWNER.public_key().wrap(bytes(32), binding)
    with pytest.raises(WrongKey, match=f"the manifest of seal {sealed.seal_id}"):
        check_data_key(data_key(replace(sealed, wrapped_key=wrapped)), sealed.seal_id, sealed.header)


def test_the_key_of_one_file_opens_no_other_whatever_the_manifest_calls_it(store_url: str) -> None:
    """A writer renames files to have a release of `a.bin` give away `b.bin`: the path is in key, AAD and header."""
    store = open_store(store_url)
    sealed = seal_deployed(store, {"a.bin": b"for everybody", "b.bin": b"for nobody ;-"})
    key, manifest = data_key(sealed), fetched(store, sealed)
    a, b = open_with_data_key(manifest, key).files
    renamed = seal_manifest(manifest.public, [replace(a, path="b.bin"), replace(b, path="a.bin")], key, random=bytes)
    store.put(f"m/{MODEL_ID}/{sealed.seal_id}", renamed)
    keys = released_file_keys(key, sealed.seal_id, ["a.bin"])
    version = open_released(store, fetched(store, replace(sealed, manifest=sha256(renamed))), keys)
    with pytest.raises(ObjectTampered):
        version.read("a.bin")
    swapped = FileKeys(manifest=keys.manifest, files={"b.bin": keys.files["a.bin"]})
    for paths in (manifest, parse_manifest(renamed)):
        with pytest.raises(ObjectTampered):
            open_released(store, paths, swapped).read("b.bin")


def test_a_release_of_files_does_not_open_a_manifest_that_is_not_theirs(store_url: str) -> None:
    store = open_store(store_url)
    one, two = seal_deployed(store), seal_deployed(store)
    keys = released_file_keys(data_key(one), one.seal_id, MODEL)
    assert open_released(store, fetched(store, one), keys).read("weights.bin") == MODEL["weights.bin"]
    with pytest.raises(ManifestTampered):
        open_released(store, fetched(store, two), keys)


def test_somebody_elses_identity_opens_nothing(store_url: str, tmp_path: Path) -> None:
    key = write_key(tmp_path / "stranger.key", STRANGER)
    store = open_store(store_url)
    seal(store)
    with pytest.raises(WrongKey, match=OWNER.public_key().digest()[:23]):
        opened(store, identity=STRANGER)
    to = tmp_path / "place" / "to"
    opening = ("open", ATLAS_1, "--identity", key, "--store", store_url, "--to", to)
    check_refused(run(*opening), WrongKey)
    check_refused(run(*opening, "--json"), WrongKey)
    check_refused(run("inspect", ATLAS_1, "--identity", key, "--store", store_url), WrongKey)
    assert not to.parent.exists()

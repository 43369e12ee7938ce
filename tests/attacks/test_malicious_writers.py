"""A writer is anybody with the public key: what they seal can harm nobody who opens or looks at it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.client.extract import extract_version
from strongroom.client.seal import seal_version
from strongroom.client.sweep import sweep
from strongroom.client.version import fetch_manifest, open_sealed
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import DataKey
from strongroom.sealing.manifest import SealedFile, open_manifest, seal_manifest
from strongroom.sealing.places import manifest_name
from strongroom.sealing.tensors import Tensor, TensorIndex
from strongroom.terms.errors import ManifestTampered, ObjectTampered, OutputExists, StrongroomError
from strongroom.terms.outer_errors import BadPath, BadTensors
from tests.attacks.versions import ATLAS_1, OWNER, opened, overwrite, read_tree, seal, write_key, write_model
from tests.cli.command import check_refused, done, run

FILES = {"a.bin": b"first", "b.bin": b"other"}


def reseal(store: ObjectStore, change: Callable[[tuple[SealedFile, ...]], list[SealedFile]]) -> None:
    """Seal the manifest of a version again, with other files in it, as its writer could have."""
    manifest = fetch_manifest(store, ATLAS_1)
    contents = open_manifest(manifest, OWNER)
    assert isinstance(contents.keys, DataKey)
    data = seal_manifest(manifest.public, change(contents.files), contents.keys.raw, random=bytes)
    overwrite(store, manifest_name(ATLAS_1), data)


def named(*paths: str) -> Callable[[tuple[SealedFile, ...]], list[SealedFile]]:
    return lambda files: [replace(file, path=path) for file, path in zip(files, paths, strict=True)]


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param(("../evil", "b"), id="parent"),
        pytest.param(("a/../../evil", "b"), id="parent-inside"),
        pytest.param(("/tmp/evil", "b"), id="absolute"),
        pytest.param(("", "b"), id="empty"),
        pytest.param((".", "b"), id="dot"),
        pytest.param(("a//b", "b"), id="empty-part"),
        pytest.param(("..\\evil", "b"), id="backslash"),
        pytest.param(("a\x00", "b"), id="nul"),
        pytest.param(("a\n", "b"), id="line-end"),
        pytest.param(("\x1b[2Ja", "b"), id="escape"),
        pytest.param(("gpj.\u202eexe", "b"), id="bidi"),
        pytest.param(("a\u200b", "b"), id="invisible"),
        pytest.param(("e\u0301", "b"), id="not-nfc"),
        pytest.param(("a", "a"), id="twice"),
        pytest.param(("a", "A"), id="case-clash"),
        pytest.param(("d/a", "D/b"), id="folder-case-clash"),
        pytest.param(("a", "a/b"), id="file-and-folder"),
        pytest.param(("a" * 256, "b"), id="long"),
        pytest.param(("d/" * 600 + "a", "b"), id="deep"),
    ],
)
def test_no_version_writes_outside_its_folder_or_over_itself(tmp_path: Path, paths: tuple[str, ...]) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES)
    reseal(store, named(*paths))
    with pytest.raises(BadPath) as raised:
        opened(store)
    assert raised.value.message.isprintable()
    assert not Path("/tmp/evil").exists()


def test_a_resealed_manifest_opens_when_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES)
    reseal(store, named("a.bin", "b.bin"))
    assert opened(store) == FILES


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda files: files[:1], ManifestTampered),
        (lambda files: [*files, files[0]], BadPath),
        (lambda files: [replace(files[0], size_bytes=6), files[1]], ManifestTampered),
        (lambda files: [replace(files[0], parts=()), files[1]], ManifestTampered),
        (lambda files: [replace(files[0], header=bytes(3)), files[1]], ManifestTampered),
        (lambda files: [replace(files[0], sha256="0"), files[1]], ManifestTampered),
    ],
    ids=["fewer-files", "more-files", "size", "parts", "header", "sha256"],
)
def test_a_sealed_part_that_contradicts_itself_is_refused(
    tmp_path: Path,
    change: Callable[[tuple[SealedFile, ...]], list[SealedFile]],
    error: type[StrongroomError],
) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES)
    reseal(store, change)
    with pytest.raises(error):
        opened(store)


def with_tensor(name: str, start: int, stop: int) -> Callable[[tuple[SealedFile, ...]], list[SealedFile]]:
    tensor = Tensor(name=name, dtype="U8", shape=(stop - start,), start=start, stop=stop)
    index = TensorIndex(tensors={name: tensor}, data_start=start, metadata={})
    return lambda files: [replace(files[0], tensors=index), files[1]]


def test_a_tensor_that_reaches_outside_its_file_is_refused(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES)
    reseal(store, with_tensor("w", 2, 500))
    with pytest.raises(BadTensors):
        opened(store)


def test_names_in_a_version_do_not_move_the_cursor_of_who_inspects_it(tmp_path: Path) -> None:
    key = write_key(tmp_path / "identity.key", OWNER)
    evil = "\x1b]0;owned\x07\x1b[2J\r\nstrongroom: all is well\u202e"
    header = json.dumps(
        {"__metadata__": {evil: evil}, evil: {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    ).encode()
    files = {"model.safetensors": len(header).to_bytes(8, "little") + header + b"x"}
    store = open_store((tmp_path / "store").as_uri())
    seal(store, files)
    shown = done("inspect", ATLAS_1, "--identity", key, "--store", store.url)
    text = shown.out + shown.err
    assert "owned" in text
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not [line for line in text.splitlines() if line.startswith("strongroom: all")]
    in_json = done("inspect", ATLAS_1, "--identity", key, "--store", store.url, "--json")
    assert in_json.json()["files"][0]["tensors"][0]["name"] == evil


def test_nothing_in_a_file_name_moves_the_cursor_of_who_seals_it(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07"
    model = write_model(tmp_path / "model", {"a.bin": b"a", f"{evil}.bin": b"b", "z\udcff.bin": b"c"})
    sealing = ("seal", model, "--as", ATLAS_1, "--to", OWNER.public_key(), "--store", tmp_path.as_uri() + "/s")
    outcome = run(*sealing)
    check_refused(outcome, BadPath)
    left_out = done(*sealing, "--exclude", "*owned*", "--exclude", "z*")
    text = outcome.err + left_out.out + left_out.err
    assert "owned" in text
    assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("planted", ["o", "m", "o/{}", "m/acme"])
def test_a_symlink_in_the_store_leads_nobody_out_of_it(tmp_path: Path, planted: str) -> None:
    """Whoever can write to a store's folder could point its folders elsewhere: nothing there is read or removed."""
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal(store, FILES)
    place = tmp_path / "store" / planted.format(sealed.seal_id)
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    before = read_tree(tmp_path)
    with pytest.raises(StrongroomError):
        opened(store)
    with pytest.raises(ObjectTampered, match="symlink"):
        sweep(store, grace_seconds=0)
    assert read_tree(tmp_path) == before


def test_a_destination_behind_a_symlink_is_refused(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    seal(store, FILES)
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    version = open_sealed(store, ATLAS_1, OWNER)
    for place in ("link", "broken"):
        with pytest.raises(OutputExists):
            extract_version(version, tmp_path / place)
    (tmp_path / "target" / "a.bin").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExists):
        extract_version(version, tmp_path / "target", path="a.bin")
    assert not (tmp_path / "nowhere").exists()
    assert [place.name for place in (tmp_path / "target").iterdir()] == ["a.bin"]


def test_the_seals_random_bytes_are_all_fresh(tmp_path: Path) -> None:
    """No key, seal id or IV is drawn twice, whatever is sealed."""
    drawn: list[bytes] = []

    def random(size_bytes: int) -> bytes:
        drawn.append(os.urandom(size_bytes))
        return drawn[-1]

    model = write_model(tmp_path / "model", FILES | {"weights.bin": bytes(10_000)})
    seal_version(
        [model],
        name=ATLAS_1,
        to=OWNER.public_key(),
        store=open_store((tmp_path / "store").as_uri()),
        segment_bytes=64,
        random=random,
    )
    segments = 2 + -(-10_000 // 32)
    # a data key, a seal id; an IV for each file and segment; and those of the manifest
    assert len(drawn) > 2 + 3 + segments + 2
    assert len(set(drawn)) == len(drawn)
    stored = b"".join(read_tree(tmp_path / "store").values())
    assert drawn[0] not in stored
    assert sum(iv in stored for iv in drawn[1:] if len(iv) == 12) == segments

"""Every vector: the product does what is written there, and another implementation would be held to the same."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.sealing.floe import Decryptor, Encryptor, Parameters, decrypt_into
from strongroom.sealing.key_texts import parse_identity
from strongroom.sealing.keys import FileKeys, Identity
from strongroom.sealing.manifest import (
    Contents,
    Manifest,
    open_manifest,
    open_with_keys,
    parse_manifest,
)
from strongroom.sealing.registration import check_data_key
from strongroom.terms.errors import ObjectTampered, StrongroomError
from strongroom.terms.outer_errors import ObjectSize
from tests.sealing.reader import read_message, read_version
from tests.vectors import generate

Vector = dict[str, Any]
VECTORS = Path(__file__).parents[1] / "vectors"


def load(folder: str) -> dict[str, Vector]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((VECTORS / folder).glob("*.json"))}


FLOE = load("floe")
REGISTRATIONS = load("registration")
VERSIONS = load("sealed-version")


def test_this_many_vectors_were_found() -> None:
    assert (len(FLOE), len(VERSIONS), len(REGISTRATIONS)) == (70, 268, 15)
    assert Counter(vector["expect"] for vector in FLOE.values()) == {
        "ok": 34,
        "object-tampered": 30,
        "object-size": 6,
    }
    assert Counter(vector["expect"] for vector in VERSIONS.values()) == {
        "ok": 13,
        "bad-path": 30,
        "bad-tensors": 29,
        "manifest-tampered": 144,
        "not-canonical": 11,
        "not-released": 1,
        "object-missing": 1,
        "object-size": 5,
        "object-tampered": 25,
        "unknown-format": 7,
        "wrong-key": 2,
    }
    assert Counter(vector["expect"] for vector in REGISTRATIONS.values()) == {
        "ok": 2,
        "manifest-tampered": 3,
        "wrong-key": 10,
    }


def test_the_vectors_are_those_that_the_generator_writes() -> None:
    written = {str(path): text for path, text in generate.files()}
    stored = {
        str(path.relative_to(VECTORS)): path.read_text()
        for folder in generate.FOLDERS
        for path in (VECTORS / folder).glob("*.json")
    }
    assert written == stored


def released(pieces: Iterator[bytes]) -> tuple[str, StrongroomError | None]:
    """Return the digest of what `pieces` gave before it ended or failed, and the failure."""
    digest = hashlib.sha256()
    try:
        for piece in pieces:
            digest.update(piece)
    except StrongroomError as error:
        return digest.hexdigest(), error
    return digest.hexdigest(), None


def check_failure(vector: Vector, error: StrongroomError | None) -> None:
    if error is None:
        assert vector["expect"] == "ok"
    else:
        assert (error.code, error.family) == (vector["expect"], vector.get("family")), error


def floe_reader(vector: Vector) -> Decryptor:
    parameters = Parameters(segment_bytes=vector["segment_bytes"], rotation_bits=vector["rotation_bits"])
    header = base64.b64decode(vector["ciphertext"])[:74]
    return Decryptor(parameters, bytes.fromhex(vector["key"]), bytes.fromhex(vector["aad"]), header)


@pytest.mark.parametrize("name", FLOE)
def test_floe(name: str) -> None:
    vector = FLOE[name]

    def read() -> Iterator[bytes]:
        stored = base64.b64decode(vector["ciphertext"])
        yield from read_message(floe_reader(vector), stored, vector["plaintext_bytes"], vector["segments"])

    digest, error = released(read())
    check_failure(vector, error)
    assert digest == vector["released"]


@pytest.mark.parametrize("name", [name for name in FLOE if not name.startswith("ok-")])
def test_a_faulty_ciphertext_is_refused_whole_too(name: str) -> None:
    vector = FLOE[name]
    out = bytearray(vector["plaintext_bytes"])
    with pytest.raises((ObjectTampered, ObjectSize)):
        decrypt_into(floe_reader(vector), base64.b64decode(vector["ciphertext"]), memoryview(out))


@pytest.mark.parametrize("name", [name for name in FLOE if name.startswith("ok-")])
def test_floe_encrypts_to_the_known_answer(name: str) -> None:
    vector = FLOE[name]
    parameters = Parameters(segment_bytes=vector["segment_bytes"], rotation_bits=vector["rotation_bits"])
    iv, aad = bytes.fromhex(vector["iv"]), bytes.fromhex(vector["aad"])
    encryptor = Encryptor(parameters, bytes.fromhex(vector["key"]), aad, iv)
    plaintext, full = base64.b64decode(vector["plaintext"]), parameters.plaintext_bytes
    ciphertext = encryptor.header
    for number, segment_iv in enumerate(vector["segment_ivs"]):
        segment = bytearray(parameters.segment_bytes)
        length = encryptor.encrypt_segment_into(
            number,
            plaintext[number * full : (number + 1) * full],
            memoryview(segment),
            iv=bytes.fromhex(segment_iv),
            is_last=number == vector["segments"] - 1,
        )
        ciphertext += segment[:length]
    assert ciphertext == base64.b64decode(vector["ciphertext"])


def opened(manifest: Manifest, vector: Vector) -> Contents:
    if (release := vector.get("release")) is None:
        return open_manifest(manifest, parse_identity(vector["identity"]))
    files = {path: bytes.fromhex(key) for path, key in release["files"].items()}
    return open_with_keys(manifest, FileKeys(manifest=bytes.fromhex(release["manifest"]), files=files))


@pytest.mark.parametrize("name", VERSIONS)
def test_sealed_version(name: str) -> None:
    vector = VERSIONS[name]
    stage = "parse"

    def read() -> Iterator[bytes]:
        nonlocal stage
        manifest = parse_manifest(base64.b64decode(vector["manifest"]))
        stage = "open"
        contents = opened(manifest, vector)
        stage = "read"
        objects = {name: base64.b64decode(stored) for name, stored in vector["objects"].items()}
        yield from read_version(contents, objects, vector.get("paths"))

    digest, error = released(read())
    check_failure(vector, error)
    assert error is None or stage == vector["stage"]
    assert digest == vector["released"]


@pytest.mark.parametrize("name", [name for name in VERSIONS if name.startswith("ok-")])
def test_a_good_version_holds_the_files_it_names(name: str) -> None:
    vector = VERSIONS[name]
    contents = opened(parse_manifest(base64.b64decode(vector["manifest"])), vector)
    assert contents.manifest.digest == vector["digest"]
    stored = {name: base64.b64decode(data) for name, data in vector["objects"].items()}
    plaintext = b"".join(read_version(contents, stored, vector.get("paths")))
    digests, start = {}, 0
    for file in contents.released:
        content = plaintext[start : start + file.size_bytes]
        digests[file.path] = hashlib.sha256(content).hexdigest()
        start += file.size_bytes
        assert file.sha256 in {None, digests[file.path]}
        run = contents.manifest.public.parameters.plaintext_bytes * contents.manifest.public.part_segments
        runs = [content[part * run : (part + 1) * run] for part in range(len(file.parts))]
        assert file.parts == tuple(hashlib.sha256(data).hexdigest() for data in runs)
        assert b"".join(runs) == content
    assert digests == vector["files"]


@pytest.mark.parametrize("name", [name for name, vector in VERSIONS.items() if "damaged" in vector])
def test_the_public_part_shows_every_damaged_part_without_a_key(name: str) -> None:
    vector = VERSIONS[name]
    public = parse_manifest(base64.b64decode(vector["manifest"])).public
    damaged = []
    for number, stored in enumerate(public.objects):
        data = base64.b64decode(vector["objects"].get(public.object_name(number), ""))
        for part, expected in enumerate(stored.parts):
            start, length = public.part_range(number, part)
            if hashlib.sha256(data[start : start + length]).hexdigest() != expected:
                damaged.append([number, part])
    assert damaged == vector["damaged"]
    assert all(sum(public.part_range(n, len(o.parts) - 1)) == o.size_bytes for n, o in enumerate(public.objects))


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_a_data_key_is_held_against_the_header_that_it_made(name: str) -> None:
    vector = REGISTRATIONS[name]
    failure = None
    try:
        check_data_key(bytes.fromhex(vector["data_key"]), vector["seal_id"], bytes.fromhex(vector["header"]))
    except StrongroomError as error:
        failure = error
    check_failure(vector, failure)
    assert (failure is None) == (vector["expect"] == "ok")


def test_the_published_x_wing_vector_expands_to_its_public_key() -> None:
    vector = json.loads((VECTORS / "xwing.json").read_text())
    assert Identity(bytes.fromhex(vector["seed"])).public_key().raw.hex() == vector["public_key"]

"""The manifest: what is sealed is what opens, and nothing that anybody changes or makes up is."""

from __future__ import annotations

import base64
import json
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.sealing import floe, keys
from strongroom.sealing.keys import Binding, Identity
from strongroom.sealing.manifest import (
    PART_SEGMENTS,
    Contents,
    Public,
    SealedFile,
    StoredObject,
    open_manifest,
    open_with_data_key,
    open_with_keys,
    parse_manifest,
    seal_manifest,
)
from strongroom.sealing.registration import check_data_key
from strongroom.sealing.tensors import Tensor, TensorIndex
from strongroom.terms.errors import BadRequest, ManifestTampered, NotReleased, StrongroomError, Tampered, WrongKey
from strongroom.terms.names import VersionName
from tests.vectors.floe_cases import digest, draw
from tests.vectors.version_writer import SEED, Version, edited

IDENTITY = Identity(SEED)
NAME = VersionName(model="acme/atlas", number=7)
SEAL_ID = draw("seal id", 16).hex()
DATA_KEY = draw("manifest data key", 32)


def random(size: int) -> bytes:
    return draw(f"manifest {size}", size)


def sealed(sizes: dict[str, int], segment_bytes: int = 256, part_segments: int = 2) -> bytes:
    """Return a manifest of files of these sizes, whose objects nobody wrote."""
    parameters = floe.Parameters(segment_bytes=segment_bytes)
    objects, files = [], []
    for path, size in sizes.items():
        key = keys.file_key(DATA_KEY, SEAL_ID, path)
        header = floe.Encryptor(parameters, key.key, key.aad, draw(path, 32)).header
        parts = (digest(path.encode()),) * -(-parameters.segments(size) // part_segments)
        objects.append(StoredObject(size_bytes=parameters.sealed_bytes(size), parts=parts))
        index = None
        if path.endswith(".safetensors"):
            tensor = Tensor(name="t", dtype="U8", shape=(size - 8,), start=8, stop=size)
            index = TensorIndex(data_start=8, tensors={"t": tensor}, metadata={"format": "pt"})
        whole = digest(path.encode()) if size % 2 else None
        files.append(SealedFile(path=path, size_bytes=size, header=header, parts=parts, sha256=whole, tensors=index))
    binding = Binding(deployment="standalone", model=NAME.model, generation=1, seal_id=SEAL_ID)
    public = Public(
        deployment="standalone",
        model=NAME.model,
        number=NAME.number,
        generation=1,
        seal_id=SEAL_ID,
        recipient=IDENTITY.public_key().digest(),
        wrapped_key=IDENTITY.public_key().wrap(DATA_KEY, binding),
        segment_bytes=segment_bytes,
        part_segments=part_segments,
        objects=tuple(objects),
    )
    data = seal_manifest(public, files, DATA_KEY, random=random)
    contents = open_manifest(parse_manifest(data), IDENTITY)
    assert contents.manifest.public == public
    assert contents.files == tuple(files)
    return data


@given(
    sizes=st.dictionaries(
        st.sampled_from(["a", "b/c", "größe", "m.safetensors", "d/e/f"]), st.integers(8, 600), max_size=4
    ),
    segment_bytes=st.sampled_from([64, 256, 1 << 20, 1 << 24]),
    part_segments=st.sampled_from([1, 2, PART_SEGMENTS, 1 << 16]),
)
def test_what_is_sealed_is_what_opens(sizes: dict[str, int], segment_bytes: int, part_segments: int) -> None:
    sealed(sizes, segment_bytes, part_segments)


def test_what_no_reader_would_take_is_not_sealed() -> None:
    with pytest.raises(BadRequest, match="16777217 bytes"):
        sealed({}, segment_bytes=(1 << 24) + 1)


def test_the_parts_of_an_object_cover_it_from_end_to_end() -> None:
    public = parse_manifest(sealed({"a": 0, "b/c": 224 * 4, "d/e/f": 224 * 4 + 1})).public
    for number, stored in enumerate(public.objects):
        end = 0
        for part in range(len(stored.parts)):
            start, length = public.part_range(number, part)
            assert start == end
            assert length > 0
            end = start + length
        assert end == stored.size_bytes
    assert public.part_range(1, 0) == (0, 74 + 512)
    assert public.part_range(1, 1) == (74 + 512, 512)
    assert len(public.objects[1].parts) == 2


def test_no_path_size_or_digest_of_a_plaintext_is_readable_without_the_key() -> None:
    data = sealed({"secret-name.safetensors": 1234567 % 3000})
    assert b"secret-name" not in data
    body = json.loads(data)
    assert b"secret-name" not in base64.b64decode(body["sealed"])
    assert digest(b"secret-name.safetensors").encode() in data  # the stand-in for the object's own digest
    assert body["public"].keys() == {
        "deployment", "format", "generation", "model", "objects", "part_segments", "recipient", "seal_id",
        "segment_bytes", "suite", "version", "wrapped_key",
    }  # fmt: skip


def test_a_manifest_opens_with_its_data_key_alone_and_with_no_other() -> None:
    manifest = parse_manifest(sealed({"a": 9}))
    assert open_with_data_key(manifest, DATA_KEY).files[0].path == "a"
    with pytest.raises(ManifestTampered):
        open_with_data_key(manifest, draw("other", 32))


def test_named_files_open_with_their_keys_and_the_manifests() -> None:
    manifest = parse_manifest(sealed({"a": 9, "b/c": 300}))
    contents = open_with_keys(manifest, keys.released_file_keys(DATA_KEY, SEAL_ID, ["b/c", "gone"]))
    assert [file.path for file in contents.files] == ["a", "b/c"]
    assert [file.path for file in contents.released] == ["b/c"]
    contents.decryptor(1)
    with pytest.raises(NotReleased, match="`a`"):
        contents.decryptor(0)
    whole = open_with_data_key(manifest, DATA_KEY)
    assert whole.released == whole.files == contents.files


def test_a_data_key_is_checked_without_the_manifest() -> None:
    manifest = parse_manifest(sealed({"a": 9}))
    check_data_key(DATA_KEY, SEAL_ID, manifest.header)
    with pytest.raises(WrongKey, match=SEAL_ID) as raised:
        check_data_key(draw("other", 32), SEAL_ID, manifest.header)
    assert "register" in raised.value.hint


def test_a_wrong_identity_is_told_apart_from_a_changed_manifest() -> None:
    manifest = parse_manifest(sealed({"a": 9}))
    with pytest.raises(WrongKey):
        open_manifest(manifest, Identity(draw("other", 32)))
    changed = replace(manifest, public=replace(manifest.public, generation=2))
    with pytest.raises(ManifestTampered):
        open_manifest(changed, IDENTITY)


def test_secrets_are_in_no_repr() -> None:
    contents = open_manifest(parse_manifest(sealed({"a": 9})), IDENTITY)
    assert repr(contents) == "Contents(acme/atlas@7, 1 files)"
    assert repr(DATA_KEY)[2:-1] not in repr([contents, contents.decryptor(0)])


GOOD = Version(files=[("a.txt", b"weights\n")], label="fuzz").manifest()


def opens(data: bytes) -> Contents | None:
    try:
        return open_manifest(parse_manifest(data), IDENTITY)
    except StrongroomError:
        return None


def test_the_manifest_that_is_changed_below_opens() -> None:
    assert opens(GOOD)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_in_the_words_of_our_errors(data: bytes) -> None:
    assert opens(data) is None


@given(at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), drop=st.integers(0, 3))
def test_no_changed_byte_goes_unseen(at: int, byte: int, drop: int) -> None:
    changed = GOOD[:at] + bytes([byte]) + GOOD[at + drop :]
    assert (opens(changed) is not None) == (changed == GOOD)


FIELDS = [
    ("public", name)
    for name in (
        "deployment", "format", "generation", "model", "objects", "part_segments", "recipient", "seal_id",
        "segment_bytes", "suite", "version", "wrapped_key",
    )
] + [("sealed", "")]  # fmt: skip
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.from_regex(r"[0-9a-f]{32}|sha256:[0-9a-f]{64}|[A-Za-z0-9+/]{40}", fullmatch=True)
)
VALUES = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["parts", "size", "x"]), children, max_size=3)
    ),
    max_leaves=6,
)


@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_no_field_can_be_changed_by_whoever_mends_the_checksum(field: tuple[str, str], value: Any) -> None:
    def edit(body: dict[str, Any]) -> None:
        part, name = field
        if name:
            body[part][name] = value
        else:
            body[part] = value

    changed = edited(GOOD, edit)
    assert (opens(changed) is not None) == (changed == GOOD)


@given(value=VALUES)
def test_whatever_a_writer_seals_is_parsed_or_refused(value: Any) -> None:
    """A malicious writer holds the data key: the sealed part may be anything at all."""
    for bend in (
        lambda sealed: sealed.update(files=value),
        lambda sealed: sealed.update(public=value),
        lambda sealed: sealed["files"][0].update(parts=value),
        lambda sealed: sealed["files"][0].update(header=value),
        lambda sealed: sealed["files"][0].update(path=value),
        lambda sealed: sealed["files"][0].update(size=value),
        lambda sealed: sealed["files"][0].update(tensors=value),
        lambda sealed: sealed["files"][0].update(sha256=value),
    ):
        opens(Version(files=[("a.txt", b"weights\n")], label="fuzz", bend_sealed=bend).manifest())


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"public":' * 50_000, b"1" * 10**6, b"-" * 10**6, b'"' * 10**6])
def test_input_that_is_made_to_exhaust_a_reader_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestTampered):
        parse_manifest(data)


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,"])
def test_a_manifest_of_very_many_values_takes_little_memory_to_refuse(value: bytes) -> None:
    """Whoever writes to the store needs no key for it, and `ls` reads every manifest."""
    data = b"[" + value * 5_000_000 + b"1]"
    tracemalloc.start()
    try:
        with pytest.raises(ManifestTampered, match="more than 4000000 values"):
            parse_manifest(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_manifest_that_anybody_made_anew_has_another_digest() -> None:
    """The limit that the specification states: only the digest says whose version it is."""
    forged = Version(files=[("a.txt", b"poison!\n")], label="fuzz").manifest()
    assert opens(forged)
    assert parse_manifest(forged).digest != parse_manifest(GOOD).digest


def test_what_a_wrong_checksum_is_called() -> None:
    body = json.loads(GOOD)
    body["sha256"] = "sha256:" + "0" * 64
    with pytest.raises(Tampered, match="checksum"):
        parse_manifest(json.dumps(body, separators=(",", ":")).encode())

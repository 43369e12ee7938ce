"""The manifest: what a version is made of. Specified, example first, in `docs/spec/sealed-version.md`.

    manifest = canonical JSON {"public": {...}, "sealed": base64 of FLOE, "sha256": checksum of both}

The public part lets anybody check every stored byte without a key. The sealed part holds what is secret, the
paths, sizes, tensors and digests of the plaintext, and binds the public part by digest. File n of the
sealed part is object n of the public part.

Order is in the types: bytes -> `Manifest` (form checked) -> `Contents` (authenticated by the data key).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from strongroom.sealing import floe, keys, tensors
from strongroom.sealing.floe import Random
from strongroom.sealing.keys import DataKey, FileKeys, ReleasedKeys
from strongroom.sealing.paths import check_paths
from strongroom.sealing.places import Name, check_deployment, check_model_id, name_of, object_name
from strongroom.sealing.registration import LARGEST_SEGMENT_BYTES, SMALLEST_SEGMENT_BYTES
from strongroom.sealing.tensors import TensorIndex
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRequest, ManifestTampered, NotCanonical, StrongroomError, UnknownFormat, WrongKey
from strongroom.terms.names import check_model
from strongroom.terms.outer_errors import BadName

FORMAT = "strongroom/sealed-version/1"
PART_SEGMENTS = 64
LARGEST_MANIFEST_BYTES = 1 << 27

_HEX_32 = re.compile(r"[0-9a-f]{32}\Z")
_HEX_64 = re.compile(r"[0-9a-f]{64}\Z")
_HEADER = re.compile(rf"[0-9a-f]{{{2 * floe.HEADER_BYTES}}}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_FORMAT = re.compile(r"strongroom/sealed-version/[0-9]{1,9}\Z")
_BODY_FIELDS = {"public", "sealed", "sha256"}
_PUBLIC_FIELDS = {
    "deployment",
    "format",
    "generation",
    "model",
    "objects",
    "part_segments",
    "recipient",
    "seal_id",
    "segment_bytes",
    "suite",
    "wrapped_key",
}
"""And `version`, its number, outside any deployment: inside one the log alone gives numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object: its size, and the SHA-256 (hexadecimal) of each run of `part_segments` of its segments.

    The first part also covers the FLOE header.
    """

    size_bytes: int
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """The public part: readable and checkable by anybody.

    Outside any deployment `model` is `org/name` and `number` the version's; inside one `model` is an opaque id and
    `number` is `None`.
    """

    deployment: str
    model: str
    number: int | None
    generation: int
    seal_id: str
    recipient: str
    wrapped_key: bytes
    segment_bytes: int
    part_segments: int
    objects: tuple[StoredObject, ...]

    @property
    def name(self) -> Name:
        """What a store calls this version."""
        return name_of(self.model, self.number, self.seal_id)

    @property
    def parameters(self) -> floe.Parameters:
        """FLOE's parameters for every file of this version."""
        return floe.Parameters(segment_bytes=self.segment_bytes)

    @property
    def binding(self) -> keys.Binding:
        """What the data key is bound to."""
        return keys.Binding(
            deployment=self.deployment,
            model=self.model,
            generation=self.generation,
            seal_id=self.seal_id,
        )

    def object_name(self, number: int) -> str:
        """Return the name of object `number` in the store."""
        return object_name(self.seal_id, number)

    def part_range(self, number: int, part: int) -> tuple[int, int]:
        """Return where `part` of object `number` starts and how many bytes it has."""
        run = self.part_segments * self.segment_bytes
        start = floe.HEADER_BYTES + part * run if part else 0
        stop = min(floe.HEADER_BYTES + (part + 1) * run, self.objects[number].size_bytes)
        return start, stop - start

    def json(self) -> dict[str, Json]:
        """Return the public part as the manifest holds it."""
        numbered: dict[str, Json] = {} if self.number is None else {"version": self.number}
        return numbered | {
            "deployment": self.deployment,
            "format": FORMAT,
            "generation": self.generation,
            "model": self.model,
            "objects": [{"parts": list(stored.parts), "size": stored.size_bytes} for stored in self.objects],
            "part_segments": self.part_segments,
            "recipient": self.recipient,
            "seal_id": self.seal_id,
            "segment_bytes": self.segment_bytes,
            "suite": keys.SUITE,
            "wrapped_key": base64.b64encode(self.wrapped_key).decode("ascii"),
        }

    def digest(self) -> str:
        """Return the digest that the sealed part binds."""
        return sha256(canonical.encode(self.json()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """One file: path, plaintext size, FLOE header of its object, and digests of the plaintext for provenance.

    `parts` are the SHA-256 of the plaintext of each run of `part_segments` segments; `sha256` is of the whole
    file, where the writer asked for it.
    """

    path: str
    size_bytes: int
    header: bytes
    parts: tuple[str, ...]
    sha256: str | None
    tensors: TensorIndex | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest whose form is right. Nothing is authenticated: its digest is what somebody may vouch for."""

    public: Public
    sealed: bytes
    digest: str
    """`sha256:` of the manifest's own bytes."""

    @property
    def header(self) -> bytes:
        """The FLOE header of the sealed part, which `check_data_key` holds a data key against."""
        return self.sealed[: floe.HEADER_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A manifest that its key has authenticated, made only by `open_with_keys`. `keys` may open only some `files`."""

    manifest: Manifest
    keys: ReleasedKeys
    files: tuple[SealedFile, ...]

    def __repr__(self) -> str:
        return f"Contents({self.manifest.public.name}, {len(self.files)} files)"

    @property
    def released(self) -> tuple[SealedFile, ...]:
        """The files that the keys open."""
        match self.keys:
            case DataKey():
                return self.files
            case FileKeys(files=named):
                return tuple(file for file in self.files if file.path in named)

    def decryptor(self, number: int) -> floe.Decryptor:
        """Return what opens the segments of file `number`.

        Raises:
            NotReleased: the keys are not for this file.
            ObjectTampered: the header in the manifest is not one that this file's key made.
        """
        file, public = self.files[number], self.manifest.public
        key = self.keys.file_key(public.seal_id, file.path)
        return floe.Decryptor(public.parameters, key.key, key.aad, file.header)


def seal_manifest(public: Public, files: Sequence[SealedFile], data_key: bytes, *, random: Random) -> bytes:
    """Return the bytes of the manifest of `public` and `files`.

    Raises:
        BadRequest: no reader would take it: segments too large, or more files and tensors than a manifest holds.
    """
    if not SMALLEST_SEGMENT_BYTES <= public.segment_bytes <= LARGEST_SEGMENT_BYTES:
        raise BadRequest(
            f"segments of {public.segment_bytes} bytes, not {SMALLEST_SEGMENT_BYTES} to {LARGEST_SEGMENT_BYTES}"
        )
    sealed_json: dict[str, Json] = {"files": [_file_json(file) for file in files], "public": public.digest()}
    plaintext = canonical.encode(sealed_json)
    key = keys.manifest_key(data_key, public.seal_id)
    encryptor = floe.Encryptor(public.parameters, key.key, key.aad, random(floe.IV_BYTES))
    sealed = bytearray(public.parameters.sealed_bytes(len(plaintext)))
    floe.encrypt_into(encryptor, plaintext, memoryview(sealed), random=random)
    body: dict[str, Json] = {"public": public.json(), "sealed": base64.b64encode(sealed).decode("ascii")}
    manifest = canonical.encode(body | {"sha256": sha256(canonical.encode(body))})
    if len(manifest) > LARGEST_MANIFEST_BYTES:
        raise BadRequest("a manifest beyond 128 MiB", hint="seal the model as several versions")
    return manifest


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that `data` is, checked for form and for bit rot, not for truth.

    Raises:
        NotCanonical: not the one canonical encoding.
        UnknownFormat: another format, older or newer, or another suite.
        ManifestTampered: a field missing, unknown or out of range, or the checksum is wrong.
    """
    body = _parse_body(data)
    if not isinstance(body, dict) or body.keys() != _BODY_FIELDS:
        _tampered("other fields than `public`, `sealed` and `sha256`")
    if not _has_checksum(body):
        _tampered("its checksum is wrong")
    public = body["public"]
    if not isinstance(public, dict):
        _tampered("`public` is not an object")
    _check_format(public)
    return Manifest(public=_parse_public(public), sealed=_base64(body["sealed"], "sealed"), digest=sha256(data))


def _parse_body(data: bytes) -> Json:
    """Return the manifest as JSON.

    Bytes that are not canonical but say what the checksum was made of are their writer's fault; all others are rot
    or tampering.
    """
    try:
        return canonical.parse(data)
    except NotCanonical as error:
        failure = error
    try:
        body = canonical.parse_any(data)
    except NotCanonical:
        body = None
    if isinstance(body, dict) and body.keys() == _BODY_FIELDS and _has_checksum(body):
        raise failure
    raise ManifestTampered(f"manifest: {failure.message}") from failure


def _has_checksum(body: Mapping[str, Json]) -> bool:
    return body["sha256"] == sha256(canonical.encode({"public": body["public"], "sealed": body["sealed"]}))


def open_manifest(manifest: Manifest, identity: keys.Identity) -> Contents:
    """Return the contents of `manifest`, its sealed part opened and held against the public one.

    Raises:
        WrongKey: the identity is not the recipient.
        ManifestTampered: anything in it is not as its writer made it.
        NotCanonical, BadPath, BadTensors: its writer wrote what no reader may accept.
    """
    public = manifest.public
    # Known by name, so that a wrong key and a changed manifest can be told apart.
    if identity.public_key().digest() != public.recipient:
        raise WrongKey(f"version {public.name} was sealed to another public key, {public.recipient[:23]}…")
    try:
        data_key = identity.unwrap(public.wrapped_key, public.binding)
    except WrongKey as error:
        raise ManifestTampered(f"manifest of {public.name}: its data key is not bound to what it says") from error
    return open_with_data_key(manifest, data_key)


def open_with_data_key(manifest: Manifest, data_key: bytes) -> Contents:
    """Return the contents of `manifest`, as `open_manifest` does, for whoever holds the data key already."""
    return open_with_keys(manifest, DataKey(data_key))


def open_with_keys(manifest: Manifest, released: ReleasedKeys) -> Contents:
    """Return the contents of `manifest`, as `open_manifest` does, for whoever holds keys that were released.

    Keys of named files open the manifest and those files alone: `Contents.released`.
    """
    public = manifest.public
    key = released.manifest_key(public.seal_id)
    try:
        decryptor = floe.Decryptor(public.parameters, key.key, key.aad, manifest.header)
        plaintext = bytearray(_plaintext_bytes(len(manifest.sealed), public.parameters))
        floe.decrypt_into(decryptor, manifest.sealed, memoryview(plaintext))
    except StrongroomError as error:
        raise ManifestTampered(f"manifest of {public.name}: {error.message}") from error
    sealed = canonical.parse(bytes(plaintext))
    if not isinstance(sealed, dict) or sealed.keys() != {"files", "public"}:
        _tampered("the sealed part has other fields")
    if sealed["public"] != public.digest():
        _tampered("the public part is not the one that was sealed")
    files = tuple(
        _parse_file(file, public.part_segments, public.parameters) for file in _list(sealed["files"], "files")
    )
    check_paths(file.path for file in files)
    if [public.parameters.sealed_bytes(file.size_bytes) for file in files] != [
        stored.size_bytes for stored in public.objects
    ]:
        _tampered("files and objects do not match")
    return Contents(manifest=manifest, keys=released, files=files)


def _check_format(public: Mapping[str, Json]) -> None:
    """SPEC §Formats: an unknown format is named as such before any other field of the public part is looked at."""
    written = public.get("format")
    if written != FORMAT:
        known = isinstance(written, str) and _FORMAT.match(written)
        raise UnknownFormat(f"format `{written}` where this release reads `{FORMAT}`" if known else "not a manifest")
    if (suite := public.get("suite")) != keys.SUITE:
        raise UnknownFormat(f"suite `{str(suite)[:80]}` where this release knows `{keys.SUITE}`")


def _parse_public(public: Mapping[str, Any]) -> Public:
    is_standalone = public.get("deployment") == keys.STANDALONE
    if public.keys() != (_PUBLIC_FIELDS | {"version"} if is_standalone else _PUBLIC_FIELDS):
        _tampered("the public part has other fields")
    deployment, model = _text(public["deployment"], "deployment"), _text(public["model"], "model")
    try:
        if is_standalone:
            check_model(model)
        else:
            check_deployment(deployment)
            check_model_id(model)
    except BadName as error:
        raise ManifestTampered(f"manifest: {error.message}") from error
    segment_bytes = _natural(public["segment_bytes"], "segment_bytes", SMALLEST_SEGMENT_BYTES, LARGEST_SEGMENT_BYTES)
    part_segments = _natural(public["part_segments"], "part_segments", 1, 1 << 16)
    return Public(
        deployment=deployment,
        model=model,
        number=_natural(public["version"], "version", 1, 999_999_999) if is_standalone else None,
        generation=_natural(public["generation"], "generation", 1),
        seal_id=_matching(_HEX_32, public["seal_id"], "seal_id"),
        recipient=_matching(_DIGEST, public["recipient"], "recipient"),
        wrapped_key=_base64(public["wrapped_key"], "wrapped_key"),
        segment_bytes=segment_bytes,
        part_segments=part_segments,
        objects=tuple(
            _parse_object(stored, segment_bytes * part_segments) for stored in _list(public["objects"], "objects")
        ),
    )


def _parse_object(value: Any, run_bytes: int) -> StoredObject:
    if not isinstance(value, dict) or value.keys() != {"parts", "size"}:
        _tampered("an object has other fields")
    size = _natural(value["size"], "size", floe.HEADER_BYTES + floe.SEGMENT_OVERHEAD_BYTES)
    parts = _hashes(value["parts"], -(-(size - floe.HEADER_BYTES) // run_bytes))
    return StoredObject(size_bytes=size, parts=parts)


def _file_json(file: SealedFile) -> Json:
    value: dict[str, Json] = {
        "header": file.header.hex(),
        "parts": list(file.parts),
        "path": file.path,
        "size": file.size_bytes,
    }
    if file.sha256 is not None:
        value["sha256"] = file.sha256
    if file.tensors is not None:
        value["tensors"] = tensors.index_json(file.tensors)
    return value


def _parse_file(value: Any, part_segments: int, parameters: floe.Parameters) -> SealedFile:
    required = {"header", "parts", "path", "size"}
    if not isinstance(value, dict) or not required <= value.keys() <= required | {"sha256", "tensors"}:
        _tampered("a file has other fields")
    size = _natural(value["size"], "size")
    return SealedFile(
        path=_text(value["path"], "path"),
        size_bytes=size,
        header=bytes.fromhex(_matching(_HEADER, value["header"], "header")),
        parts=_hashes(value["parts"], -(-parameters.segments(size) // part_segments)),
        sha256=_matching(_HEX_64, value["sha256"], "sha256") if "sha256" in value else None,
        tensors=tensors.parse_index(value["tensors"], size) if "tensors" in value else None,
    )


def _plaintext_bytes(sealed_bytes: int, parameters: floe.Parameters) -> int:
    """Return the plaintext length of a ciphertext of `sealed_bytes`, which its last segment authenticates."""
    body = sealed_bytes - floe.HEADER_BYTES
    return max(0, body - floe.SEGMENT_OVERHEAD_BYTES * max(1, -(-body // parameters.segment_bytes)))


def _list(value: Any, what: str) -> list[Any]:
    return value if isinstance(value, list) else _tampered(f"`{what}` is not a list")


def _text(value: Any, what: str) -> str:
    return value if isinstance(value, str) else _tampered(f"`{what}` is not text")


def _matching(pattern: re.Pattern[str], value: Any, what: str) -> str:
    return value if isinstance(value, str) and pattern.match(value) else _tampered(f"`{what}` has another form")


def _natural(value: Any, what: str, least: int = 0, most: int = canonical.LARGEST_INTEGER) -> int:
    return value if type(value) is int and least <= value <= most else _tampered(f"`{what}` is out of range")


def _hashes(value: Any, count: int) -> tuple[str, ...]:
    hashes = _list(value, "parts")
    if len(hashes) != count:
        _tampered("a wrong number of parts")
    return tuple(_matching(_HEX_64, digest, "parts") for digest in hashes)


def _base64(value: Any, what: str) -> bytes:
    """Decode strictly: decode, encode again, compare. The library drops junk and takes odd trailing bits."""
    try:
        raw = base64.b64decode(_text(value, what), validate=True)
    except ValueError:
        _tampered(f"`{what}` is not base64")
    return raw if base64.b64encode(raw).decode("ascii") == value else _tampered(f"`{what}` is not canonical base64")


def _tampered(why: str) -> NoReturn:
    raise ManifestTampered(f"manifest: {why}")

"""A writer of sealed versions for the vectors, straight from `docs/spec/sealed-version.md`: no code of the product.

HPKE draws its own randomness, and a library rightly offers no way to choose it. So that every vector can be made
again byte for byte, the recipient is the key pair of the first published X-Wing vector, and every data key is
wrapped under the encapsulation and shared secret of that vector. Never do that outside tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sealing.reference import Floe, file_key, hpke_seal, sha256
from tests.vectors.floe_cases import digest, draw, text

Json = dict[str, Any]
Bend = Callable[[Json], object]

XWING = json.loads(Path(__file__).with_name("xwing.json").read_text())
SEED = bytes.fromhex(XWING["seed"])
IDENTITY = "STRONGROOM-IDENTITY-1:" + base64.urlsafe_b64encode(SEED).decode().rstrip("=")
OTHER_IDENTITY = "STRONGROOM-IDENTITY-1:" + base64.urlsafe_b64encode(draw("other seed", 32)).decode().rstrip("=")
RECIPIENT = sha256(bytes.fromhex(XWING["public_key"]))
SUITE = "HPKE/MLKEM768_X25519/HKDF_SHA256/AES_256_GCM"


def encode(value: Any) -> bytes:
    """RFC 8785, for values without floats."""
    return json.dumps(ordered(value), ensure_ascii=False, separators=(",", ":")).encode()


def ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def wrap(data_key: bytes, binding: Mapping[str, Any]) -> bytes:
    info = encode({**binding, "format": "strongroom/data-key/1", "purpose": "data key"})
    return bytes.fromhex(XWING["encapsulated"]) + hpke_seal(bytes.fromhex(XWING["shared_secret"]), info, data_key)


@dataclass(kw_only=True)
class Version:
    """What is sealed and how. `bend_public` and `bend_sealed` are a malicious writer's: they come before sealing."""

    files: list[tuple[str, bytes]]
    more: dict[str, Json] = field(default_factory=dict)
    model: str = "acme/atlas"
    number: int | None = 1
    deployment: str = "standalone"
    generation: int = 1
    segment_bytes: int = 256
    part_segments: int = 2
    label: str = "version"
    kind: str = "manifest"
    empty_last: bool = False
    data_key_bytes: int = 32
    bend_public: Bend | None = None
    bend_sealed: Bend | None = None
    bend_plaintext: Callable[[bytes], bytes] | None = None

    @property
    def seal_id(self) -> str:
        return draw(f"{self.label}: seal id", 16).hex()

    @property
    def data_key(self) -> bytes:
        return draw(f"{self.label}: data key", self.data_key_bytes)

    def release(self, *paths: str) -> Json:
        """Return what a release of the files at `paths` carries."""
        keys = {path: file_key(self.data_key, self.seal_id, "file", path)[0].hex() for path in paths}
        return {"manifest": file_key(self.data_key, self.seal_id, "manifest", "")[0].hex(), "files": keys}

    def floe(self, kind: str, path: str, plaintext: bytes, *, empty_last: bool = False) -> bytes:
        key, aad = file_key(self.data_key, self.seal_id, kind, path)
        full = self.segment_bytes - 32
        label = f"{self.label}: {kind} {path}"
        count = max(1, -(-len(plaintext) // full)) + empty_last
        ivs = [draw(f"{label}: segment iv {number}", 12) for number in range(count)]
        return Floe(self.segment_bytes, 20, key, aad).encrypt(plaintext, draw(f"{label}: iv", 32), ivs)

    def objects(self) -> dict[str, bytes]:
        return {
            f"o/{self.seal_id}/{number}": self.floe("file", path, content)
            for number, (path, content) in enumerate(self.files)
        }

    def sealed_parts(self, stored: bytes) -> list[str]:
        run = self.segment_bytes * self.part_segments
        rest = [stored[start : start + run] for start in range(74 + run, len(stored), run)]
        return [digest(part) for part in [stored[: 74 + run], *rest]]

    def plain_parts(self, content: bytes) -> list[str]:
        run = (self.segment_bytes - 32) * self.part_segments
        return [digest(content[start : start + run]) for start in range(0, max(1, len(content)), run)]

    def public(self) -> Json:
        binding = {
            "deployment": self.deployment,
            "generation": self.generation,
            "model": self.model,
            "seal_id": self.seal_id,
        }
        public: Json = {
            **binding,
            "format": "strongroom/sealed-version/1",
            "objects": [{"parts": self.sealed_parts(o), "size": len(o)} for o in self.objects().values()],
            "part_segments": self.part_segments,
            "recipient": RECIPIENT,
            "segment_bytes": self.segment_bytes,
            "suite": SUITE,
            "wrapped_key": text(wrap(self.data_key, binding)),
        }
        if self.number is not None:
            public["version"] = self.number
        if self.bend_public:
            self.bend_public(public)
        return public

    def manifest(self) -> bytes:
        public = self.public()
        files = [
            {
                "header": stored[:74].hex(),
                "parts": self.plain_parts(content),
                "path": path,
                "size": len(content),
                **self.more.get(path, {}),
            }
            for (path, content), stored in zip(self.files, self.objects().values(), strict=True)
        ]
        sealed: Json = {"files": files, "public": sha256(encode(public))}
        if self.bend_sealed:
            self.bend_sealed(sealed)
        plaintext = encode(sealed)
        if self.bend_plaintext:
            plaintext = self.bend_plaintext(plaintext)
        if self.empty_last:  # white space would not be canonical: a longer path fills the last segment
            full = self.segment_bytes - 32
            files[0]["path"] += "x" * (-len(plaintext) % full)
            plaintext = encode(sealed)
            assert len(plaintext) % full == 0
        return closed(public, text(self.floe(self.kind, "", plaintext, empty_last=self.empty_last)))


def closed(public: Any, sealed: Any, **more: Any) -> bytes:
    """Return a manifest with the right checksum, which anybody can make."""
    body = {"public": public, "sealed": sealed, **more}
    return encode({**body, "sha256": sha256(encode({"public": public, "sealed": sealed}))})


def edited(manifest: bytes, edit: Bend) -> bytes:
    """Return `manifest` as somebody without any key can change it: `edit` its JSON, write a new checksum."""
    body = json.loads(manifest)
    body.pop("sha256")
    edit(body)
    return closed(body["public"], body["sealed"])


def safetensors(tensors: Mapping[str, tuple[str, list[int], bytes]], **metadata: str) -> tuple[bytes, Json]:
    """Return a safetensors file and its tensor index as a manifest holds it."""
    entries, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        stop = len(data) + len(content)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), stop]}
        data += content
    header = json.dumps({"__metadata__": metadata, **entries}).encode()
    header += b" " * (-len(header) % 8)
    index = {"data_start": 8 + len(header), "metadata": metadata, "tensors": entries}
    return len(header).to_bytes(8, "little") + header + data, index


def released(version: Version, files: int, segments: int = 0) -> str:
    """Return the digest of `files` whole files and `segments` segments of the next."""
    contents = [content for _, content in version.files]
    part = contents[files][: segments * (version.segment_bytes - 32)] if segments else b""
    return hashlib.sha256(b"".join(contents[:files]) + part).hexdigest()

"""Keys: one random data key for each version, a file key for each file, and wrapping to a public key.

    data key  --HPKE-->  wrapped to the model's public key, bound to deployment, model, generation and seal id
    data key  --HKDF-->  file key, bound to seal id, kind and path; the same bytes are FLOE's AAD

`wrap_to` and `unwrap_with` do the same for any secret and any binding, such as a release to whoever asked for it.

HPKE (RFC 9180) with the hybrid KEM X-Wing (ML-KEM-768 and X25519), HKDF-SHA-256 and AES-256-GCM.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadKey, NotReleased, WrongKey

DATA_KEY_BYTES = 32
SEAL_ID_BYTES = 16
SEED_BYTES = 32
SUITE = "HPKE/MLKEM768_X25519/HKDF_SHA256/AES_256_GCM"
STANDALONE = "standalone"
"""The deployment of what is sealed outside any deployment."""

PUBLIC_PREFIX = "strongroom-public-1:"
IDENTITY_PREFIX = "STRONGROOM-IDENTITY-1:"
PUBLIC_KEY_BYTES = 1216
_MLKEM_PUBLIC_BYTES = 1184
_hpke = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a wrapped data key is bound to, so that it opens nowhere else."""

    deployment: str
    model: str
    generation: int
    seal_id: str

    def info(self) -> bytes:
        """Return HPKE's `info`."""
        return canonical.encode(
            {
                "deployment": self.deployment,
                "format": "strongroom/data-key/1",
                "generation": self.generation,
                "model": self.model,
                "purpose": "data key",
                "seal_id": self.seal_id,
            }
        )


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half: whoever has it can seal, and open nothing. 1,216 bytes: ML-KEM-768, then X25519."""

    raw: bytes

    def __str__(self) -> str:
        return PUBLIC_PREFIX + key_text(self.raw)

    def digest(self) -> str:
        """Return the digest that names this key in a manifest."""
        return sha256(self.raw)

    def wrap(self, data_key: bytes, binding: Binding) -> bytes:
        """Return `data_key` encrypted to this key (1,168 bytes). The KEM draws its own randomness.

        Raises:
            BadKey: the key holds a point of low order.
        """
        return wrap_to(self, data_key, binding.info())


@dataclass(frozen=True, slots=True)
class Identity:
    """The private half, as the 32-byte seed of an X-Wing key pair. Never printed: `repr` leaves it out."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise BadKey("an identity has 32 bytes")

    def encode(self) -> str:
        """Return the identity as one line of text: a secret."""
        return IDENTITY_PREFIX + key_text(self.seed)

    def public_key(self) -> PublicKey:
        """Return the public half."""
        mlkem, x25519 = _private_keys(self.seed)
        return PublicKey(mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())

    def unwrap(self, wrapped: bytes, binding: Binding) -> bytes:
        """Return the data key.

        Raises:
            WrongKey: wrapped to another key, or bound to something else, or changed.
        """
        data_key = unwrap_with(self, wrapped, binding.info())
        if len(data_key) != DATA_KEY_BYTES:
            raise WrongKey("this identity does not open the data key")
        return data_key


@dataclass(frozen=True, slots=True)
class FileKey:
    """The key of one file of one version, and the AAD that binds its ciphertext to the same things."""

    key: bytes = field(repr=False)
    aad: bytes


@dataclass(frozen=True, slots=True)
class DataKey:
    """What opens a whole version."""

    raw: bytes = field(repr=False)

    def manifest_key(self, seal_id: str) -> FileKey:
        """Return the key of the manifest's sealed part."""
        return manifest_key(self.raw, seal_id)

    def file_key(self, seal_id: str, path: str) -> FileKey:
        """Return the key of the file at `path`."""
        return file_key(self.raw, seal_id, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKeys:
    """What a release of named files holds: the keys, 32 bytes each, of the manifest and of these files.

    INVARIANT: the AAD is made from the seal id and the path that are asked for, never carried along with a key.
    """

    manifest: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def manifest_key(self, seal_id: str) -> FileKey:
        """Return the key of the manifest's sealed part."""
        return FileKey(self.manifest, _aad(seal_id, "manifest", ""))

    def file_key(self, seal_id: str, path: str) -> FileKey:
        """Return the key of the file at `path`.

        Raises:
            NotReleased: the release does not name it.
        """
        try:
            return FileKey(self.files[path], _aad(seal_id, "file", path))
        except KeyError:
            raise NotReleased(f"the release does not include the file `{path}`") from None


ReleasedKeys = DataKey | FileKeys
"""What the keep releases: the whole version, or named files of it."""


def file_key(data_key: bytes, seal_id: str, path: str) -> FileKey:
    """Return the key of the file at `path`."""
    return _derive(data_key, _aad(seal_id, "file", path))


def manifest_key(data_key: bytes, seal_id: str) -> FileKey:
    """Return the key of the manifest's sealed part."""
    return _derive(data_key, _aad(seal_id, "manifest", ""))


def released_file_keys(data_key: bytes, seal_id: str, paths: Iterable[str]) -> FileKeys:
    """Return the keys that open the manifest and the files at `paths`, and nothing else."""
    return FileKeys(
        manifest=manifest_key(data_key, seal_id).key,
        files={path: file_key(data_key, seal_id, path).key for path in paths},
    )


def wrap_to(public_key: PublicKey, secret: bytes, info: bytes) -> bytes:
    """Return `secret` encrypted to `public_key` (1,136 bytes more), to open under the same `info` only.

    `info` is what the secret is bound to: canonical JSON that names its purpose. The KEM draws its own randomness.

    Raises:
        BadKey: the key holds a point of low order.
    """
    try:
        return _hpke.encrypt(secret, hpke_public(public_key.raw), info=info)
    except ValueError as error:
        raise BadKey("nothing can be sealed to this public key") from error


def unwrap_with(identity: Identity, wrapped: bytes, info: bytes) -> bytes:
    """Return the secret that `wrap_to` encrypted to the public key of `identity`.

    Raises:
        WrongKey: wrapped to another key, or bound to something else, or changed.
    """
    try:
        return _hpke.decrypt(wrapped, hpke.MLKEM768X25519PrivateKey(*_private_keys(identity.seed)), info=info)
    except (InvalidTag, ValueError) as error:
        raise WrongKey("this identity does not open what was wrapped") from error


def _aad(seal_id: str, kind: str, path: str) -> bytes:
    return canonical.encode({"format": "strongroom/file/1", "kind": kind, "path": path, "seal_id": seal_id})


def _derive(data_key: bytes, aad: bytes) -> FileKey:
    return FileKey(HKDFExpand(SHA384(), 32, aad).derive(data_key), aad)


def _private_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """Expand the seed as X-Wing does (draft-connolly-cfrg-xwing-kem §5.2): SHAKE-256 to 64 + 32 bytes."""
    expanded = hashlib.shake_256(seed).digest(96)
    mlkem, x25519 = expanded[:64], expanded[64:]
    return MLKEM768PrivateKey.from_seed_bytes(mlkem), X25519PrivateKey.from_private_bytes(x25519)


def hpke_public(raw: bytes) -> hpke.MLKEM768X25519PublicKey:
    """Return a public key as the library has it; a `ValueError` where it is none."""
    return hpke.MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:]),
    )


def key_text(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")

"""Model keys: one hybrid HPKE key pair for each model, at rest under the root key.

    sealed = nonce (12) || AES-256-GCM(derive("wrap"), nonce, seed (32), aad) with tag (16)
    aad    = canonical {deployment, format, generation, model, public_key: the digest of the public key}

so that what was sealed for one model, generation or deployment opens as no other. The public key is in the log.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.keyring.root import RootKey
from strongroom.sealing.keys import SEED_BYTES, Identity
from strongroom.terms import canonical
from strongroom.terms.errors import KeyringTampered

SEALED_BYTES = 60
_NONCE_BYTES = 12


def create_model_key(random: Callable[[int], bytes]) -> Identity:
    """Return a new key pair for a model."""
    return Identity(random(SEED_BYTES))


def seal_model_key(
    root: RootKey,
    identity: Identity,
    *,
    deployment: str,
    model_id: str,
    generation: int,
    random: Callable[[int], bytes],
) -> bytes:
    """Return the private half as it may rest on a disk: 60 bytes."""
    nonce = random(_NONCE_BYTES)
    aad = _aad(deployment, model_id, generation, identity.public_key().digest())
    return nonce + AESGCM(root.derive("wrap")).encrypt(nonce, identity.seed, aad)


def open_model_key(
    root: RootKey,
    sealed: bytes,
    *,
    deployment: str,
    model_id: str,
    generation: int,
    public_digest: str,
) -> Identity:
    """Return the key pair whose public half the log names by `public_digest`.

    Raises:
        KeyringTampered: it was changed, or sealed for something else, or is another key's private half.
    """
    aad = _aad(deployment, model_id, generation, public_digest)
    try:
        seed = AESGCM(root.derive("wrap")).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise KeyringTampered(f"the key of model `{model_id}`, generation {generation}, does not open") from error
    identity = Identity(seed)
    if identity.public_key().digest() != public_digest:
        raise KeyringTampered(f"the key of model `{model_id}`, generation {generation}, is not the one in the log")
    return identity


def _aad(deployment: str, model_id: str, generation: int, public_digest: str) -> bytes:
    return canonical.encode(
        {
            "deployment": deployment,
            "format": "strongroom/model-key/1",
            "generation": generation,
            "model": model_id,
            "public_key": public_digest,
        }
    )

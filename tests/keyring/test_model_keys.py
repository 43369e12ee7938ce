"""Model keys at rest: the exact bytes, and that they open again."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.keyring.model_keys import SEALED_BYTES, create_model_key, open_model_key, seal_model_key
from strongroom.keyring.root import RootKey
from strongroom.sealing.keys import Binding, Identity
from strongroom.terms.errors import KeyringTampered
from tests.keyring.drawn import drawn

ROOT = RootKey.generate(drawn("root"))
IDENTITY = create_model_key(drawn("model"))
DIGEST = IDENTITY.public_key().digest()


def sealed(identity: Identity = IDENTITY, *, deployment: str = "d", model_id: str = "m", generation: int = 1) -> bytes:
    return seal_model_key(
        ROOT, identity, deployment=deployment, model_id=model_id, generation=generation, random=drawn("nonce")
    )


def test_a_sealed_model_key_is_what_the_module_says() -> None:
    aad = json.dumps(
        {"deployment": "d", "format": "strongroom/model-key/1", "generation": 1, "model": "m", "public_key": DIGEST},
        separators=(",", ":"),
    ).encode()
    nonce = drawn("nonce")(12)
    assert sealed() == nonce + AESGCM(ROOT.derive("wrap")).encrypt(nonce, IDENTITY.seed, aad)
    assert len(sealed()) == SEALED_BYTES


@settings(max_examples=30, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), model=st.text(max_size=20), generation=st.integers(0, 2**53 - 1))
def test_what_is_sealed_opens(seed: bytes, model: str, generation: int) -> None:
    identity = Identity(seed)
    digest = identity.public_key().digest()
    opened = open_model_key(
        ROOT,
        sealed(identity, model_id=model, generation=generation),
        deployment="d",
        model_id=model,
        generation=generation,
        public_digest=digest,
    )
    assert opened == identity


def test_the_opened_key_opens_what_was_sealed_to_the_model() -> None:
    binding = Binding(deployment="d", model="m", generation=1, seal_id="0" * 32)
    wrapped = IDENTITY.public_key().wrap(bytes(32), binding)
    opened = open_model_key(ROOT, sealed(), deployment="d", model_id="m", generation=1, public_digest=DIGEST)
    assert opened.unwrap(wrapped, binding) == bytes(32)


@given(junk=st.binary(max_size=100))
def test_opening_any_bytes_raises_nothing_but_tampered(junk: bytes) -> None:
    with pytest.raises(KeyringTampered):
        open_model_key(ROOT, junk, deployment="d", model_id="m", generation=1, public_digest=DIGEST)

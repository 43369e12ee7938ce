"""Details at rest: the exact bytes, that they open again, and that nothing else opens."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from strongroom.keyring.details import SealedDetail, open_detail, seal_detail
from strongroom.keyring.root import RootKey
from strongroom.terms.details import detail_digest
from strongroom.terms.errors import BadRequest, KeyringTampered
from tests.keyring.drawn import drawn

ROOT = RootKey.generate(drawn("root"))
SALT = bytes(range(16))


def sealed(text: str, *, root: RootKey = ROOT, salt: bytes = SALT, seed: str = "detail") -> SealedDetail:
    return seal_detail(root, text, salt=salt, random=drawn(seed))


def test_a_sealed_detail_is_what_the_module_says() -> None:
    detail = sealed("Ada")
    preimage = b'{"format":"strongroom/detail/1","salt":"000102030405060708090a0b0c0d0e0f","text":"Ada"}'
    assert detail.digest == "sha256:" + hashlib.sha256(preimage).hexdigest()
    random = drawn("detail")
    key, nonce = random(32), random(12)
    wrapped = AESGCM(ROOT.derive("details")).encrypt(nonce, key, detail.digest.encode())
    assert detail.blob == nonce + wrapped + AESGCM(key).encrypt(bytes(12), SALT + b"Ada", None)


@given(text=st.text(max_size=300), salt=st.binary(min_size=16, max_size=16))
def test_what_is_sealed_opens_and_is_what_the_log_binds(text: str, salt: bytes) -> None:
    detail = sealed(text, salt=salt)
    assert open_detail(ROOT, detail.digest, detail.blob) == (text, salt)
    assert detail.digest == detail_digest(text, salt)


def test_two_details_of_one_text_share_nothing() -> None:
    one, two = sealed("Ada", seed="one"), sealed("Ada", salt=bytes(16), seed="two")
    assert one.digest != two.digest
    assert one.blob[:60] != two.blob[:60]
    assert one.blob[60:] != two.blob[60:]


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(BadRequest):
        sealed("Ada", salt=bytes(size))


def test_every_flipped_bit_is_seen() -> None:
    detail = sealed("Ada")
    for place in range(len(detail.blob) * 8):
        changed = bytearray(detail.blob)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(KeyringTampered):
            open_detail(ROOT, detail.digest, bytes(changed))


def test_a_detail_does_not_open_as_another() -> None:
    """The attack: swap two blobs in the database, and the log's Ada is shown as Bob."""
    ada, bob = sealed("Ada", seed="ada"), sealed("Bob", seed="bob")
    for blob in (bob.blob, ada.blob[:72] + bob.blob[72:], bob.blob[:72] + ada.blob[72:]):
        with pytest.raises(KeyringTampered):
            open_detail(ROOT, ada.digest, blob)


def test_a_detail_does_not_open_under_another_root_key() -> None:
    detail = sealed("Ada", root=RootKey.generate(drawn("other")))
    with pytest.raises(KeyringTampered):
        open_detail(ROOT, detail.digest, detail.blob)


def test_a_text_that_the_log_does_not_bind_is_refused_even_if_well_sealed() -> None:
    digest, key, nonce = sealed("Ada").digest, bytes(32), bytes(12)
    wrapped = AESGCM(ROOT.derive("details")).encrypt(nonce, key, digest.encode())
    with pytest.raises(KeyringTampered, match="not the one that the log binds"):
        open_detail(ROOT, digest, nonce + wrapped + AESGCM(key).encrypt(bytes(12), SALT + b"Bob", None))


def test_text_that_is_no_text_is_tampered() -> None:
    digest, key, nonce = sealed("Ada").digest, bytes(32), bytes(12)
    wrapped = AESGCM(ROOT.derive("details")).encrypt(nonce, key, digest.encode())
    with pytest.raises(KeyringTampered):
        open_detail(ROOT, digest, nonce + wrapped + AESGCM(key).encrypt(bytes(12), SALT + b"\xff", None))


@given(junk=st.binary(max_size=120))
def test_opening_any_bytes_raises_nothing_but_tampered(junk: bytes) -> None:
    with pytest.raises(KeyringTampered):
        open_detail(ROOT, sealed("Ada").digest, junk)


def test_a_blob_shows_neither_text_nor_itself_in_a_repr() -> None:
    detail = sealed("Ada Lovelace")
    assert b"Ada" not in detail.blob
    assert detail.blob.hex()[:16] not in repr(detail)
    assert repr(detail.blob)[2:20] not in repr(detail)

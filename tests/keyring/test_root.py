"""The root key: what is derived from it, and that it does not show."""

from __future__ import annotations

import hashlib
import hmac
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.keyring.root import Label, RootKey
from strongroom.terms.errors import BadKey
from tests.keyring.drawn import drawn

LABELS: tuple[Label, ...] = get_args(Label)
ROOT = RootKey.generate(drawn("root"))


@pytest.mark.parametrize("label", LABELS)
def test_a_derived_key_is_hkdf_expand_written_out(label: Label) -> None:
    info = b'{"format":"strongroom/root/1","label":"%s"}' % label.encode()
    assert ROOT.derive(label) == hmac.digest(ROOT.secret, info + b"\x01", "sha384")[:32]


def test_every_purpose_has_a_key_of_its_own() -> None:
    assert LABELS == ("wrap", "log", "answer", "time", "details")
    other = RootKey.generate(drawn("other"))
    assert len({root.derive(label) for root in (ROOT, other) for label in LABELS}) == 10


def test_the_signing_keys_are_made_of_their_labels() -> None:
    made: list[tuple[Ed25519PrivateKey, Label]] = [
        (ROOT.log_key(), "log"),
        (ROOT.answer_key(), "answer"),
        (ROOT.time_key(), "time"),
    ]
    for key, label in made:
        assert key.private_bytes_raw() == ROOT.derive(label)


def test_a_root_key_is_drawn_from_the_source_that_is_given() -> None:
    assert ROOT.secret == hashlib.shake_256(b"root/1").digest(32)


@given(secret=st.binary(max_size=64).filter(lambda secret: len(secret) != 32))
def test_a_root_key_of_another_length_is_refused(secret: bytes) -> None:
    with pytest.raises(BadKey):
        RootKey.from_bytes(secret)


def test_a_root_key_is_in_no_repr() -> None:
    for shown in (f"{ROOT!r} {ROOT} {[ROOT]}",):
        assert ROOT.secret.hex() not in shown
        assert repr(ROOT.secret)[2:-1] not in shown

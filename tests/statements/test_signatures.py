"""ES256, Ed25519 and the proof of possession: every vector, and what signing gives back."""

from __future__ import annotations

from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.statements.signatures import (
    check_p256_point,
    possession_payload,
    sign_ed25519,
    verify_es256,
    verify_possession,
)
from strongroom.statements.signing import point_of, prove_possession, sign_es256, verify_ed25519
from strongroom.terms.errors import BadKey, BadSignature, StrongroomError
from tests.statements.vectors import Vector, load

ES256, POSSESSIONS = load("es256"), load("possession")
KEY = ec.derive_private_key(7, ec.SECP256R1())
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_this_many_vectors_were_found() -> None:
    assert Counter(vector["expect"] for vector in ES256.values()) == {"ok": 2, "bad-signature": 14, "bad-key": 10}
    assert Counter(vector["expect"] for vector in POSSESSIONS.values()) == {"ok": 1, "bad-signature": 8}


def check_es256(vector: Vector) -> None:
    verify_es256(*(bytes.fromhex(vector[field]) for field in ("public_key", "message", "signature")))


def check_possession(vector: Vector) -> None:
    key, proof = bytes.fromhex(vector["public_key"]), bytes.fromhex(vector["proof"])
    verify_possession(vector["deployment"], vector["subject"], key, proof)


@pytest.mark.parametrize(
    ("check", "vector"),
    [
        *(pytest.param(check_es256, vector, id=f"es256/{name}") for name, vector in ES256.items()),
        *(pytest.param(check_possession, vector, id=f"possession/{name}") for name, vector in POSSESSIONS.items()),
    ],
)
def test_vector(check: type, vector: Vector) -> None:
    if vector["expect"] == "ok":
        check(vector)
    else:
        with pytest.raises(StrongroomError) as refused:
            check(vector)
        assert (refused.value.code, refused.value.family) == (vector["expect"], vector["family"])


@pytest.mark.parametrize("name", [name for name, vector in ES256.items() if vector["expect"] == "bad-key"])
def test_a_key_that_is_none_is_refused_when_it_is_enrolled(name: str) -> None:
    with pytest.raises(BadKey):
        check_p256_point(bytes.fromhex(ES256[name]["public_key"]))


@given(st.binary(max_size=200))
def test_what_is_signed_verifies_and_is_the_same_every_time(message: bytes) -> None:
    check_p256_point(point_of(KEY))
    signature = sign_es256(KEY, message)
    verify_es256(point_of(KEY), message, signature)
    assert signature == sign_es256(KEY, message)
    assert len(signature) <= 72
    verify_ed25519(ED25519.public_key().public_bytes_raw(), message, sign_ed25519(ED25519, message))


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_bytes_that_are_no_signature_end_in_our_error(point: bytes, signature: bytes) -> None:
    with pytest.raises((BadKey, BadSignature)):
        verify_es256(point, b"", signature)
    with pytest.raises(BadSignature):
        verify_es256(point_of(KEY), b"", signature)


def test_an_ed25519_signature_over_something_else_is_refused() -> None:
    public = ED25519.public_key().public_bytes_raw()
    for message, signature in ((b"b", sign_ed25519(ED25519, b"a")), (b"a", b""), (b"a", bytes(64))):
        with pytest.raises(BadSignature):
            verify_ed25519(public, message, signature)
    with pytest.raises(BadKey):
        verify_ed25519(public[:-1], b"a", sign_ed25519(ED25519, b"a"))


def test_a_proof_of_possession_verifies_and_says_what_it_proves() -> None:
    deployment, subject = "sr1:" + "5a" * 32, f"device-{6:032x}"
    verify_possession(deployment, subject, point_of(KEY), prove_possession(KEY, deployment, subject))
    payload = possession_payload(deployment, subject, point_of(KEY))
    assert payload.startswith(b'{"deployment":"sr1:5a')
    assert subject.encode() in payload

"""Assertions and registrations: every vector, held against two other implementations too, and odd bytes."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import fido2.cbor
import pytest
import webauthn
from hypothesis import given
from hypothesis import strategies as st
from webauthn.helpers.structs import AttestationFormat

from strongroom.statements.cbor import parse_cbor
from strongroom.statements.webauthn import challenge_of, registration_message
from strongroom.terms.errors import BadRecord, StrongroomError
from tests.statements.vectors import Vector, check_assertion, check_registration, load
from tests.vectors.statements import cases, writer

ASSERTIONS, REGISTRATIONS = load("assertion"), load("registration")
OK_REGISTRATIONS = [name for name in REGISTRATIONS if name.startswith("ok-")]


def test_this_many_vectors_were_found() -> None:
    assert Counter(vector["expect"] for vector in ASSERTIONS.values()) == {
        "ok": 11,
        "not-canonical": 5,
        "bad-record": 11,
        "bad-assertion": 32,
        "bad-signature": 9,
        "cloned-key": 3,
    }
    assert Counter(vector["expect"] for vector in REGISTRATIONS.values()) == {
        "ok": 13,
        "bad-record": 25,
        "bad-assertion": 9,
        "bad-attestation": 31,
        "bad-key": 3,
        "bad-signature": 3,
    }


def refused(check: Any, vector: Vector) -> None:
    with pytest.raises(StrongroomError) as error:
        check(vector)
    assert (error.value.code, error.value.family) == (vector["expect"], vector["family"])


@pytest.mark.parametrize("name", ASSERTIONS)
def test_assertion(name: str) -> None:
    vector = ASSERTIONS[name]
    if vector["expect"] != "ok":
        refused(check_assertion, vector)
        return
    assert asdict(check_assertion(vector)) == {
        "path": vector["path"],
        "origin": {path: origin for origin, path in vector["origins"].items()}[vector["path"]],
        "counter": vector["new_counter"],
        "backup_eligible": vector["backup_eligible"],
    }


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_registration(name: str) -> None:
    vector = REGISTRATIONS[name]
    if vector["expect"] != "ok":
        refused(check_registration, vector)
        return
    found = asdict(check_registration(vector))
    assert found.pop("raw_id").hex() == vector["raw_id"]
    assert found.pop("public_key").hex() == vector["public_key"]
    assert found.pop("origin") == writer.APPROVALS
    assert found == {name: vector[name] for name in found}


# --- what others say of the same ------------------------------------------------------------------


def b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def challenge_bytes(vector: Vector) -> bytes:
    return b64decode(challenge_of(b64decode(vector["message"])) + "=", altchars=b"-_")


@pytest.mark.parametrize("name", [name for name in ASSERTIONS if name.startswith("ok-")])
def test_py_webauthn_takes_every_assertion_that_we_take(name: str) -> None:
    vector = ASSERTIONS[name]
    response = {
        "authenticatorData": b64url(bytes.fromhex(vector["authenticator_data"])),
        "clientDataJSON": b64url(b64decode(vector["client_data"])),
        "signature": b64url(bytes.fromhex(vector["sig"])),
    }
    found = webauthn.verify_authentication_response(
        credential={"id": b64url(b"\1"), "rawId": b64url(b"\1"), "type": "public-key", "response": response},
        expected_challenge=challenge_bytes(vector),
        expected_rp_id=vector["rp_id"],
        expected_origin=list(vector["origins"]),
        credential_public_key=bytes.fromhex(vector["public_key"]),
        credential_current_sign_count=vector["counter"],
        require_user_verification=True,
    )
    assert found.new_sign_count == vector["new_counter"]


# It wants the extension that says "no authority"; to us none says the same.
@pytest.mark.parametrize("name", [name for name in OK_REGISTRATIONS if name != "ok-packed-no-constraints"])
def test_py_webauthn_takes_every_registration_that_we_take(name: str) -> None:
    vector = REGISTRATIONS[name]
    response = {
        "attestationObject": b64url(b64decode(vector["attestation_object"])),
        "clientDataJSON": b64url(b64decode(vector["client_data"])),
    }
    raw_id = b64url(bytes.fromhex(vector["raw_id"]))
    found = webauthn.verify_registration_response(
        credential={"id": raw_id, "rawId": raw_id, "type": "public-key", "response": response},
        expected_challenge=challenge_bytes(vector),
        expected_rp_id=vector["rp_id"],
        expected_origin=list(vector["origins"]),
        require_user_verification=True,
    )
    assert found.credential_id.hex() == vector["raw_id"]
    assert found.aaguid.replace("-", "") == vector["aaguid"]
    assert (found.fmt == AttestationFormat.NONE) == name.startswith(("ok-none", "ok-extensions", "ok-short", "ok-long"))


# --- domains ----------------------------------------------------------------------------------------


def test_a_registration_says_for_whom_it_is() -> None:
    message = registration_message(
        deployment=writer.DEPLOYMENT, person=writer.subject("person", 2), credential=writer.subject("credential", 5)
    )
    assert message == cases.ENROLLING


# --- CBOR -------------------------------------------------------------------------------------------

plain = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=40) | st.booleans()
keys = st.integers(-70000, 70000) | st.text(max_size=30)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)


def deep(value: Any) -> int:
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return 1 + max(map(deep, inner), default=0) if isinstance(value, list | dict) else 0


@given(values.filter(lambda value: deep(value) <= 4))
def test_what_another_encoder_writes_is_read(value: Any) -> None:
    assert parse_cbor(fido2.cbor.encode(value)) == value


@given(st.binary(max_size=60) | values.map(lambda value: fido2.cbor.encode(value)[:-1]))
def test_bytes_that_are_read_as_cbor_are_the_only_ones_with_that_value(data: bytes) -> None:
    try:
        value = parse_cbor(data)
    except BadRecord:
        return
    if value is not None:  # the encoder of CTAP2 knows no null
        assert fido2.cbor.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        "",
        "1817",  # 23 in two bytes
        "1900ff",  # 255 in three
        "1a0000ffff",
        "1b00000000ffffffff",
        "1c" + "ff" * 16,  # a head that is reserved
        "5f" + "ff" * 128,  # of a length not told
        "62c328",  # not UTF-8
        "4201",  # too short
        "9bffffffffffffffff",  # as many items as there are atoms
        "a2010102",  # a key without value
        "a201010101",  # a key twice
        "a202010101",  # keys in other order
        "a2616101000a",  # text before a number
        "a1f501",  # a boolean as key
        "a14001",  # bytes as key
        "a18001",  # an array as key
        "c001",  # a tag
        "f7",  # undefined
        "f814",  # false in two bytes
        "f93c00",  # 1.0
        "ff",
        "0000",  # two values
        "8181818181" + "01",  # five levels
    ],
)
def test_cbor_that_no_authenticator_writes_is_refused(data: str) -> None:
    with pytest.raises(BadRecord):
        parse_cbor(bytes.fromhex(data))


@given(st.binary(max_size=200))
def test_whatever_is_given_ends_in_our_error(data: bytes) -> None:
    vector = dict(ASSERTIONS["ok-cli"])
    for changes in (
        {"authenticator_data": data.hex()},
        {"client_data": writer.b64(data)},
        {"sig": data.hex()},
    ):
        with pytest.raises(StrongroomError):
            check_assertion({**vector, **changes})
    for field in ("attestation_object", "client_data"):
        with pytest.raises(StrongroomError):
            check_registration({**REGISTRATIONS["ok-packed"], field: writer.b64(data)})


def test_no_flipped_bit_of_a_key_that_vouches_for_itself_is_taken() -> None:
    vector = REGISTRATIONS["ok-packed-by-itself"]
    data = b64decode(vector["attestation_object"])
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(StrongroomError):
            check_registration({**vector, "attestation_object": writer.b64(bytes(changed))})


@pytest.mark.filterwarnings("ignore::UserWarning")  # the library frets over a serial number, then the check fails
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_of_a_chain_ends_in_our_error_or_changes_nothing(place: int, change: int) -> None:
    """The second, because a certificate's own signature has a byte that says how many of its bits do not count."""
    vector = REGISTRATIONS["ok-packed-with-middle"]
    data = bytearray(b64decode(vector["attestation_object"]))
    data[place % len(data)] ^= change
    with suppress(StrongroomError):
        assert check_registration({**vector, "attestation_object": writer.b64(bytes(data))}) == check_registration(
            vector
        )

"""Envelopes: one form, one name, and every vector."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.statements.envelope import (
    LARGEST_PAYLOAD_BYTES,
    MOST_SIGNATURES,
    PAYLOAD_TYPE,
    Assertion,
    Envelope,
    Signature,
    pae,
    parse_envelope,
)
from strongroom.statements.signatures import POSSESSION_FORMAT, POSSESSION_TYPE
from strongroom.statements.webauthn import REGISTRATION_FORMAT
from strongroom.terms import canonical, outer_errors
from strongroom.terms.errors import BadRecord, BadSignature, Malformed, StrongroomError
from tests.statements.vectors import VECTORS, load
from tests.vectors.statements import generate

ENVELOPES = load("envelope")
GOOD = [name for name in ENVELOPES if name.startswith("ok-")]
PAGE = (Path(__file__).parents[2] / "docs" / "spec" / "envelope.md").read_text(encoding="utf-8")


def test_this_many_vectors_were_found() -> None:
    found = Counter(vector["expect"] for vector in ENVELOPES.values())
    assert found == {"ok": 5, "bad-record": 22, "unknown-format": 3, "not-canonical": 4}


def test_the_vectors_are_those_that_the_generator_writes() -> None:
    stored = {str(path.relative_to(VECTORS)): path.read_text() for path in VECTORS.glob("*/*.json")}
    assert dict(generate.files()) == stored


@pytest.mark.parametrize("name", GOOD)
def test_a_good_envelope_is_read_and_written_back(name: str) -> None:
    data = b64decode(ENVELOPES[name]["envelope"])
    envelope = parse_envelope(canonical.parse(data))
    assert canonical.encode(envelope.json()) == data
    assert envelope.digest == ENVELOPES[name]["digest"]
    assert [envelope.signature(key).keyid for key in ENVELOPES[name]["keys"]] == ENVELOPES[name]["keys"]


@pytest.mark.parametrize("name", sorted(ENVELOPES.keys() - set(GOOD)))
def test_a_faulty_envelope_is_refused(name: str) -> None:
    with pytest.raises(StrongroomError) as refused:
        parse_envelope(canonical.parse(b64decode(ENVELOPES[name]["envelope"])))
    assert (refused.value.code, refused.value.family) == (ENVELOPES[name]["expect"], ENVELOPES[name]["family"])


def test_the_encoding_that_is_signed_is_that_of_dsse() -> None:
    # The example of the DSSE protocol text.
    assert pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_payload_of_512_kib_is_read_and_one_byte_more_is_not() -> None:
    signature: canonical.Json = {"keyid": "keep", "sig": ""}
    value: dict[str, canonical.Json] = {"payloadType": PAYLOAD_TYPE, "signatures": [signature]}
    full = b"a" * (512 * 1024)
    assert parse_envelope({**value, "payload": b64encode(full).decode()}).payload == full
    with pytest.raises(BadRecord):
        parse_envelope({**value, "payload": b64encode(full + b"a").decode()})


@pytest.mark.parametrize(("field", "most"), [("authenticator_data", 1024), ("client_data", 4096)])
def test_what_a_security_key_says_has_its_bounds(field: str, most: int) -> None:
    def signed(size: int) -> canonical.Json:
        said: canonical.Json = {"authenticator_data": "", "client_data": "", field: b64encode(bytes(size)).decode()}
        signature: canonical.Json = {"keyid": "keep", "sig": "", "webauthn": said}
        return {"payload": "", "payloadType": PAYLOAD_TYPE, "signatures": [signature]}

    assert parse_envelope(signed(most)).signatures[0].webauthn
    with pytest.raises(BadRecord):
        parse_envelope(signed(most + 1))


def test_a_signature_that_is_not_there_is_not_found() -> None:
    envelope = Envelope(payload=b"{}", signatures=(Signature(keyid="keep", sig=b""),))
    with pytest.raises(BadSignature, match=r"^no signature by `person-0`$"):
        envelope.signature("person-0")


keys = st.sampled_from([f"credential-{number:032x}" for number in range(40)] + ["keep"])
assertions = (
    st.builds(Assertion, authenticator_data=st.binary(max_size=1024), client_data=st.binary(max_size=200)) | st.none()
)
signatures = st.builds(Signature, keyid=keys, sig=st.binary(max_size=72), webauthn=assertions)
envelopes = st.builds(
    Envelope,
    payload=st.binary(max_size=300),
    signatures=st.lists(signatures, min_size=1, max_size=16, unique_by=lambda one: one.keyid).map(tuple),
)


@given(envelopes)
def test_what_is_written_is_read_again(envelope: Envelope) -> None:
    assert parse_envelope(canonical.parse(canonical.encode(envelope.json()))) == envelope


@given(
    st.tuples(st.binary(max_size=40), st.text("ab 17", max_size=12)),
    st.tuples(st.binary(max_size=40), st.text("ab 17", max_size=12)),
)
def test_no_two_pairs_of_type_and_payload_are_signed_alike(one: tuple[bytes, str], other: tuple[bytes, str]) -> None:
    assert (pae(*one) == pae(*other)) == (one == other)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "keyid", "sig", "webauthn"]), inner)
    ),
)


@given(
    json_values
    | st.fixed_dictionaries({"payload": json_values, "payloadType": st.just(PAYLOAD_TYPE), "signatures": json_values})
)
def test_whatever_is_given_ends_in_an_envelope_or_in_our_error(value: canonical.Json) -> None:
    with suppress(Malformed):
        parse_envelope(value)


def test_the_page_shows_the_vectors() -> None:
    example = b64decode(ENVELOPES["ok-a-touch-and-a-device"]["envelope"])
    blocks = re.findall(r"^```(?:json)?\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
    envelope = parse_envelope(canonical.parse(example))
    assert canonical.encode(json.loads(blocks[0])) == example
    assert blocks[1:] == [
        envelope.payload.decode(),
        envelope.message.decode(),
        envelope.digest,
        load("words")["of-a-statement"]["words"],
    ]
    assert load("words")["of-a-statement"]["digest"] == envelope.digest


def test_the_page_names_the_errors_and_the_numbers_of_the_code() -> None:
    expected = {vector["expect"] for folder in generate.FOLDERS for vector in load(folder).values()}
    assert set(re.findall("`([a-z0-9-]+)`", PAGE)) & {error.code for error in outer_errors.codes()} == expected - {"ok"}
    assert f"{LARGEST_PAYLOAD_BYTES:,} bytes, `sig` 72,\n  `authenticator_data` 1,024, `client_data` 4,096" in PAGE
    assert f"1 to {MOST_SIGNATURES} signatures" in PAGE
    types = (PAYLOAD_TYPE, POSSESSION_TYPE, POSSESSION_FORMAT, REGISTRATION_FORMAT)
    assert all(name in PAGE for name in types)

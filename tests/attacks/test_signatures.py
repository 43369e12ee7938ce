"""Attacks on envelopes and signatures: swapped types, doubled signers, malleated bytes, borrowed proofs."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.statements.envelope import PAYLOAD_TYPE, Envelope, Signature, pae, parse_envelope
from strongroom.statements.signatures import (
    POSSESSION_TYPE,
    possession_payload,
    sign_ed25519,
    verify_es256,
    verify_possession,
)
from strongroom.statements.signing import prove_possession, sign_es256, verify_ed25519
from strongroom.terms import canonical
from strongroom.terms.errors import BadKey, BadRecord, BadSignature, NotCanonical, UnknownFormat
from tests.vectors.statements import writer

DEVICE, DEPLOYMENT = writer.subject("device", 1), writer.DEPLOYMENT
KEY, POINT = writer.private(41), writer.point(writer.private(41))
PAYLOAD = b'{"kind":"approve/1"}'


def said(payload: bytes = PAYLOAD) -> Envelope:
    sig = sign_es256(KEY, pae(payload))
    return Envelope(payload=payload, signatures=(Signature(keyid=DEVICE, sig=sig),))


def verify(envelope: Envelope) -> None:
    verify_es256(POINT, envelope.message, envelope.signature(DEVICE).sig)


def test_a_malleated_signature_is_the_same_statement_and_no_second_one() -> None:
    envelope = said()
    mirrored = writer.mirrored(envelope.signatures[0].sig)
    other = Envelope(payload=PAYLOAD, signatures=(Signature(keyid=DEVICE, sig=mirrored),))
    verify(envelope)
    verify(other)
    assert other != envelope
    assert other.digest == envelope.digest


def test_more_signatures_do_not_make_another_statement() -> None:
    envelope = said()
    more = Envelope(payload=PAYLOAD, signatures=(*envelope.signatures, Signature(keyid="keep", sig=bytes(64))))
    assert more.digest == envelope.digest


def test_one_key_signs_an_envelope_once() -> None:
    value = said().json()
    (one,) = said().signatures
    twice = Envelope(payload=PAYLOAD, signatures=(one, Signature(keyid=DEVICE, sig=writer.mirrored(one.sig)))).json()
    assert parse_envelope(value) == said()
    with pytest.raises(BadRecord):
        parse_envelope(twice)


def test_an_edited_payload_carries_no_signature_over() -> None:
    edited = Envelope(payload=PAYLOAD.replace(b"approve", b"reject"), signatures=said().signatures)
    with pytest.raises(BadSignature):
        verify(edited)


def test_a_signature_moved_to_another_key_id_is_found_wrong_or_not_at_all() -> None:
    other = Envelope(payload=PAYLOAD, signatures=(Signature(keyid="keep", sig=said().signatures[0].sig),))
    with pytest.raises(BadSignature):
        verify(other)


def test_a_swapped_payload_type_is_refused_and_would_not_verify() -> None:
    value = {**said().json(), "payloadType": POSSESSION_TYPE}
    with pytest.raises(UnknownFormat):
        parse_envelope(value)
    with pytest.raises(BadSignature):
        verify_es256(POINT, pae(PAYLOAD, POSSESSION_TYPE), said().signatures[0].sig)


def test_a_second_payload_in_one_envelope_is_not_read() -> None:
    data = canonical.encode(said().json())
    doubled = b'{"payload":"e30=",' + data[1:]
    with pytest.raises(NotCanonical):
        parse_envelope(canonical.parse(doubled))


def test_an_ed25519_key_cannot_be_enrolled() -> None:
    key = Ed25519PrivateKey.generate()
    with pytest.raises(BadKey):
        verify_es256(key.public_key().public_bytes_raw(), PAYLOAD, sign_ed25519(key, PAYLOAD))


def test_the_keeps_signature_under_another_answer_is_refused() -> None:
    key = Ed25519PrivateKey.generate()
    with pytest.raises(BadSignature):
        verify_ed25519(key.public_key().public_bytes_raw(), pae(b"{}"), sign_ed25519(key, pae(PAYLOAD)))


# --- possession ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deployment", "subject"),
    [
        ("sr1:" + "00" * 32, DEVICE),
        (DEPLOYMENT, writer.subject("device", 2)),
        (DEPLOYMENT, writer.subject("workload", 1)),
    ],
)
def test_a_proof_of_possession_fits_no_other_subject_and_no_other_deployment(deployment: str, subject: str) -> None:
    proof = prove_possession(KEY, DEPLOYMENT, DEVICE)
    verify_possession(DEPLOYMENT, DEVICE, POINT, proof)
    with pytest.raises(BadSignature):
        verify_possession(deployment, subject, POINT, proof)


def test_somebody_elses_public_key_cannot_be_enrolled_with_ones_own_proof() -> None:
    with pytest.raises(BadSignature):
        verify_possession(DEPLOYMENT, DEVICE, POINT, prove_possession(writer.private(42), DEPLOYMENT, DEVICE))


def test_a_statement_that_holds_the_words_of_a_proof_is_none() -> None:
    """Whoever gets a device to sign a statement with that payload still has no proof, and the other way round."""
    payload = possession_payload(DEPLOYMENT, DEVICE, POINT)
    with pytest.raises(BadSignature):
        verify_possession(DEPLOYMENT, DEVICE, POINT, sign_es256(KEY, pae(payload, PAYLOAD_TYPE)))
    proof = prove_possession(KEY, DEPLOYMENT, DEVICE)
    with pytest.raises(BadSignature):
        verify_es256(POINT, Envelope(payload=payload, signatures=()).message, proof)

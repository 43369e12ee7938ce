"""Attacks with security keys: touches taken from elsewhere, edited, replayed or faked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from strongroom.client.security_keys.port import Registration, Touch
from strongroom.client.security_keys.software import ELIGIBLE, PRESENT, VERIFIED, SoftwareKey
from strongroom.statements.envelope import Assertion, Envelope
from strongroom.statements.signatures import possession_message
from strongroom.statements.webauthn import (
    CredentialKey,
    RegisteredKey,
    VerifiedAssertion,
    registration_message,
    verify_assertion,
    verify_registration,
)
from strongroom.terms.errors import BadAssertion, BadAttestation, BadRecord, BadSignature, ClonedKey
from tests.vectors.statements import cases, writer

ADA, BO = writer.subject("person", 1), writer.subject("person", 2)
CREDENTIAL = writer.subject("credential", 3)
LOGIN = Envelope(payload=b'{"kind":"session.open/1"}', signatures=()).message
APPROVAL = Envelope(payload=b'{"kind":"approve/1"}', signatures=()).message
KEY = writer.private(31)
KNOWN = CredentialKey(
    credential=CREDENTIAL,
    raw_id=b"\x01" * 32,
    public_key=writer.point(KEY),
    software=False,
    backup_eligible=False,
    counter=6,
)


def verify(made: dict[str, bytes], message: bytes = APPROVAL, key: CredentialKey = KNOWN) -> VerifiedAssertion:
    assertion = Assertion(authenticator_data=made["authenticator_data"], client_data=made["client_data"])
    return verify_assertion(
        assertion, made["sig"], key=key, message=message, rp_id=writer.RP_ID, origins=writer.ORIGINS
    )


def touched(message: bytes = APPROVAL, *, key: writer.Key = KEY, origin: str = writer.APPROVALS, **members: Any) -> Any:
    return writer.touch(key, message, client=writer.client_json("webauthn.get", message, origin, **members))


def test_the_touch_that_the_attacks_start_from_is_good() -> None:
    assert verify(touched()).path == "approval"


def test_a_login_touch_is_no_approval() -> None:
    verify(touched(LOGIN), LOGIN)
    with pytest.raises(BadAssertion):
        verify(touched(LOGIN), APPROVAL)


def test_a_touch_for_one_proposal_approves_no_edited_one() -> None:
    edited = Envelope(payload=b'{"kind":"approve/1" }', signatures=()).message
    with pytest.raises(BadAssertion):
        verify(touched(), edited)


def test_a_challenge_put_into_the_client_data_afterwards_is_seen() -> None:
    taken = {**touched(LOGIN), "client_data": touched(APPROVAL)["client_data"]}
    with pytest.raises(BadSignature):
        verify(taken)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://approve.strongroom.example.evil.example",
        "https://evil.approve.strongroom.example",
        "https://strongroom.example",
        "https://approve.strongroom.example:8443",
        "https://approve.strongroom.example:443",
        "http://approve.strongroom.example",
        "https://approve.strongroom.example/",
        "https://approve.strongroom.example@evil.example",
        "HTTPS://APPROVE.STRONGROOM.EXAMPLE",
        "https://аpprove.strongroom.example",
        "android:apk-key-hash:AAAA",
        "strongroom:cli2",
        "null",
        "",
    ],
)
def test_a_page_that_is_not_ours_collects_no_touches(origin: str) -> None:
    with pytest.raises(BadAssertion):
        verify(touched(origin=origin))


def test_a_browser_cannot_pass_for_the_command_line() -> None:
    """The path comes from the origin, which the browser writes: a page has its own and no other."""
    assert verify(touched(origin=writer.CLI)).path == "cli"
    assert verify(touched()).path == "approval"


@pytest.mark.parametrize(
    "members",
    [{"crossOrigin": True}, {"crossOrigin": 1}, {"topOrigin": "https://evil.example"}, {"topOrigin": writer.APPROVALS}],
)
def test_our_page_in_a_frame_of_another_collects_no_touches(members: dict[str, Any]) -> None:
    with pytest.raises(BadAssertion):
        verify(touched(**members))


def test_a_second_origin_behind_the_first_is_not_read() -> None:
    client = touched()["client_data"][:-1] + b',"origin":"https://evil.example"}'
    with pytest.raises(Exception, match="a key stands twice"):
        verify(writer.touch(KEY, APPROVAL, client=client))


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x04])
def test_a_stolen_key_without_its_pin_or_without_its_person_signs_nothing(flags: int) -> None:
    with pytest.raises(BadAssertion):
        verify(writer.touch(KEY, APPROVAL, data=writer.authenticator_data(flags=flags)))


def test_flags_raised_afterwards_are_seen() -> None:
    made = writer.touch(KEY, APPROVAL, data=writer.authenticator_data(flags=0x00))
    with pytest.raises(BadSignature):
        verify({**made, "authenticator_data": writer.authenticator_data()})


@pytest.mark.parametrize("rp_id", ["evil.example", "approve.strongroom.example", "example", "STRONGROOM.EXAMPLE"])
def test_a_credential_of_another_site_signs_nothing_here(rp_id: str) -> None:
    with pytest.raises(BadAssertion):
        verify(writer.touch(KEY, APPROVAL, data=writer.authenticator_data(rp_id=rp_id)))


def test_a_copy_of_a_key_is_noticed_by_its_counter() -> None:
    original = writer.touch(KEY, APPROVAL, data=writer.authenticator_data(counter=8))
    after = replace(KNOWN, counter=verify(original).counter)
    for counter in (0, 7, 8):
        with pytest.raises(ClonedKey):
            verify(writer.touch(KEY, APPROVAL, data=writer.authenticator_data(counter=counter)), key=after)


def test_nobody_else_can_raise_that_alarm() -> None:
    faked = touched(key=writer.private(32))
    with pytest.raises(BadSignature):
        verify(faked, key=replace(KNOWN, counter=100))


def test_a_key_that_became_copyable_is_not_the_one_that_was_enrolled() -> None:
    with pytest.raises(BadAssertion):
        verify(writer.touch(KEY, APPROVAL, data=writer.authenticator_data(flags=0x0D)))
    with pytest.raises(BadAssertion):
        verify(touched(), key=replace(KNOWN, backup_eligible=True))


def test_a_touch_of_another_persons_key_is_not_this_persons() -> None:
    with pytest.raises(BadSignature):
        verify(touched(key=writer.private(32)))


def test_a_malleated_touch_is_the_same_touch() -> None:
    made = touched()
    other = {**made, "sig": writer.mirrored(made["sig"])}
    assert other["sig"] != made["sig"]
    assert verify(made) == verify(other)


def test_enrolling_a_key_is_no_signature_with_it() -> None:
    made = writer.touch(KEY, APPROVAL, client=writer.client_json("webauthn.create", APPROVAL, writer.APPROVALS))
    with pytest.raises(BadAssertion):
        verify(made)


def test_what_an_authenticator_adds_unasked_is_not_signed_for() -> None:
    for flags, rest in ((0x45, writer.credential(KEY)), (0x85, writer.cbor({"payment": True}))):
        with pytest.raises(BadRecord):
            verify(writer.touch(KEY, APPROVAL, data=writer.authenticator_data(flags=flags, rest=rest)))


# --- enrolling --------------------------------------------------------------------------------------------


def message(person: str = ADA, credential: str = CREDENTIAL, deployment: str = writer.DEPLOYMENT) -> bytes:
    return registration_message(deployment=deployment, person=person, credential=credential)


def enrol(made: Registration, challenge: bytes, roots: tuple[bytes, ...] = (cases.ROOT,)) -> RegisteredKey:
    return verify_registration(
        made.attestation_object,
        made.client_data,
        challenge_message=challenge,
        rp_id=writer.RP_ID,
        origins=writer.ORIGINS,
        roots=roots,
    )


def made_by(key: SoftwareKey, challenge: bytes) -> Registration:
    return key.register(rp_id=writer.RP_ID, person_handle=b"\x01", person_name="Ada", message=challenge)


@pytest.fixture
def key(tmp_path: Path) -> SoftwareKey:
    made = SoftwareKey(tmp_path / "key.json")
    made.create()
    return made


@pytest.mark.parametrize(
    "challenge",
    [
        message(person=BO),
        message(credential=writer.subject("credential", 4)),
        message(deployment="sr1:" + "00" * 32),
        APPROVAL,
    ],
)
def test_a_key_made_for_somebody_or_something_else_is_not_enrolled(key: SoftwareKey, challenge: bytes) -> None:
    enrol(made_by(key, message()), message())
    with pytest.raises(BadAssertion):
        enrol(made_by(key, challenge), message())


def test_a_key_in_software_cannot_pass_for_one_in_hardware(key: SoftwareKey) -> None:
    made = made_by(key, message())
    assert enrol(made, message()).software
    data = made.attestation_object[made.attestation_object.index(b"authData") + 10 :]
    assert enrol(replace(made, attestation_object=writer.attestation_object("none", {}, data)), message()).software
    # It has no maker who would sign for it: neither its own certificate nor one that belongs to another key will do.
    own = writer.certificate("Own", writer.private(77).public_key(), "Own", writer.private(77))
    signed = data + writer.sha256(made.client_data)
    unnamed = writer.certificate("Maker", cases.MAKER_KEY.public_key(), "Root", cases.ROOT_KEY, aaguid=None)
    for chain, error in (((own,), BadAttestation), ((cases.MAKER,), BadAttestation), ((unnamed,), BadSignature)):
        statement = {"alg": -7, "sig": writer.sign(writer.private(77), signed), "x5c": chain}
        faked = replace(made, attestation_object=writer.attestation_object("packed", statement, data))
        with pytest.raises(error):
            enrol(faked, message())


def test_without_makers_in_the_directory_nobody_vouches() -> None:
    made = Registration(attestation_object=cases.packed(), client_data=cases.create(), raw_id=b"")
    assert not enrol(made, cases.ENROLLING).software
    with pytest.raises(BadAttestation):
        enrol(made, cases.ENROLLING, roots=())


@pytest.mark.parametrize(
    "cose",
    [
        writer.cbor({1: 3, 3: -257, -1: bytes(256), -2: b"\1\0\1"}),
        writer.cbor({1: 1, 3: -8, -1: 6, -2: ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()}),
        writer.cbor({1: 1, 3: -8, -1: 6, -2: bytes(32)}),  # of low order: one signature for every message
        writer.cose(KEY).replace(b"\x03\x26", b"\x03\x38\x22", 1),
    ],
    ids=["RS256", "EdDSA", "EdDSA-low-order", "ES384"],
)
def test_no_weaker_kind_of_key_is_enrolled(cose: bytes) -> None:
    data = writer.authenticator_data(flags=0x45, rest=writer.credential(KEY, cose_key=cose))
    client = writer.client_json("webauthn.create", message(), writer.APPROVALS)
    made = Registration(
        attestation_object=writer.attestation_object("none", {}, data), client_data=client, raw_id=b"\x01" * 32
    )
    with pytest.raises(BadAttestation):
        enrol(made, message())


def test_somebody_elses_public_key_registers_but_cannot_prove_possession(key: SoftwareKey) -> None:
    """`none` is signed by nobody: so possession is an assertion, by the key that is to be enrolled."""
    registered = enrol(made_by(key, message()), message())
    mine = CredentialKey(
        credential=CREDENTIAL,
        raw_id=registered.raw_id,
        public_key=registered.public_key,
        software=True,
        backup_eligible=False,
        counter=registered.counter,
    )
    proof = possession_message(writer.DEPLOYMENT, CREDENTIAL, registered.public_key)

    def prove(made: Touch, credential: CredentialKey, said: bytes) -> VerifiedAssertion:
        return verify_assertion(
            made.assertion, made.sig, key=credential, message=said, rp_id=writer.RP_ID, origins=writer.ORIGINS
        )

    made = key.sign(proof, rp_id=writer.RP_ID, raw_ids=[registered.raw_id])
    prove(made, mine, proof)
    victims = replace(mine, public_key=writer.point(writer.private(40)))
    with pytest.raises(BadSignature):
        prove(made, victims, proof)
    with pytest.raises(BadAssertion):
        prove(made, victims, possession_message(writer.DEPLOYMENT, CREDENTIAL, victims.public_key))


def test_a_key_that_can_be_copied_is_known_for_it(tmp_path: Path) -> None:
    copyable = SoftwareKey(tmp_path / "copyable.json", flags=PRESENT | VERIFIED | ELIGIBLE)
    copyable.create()
    assert enrol(made_by(copyable, message()), message()).backup_eligible

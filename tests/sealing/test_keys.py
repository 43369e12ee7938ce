"""Keys: what is wrapped opens with one identity and one binding, and secrets never show."""

from __future__ import annotations

import base64
import json
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.sealing.key_texts import parse_identity, parse_public_key
from strongroom.sealing.keys import (
    SUITE,
    Binding,
    DataKey,
    FileKeys,
    Identity,
    PublicKey,
    file_key,
    manifest_key,
    released_file_keys,
    unwrap_with,
    wrap_to,
)
from strongroom.terms.errors import BadKey, NotReleased, StrongroomError, WrongKey
from tests.sealing.reference import file_key as reference_file_key
from tests.sealing.reference import hpke_seal
from tests.vectors.floe_cases import draw

XWING = json.loads((Path(__file__).parents[1] / "vectors" / "xwing.json").read_text())
IDENTITY = Identity(bytes.fromhex(XWING["seed"]))
PUBLIC = IDENTITY.public_key()
BINDING = Binding(deployment="standalone", model="acme/atlas", generation=1, seal_id="0" * 32)
DATA_KEY = draw("data key", 32)
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def test_what_is_wrapped_to_a_key_opens_with_its_identity() -> None:
    wrapped = PUBLIC.wrap(DATA_KEY, BINDING)
    assert len(wrapped) == 1168
    assert IDENTITY.unwrap(wrapped, BINDING) == DATA_KEY
    assert PUBLIC.wrap(DATA_KEY, BINDING) != wrapped


def test_unwrapping_is_x_wing_and_rfc_9180_as_published() -> None:
    """The encapsulation and shared secret are the draft's; key schedule and AEAD are written out in the reference."""
    info = (
        b'{"deployment":"standalone","format":"strongroom/data-key/1","generation":1,"model":"acme/atlas",'
        b'"purpose":"data key","seal_id":"00000000000000000000000000000000"}'
    )
    assert BINDING.info() == info
    sealed = hpke_seal(bytes.fromhex(XWING["shared_secret"]), info, DATA_KEY)
    assert IDENTITY.unwrap(bytes.fromhex(XWING["encapsulated"]) + sealed, BINDING) == DATA_KEY
    assert SUITE == "HPKE/MLKEM768_X25519/HKDF_SHA256/AES_256_GCM"


def test_x_wing_makes_the_published_key_pair_of_the_published_seed() -> None:
    assert PUBLIC.raw.hex() == XWING["public_key"]


@pytest.mark.parametrize(
    "changed",
    [
        replace(BINDING, deployment="elsewhere"),
        replace(BINDING, model="acme/other"),
        replace(BINDING, generation=2),
        replace(BINDING, seal_id="0" * 31 + "1"),
    ],
)
def test_a_data_key_does_not_open_under_any_other_binding(changed: Binding) -> None:
    with pytest.raises(WrongKey):
        IDENTITY.unwrap(PUBLIC.wrap(DATA_KEY, BINDING), changed)


def test_a_data_key_does_not_open_with_another_identity() -> None:
    with pytest.raises(WrongKey):
        Identity(draw("other", 32)).unwrap(PUBLIC.wrap(DATA_KEY, BINDING), BINDING)


@pytest.mark.parametrize("offset", [*range(0, 1168, 61), 1087, 1088, 1119, 1120, 1151, 1152, 1167])
def test_a_changed_wrapped_key_opens_nothing(offset: int) -> None:
    wrapped = bytearray(PUBLIC.wrap(DATA_KEY, BINDING))
    wrapped[offset] ^= 1
    with pytest.raises(WrongKey):
        IDENTITY.unwrap(bytes(wrapped), BINDING)


@given(wrapped=st.binary(max_size=1300))
def test_unwrapping_any_bytes_raises_nothing_but_wrong_key(wrapped: bytes) -> None:
    with pytest.raises(WrongKey):
        IDENTITY.unwrap(wrapped, BINDING)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 48])
def test_a_data_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(WrongKey):
        IDENTITY.unwrap(PUBLIC.wrap(bytes(size), BINDING), BINDING)


def test_file_keys_equal_the_reference_and_differ_by_all_that_they_are_bound_to() -> None:
    seal_id = "ab" * 16
    for path in ("a", "größe/模型.bin", "\U0001f511"):
        derived = file_key(DATA_KEY, seal_id, path)
        assert (derived.key, derived.aad) == reference_file_key(DATA_KEY, seal_id, "file", path)
    derived = manifest_key(DATA_KEY, seal_id)
    assert (derived.key, derived.aad) == reference_file_key(DATA_KEY, seal_id, "manifest", "")
    distinct = [
        file_key(DATA_KEY, seal_id, ""),
        file_key(DATA_KEY, seal_id, "a"),
        file_key(DATA_KEY, seal_id, "A"),
        file_key(DATA_KEY, "cd" * 16, "a"),
        file_key(draw("other", 32), seal_id, "a"),
        manifest_key(DATA_KEY, seal_id),
    ]
    assert len({key.key for key in distinct}) == len(distinct)


def test_a_path_cannot_be_written_so_that_it_takes_another_files_key() -> None:
    forged = 'a","seal_id":"' + "0" * 32 + '"}'
    aad = file_key(DATA_KEY, "1" * 32, forged).aad
    assert json.loads(aad) == {"format": "strongroom/file/1", "kind": "file", "path": forged, "seal_id": "1" * 32}
    assert not aad.startswith(file_key(DATA_KEY, "0" * 32, "a").aad)


# --- as text -----------------------------------------------------------------------------------


@given(seed=st.binary(min_size=32, max_size=32))
def test_keys_are_read_as_they_are_written(seed: bytes) -> None:
    identity = Identity(seed)
    assert parse_identity(identity.encode()) == identity
    assert "\n" not in identity.encode()


def test_a_public_key_is_read_as_it_is_written() -> None:
    assert parse_public_key(str(PUBLIC)) == PUBLIC
    assert str(PUBLIC).startswith("strongroom-public-1:")
    assert PUBLIC.digest().startswith("sha256:")


PUBLIC_TEXT, SECRET_TEXT = str(PUBLIC), IDENTITY.encode()
assert PUBLIC_TEXT[-1] in "AQgw"  # 1,216 bytes leave four bits of the last digit idle
NOT_KEYS = {
    "empty": "",
    "another prefix": "age1" + PUBLIC_TEXT,
    "an upper case prefix": PUBLIC_TEXT.replace("strongroom", "STRONGROOM"),
    "a newer prefix": PUBLIC_TEXT.replace("-1:", "-2:"),
    "an identity": SECRET_TEXT,
    "only the prefix": "strongroom-public-1:",
    "a newline after it": PUBLIC_TEXT + "\n",
    "a space before it": " " + PUBLIC_TEXT,
    "a space inside": PUBLIC_TEXT[:100] + " " + PUBLIC_TEXT[100:],
    "a byte less": "strongroom-public-1:" + base64.urlsafe_b64encode(PUBLIC.raw[:-1]).decode().rstrip("="),
    "a byte more": "strongroom-public-1:" + base64.urlsafe_b64encode(PUBLIC.raw + b"\0").decode().rstrip("="),
    "padding": PUBLIC_TEXT + "=",
    "two of padding": PUBLIC_TEXT + "==",
    "idle bits set": PUBLIC_TEXT[:-1] + chr(ord(PUBLIC_TEXT[-1]) + 1),
    "the other alphabet": "strongroom-public-1:" + base64.b64encode(b"\xfb" * 1216).decode().rstrip("="),
    "not ASCII": PUBLIC_TEXT[:-1] + "é",
    "a lone surrogate": PUBLIC_TEXT[:-1] + "\ud800",
    "not a point of ML-KEM": str(PublicKey(b"\xff" * 1184 + PUBLIC.raw[1184:])),
}


@pytest.mark.parametrize("name", NOT_KEYS)
def test_what_is_no_public_key_is_refused(name: str) -> None:
    with pytest.raises(BadKey):
        parse_public_key(NOT_KEYS[name])


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_nothing_is_sealed_to_a_point_of_low_order(point: bytes) -> None:
    """The attack: with such a key, half of the hybrid is known to everybody."""
    with pytest.raises(BadKey):
        parse_public_key(str(PublicKey(PUBLIC.raw[:1184] + point))).wrap(DATA_KEY, BINDING)


@given(text=st.text(max_size=80))
def test_reading_any_text_as_a_key_raises_nothing_but_bad_key(text: str) -> None:
    for prefix in ("", "strongroom-public-1:", "STRONGROOM-IDENTITY-1:"):
        for parse in (parse_public_key, parse_identity):
            try:
                parse(prefix + text)
            except BadKey:
                continue


# --- any secret, any binding -------------------------------------------------------------------

INFO = b'{"format":"strongroom/release/1","recipient":"device-1"}'


@pytest.mark.parametrize("size", [0, 1, 32, 4000])
def test_any_secret_is_wrapped_to_a_fresh_key_and_opens_with_it(size: int) -> None:
    secret = draw("secret", size)
    wrapped = wrap_to(PUBLIC, secret, INFO)
    assert len(wrapped) == size + 1136
    assert unwrap_with(IDENTITY, wrapped, INFO) == secret
    assert wrap_to(PUBLIC, secret, INFO) != wrapped


@pytest.mark.parametrize("info", [b"", INFO[:-1], INFO + b" ", INFO.replace(b"device-1", b"device-2")])
def test_a_secret_does_not_open_under_another_binding(info: bytes) -> None:
    with pytest.raises(WrongKey):
        unwrap_with(IDENTITY, wrap_to(PUBLIC, DATA_KEY, INFO), info)


def test_a_secret_opens_with_no_other_identity_and_not_when_it_was_changed() -> None:
    wrapped = wrap_to(PUBLIC, DATA_KEY, INFO)
    with pytest.raises(WrongKey):
        unwrap_with(Identity(draw("other", 32)), wrapped, INFO)
    for changed in (wrapped[:-1], wrapped + b"\0", b"", wrapped[:-1] + bytes([wrapped[-1] ^ 1])):
        with pytest.raises(WrongKey):
            unwrap_with(IDENTITY, changed, INFO)


def test_a_wrapped_data_key_is_a_secret_bound_to_what_it_is_for() -> None:
    assert unwrap_with(IDENTITY, PUBLIC.wrap(DATA_KEY, BINDING), BINDING.info()) == DATA_KEY
    assert IDENTITY.unwrap(wrap_to(PUBLIC, DATA_KEY, BINDING.info()), BINDING) == DATA_KEY


@pytest.mark.parametrize("raw", [b"", bytes(32), bytes(1216)], ids=len)
def test_nothing_is_wrapped_to_what_is_no_key(raw: bytes) -> None:
    with pytest.raises(BadKey):
        wrap_to(PublicKey(raw), DATA_KEY, INFO)


# --- what a release holds ----------------------------------------------------------------------


def test_the_keys_of_a_release_are_those_that_the_data_key_gives() -> None:
    seal_id = "ab" * 16
    whole, named = DataKey(DATA_KEY), released_file_keys(DATA_KEY, seal_id, ["a", "größe/模型.bin"])
    assert whole.manifest_key(seal_id) == named.manifest_key(seal_id) == manifest_key(DATA_KEY, seal_id)
    for path in ("a", "größe/模型.bin"):
        assert whole.file_key(seal_id, path) == named.file_key(seal_id, path) == file_key(DATA_KEY, seal_id, path)


def test_a_release_of_named_files_has_no_key_of_another() -> None:
    named = released_file_keys(DATA_KEY, "ab" * 16, ["a"])
    assert set(named.files) == {"a"}
    assert DATA_KEY not in (named.manifest, *named.files.values())
    for path in ("b", "A", "", "a/b"):
        with pytest.raises(NotReleased, match=f"`{path}`"):
            named.file_key("ab" * 16, path)
    with pytest.raises(NotReleased):
        released_file_keys(DATA_KEY, "ab" * 16, []).file_key("ab" * 16, "a")


def test_a_released_key_carries_no_aad_of_its_own() -> None:
    """Whatever path or seal a key is taken for, that is what its ciphertext must have been bound to."""
    carried = FileKeys(manifest=bytes(32), files={"b": file_key(DATA_KEY, "ab" * 16, "a").key})
    assert carried.file_key("ab" * 16, "b").aad == file_key(DATA_KEY, "ab" * 16, "b").aad
    assert carried.manifest_key("cd" * 16).aad == manifest_key(DATA_KEY, "cd" * 16).aad


# --- secrets do not show -----------------------------------------------------------------------


def test_an_identity_is_in_no_repr_and_no_text_but_its_encoding() -> None:
    shown = f"{IDENTITY!r} {IDENTITY} {[IDENTITY]} {file_key(DATA_KEY, '0' * 32, 'a')!r}"
    for secret in (IDENTITY.seed, DATA_KEY, file_key(DATA_KEY, "0" * 32, "a").key):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
        assert base64.urlsafe_b64encode(secret).decode()[:20] not in shown


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: text[:-1] + "é",
        lambda text: text[:-1] + "!",
        lambda text: text.lower(),
        lambda text: text.removeprefix("STRONGROOM-IDENTITY-1:"),
        lambda text: "strongroom-public-1:" + text.partition(":")[2],
        lambda text: text + text,
    ],
)
def test_a_broken_identity_is_refused_without_a_word_of_it(change: object) -> None:
    assert callable(change)
    secret = SECRET_TEXT.partition(":")[2]
    for parse in (parse_identity, parse_public_key):
        with pytest.raises(BadKey) as caught:
            parse(change(SECRET_TEXT))
        shown = "".join(traceback.format_exception(caught.value, limit=0)) + caught.value.hint
        for piece in (secret[start : start + 6].lower() for start in range(len(secret) - 6)):
            assert piece not in shown.lower()


def test_a_failed_unwrap_says_nothing_of_the_identity() -> None:
    with pytest.raises(StrongroomError) as caught:
        IDENTITY.unwrap(b"", BINDING)
    assert IDENTITY.seed.hex() not in "".join(traceback.format_exception(caught.value))

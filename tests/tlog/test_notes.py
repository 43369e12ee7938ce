"""Notes and verifier keys read, and refuse, what c2sp.org/signed-note says; those of others verify."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.errors import BadKey, BadNote, BadRequest, BadSignature, StrongroomError
from strongroom.tlog.notes import (
    COSIGNATURE,
    ED25519,
    LARGEST_NOTE_BYTES,
    MOST_SIGNATURES,
    Note,
    NoteSignature,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    sign_note,
    verify_note,
)
from tests.tlog.keys import private_key, verifier_key
from tests.tlog.published import (
    EXAMPLE_KEY,
    EXAMPLE_NOTE,
    GO_KEY,
    GO_PRIVATE_KEY,
    GO_SECOND_KEY,
    GO_SECOND_SIGNATURE,
    GO_SIGNATURE,
    GO_TEXT,
    LIVE_KEY,
    LIVE_NOTE,
    LIVE_WITNESS,
    SOFA_NOTE,
)

ADA_KEY = verifier_key("ada.example", "ada")
TEXT = "a text\n"
ADA_LINE = str(sign_note(TEXT, "ada.example", private_key("ada")))
UNKNOWN_LINE = "— somebody.example " + base64.b64encode(bytes(40)).decode() + "\n"


def note(text: str, *lines: str) -> bytes:
    return (text + "\n" + "".join(lines)).encode()


# --- those of others ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (EXAMPLE_NOTE, [EXAMPLE_KEY]),
        (GO_TEXT + "\n" + GO_SIGNATURE, [GO_KEY]),
        (GO_TEXT + "\n" + GO_SIGNATURE + GO_SECOND_SIGNATURE, [GO_KEY, GO_SECOND_KEY]),
        (LIVE_NOTE, [LIVE_KEY, LIVE_WITNESS]),
    ],
)
def test_published_notes_verify(data: str, keys: list[str]) -> None:
    parsed = [parse_verifier_key(key) for key in keys]
    verified = verify_note(data.encode(), parsed)
    assert [key for key, _ in verified.signatures] == parsed
    assert data.startswith(verified.text)
    changed = data.replace(data[4], "#", 1)
    with pytest.raises(BadSignature):
        verify_note(changed.encode(), parsed)


@pytest.mark.parametrize("data", [EXAMPLE_NOTE, GO_TEXT + "\n" + GO_SIGNATURE, LIVE_NOTE, SOFA_NOTE])
def test_published_notes_are_written_as_they_were_read(data: str) -> None:
    assert parse_note(data.encode()).encode() == data.encode()


@pytest.mark.parametrize("text", [EXAMPLE_KEY, GO_KEY, GO_SECOND_KEY, LIVE_KEY, LIVE_WITNESS])
def test_published_keys_are_written_as_they_were_read(text: str) -> None:
    assert str(parse_verifier_key(text)) == text


def test_the_published_note_is_signed_again_to_the_byte() -> None:
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(GO_PRIVATE_KEY)[1:])
    assert str(sign_note(GO_TEXT, "PeterNeumann", key)) == GO_SIGNATURE


# --- which signatures count --------------------------------------------------------------------


def test_unknown_signatures_are_ignored_before_and_after_a_known_one() -> None:
    verified = verify_note(note(TEXT, UNKNOWN_LINE, ADA_LINE, UNKNOWN_LINE), [ADA_KEY, verifier_key("bob", "bob")])
    assert [key for key, _ in verified.signatures] == [ADA_KEY]


def test_a_known_name_with_another_id_is_unknown() -> None:
    other = str(sign_note(TEXT, "ada.example", private_key("another ada")))
    assert len(verify_note(note(TEXT, other, ADA_LINE), [ADA_KEY]).signatures) == 1
    with pytest.raises(BadSignature, match="no known key"):
        verify_note(note(TEXT, other), [ADA_KEY])


def test_a_known_id_with_another_name_is_unknown() -> None:
    line = str(NoteSignature(name="eve.example", key_id=ADA_KEY.key_id, signature=bytes(64)))
    assert len(verify_note(note(TEXT, line, ADA_LINE), [ADA_KEY]).signatures) == 1


@pytest.mark.parametrize("order", [0, 1])
def test_one_bad_signature_of_a_known_key_spoils_a_note_with_a_good_one(order: int) -> None:
    bad = str(NoteSignature(name="ada.example", key_id=ADA_KEY.key_id, signature=bytes(64)))
    lines = (bad, ADA_LINE) if order else (ADA_LINE, bad)
    with pytest.raises(BadSignature, match="does not fit"):
        verify_note(note(TEXT, *lines), [ADA_KEY])


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE])
@pytest.mark.parametrize("length", [1, 8, 63, 65, 71, 73])
def test_a_known_signature_of_another_length_does_not_fit(kind: int, length: int) -> None:
    key = verifier_key("ada.example", "ada", kind)
    line = str(NoteSignature(name=key.name, key_id=key.key_id, signature=bytes(length)))
    with pytest.raises(BadSignature):
        verify_note(note(TEXT, line), [key])


def test_the_same_line_twice_is_verified_twice() -> None:
    assert len(verify_note(note(TEXT, ADA_LINE, ADA_LINE), [ADA_KEY, ADA_KEY]).signatures) == 2


def test_a_plain_key_and_a_cosigning_one_of_the_same_bytes_are_two() -> None:
    cosigning = verifier_key("ada.example", "ada", COSIGNATURE)
    with pytest.raises(BadSignature, match="no known key"):
        verify_note(note(TEXT, ADA_LINE), [cosigning])
    assert verify_note(note(TEXT, ADA_LINE), [cosigning, ADA_KEY]).signatures[0][0] == ADA_KEY


def test_two_keys_with_one_name_and_id_are_ambiguous() -> None:
    seen: dict[bytes, VerifierKey] = {}
    for number in range(10**6):
        key = VerifierKey(name="ada", kind=ED25519, public_key=b"\x09" + number.to_bytes(31, "little"))
        if (other := seen.setdefault(key.key_id, key)) is not key:
            break
    with pytest.raises(BadRequest, match="same name and id"):
        verify_note(note(TEXT, ADA_LINE), [other, ADA_KEY, key])


# --- what is a note ----------------------------------------------------------------------------


def test_a_text_may_hold_empty_lines_and_what_looks_like_a_signature() -> None:
    text = "one\n\n" + ADA_LINE + "\n\ntwo\n\n"
    line = str(sign_note(text, "ada.example", private_key("ada")))
    assert verify_note(note(text, line), [ADA_KEY]).text == text


def test_the_shortest_text_is_a_newline() -> None:
    line = str(sign_note("\n", "ada.example", private_key("ada")))
    assert verify_note(note("\n", line), [ADA_KEY]).text == "\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        TEXT.encode(),
        note(TEXT),
        note("", ADA_LINE),
        ADA_LINE.encode(),
        note(TEXT, ADA_LINE)[:-1],
        note(TEXT, ADA_LINE) + b"\n",
        note(TEXT, ADA_LINE) + b"\n\n",
        note(TEXT, ADA_LINE) + b"x",
        note(TEXT, ADA_LINE, "\n", ADA_LINE) + b"\n",
        note(TEXT, ADA_LINE).replace(b"\n", b"\r\n"),
        note("a\ttext\n", ADA_LINE),
        note("a\x00text\n", ADA_LINE),
        note(TEXT, ADA_LINE.replace("—", "-")),
        note(TEXT, ADA_LINE.replace("— ", "—")),
        note(TEXT, ADA_LINE.replace("— ", "—  ")),
        note(TEXT, ADA_LINE.replace("— ", " — ")),
        note(TEXT, ADA_LINE.replace("\n", " \n")),
        note(TEXT, ADA_LINE.replace("ada.example", "ada+example")),
        note(TEXT, ADA_LINE.replace("ada.example", "ada\u00a0example")),
        note(TEXT, ADA_LINE.replace("ada.example", "ada\u2003example")),
        note(TEXT, ADA_LINE.replace("ada.example", "")),
        note(TEXT, "— ada.example\n"),
        note(TEXT, "— ada.example \n"),
        note(TEXT, "— ada.example AAAAAA==\n"),
        note(TEXT, "— ada.example AAAA\n"),
        note(TEXT, ADA_LINE, "what else?\n"),
    ],
)
def test_this_is_no_note(data: bytes) -> None:
    with pytest.raises(BadNote):
        parse_note(data)


def test_what_is_not_utf8_is_no_note() -> None:
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
        with pytest.raises(BadNote, match="UTF-8"):
            parse_note(bad + note(TEXT, ADA_LINE))


@pytest.mark.parametrize(
    "encoded", ["AAAAAAB=", "AAAAAAA", "AAAAAAA=\u00e9", "AAAA-AAA", "AAAAAAA==", "AAAA AAA=", "AAAAAA=A"]
)
def test_base64_has_one_form_also_under_unknown_names(encoded: str) -> None:
    good = f"— somebody.example {'AAAAAAA='}\n"
    assert verify_note(note(TEXT, good, ADA_LINE), [ADA_KEY]).text == TEXT
    with pytest.raises(BadNote, match="base64"):
        parse_note(note(TEXT, f"— somebody.example {encoded}\n", ADA_LINE))


def test_a_note_has_a_hundred_signatures_at_most() -> None:
    assert len(parse_note(note(TEXT, ADA_LINE * MOST_SIGNATURES)).signatures) == 100
    with pytest.raises(BadNote, match="more than 100 signatures"):
        parse_note(note(TEXT, ADA_LINE * (MOST_SIGNATURES + 1)))


def test_a_note_has_a_mebibyte_at_most_which_is_more_than_sixteen_large_signatures() -> None:
    large = "— pq.example " + base64.b64encode(bytes(5000)).decode() + "\n"
    assert len(parse_note(note(TEXT, large * 16, ADA_LINE)).signatures) == 17
    room = LARGEST_NOTE_BYTES - len(note(TEXT, ADA_LINE))
    assert len(parse_note(note("x" * room + TEXT, ADA_LINE)).text) > room
    with pytest.raises(BadNote, match="more than 1048576 bytes"):
        parse_note(note("x" * (room + 1) + TEXT, ADA_LINE))


def test_letters_beyond_ascii_and_delete_are_not_control_characters() -> None:
    text = "Grüße, Δ, 鍵\x7f\u2028\n"
    line = str(sign_note(text, "Δ.example", private_key("ada")))
    assert verify_note(note(text, line), [verifier_key("Δ.example", "ada")]).text == text


@pytest.mark.parametrize("text", ["", "no newline", "a\rb\n", "a\x1fb\n", "\ud800\n"])
def test_what_no_note_may_hold_is_not_signed(text: str) -> None:
    with pytest.raises(BadNote):
        sign_note(text, "ada.example", private_key("ada"))


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\tb", "a\nb", "a\u00a0b", "a\u2029b", "a\x00b", "a\ud800b"])
def test_a_key_has_a_name_without_white_space_and_plus(name: str) -> None:
    with pytest.raises(BadKey, match="name of a key"):
        sign_note(TEXT, name, private_key("ada"))


@pytest.mark.parametrize("kind", [0, 2, 3, 5, 6, 255])
def test_a_key_is_of_a_type_that_we_know(kind: int) -> None:
    with pytest.raises(BadKey, match="type"):
        VerifierKey(name="a", kind=kind, public_key=ADA_KEY.public_key)


@pytest.mark.parametrize("length", [0, 31, 33, 1312])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(BadKey, match="no Ed25519 key"):
        VerifierKey(name="a", kind=ED25519, public_key=b"\x09" * length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        EXAMPLE_KEY + "\n",
        EXAMPLE_KEY + "=",
        EXAMPLE_KEY[:-1],
        EXAMPLE_KEY[:-4],
        " " + EXAMPLE_KEY,
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("530d903a", "30d903a"),
        EXAMPLE_KEY.replace("example.com/foo", "example.com/fop"),
        EXAMPLE_KEY.replace("example.com/foo", ""),
        EXAMPLE_KEY.replace("+Aeky", "+Beky"),
        EXAMPLE_KEY.replace("+Aeky", "+A\u00e9ky"),
        EXAMPLE_KEY.replace("+Aeky", "+A-ky"),
        EXAMPLE_KEY + "BADKEY==",
    ],
)
def test_this_is_no_verifier_key(text: str) -> None:
    with pytest.raises(BadKey):
        parse_verifier_key(text)


@pytest.mark.parametrize(("at", "until"), [(at, until) for at in range(0, 69, 3) for until in range(at, 69, 5)])
def test_no_part_of_a_verifier_key_is_one(at: int, until: int) -> None:
    with pytest.raises(BadKey):
        parse_verifier_key(GO_KEY[at:until])


# --- fuzz --------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["\n", "\n\n", "— ", "ada.example", " ", "+", "AAAAAAA=", "=", "\x00", "\u2028", TEXT, ADA_LINE]
)


@given(st.binary(max_size=200) | st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_are_a_note_in_its_one_form_or_our_error(data: bytes) -> None:
    try:
        parsed = parse_note(data)
    except BadNote:
        return
    assert parsed.encode() == data


@given(
    st.text(max_size=90)
    | st.integers(0, len(GO_KEY) - 1).flatmap(
        lambda at: st.characters().map(lambda new: GO_KEY[:at] + new + GO_KEY[at + 1 :])
    )
)
def test_any_text_is_a_verifier_key_in_its_one_form_or_our_error(text: str) -> None:
    try:
        key = parse_verifier_key(text)
    except BadKey:
        return
    assert str(key) == text


@given(
    st.text(max_size=60).filter(lambda text: text), st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=5)
)
def test_whatever_is_signed_is_read_back(text: str, signatures: list[bytes]) -> None:
    lines = tuple(NoteSignature(name="n", key_id=bytes(4), signature=signature) for signature in signatures)
    try:
        own = sign_note(text + "\n", "ada.example", private_key("ada"))
    except StrongroomError:
        return
    whole = Note(text=text + "\n", signatures=(own, *lines))
    assert parse_note(whole.encode()) == whole
    assert verify_note(whole.encode(), [ADA_KEY]).text == whole.text

"""Checkpoints read, and refuse, what c2sp.org/tlog-checkpoint says, and speak for the log of their key alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.errors import BadKey, BadNote, BadSignature
from strongroom.tlog.checkpoints import Checkpoint, parse_checkpoint, sign_checkpoint, verify_checkpoint
from strongroom.tlog.notes import Note, parse_verifier_key, sign_note
from strongroom.tlog.tree import EMPTY_ROOT
from tests.tlog.keys import LOG, LOG_KEY, ORIGIN, verifier_key
from tests.tlog.published import LIVE_KEY, LIVE_NOTE, LIVE_SIZE, ROOTS, SOFA_NOTE

CHECKPOINT = Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8])
ROOT = base64.b64encode(ROOTS[8]).decode()


def test_a_live_log_s_checkpoint_verifies() -> None:
    key = parse_verifier_key(LIVE_KEY)
    checkpoint = verify_checkpoint(LIVE_NOTE.encode(), key)
    assert (checkpoint.origin, checkpoint.size, checkpoint.extensions) == (key.name, LIVE_SIZE, ())


def test_the_published_example_reads() -> None:
    text = SOFA_NOTE.partition("\n\n")[0] + "\n"
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.encode() == text


def test_what_is_signed_verifies() -> None:
    note = sign_checkpoint(CHECKPOINT, LOG)
    assert note.decode().startswith(f"{ORIGIN}\n8\n{ROOT}\n\n— {ORIGIN} ")
    assert verify_checkpoint(note, LOG_KEY) == CHECKPOINT


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    assert empty.encode() == f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert verify_checkpoint(sign_checkpoint(empty, LOG), LOG_KEY) == empty


def test_extension_lines_are_kept_and_signed() -> None:
    extended = Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8], extensions=("one", "two words"))
    note = sign_checkpoint(extended, LOG)
    assert verify_checkpoint(note, LOG_KEY) == extended
    with pytest.raises(BadSignature):
        verify_checkpoint(note.replace(b"two", b"too"), LOG_KEY)


def test_an_origin_may_be_what_no_key_is_named() -> None:
    assert parse_checkpoint(f"any + name\n8\n{ROOT}\n").origin == "any + name"
    with pytest.raises(BadKey):
        sign_checkpoint(Checkpoint(origin="any + name", size=8, root=ROOTS[8]), LOG)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        f"{ORIGIN}\n8\n",
        f"{ORIGIN}\n8\n{ROOT}",
        f"{ORIGIN}\n8\n{ROOT}\nextension",
        f"\n8\n{ROOT}\n",
        f"{ORIGIN}\n\n8\n{ROOT}\n",
        f"{ORIGIN}\n8\n{ROOT}\n\n",
        f"{ORIGIN}\n8\n{ROOT}\n\nextension\n",
        f"{ORIGIN}\n8\n\n{ROOT}\n",
        *(
            f"{ORIGIN}\n{size}\n{ROOT}\n"
            for size in ("08", "00", "-8", "+8", "8 ", " 8", "8.0", "0x8", "1_0", "８", "٨")
        ),
        *(f"{ORIGIN}\n{size}\n{ROOT}\n" for size in (2**63, 10**19, "1" + "0" * 5000)),
        f"{ORIGIN}\n8\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n8\n{ROOT[:-2]}1=\n",
        f"{ORIGIN}\n8\n{ROOT} \n",
        f"{ORIGIN}\n8\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n8\n{base64.b64encode(bytes(33)).decode()}\n",
        f"{ORIGIN}\n8\n{ROOTS[8].hex()}\n",
        f"{ORIGIN}\n0\n{ROOT}\n",
        f"{ORIGIN}\n0\n{base64.b64encode(bytes(32)).decode()}\n",
    ],
)
def test_this_is_no_checkpoint(text: str) -> None:
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_the_largest_size_is_what_others_can_read() -> None:
    assert parse_checkpoint(f"{ORIGIN}\n{2**63 - 1}\n{ROOT}\n").size == 2**63 - 1


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(origin="", size=8, root=ROOTS[8]),
        Checkpoint(origin=f"{ORIGIN}\n9\n{ROOT}", size=8, root=ROOTS[8]),
        Checkpoint(origin=ORIGIN, size=-1, root=ROOTS[8]),
        Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8][:31]),
        Checkpoint(origin=ORIGIN, size=0, root=ROOTS[8]),
        Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8], extensions=("",)),
        Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8], extensions=("two\nlines",)),
        Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8], extensions=("carriage\rreturn",)),
    ],
)
def test_what_would_read_as_something_else_is_not_signed(checkpoint: Checkpoint) -> None:
    with pytest.raises(BadNote):
        sign_checkpoint(checkpoint, LOG)


def test_a_signed_note_that_is_no_checkpoint() -> None:
    text = f"{ORIGIN}\nis fine\n"
    note = Note(text=text, signatures=(sign_note(text, ORIGIN, LOG),)).encode()
    with pytest.raises(BadNote):
        verify_checkpoint(note, LOG_KEY)


def test_a_key_that_did_not_sign() -> None:
    with pytest.raises(BadSignature):
        verify_checkpoint(sign_checkpoint(CHECKPOINT, LOG), verifier_key(ORIGIN, "another"))


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["\n", ORIGIN, "0", "8", ROOT, "x", " ", "=", "\n\n"]), max_size=9).map("".join)
)
def test_any_text_is_a_checkpoint_in_its_one_form_or_our_error(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except BadNote:
        return
    assert checkpoint.encode() == text

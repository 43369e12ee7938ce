"""Cosignatures say when, about one checkpoint, as c2sp.org/tlog-cosignature says; those of others verify."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.errors import BadKey, BadNote, BadRequest, BadSignature
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint, verify_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.notes import (
    COSIGNATURE,
    MOST_SIGNATURES,
    Note,
    NoteSignature,
    cosigned_message,
    parse_note,
    parse_verifier_key,
    sign_note,
    signed_at,
    verify_note,
)
from strongroom.tlog.witnesses import verify_cosignature
from tests.tlog.keys import CLOCK, CLOCK_KEY, LOG, LOG_KEY, ORIGIN, WITNESS, WITNESS_KEY
from tests.tlog.published import LIVE_NOTE, LIVE_TIME, LIVE_WITNESS, ROOTS, SOFA_NOTE, SOFA_TIME, SOFA_WITNESS

CHECKPOINT = Checkpoint(origin=ORIGIN, size=8, root=ROOTS[8])
NOTE = sign_checkpoint(CHECKPOINT, LOG)
AT = 1_790_000_000


def test_a_live_witness_verifies() -> None:
    assert verify_cosignature(LIVE_NOTE.encode(), parse_verifier_key(LIVE_WITNESS)) == LIVE_TIME


def test_the_published_example_states_its_time() -> None:
    line = parse_note(SOFA_NOTE.encode()).signatures[1]
    assert (line.name, signed_at(line.signature)) == (SOFA_WITNESS, SOFA_TIME)


def test_the_message_is_the_one_of_the_specification() -> None:
    text = SOFA_NOTE.partition("\n\n")[0] + "\n"
    assert cosigned_message(text, SOFA_TIME).decode() == "cosignature/v1\ntime 1679315147\n" + text


@given(st.integers(0, 2**63 - 1))
def test_what_is_cosigned_verifies_beside_the_log_s_signature(at: int) -> None:
    note = with_signature(with_signature(NOTE, cosign(NOTE, CLOCK_KEY.name, CLOCK, at)), cosign(NOTE, "w", WITNESS, AT))
    assert verify_cosignature(note, CLOCK_KEY) == at
    assert verify_checkpoint(note, LOG_KEY) == CHECKPOINT
    assert note.startswith(NOTE)
    assert len(verify_note(note, [LOG_KEY, CLOCK_KEY, WITNESS_KEY]).signatures) == 2


def test_the_latest_of_several_counts_in_any_order() -> None:
    for times in ((AT, AT + 1), (AT + 1, AT)):
        note = NOTE
        for at in times:
            note = with_signature(note, cosign(NOTE, WITNESS_KEY.name, WITNESS, at))
        assert verify_cosignature(note, WITNESS_KEY) == AT + 1


def test_one_bad_cosignature_spoils_a_good_one() -> None:
    good = cosign(NOTE, WITNESS_KEY.name, WITNESS, AT)
    bad = NoteSignature(name=good.name, key_id=good.key_id, signature=good.signature[:8] + bytes(64))
    with pytest.raises(BadSignature, match="does not fit"):
        verify_cosignature(with_signature(with_signature(NOTE, good), bad), WITNESS_KEY)


def test_nobody_cosigned() -> None:
    with pytest.raises(BadSignature, match="no known key"):
        verify_cosignature(NOTE, WITNESS_KEY)


def test_a_plain_key_does_not_cosign() -> None:
    with pytest.raises(BadRequest, match="not a key that cosigns"):
        verify_cosignature(NOTE, LOG_KEY)


def test_the_time_is_signed() -> None:
    good = cosign(NOTE, WITNESS_KEY.name, WITNESS, AT)
    later = NoteSignature(name=good.name, key_id=good.key_id, signature=(AT + 60).to_bytes(8) + good.signature[8:])
    with pytest.raises(BadSignature, match="does not fit"):
        verify_cosignature(with_signature(NOTE, later), WITNESS_KEY)


def test_a_time_beyond_63_bits_is_refused_even_when_signed() -> None:
    signed = WITNESS.sign(cosigned_message(CHECKPOINT.encode(), 2**63))
    line = NoteSignature(name=WITNESS_KEY.name, key_id=WITNESS_KEY.key_id, signature=(2**63).to_bytes(8) + signed)
    with pytest.raises(BadSignature, match="beyond"):
        verify_cosignature(with_signature(NOTE, line), WITNESS_KEY)


@pytest.mark.parametrize("at", [-1, 2**63])
def test_no_such_time_is_cosigned(at: int) -> None:
    with pytest.raises(BadRequest, match="cannot be made"):
        cosign(NOTE, "w", WITNESS, at)


def test_only_a_checkpoint_is_cosigned() -> None:
    other = Note(text="no checkpoint\n", signatures=(sign_note("no checkpoint\n", "a", LOG),)).encode()
    for data in (b"", other):
        with pytest.raises(BadNote):
            cosign(data, "w", WITNESS, AT)
    with pytest.raises(BadKey):
        cosign(NOTE, "w 1", WITNESS, AT)


def test_a_cosignature_of_what_is_no_checkpoint_says_nothing() -> None:
    text = "no checkpoint\n"
    signature = AT.to_bytes(8) + WITNESS.sign(cosigned_message(text, AT))
    line = NoteSignature(name=WITNESS_KEY.name, key_id=WITNESS_KEY.key_id, signature=signature)
    with pytest.raises(BadNote):
        verify_cosignature(Note(text=text, signatures=(line,)).encode(), WITNESS_KEY)


def test_the_type_is_in_the_id() -> None:
    assert WITNESS_KEY.kind == COSIGNATURE
    assert cosign(NOTE, WITNESS_KEY.name, WITNESS, AT).key_id == WITNESS_KEY.key_id
    assert sign_note(CHECKPOINT.encode(), WITNESS_KEY.name, WITNESS).key_id != WITNESS_KEY.key_id


def test_a_line_is_added_to_a_note_that_stays_one() -> None:
    line = cosign(NOTE, "w", WITNESS, AT)
    with pytest.raises(BadNote):
        with_signature(NOTE[:-1], line)
    full = parse_note(NOTE)
    full = Note(text=full.text, signatures=full.signatures * MOST_SIGNATURES)
    with pytest.raises(BadNote, match="more than 100"):
        with_signature(full.encode(), line)

"""Receipts read, and refuse, what c2sp.org/tlog-proof says, and prove one entry."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.errors import BadNote
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.receipts import (
    HEADER,
    LARGEST_RECEIPT_BYTES,
    Receipt,
    check_receipt,
    encode_receipt,
    parse_receipt,
)
from strongroom.tlog.tree import Tree, leaf_hash
from tests.tlog.keys import LOG, LOG_KEY, ORIGIN, WITNESS, WITNESS_KEY
from tests.tlog.published import LEAVES

TREE = Tree(map(leaf_hash, LEAVES))
CHECKPOINT = Checkpoint(origin=ORIGIN, size=8, root=TREE.root())
NOTE = sign_checkpoint(CHECKPOINT, LOG)
RECEIPT = Receipt(index=5, proof=TREE.inclusion_proof(5, 8), checkpoint=NOTE)
TEXT = encode_receipt(RECEIPT)
HASHES = "".join(base64.b64encode(node).decode() + "\n" for node in RECEIPT.proof)


def test_a_receipt_proves_its_entry() -> None:
    assert TEXT.decode() == f"c2sp.org/tlog-proof@v1\nindex 5\n{HASHES}\n{NOTE.decode()}"
    assert parse_receipt(TEXT) == RECEIPT
    assert check_receipt(TEXT, LEAVES[5], LOG_KEY) == CHECKPOINT


def test_a_receipt_of_every_entry_of_every_size() -> None:
    for size in range(1, 9):
        checkpoint = Checkpoint(origin=ORIGIN, size=size, root=TREE.root(size))
        for index in range(size):
            receipt = Receipt(
                index=index, proof=TREE.inclusion_proof(index, size), checkpoint=sign_checkpoint(checkpoint, LOG)
            )
            assert check_receipt(encode_receipt(receipt), LEAVES[index], LOG_KEY) == checkpoint


def test_extra_data_is_carried_and_proves_nothing() -> None:
    for extra in (b"x", b"anything\n\n", bytes(1000)):
        receipt = Receipt(index=5, proof=RECEIPT.proof, checkpoint=NOTE, extra=extra)
        text = encode_receipt(receipt)
        assert text.startswith(f"{HEADER}\nextra {base64.b64encode(extra).decode()}\nindex 5\n".encode())
        assert parse_receipt(text) == receipt
        assert check_receipt(text, LEAVES[5], LOG_KEY) == CHECKPOINT


def test_witnesses_that_cosigned() -> None:
    note = with_signature(NOTE, cosign(NOTE, WITNESS_KEY.name, WITNESS, 1_790_000_000))
    text = encode_receipt(Receipt(index=5, proof=RECEIPT.proof, checkpoint=note))
    assert check_receipt(text, LEAVES[5], LOG_KEY, [WITNESS_KEY]) == CHECKPOINT


@pytest.mark.parametrize(
    "head",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\n",
        f"c2sp.org/tlog-proof@v1\n{HASHES}",
        f"c2sp.org/tlog-proof@v2\nindex 5\n{HASHES}",
        f" c2sp.org/tlog-proof@v1\nindex 5\n{HASHES}",
        f"index 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5\nextra eA==\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nextra \nindex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nextra\nindex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nextra eA\nindex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nextra eB==\nindex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nextra eA==\nextra eA==\nindex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nextra eA==\n{HASHES}",
        "c2sp.org/tlog-proof@v1\nextra eA==",
        f"c2sp.org/tlog-proof@v1\nIndex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex  5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 05\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex -5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex +5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5 \n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex {2**63}\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5\nindex 5\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\r\nindex 5\r\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5\n{HASHES[:-2]}\n",
        f"c2sp.org/tlog-proof@v1\nindex 5\n{HASHES[:-6]}\n",
        f"c2sp.org/tlog-proof@v1\nindex 5\n {HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5\n{base64.b64encode(bytes(31)).decode()}\n",
        f"c2sp.org/tlog-proof@v1\nindex 5\n{base64.b64encode(bytes(64)).decode()}\n",
        f"c2sp.org/tlog-proof@v1\nindex 5\né{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5\n\n{HASHES}",
        f"c2sp.org/tlog-proof@v1\nindex 5\n{HASHES}\n",
    ],
)
def test_this_is_no_receipt(head: str) -> None:
    with pytest.raises(BadNote):
        parse_receipt(head.encode() + b"\n" + NOTE)


@pytest.mark.parametrize("below", [b"", b"\n", NOTE[:-1], NOTE + b"\n", NOTE.partition(b"\n")[2]])
def test_below_the_empty_line_is_the_note_of_a_checkpoint(below: bytes) -> None:
    with pytest.raises(BadNote):
        parse_receipt(TEXT.removesuffix(NOTE) + below)


def test_a_receipt_has_two_mebibytes_at_most() -> None:
    room = LARGEST_RECEIPT_BYTES - len(encode_receipt(Receipt(index=5, proof=(), checkpoint=NOTE, extra=b"xxx"))) + 4
    extra = bytes(room // 4 * 3)
    assert parse_receipt(encode_receipt(Receipt(index=5, proof=(), checkpoint=NOTE, extra=extra))).extra == extra
    with pytest.raises(BadNote, match="more than 2097152 bytes"):
        parse_receipt(encode_receipt(Receipt(index=5, proof=(), checkpoint=NOTE, extra=extra + bytes(3))))


@given(
    st.binary(max_size=200).map(lambda data: data + b"\n\n" + NOTE)
    | st.binary(max_size=200)
    | st.lists(
        st.sampled_from([HEADER, "\n", "extra ", "eA==", "index ", "5", "0", HASHES, "\n\n", NOTE.decode()]), max_size=9
    ).map(lambda pieces: "".join([HEADER, "\n", *pieces]).encode())
)
def test_any_bytes_are_a_receipt_in_its_one_form_or_our_error(data: bytes) -> None:
    try:
        receipt = parse_receipt(data)
    except BadNote:
        return
    assert encode_receipt(receipt) == data

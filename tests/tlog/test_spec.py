"""The specification's example is what the vectors' writer makes and the product accepts; its numbers are ours."""

from __future__ import annotations

import re

from strongroom.terms import outer_errors
from strongroom.tlog import notes, receipts, text, tiles
from strongroom.tlog.notes import parse_verifier_key
from strongroom.tlog.receipts import check_receipt
from strongroom.tlog.tree import EMPTY_ROOT
from strongroom.tlog.witnesses import verify_cosignature
from tests.vectors.tlog import spec_example
from tests.vectors.tlog.writer import TIME

PAGE = spec_example.SPEC.read_text()


def test_the_example_is_the_one_that_the_vectors_writer_makes() -> None:
    assert spec_example.written(PAGE) == PAGE


def test_the_example_as_printed_is_a_receipt_of_the_printed_entry_under_the_printed_keys() -> None:
    printed = re.search(r"```\n(c2sp\.org/.*?)```", PAGE, re.DOTALL)
    keys = re.search(r"log key +(\S+)\nclock key +(\S+)\n", PAGE)
    entry = re.search(r"(?m)^entry {6}(.+)$", PAGE)
    assert printed
    assert keys
    assert entry
    receipt = printed[1].encode()
    checkpoint = check_receipt(receipt, entry[1].encode(), parse_verifier_key(keys[1]))
    assert (checkpoint.size, checkpoint.root.hex() in PAGE) == (spec_example.SIZE, True)
    assert re.fullmatch(r"sr1:[0-9a-f]{64}/0", checkpoint.origin)
    clock = parse_verifier_key(keys[2])
    assert clock.name == checkpoint.origin + "/time"
    assert verify_cosignature(receipt.partition(b"\n\n")[2], clock) == TIME
    assert str(TIME) in PAGE


def test_every_error_that_the_specification_names_exists() -> None:
    named = set(re.findall(r"`(bad-[a-z]+)`", PAGE))
    assert named == {"bad-key", "bad-note", "bad-proof", "bad-request", "bad-signature"}
    assert named <= {error.code for error in outer_errors.codes()}


def test_the_numbers_of_the_specification_are_those_of_the_code() -> None:
    assert f"`{receipts.HEADER}`" in PAGE
    assert (notes.ED25519, notes.COSIGNATURE) == (0x01, 0x04)
    assert (notes.LARGEST_NOTE_BYTES, notes.MOST_SIGNATURES, receipts.LARGEST_RECEIPT_BYTES) == (1 << 20, 100, 2 << 20)
    assert (tiles.TILE_WIDTH, tiles.HIGHEST_LEVEL, tiles.LARGEST_ENTRY_BYTES) == (256, 63, 65535)
    assert text.LARGEST_NUMBER == 2**63 - 1
    assert EMPTY_ROOT.hex() in PAGE

"""Receipts: `tlog-proof`, as specified at c2sp.org/tlog-proof. All that it takes to check one entry offline.

c2sp.org/tlog-proof@v1
extra <base64>              optional, proven by nothing
index <number>
<base64 of each hash of the inclusion proof, leaf to root>
<empty line>
<the checkpoint's note>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.terms.errors import BadNote
from strongroom.tlog.checkpoints import Checkpoint, parse_checkpoint, verify_checkpoint
from strongroom.tlog.notes import LARGEST_NOTE_BYTES, VerifierKey, parse_note
from strongroom.tlog.proofs import check_inclusion
from strongroom.tlog.text import encode_base64, parse_base64, parse_hash, parse_number
from strongroom.tlog.tree import leaf_hash
from strongroom.tlog.witnesses import verify_cosignature

HEADER = "c2sp.org/tlog-proof@v1"
LARGEST_RECEIPT_BYTES = 2 * LARGEST_NOTE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where an entry stands, how that leads to a root, and the checkpoint's note with that root. All unverified."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""
    """Anything that the application adds; empty is absent. Nothing proves it."""


def encode_receipt(receipt: Receipt) -> bytes:
    """Return the receipt as text; its file name ends in `.tlog-proof`."""
    extra = (f"extra {encode_base64(receipt.extra)}",) if receipt.extra else ()
    lines = (HEADER, *extra, f"index {receipt.index}", *map(encode_base64, receipt.proof))
    return "\n".join(lines).encode("ascii") + b"\n\n" + receipt.checkpoint


def parse_receipt(data: bytes) -> Receipt:
    """Return the receipt that `data` is, with nothing about it verified.

    Raises:
        BadNote: another form, beyond 2 MiB, or what follows the empty line is not the note of a checkpoint.
    """
    if len(data) > LARGEST_RECEIPT_BYTES:
        raise BadNote(f"a receipt of more than {LARGEST_RECEIPT_BYTES} bytes")
    head, _, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise BadNote("a receipt that is not ASCII above its checkpoint") from error
    if lines.pop(0) != HEADER:
        raise BadNote(f"a receipt that does not start with `{HEADER}`")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(lines.pop(0).removeprefix("extra "), "extra line")
        if not extra:
            raise BadNote("a receipt with an empty extra line")
    if not (lines and lines[0].startswith("index ")):
        raise BadNote("a receipt without an index line in its place")
    index = parse_number(lines.pop(0).removeprefix("index "), "leaf index")
    proof = tuple(parse_hash(line, "proof hash") for line in lines)
    parse_checkpoint(parse_note(checkpoint).text)
    return Receipt(index=index, proof=proof, checkpoint=checkpoint, extra=extra)


def check_receipt(
    receipt: bytes, leaf: bytes, log_key: VerifierKey, witnesses: Sequence[VerifierKey] = ()
) -> Checkpoint:
    """Return the checkpoint that the log signed, each of `witnesses` cosigned, and whose tree holds the entry `leaf`.

    `leaf` is the entry itself, not its hash. Says nothing about when: `verify_cosignature` does.

    Raises:
        BadNote: not a receipt.
        BadSignature: the log, or one of `witnesses`, did not sign the checkpoint, or it is of another log.
        BadProof: the entry is not in the tree at that index.
    """
    parsed = parse_receipt(receipt)
    # 1. the log signed the checkpoint, and it is that log's
    checkpoint = verify_checkpoint(parsed.checkpoint, log_key)
    # 2. so did every witness
    for witness in witnesses:
        verify_cosignature(parsed.checkpoint, witness)
    # 3. its tree holds the entry
    check_inclusion(
        leaf=leaf_hash(leaf), index=parsed.index, size=checkpoint.size, proof=parsed.proof, root=checkpoint.root
    )
    return checkpoint

"""Attacks on the log's proofs, by whoever stores or carries them, by a log that lies, and by a witness that does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import pytest

from strongroom.terms.errors import BadKey, BadNote, BadSignature
from strongroom.terms.outer_errors import BadProof
from strongroom.tlog.checkpoints import Checkpoint, parse_checkpoint, sign_checkpoint, verify_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.notes import COSIGNATURE, ED25519, Note, NoteSignature, VerifierKey, parse_note, sign_note
from strongroom.tlog.proofs import check_consistency, check_inclusion, consistency_proof
from strongroom.tlog.receipts import Receipt, check_receipt, encode_receipt
from strongroom.tlog.tree import EMPTY_ROOT, Tree, leaf_hash, node_hash
from strongroom.tlog.witnesses import verify_cosignature
from tests.tlog.keys import CLOCK, CLOCK_KEY, LOG, LOG_KEY, ORIGIN, WITNESS, WITNESS_KEY, private_key

ENTRIES = [f"entry {number}".encode() for number in range(13)]
TREE = Tree(map(leaf_hash, ENTRIES))
OTHER_TREE = Tree(leaf_hash(b"other " + entry) for entry in ENTRIES)
AT = 1_790_000_000


def checkpoint(size: int, tree: Tree = TREE, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin=origin, size=size, root=tree.root(size))


def receipt(index: int, size: int, tree: Tree = TREE, proof: Sequence[bytes] | None = None) -> bytes:
    hashes = tree.inclusion_proof(index, size) if proof is None else tuple(proof)
    return encode_receipt(Receipt(index=index, proof=hashes, checkpoint=sign_checkpoint(checkpoint(size, tree), LOG)))


def refuse(data: bytes, entry: bytes, error: type[Exception] = BadProof) -> None:
    with pytest.raises(error):
        check_receipt(data, entry, LOG_KEY)


# --- inclusion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 14))
def test_the_receipt_of_one_entry_proves_no_other(size: int) -> None:
    for index in range(size):
        assert check_receipt(receipt(index, size), ENTRIES[index], LOG_KEY).size == size
        for other in {*range(13)} - {index}:
            refuse(receipt(index, size), ENTRIES[other])
            if other < size:
                refuse(receipt(other, size, proof=TREE.inclusion_proof(index, size)), ENTRIES[index])


def test_an_entry_that_was_never_logged_is_in_no_tree() -> None:
    for size in range(1, 14):
        for index in range(size):
            refuse(receipt(index, size), b"release everything")


def test_the_proof_of_another_log_leads_to_another_root() -> None:
    refuse(receipt(5, 13, proof=OTHER_TREE.inclusion_proof(5, 13)), ENTRIES[5])
    refuse(receipt(5, 13, OTHER_TREE), ENTRIES[5])


@pytest.mark.parametrize(("size", "other"), list(permutations(range(6, 14), 2)))
def test_the_proof_of_another_size_leads_to_another_root(size: int, other: int) -> None:
    for index in range(min(size, other)):
        proof = TREE.inclusion_proof(index, other)
        if proof != TREE.inclusion_proof(index, size):
            refuse(receipt(index, size, proof=proof), ENTRIES[index])


def test_an_index_beyond_the_log_is_refused_whatever_the_proof() -> None:
    for index in (13, 14, 2**62):
        for proof in ((), TREE.inclusion_proof(12, 13)):
            refuse(receipt(index, 13, proof=proof), ENTRIES[12])


def test_a_truncated_extended_or_reordered_proof_is_refused() -> None:
    for size in range(2, 14):
        for index in range(size):
            proof = TREE.inclusion_proof(index, size)
            for bent in (proof[:-1], proof[1:], (*proof, bytes(32)), (bytes(32), *proof), (*proof, proof[-1])):
                refuse(receipt(index, size, proof=bent), ENTRIES[index])
            if len(proof) > 1:
                refuse(receipt(index, size, proof=proof[::-1]), ENTRIES[index])


def test_an_inner_node_does_not_pass_for_a_leaf_by_a_shorter_proof() -> None:
    inner = node_hash(TREE.leaf(0), TREE.leaf(1))
    proof = TREE.inclusion_proof(0, 13)[1:]
    with pytest.raises(BadProof, match="another shape"):
        check_inclusion(leaf=inner, index=0, size=13, proof=proof, root=TREE.root())


def test_a_node_cut_at_another_byte_hashes_to_the_same_root_and_is_refused() -> None:
    left, right = TREE.leaf(0), TREE.leaf(1)
    for leaf, sibling in ((left + right[:1], right[1:]), (left[:31], left[31:] + right)):
        assert node_hash(leaf, sibling) == TREE.root(2)
        with pytest.raises(BadProof, match="another shape"):
            check_inclusion(leaf=leaf, index=0, size=2, proof=[sibling], root=TREE.root(2))


def test_an_entry_made_of_two_hashes_is_no_node() -> None:
    forged = b"\x01" + TREE.leaf(0) + TREE.leaf(1)
    for entry in (forged, forged[1:]):
        refuse(receipt(0, 13, proof=TREE.inclusion_proof(0, 13)[1:]), entry)


def test_nothing_is_in_the_empty_log() -> None:
    for entry in (b"", EMPTY_ROOT):
        refuse(receipt(0, 0, proof=()), entry)


# --- consistency -------------------------------------------------------------------------------


def grow(old: int, new: int, *, before: Tree = TREE, after: Tree = TREE, proof: Sequence[bytes] | None = None) -> None:
    check_consistency(
        old_size=old,
        old_root=before.root(old),
        new_size=new,
        new_root=after.root(new),
        proof=consistency_proof(after, old, new) if proof is None else proof,
    )


def test_a_split_view_shows() -> None:
    """Two checkpoints of one size, each with the log's signature, each with receipts that check."""
    ours, theirs = (sign_checkpoint(checkpoint(13, tree), LOG) for tree in (TREE, OTHER_TREE))
    one, other = verify_checkpoint(ours, LOG_KEY), verify_checkpoint(theirs, LOG_KEY)
    for proof in ((), consistency_proof(TREE, 7, 13)):
        with pytest.raises(BadProof, match="two different logs of 13"):
            check_consistency(
                old_size=one.size, old_root=one.root, new_size=other.size, new_root=other.root, proof=proof
            )


def test_a_rewritten_past_shows_whichever_proof_comes_with_it() -> None:
    for old in range(1, 13):
        for new in range(old + 1, 14):
            for proof in (consistency_proof(TREE, old, new), consistency_proof(OTHER_TREE, old, new)):
                with pytest.raises(BadProof, match="does not lead"):
                    grow(old, new, before=TREE, after=OTHER_TREE, proof=proof)


def test_one_changed_entry_in_the_past_shows() -> None:
    for changed in range(6):
        entries = [*ENTRIES[:changed], b"changed", *ENTRIES[changed + 1 :]]
        rewritten = Tree(map(leaf_hash, entries))
        for proof in (consistency_proof(TREE, 6, 13), consistency_proof(rewritten, 6, 13)):
            with pytest.raises(BadProof):
                grow(6, 13, after=rewritten, proof=proof)


def test_a_log_put_back_to_yesterday_shows() -> None:
    with pytest.raises(BadProof, match="cannot have become"):
        grow(13, 9, proof=consistency_proof(TREE, 9, 13))


def test_growth_from_nothing_admits_no_other_beginning() -> None:
    grow(0, 13)
    with pytest.raises(BadProof, match="another shape"):
        grow(0, 13, proof=[TREE.root()])
    for old_root in (TREE.root(), bytes(32), b""):
        with pytest.raises(BadProof, match="empty log"):
            check_consistency(old_size=0, old_root=old_root, new_size=13, new_root=TREE.root(), proof=[])


def test_a_truncated_extended_or_foreign_growth_is_refused() -> None:
    for old in range(1, 13):
        for new in range(old + 1, 14):
            proof = consistency_proof(TREE, old, new)
            for bent in ((), proof[:-1], proof[1:], (*proof, bytes(32)), (bytes(32), *proof), (old * b"x",)):
                with pytest.raises(BadProof):
                    grow(old, new, proof=bent)


def test_a_proof_cut_at_another_byte_does_not_lengthen_the_old_root() -> None:
    sibling = consistency_proof(TREE, 2, 4)[0]
    with pytest.raises(BadProof, match="another shape"):
        check_consistency(
            old_size=2,
            old_root=TREE.root(2) + sibling[:1],
            new_size=4,
            new_root=TREE.root(4),
            proof=[sibling[1:]],
        )


# --- signatures --------------------------------------------------------------------------------


def test_a_checkpoint_with_another_root_or_size_is_not_signed() -> None:
    good = sign_checkpoint(checkpoint(9), LOG)
    bend: list[Callable[[bytes], bytes]] = [
        lambda note: note.replace(b"\n9\n", b"\n8\n"),
        lambda note: note.replace(checkpoint(9).encode().encode(), checkpoint(9, OTHER_TREE).encode().encode()),
        lambda note: note.replace(b"\n\n", b"\nextension\n\n"),
    ]
    for bent in bend:
        assert bent(good) != good
        with pytest.raises(BadSignature):
            verify_checkpoint(bent(good), LOG_KEY)


def test_a_checkpoint_of_another_origin_is_refused_though_the_log_signed_it() -> None:
    """The key of era 0 is made to sign a checkpoint that says era 1."""
    text = checkpoint(9, origin=f"{ORIGIN[:-1]}1").encode()
    note = Note(text=text, signatures=(sign_note(text, ORIGIN, LOG),)).encode()
    with pytest.raises(BadSignature, match="by the key of"):
        verify_checkpoint(note, LOG_KEY)


def test_the_keep_s_clock_does_not_speak_for_its_log() -> None:
    unsigned = Note(text=checkpoint(9).encode(), signatures=()).encode()
    line = cosign(sign_checkpoint(checkpoint(9), LOG), CLOCK_KEY.name, CLOCK, AT)
    with pytest.raises(BadSignature, match="by the key of"):
        verify_checkpoint(unsigned + str(line).encode(), CLOCK_KEY)


def test_another_key_under_the_log_s_name_is_nobody() -> None:
    """Also when it takes the id of the log's key, which anybody can find a match for."""
    text = checkpoint(9, OTHER_TREE).encode()
    forged = sign_note(text, ORIGIN, private_key("eve"))
    with pytest.raises(BadSignature, match="no known key"):
        verify_checkpoint(Note(text=text, signatures=(forged,)).encode(), LOG_KEY)
    collided = NoteSignature(name=ORIGIN, key_id=LOG_KEY.key_id, signature=forged.signature)
    with pytest.raises(BadSignature, match="does not fit"):
        verify_checkpoint(Note(text=text, signatures=(collided,)).encode(), LOG_KEY)


def test_a_signature_is_not_made_again_with_another_s() -> None:
    """Ed25519 with S + L: what a lax verifier takes for a second signature of the same key."""
    order = 2**252 + 27742317777372353535851937790883648493
    parsed = parse_note(sign_checkpoint(checkpoint(9), LOG))
    line = parsed.signatures[0]
    s = int.from_bytes(line.signature[32:], "little") + order
    bent = NoteSignature(name=line.name, key_id=line.key_id, signature=line.signature[:32] + s.to_bytes(32, "little"))
    with pytest.raises(BadSignature, match="does not fit"):
        verify_checkpoint(Note(text=parsed.text, signatures=(bent,)).encode(), LOG_KEY)


def test_a_cosignature_does_not_move_to_another_checkpoint() -> None:
    old = sign_checkpoint(checkpoint(9), LOG)
    line = cosign(old, WITNESS_KEY.name, WITNESS, AT)
    assert verify_cosignature(with_signature(old, line), WITNESS_KEY) == AT
    for other in (checkpoint(13), checkpoint(9, OTHER_TREE), checkpoint(9, origin=f"{ORIGIN[:-1]}1")):
        with pytest.raises(BadSignature, match="does not fit"):
            verify_cosignature(with_signature(sign_checkpoint(other, LOG), line), WITNESS_KEY)


def test_a_cosignature_by_another_key_is_nobody_s() -> None:
    note = sign_checkpoint(checkpoint(9), LOG)
    line = cosign(note, WITNESS_KEY.name, private_key("eve"), AT)
    with pytest.raises(BadSignature, match="no known key"):
        verify_cosignature(with_signature(note, line), WITNESS_KEY)


def test_a_plain_signature_of_a_cosigned_message_does_not_pass_as_a_time() -> None:
    """The log's key is made to sign a text that is a cosignature's message: the types are told apart by the id."""
    note = sign_checkpoint(checkpoint(9), LOG)
    text = f"cosignature/v1\ntime {AT}\n" + checkpoint(9).encode()
    signature = AT.to_bytes(8) + sign_note(text, ORIGIN, LOG).signature
    line = NoteSignature(name=ORIGIN, key_id=LOG_KEY.key_id, signature=signature)
    clock = VerifierKey(name=ORIGIN, kind=COSIGNATURE, public_key=LOG_KEY.public_key)
    with pytest.raises(BadSignature):
        verify_cosignature(with_signature(note, line), clock)
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_a_receipt_that_a_witness_has_not_seen_is_refused_where_witnesses_count() -> None:
    assert check_receipt(receipt(5, 13), ENTRIES[5], LOG_KEY).size == 13
    with pytest.raises(BadSignature, match="no known key"):
        check_receipt(receipt(5, 13), ENTRIES[5], LOG_KEY, [WITNESS_KEY])


def test_a_receipt_by_another_log_key_is_refused() -> None:
    stranger = VerifierKey(name=ORIGIN, kind=ED25519, public_key=private_key("eve").public_key().public_bytes_raw())
    with pytest.raises(BadSignature):
        check_receipt(receipt(5, 13), ENTRIES[5], stranger)


# --- keys of low order -------------------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(one: Point, two: Point) -> Point:
    """The addition law of edwards25519 (RFC 8032 §5.1.4, in plain coordinates)."""
    (x1, y1), (x2, y2) = one, two
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def square_root(square: int) -> int | None:
    """Modulo P, which is 5 modulo 8 (RFC 8032 §5.1.3)."""
    root = pow(square, (P + 3) // 8, P)
    candidates = [root, root * pow(2, (P - 1) // 4, P) % P]
    return next((root for root in candidates if root * root % P == square % P), None)


def low_order_points() -> set[Point]:
    """The eight points Q with 8Q = 0, from the curve's equation y² - x² = 1 + d·x²·y²."""
    i = square_root(-1)
    assert i
    # orders 1, 2 and 4; then those whose double is (±i, 0): x² = -y², hence d·y⁴ + 2·y² - 1 = 0
    points = {(0, 1), (0, P - 1), (i, 0), (P - i, 0)}
    half = square_root(1 + D)
    assert half
    for square in ((half - 1) * pow(D, -1, P), (-half - 1) * pow(D, -1, P)):
        if (y := square_root(square)) is not None:
            x = i * y % P
            points |= {(x, y), (P - x, y), (x, P - y), (P - x, P - y)}
    return points


def low_order_encodings() -> set[bytes]:
    """Every 32 bytes that a lax decoder takes for one of them: also with y + P, and with a sign for x = 0."""
    encodings = set()
    for x, y in low_order_points():
        eight = (x, y)
        for _ in range(3):
            eight = add(eight, eight)
        assert eight == (0, 1)
        for alias in (y, y + P):
            for sign in (0, 1) if x == 0 else (x & 1,):
                if alias < 2**255:
                    encodings.add((alias | sign << 255).to_bytes(32, "little"))
    return encodings


def test_a_witness_key_under_which_any_signature_fits_is_refused() -> None:
    encodings = low_order_encodings()
    assert len(encodings) == 14
    for public_key in encodings:
        for kind in (ED25519, COSIGNATURE):
            with pytest.raises(BadKey, match="no Ed25519 key"):
                VerifierKey(name="w", kind=kind, public_key=public_key)


def test_a_key_has_one_encoding() -> None:
    for y in range(P, 2**255):
        for bit in (0, 1):
            with pytest.raises(BadKey, match="no Ed25519 key"):
                VerifierKey(name="w", kind=ED25519, public_key=(y | bit << 255).to_bytes(32, "little"))

"""Proofs are accepted exactly when the RFC's own definitions make them; the empty tree included."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.outer_errors import BadProof
from strongroom.tlog.proofs import check_consistency, check_inclusion
from strongroom.tlog.tree import EMPTY_ROOT, leaf_hash
from tests.tlog import reference
from tests.tlog.published import CONSISTENCY_6_TO_8, INCLUSION_5_OF_8, LEAVES, ROOTS

ENTRIES = [number.to_bytes(2, "big") for number in range(70)]
REFERENCE_ROOTS = [reference.mth(ENTRIES[:size]) for size in range(71)]


def test_the_published_proofs() -> None:
    check_inclusion(leaf=leaf_hash(LEAVES[5]), index=5, size=8, proof=INCLUSION_5_OF_8, root=ROOTS[8])
    check_consistency(old_size=6, old_root=ROOTS[6], new_size=8, new_root=ROOTS[8], proof=CONSISTENCY_6_TO_8)


def test_every_proof_up_to_70_leaves_and_none_of_a_neighbour() -> None:
    for size in range(1, 71):
        for index in range(size):
            proof = reference.path(index, ENTRIES[:size])
            leaf = leaf_hash(ENTRIES[index])
            root = REFERENCE_ROOTS[size]
            check_inclusion(leaf=leaf, index=index, size=size, proof=proof, root=root)
            for other in (index - 1, index + 1):
                with pytest.raises(BadProof):
                    check_inclusion(leaf=leaf, index=other, size=size, proof=proof, root=root)


def test_every_growth_up_to_70_leaves() -> None:
    for new in range(71):
        for old in range(new + 1):
            proof = reference.proof(old, ENTRIES[:new]) if old else []
            check_consistency(
                old_size=old,
                old_root=REFERENCE_ROOTS[old],
                new_size=new,
                new_root=REFERENCE_ROOTS[new],
                proof=proof,
            )
            if 0 < old < new:
                for old_root, new_root in ((bytes(32), REFERENCE_ROOTS[new]), (REFERENCE_ROOTS[old], bytes(32))):
                    with pytest.raises(BadProof):
                        check_consistency(old_size=old, old_root=old_root, new_size=new, new_root=new_root, proof=proof)


@given(st.integers(1, 300), st.data())
def test_any_growth_and_no_changed_hash(new: int, data: st.DataObject) -> None:
    entries = [number.to_bytes(2, "big") for number in range(new)]
    old = data.draw(st.integers(1, new))
    proof = reference.proof(old, entries)
    roots = {"old_root": reference.mth(entries[:old]), "new_root": reference.mth(entries)}
    check_consistency(old_size=old, new_size=new, proof=proof, **roots)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        with pytest.raises(BadProof):
            check_consistency(old_size=old, new_size=new, proof=proof, **roots)


@given(
    st.integers(-2, 2**64),
    st.integers(-2, 2**64),
    st.lists(st.binary(max_size=40), max_size=70),
    st.binary(max_size=40),
)
def test_garbage_ends_in_our_error(index: int, size: int, proof: list[bytes], root: bytes) -> None:
    with pytest.raises(BadProof):
        check_inclusion(leaf=root, index=index, size=size, proof=[b"", *proof], root=root)
    with pytest.raises(BadProof):
        check_consistency(old_size=index, old_root=root, new_size=size, new_root=root[:-1], proof=[b"", *proof])


def test_nothing_is_in_the_empty_tree() -> None:
    for index in (-1, 0, 1):
        with pytest.raises(BadProof, match="no leaf"):
            check_inclusion(leaf=EMPTY_ROOT, index=index, size=0, proof=[], root=EMPTY_ROOT)


def test_every_log_continues_the_empty_one() -> None:
    for size, root in enumerate(ROOTS):
        check_consistency(old_size=0, old_root=EMPTY_ROOT, new_size=size, new_root=root, proof=[])


def test_the_empty_log_has_one_root() -> None:
    for new_size, new_root in ((0, bytes(32)), (3, ROOTS[3])):
        with pytest.raises(BadProof, match="empty log"):
            check_consistency(old_size=0, old_root=bytes(32), new_size=new_size, new_root=new_root, proof=[])


def test_what_needs_no_proof_takes_none() -> None:
    for old, new in ((0, 3), (3, 3), (0, 0)):
        with pytest.raises(BadProof, match="another shape"):
            check_consistency(old_size=old, old_root=ROOTS[old], new_size=new, new_root=ROOTS[new], proof=[ROOTS[1]])


def test_a_log_does_not_shrink() -> None:
    for old, new in pairwise((5, 4, -1)):
        with pytest.raises(BadProof, match="cannot have become"):
            check_consistency(old_size=old, old_root=ROOTS[old], new_size=new, new_root=ROOTS[4], proof=[])
    with pytest.raises(BadProof, match="cannot have become"):
        check_consistency(old_size=-1, old_root=ROOTS[1], new_size=4, new_root=ROOTS[4], proof=[])

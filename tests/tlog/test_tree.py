"""The tree gives the roots and proofs of RFC 6962, of its present and of every earlier size."""

from __future__ import annotations

import tracemalloc
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.errors import BadRequest
from strongroom.tlog.proofs import consistency_proof
from strongroom.tlog.tree import EMPTY_ROOT, Tree, leaf_hash, node_hash
from tests.tlog import reference
from tests.tlog.published import CONSISTENCY_6_TO_8, INCLUSION_5_OF_8, LEAVES, ROOTS

ENTRIES = [number.to_bytes(2, "big") for number in range(71)]
TREE = Tree(map(leaf_hash, ENTRIES))


def test_the_published_roots_and_proofs() -> None:
    tree = Tree()
    assert tree.root() == EMPTY_ROOT == ROOTS[0]
    for size, leaf in enumerate(LEAVES, start=1):
        assert tree.append(leaf_hash(leaf)) == size - 1
        assert tree.root() == ROOTS[size]
    assert [tree.root(size) for size in range(9)] == ROOTS
    assert list(tree.inclusion_proof(5, 8)) == INCLUSION_5_OF_8
    assert list(consistency_proof(tree, 6, 8)) == CONSISTENCY_6_TO_8


def test_every_root_and_proof_up_to_71_leaves() -> None:
    for size in range(len(ENTRIES) + 1):
        entries = ENTRIES[:size]
        assert TREE.root(size) == reference.mth(entries)
        for index in range(size):
            assert list(TREE.inclusion_proof(index, size)) == reference.path(index, entries)
            assert list(consistency_proof(TREE, index + 1, size)) == reference.proof(index + 1, entries)
        assert consistency_proof(TREE, 0, size) == ()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=300), st.data())
def test_any_tree(entries: list[bytes], data: st.DataObject) -> None:
    tree = Tree(map(leaf_hash, entries))
    size = data.draw(st.integers(1, len(entries)))
    index = data.draw(st.integers(0, size - 1))
    assert tree.root(size) == reference.mth(entries[:size])
    assert tree.leaf(index) == reference.mth(entries[index : index + 1])
    assert list(tree.inclusion_proof(index, size)) == reference.path(index, entries[:size])
    assert list(consistency_proof(tree, index + 1, size)) == reference.proof(index + 1, entries[:size])


@given(st.lists(st.integers(0, 40), max_size=8))
def test_pieces_make_the_same_tree_as_the_whole(pieces: list[int]) -> None:
    tree, count = Tree(), 0
    for piece in pieces:
        tree.extend(leaf_hash(bytes([number])) for number in range(piece))
        count += piece
    leaves = [bytes([number]) for piece in pieces for number in range(piece)]
    assert tree.size == count
    assert tree.root() == reference.mth(leaves)


def test_a_tree_larger_than_a_batch() -> None:
    leaves = [number.to_bytes(4, "big") for number in range(40_000)]
    assert Tree(map(leaf_hash, leaves)).root() == reference.mth(leaves)


def test_complete_subtrees() -> None:
    assert TREE.hashes(0, 3, 5) == TREE.leaf(3) + TREE.leaf(4)
    assert TREE.hashes(3, 1, 8) == b"".join(reference.mth(ENTRIES[8 * n : 8 * n + 8]) for n in range(1, 8))


@pytest.mark.parametrize("index", [-1, 71])
def test_no_such_leaf(index: int) -> None:
    with pytest.raises(BadRequest, match="no leaf"):
        TREE.leaf(index)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, -1), (0, 72)])
def test_no_such_inclusion(index: int, size: int) -> None:
    with pytest.raises(BadRequest, match=r"no leaf|no tree"):
        TREE.inclusion_proof(index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (0, 72), (0, -1)])
def test_no_such_consistency(old: int, new: int) -> None:
    with pytest.raises(BadRequest, match=r"not older|no tree"):
        consistency_proof(TREE, old, new)


@pytest.mark.parametrize("size", [-1, 72])
def test_no_such_size(size: int) -> None:
    with pytest.raises(BadRequest, match="no tree"):
        TREE.root(size)


@pytest.mark.parametrize(
    ("level", "start", "stop"), [(-1, 0, 1), (0, -1, 1), (0, 1, 1), (0, 0, 72), (3, 0, 9), (9, 0, 1)]
)
def test_no_such_subtrees(level: int, start: int, stop: int) -> None:
    with pytest.raises(BadRequest, match="no subtrees"):
        TREE.hashes(level, start, stop)


def test_what_is_not_a_leaf_hash_is_not_added() -> None:
    tree = Tree()
    with pytest.raises(BadRequest, match="32 bytes"):
        tree.extend((bytes(31), bytes(33)))
    assert tree.size == 0


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_leaf_costs_less_than_80_bytes() -> None:
    tracemalloc.start()
    tree = Tree(leaf_hash(bytes([number & 0xFF])) for number in range(150_000))
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 80 * tree.size


@pytest.mark.soak
def test_a_million_leaves_take_seconds() -> None:
    entries = [number.to_bytes(8, "big") * 25 for number in range(1_000_000)]
    begin = perf_counter()
    tree = Tree(map(leaf_hash, entries))
    assert tree.size / (perf_counter() - begin) > 300_000

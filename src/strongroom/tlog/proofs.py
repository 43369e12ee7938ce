"""The proofs of RFC 6962, checked trusting nothing but the roots: that a leaf is in a tree, that a tree only grew.

The same answers as the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2, reached by counting first: size and index alone
say how long a proof is and on which side each of its hashes stands. The empty tree, which those leave open, has the
root `EMPTY_ROOT` and no leaf, and every tree continues it.
"""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.terms.errors import BadRequest
from strongroom.terms.outer_errors import BadProof
from strongroom.tlog.tree import EMPTY_ROOT, HASH_BYTES, Tree, node_hash


def check_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with hash `leaf` stands at `index` in the tree of `size` leaves with `root`.

    `leaf` is a hash that the caller made of an entry (`leaf_hash`), never one that it was given: what it was given
    may be an inner node of a tree of another size.

    Raises:
        BadProof: it does not, or the proof is not the one that there is.
    """
    if not 0 <= index < size:
        raise BadProof(f"no leaf {index} in a tree of {size}")
    inner = (index ^ (size - 1)).bit_length()
    _check_shape((leaf, *proof), 1 + inner + (index >> inner).bit_count())
    if _climb(leaf, index, proof[:inner], proof[inner:]) != root:
        raise BadProof(f"the proof does not lead from leaf {index} to the root of {size}")


def check_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves with `new_root` starts with the one of `old_size` with `old_root`.

    Raises:
        BadProof: it does not, or the proof is not the one that there is. Two roots of one size are a split view.
    """
    if not 0 <= old_size <= new_size:
        raise BadProof(f"a log of {old_size} cannot have become one of {new_size}")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise BadProof("an empty log with another root than the empty tree's")
    if old_size == new_size and old_root != new_root:
        raise BadProof(f"two different logs of {old_size}")
    if old_size in {0, new_size}:
        _check_shape(proof, 0)
        return
    # The proof is that of the last complete subtree which the old tree ends in. Where that is the whole old
    # tree, its root is the one that we have; otherwise the proof starts with it.
    level = (old_size & -old_size).bit_length() - 1
    last = (old_size - 1) >> level
    inner = ((old_size - 1) ^ (new_size - 1)).bit_length() - level
    nodes = (old_root, *proof) if old_size == 1 << level else tuple(proof)
    _check_shape(nodes, 1 + inner + (last >> inner).bit_count())
    first, below, edge = nodes[0], nodes[1 : 1 + inner], nodes[1 + inner :]
    # What stands to the right came after the old tree: leaving it out gives the old root.
    before = [node for level, node in enumerate(below) if last >> level & 1]
    if _climb(first, -1, before, edge) != old_root:
        raise BadProof(f"the proof does not lead to the root of {old_size}")
    if _climb(first, last, below, edge) != new_root:
        raise BadProof(f"the proof does not lead from {old_size} to the root of {new_size}")


def _check_shape(nodes: Sequence[bytes], count: int) -> None:
    # Lengths matter: 31 bytes and 33 hash to the same node as 32 and 32.
    if len(nodes) != count or any(len(node) != HASH_BYTES for node in nodes):
        raise BadProof(f"a proof of another shape than {count} hashes")


def _climb(node: bytes, index: int, below: Sequence[bytes], edge: Sequence[bytes]) -> bytes:
    """Return the root over `node`: the bits of `index` say which of `below` stand left of it; all of `edge` do."""
    for level, sibling in enumerate(below):
        node = node_hash(sibling, node) if index >> level & 1 else node_hash(node, sibling)
    for sibling in edge:
        node = node_hash(sibling, node)
    return node


def consistency_proof(tree: Tree, old: int, new: int) -> tuple[bytes, ...]:
    """Return PROOF(old, D[new]) of RFC 6962 §2.1.2: that the first `old` leaves are those of the older tree.

    Empty where there is nothing to show: from the empty tree, and from a tree to itself.
    """
    if not 0 <= old <= tree.checked_size(new):
        raise BadRequest(f"a tree of {old} is not older than one of {new}")
    if old in {0, new}:
        return ()
    # The path of the last complete subtree that the old tree ends in, and that subtree itself,
    # unless it is the whole old tree, whose root the verifier has.
    level = (old & -old).bit_length() - 1
    known = old == 1 << level
    first = [] if known else [tree.complete_subtree(level, (old - 1) >> level)]
    return (*first, *tree.path(old - 1, new, level))

"""The Merkle tree of RFC 6962 §2.1 over SHA-256, append-only, with its proofs.

Kept is the hash of every complete subtree, one array for each level: 64 bytes a leaf, and every root and proof, of
the tree as it is or as it ever was, takes O(log n) hashes. Leaves are not kept, only their hashes.
"""

import hashlib
from collections.abc import Iterable
from itertools import islice

from strongroom.terms.errors import BadRequest

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

_BATCH = 1 << 14


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf that holds `data`."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """An append-only tree of leaf hashes. Not safe for threads that write; the keep has one writer."""

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        # INVARIANT: level k holds the roots of all complete subtrees of 2^k leaves, from the left.
        self._levels = [bytearray()]
        self.extend(leaf_hashes)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf_hash: bytes) -> int:
        """Add one leaf by its hash (32 bytes) and return its index."""
        self.extend((leaf_hash,))
        return self.size - 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaves by their hashes (32 bytes each).

        Raises:
            BadRequest: a hash of another length; the leaves before it, in batches, may have been added.
        """
        remaining = iter(leaf_hashes)
        while batch := list(islice(remaining, _BATCH)):
            if any(len(leaf_hash) != HASH_BYTES for leaf_hash in batch):
                raise BadRequest("a leaf hash has 32 bytes")
            self._levels[0] += b"".join(batch)
            self._complete()

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first `size` leaves, by default of all."""
        size = self.checked_size(self.size if size is None else size)
        return self._subtree(0, size) if size else EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """Return the hash of one leaf."""
        if not 0 <= index < self.size:
            raise BadRequest(f"no leaf {index} in a tree of {self.size}")
        return self.complete_subtree(0, index)

    def hashes(self, level: int, start: int, stop: int) -> bytes:
        """Return, joined, the roots of the complete subtrees of 2^`level` leaves numbered `start` to `stop` - 1."""
        if not (level >= 0 and 0 <= start < stop <= self.size >> level):
            raise BadRequest(f"no subtrees {start} to {stop} at level {level} in a tree of {self.size}")
        return bytes(self._levels[level][start * HASH_BYTES : stop * HASH_BYTES])

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return PATH(index, D[size]) of RFC 6962 §2.1.1: that the leaf is in the tree of the first `size` leaves."""
        if not 0 <= index < self.checked_size(size):
            raise BadRequest(f"no leaf {index} in a tree of {size}")
        return tuple(self.path(index, size, 0))

    def path(self, index: int, size: int, lowest: int) -> list[bytes]:
        """Return the siblings of what is over leaf `index`, from level `lowest` up, in the tree of `size` leaves."""
        # Below `inner` the paths of this leaf and of the last one differ, so there is a sibling on every level;
        # above, leaf and last leaf share the right edge, where a node without a left sibling is its own parent.
        inner = (index ^ (size - 1)).bit_length()
        siblings = []
        for level in range(lowest, (size - 1).bit_length()):
            node = index >> level
            if level < inner or node & 1:
                start = (node ^ 1) << level
                siblings.append(self._subtree(start, min(start + (1 << level), size)))
        return siblings

    def _subtree(self, start: int, stop: int) -> bytes:
        """Return the root over the leaves `start` to `stop` - 1.

        INVARIANT: `start` is a multiple of a power of two that is no less than how many they are.
        """
        count = stop - start
        lowest = (count & -count).bit_length() - 1
        root = self.complete_subtree(lowest, (stop >> lowest) - 1)
        for level in range(lowest + 1, count.bit_length()):
            if count >> level & 1:
                root = node_hash(self.complete_subtree(level, (stop >> level) - 1), root)
        return root

    def complete_subtree(self, level: int, number: int) -> bytes:
        """Return the root of the complete subtree of 2^`level` leaves with that number."""
        return bytes(self._levels[level][number * HASH_BYTES : (number + 1) * HASH_BYTES])

    def _complete(self) -> None:
        """Hash the pairs that have become complete, level by level."""
        level, pair = 0, 2 * HASH_BYTES
        while len(self._levels[level]) >= pair:
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())
            below, above = self._levels[level], self._levels[level + 1]
            new = bytes(below[2 * len(above) : len(below) // pair * pair])
            # `node_hash` written out: this loop is where the time of a start goes
            sha256 = hashlib.sha256
            above += b"".join([sha256(b"\x01" + new[at : at + pair]).digest() for at in range(0, len(new), pair)])
            level += 1

    def checked_size(self, size: int) -> int:
        """Return `size` if the tree has had it."""
        if not 0 <= size <= self.size:
            raise BadRequest(f"no tree of {size} leaves, there are {self.size}")
        return size

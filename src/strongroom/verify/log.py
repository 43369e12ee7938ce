"""Log: a copy of a whole log, checked from its first entry to its last.

1. The digest of the first entry is the name that was given, and the entry is a founding that every founder signed.
2. The checkpoint is signed by the log key that the founding names, under the origin `<deployment>/<era>`, and its root
   is that of all the entries there are.
3. What somebody said is admitted again: made for here and now, by whoever may, signed with the keys that they have.
4. It is decided again, and what a proposal became is enacted again, under the policies, quorums and roles in force
   before the entry; the entry's data is what follows, to the byte.
5. What the keep itself saw fits what the log says.
6. The entry is applied. Time never runs backwards, and no statement is used twice.
7. Whoever else signed the checkpoint, the keep's clock and the witnesses in force at the end, did sign it.

What was decided under another floor, or by another Cedar, than this program has, cannot be decided again. Of 4, only
what no policy could allow is looked for in such an entry; it is counted, and a log that has one is not called valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from strongroom.acts.fold import deployment_name, fold
from strongroom.acts.founding import verify_genesis
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory
from strongroom.terms.errors import LogTampered, StrongroomError
from strongroom.tlog.checkpoints import Checkpoint, verify_checkpoint
from strongroom.tlog.notes import COSIGNATURE, ED25519, VerifierKey, parse_verifier_key, signed_at, verify_note
from strongroom.tlog.tree import Tree, leaf_hash
from strongroom.verify.recheck import Rules, check_entry, is_decided_elsewise

ERA = 1
FOUNDING_KIND = "deployment.founded"

Leaves = Callable[[], Iterable[bytes]]
"""Gives the leaves from the first on, each time it is called."""


class EntryForged(LogTampered):
    """An entry that stands in the log, under its keep's signature, and does not follow from those before it."""

    default_hint = "keep this copy as evidence, freeze what is left, and let nothing more be opened through that keep"

    def __init__(self, message: str, *, entry: int) -> None:
        super().__init__(message)
        self.entry = entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An entry that follows. `before` is the directory that it was checked against, until the next one is asked for."""

    index: int
    entry: Entry
    before: Directory
    is_rechecked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """Who besides the log signed the checkpoint, and when by their clock."""

    name: str
    at: int


class LogVerifier:
    """Verifies one copy. Nothing of it is proven before `entries` has come to its end, and `finish` too."""

    def __init__(self, leaves: Leaves, note: bytes, name: str) -> None:
        """Do 1 and 2: the founding and the checkpoint.

        Raises:
            EntryForged: the first entry is not the founding of the deployment `name`.
            LogTampered, BadNote, BadSignature: the entries are not those that the log signed for.
        """
        self._leaves, self._note = leaves, note
        # 1
        first = next(iter(leaves()), b"")
        with _Naming(0, FOUNDING_KIND):
            self.directory = _verified_genesis(first, name)
        # 2
        directory = self.directory
        self.log_key = VerifierKey(name=directory.origin, kind=ED25519, public_key=directory.keys.log)
        self.checkpoint: Checkpoint = verify_checkpoint(note, self.log_key)
        self._tree = Tree(map(leaf_hash, leaves()))
        if (self._tree.size, self._tree.root()) != (self.checkpoint.size, self.checkpoint.root):
            raise LogTampered(
                f"the {self._tree.size} entries of this copy are not the {self.checkpoint.size} that the log signed for"
            )

    def entries(self) -> Iterator[Checked]:
        """Yield the entries after the founding, each once 3 to 6 have been done for it.

        Raises:
            EntryForged: one does not follow from those before it; the message names it.
        """
        rules, directory = Rules(), self.directory
        for index, leaf in enumerate(self._leaves()):
            # The file is read twice; what is checked here is what was hashed before.
            if index >= self._tree.size or leaf_hash(leaf) != self._tree.leaf(index):
                raise LogTampered(f"entry {index} of the copy changed while it was read")
            if index == 0:
                continue
            with _Naming(index, "") as naming:
                entry = parse_entry(leaf)
                naming.kind = entry.kind
                # 3, 4, 5
                check_entry(directory, rules, entry)
                checked = Checked(
                    index=index, entry=entry, before=directory, is_rechecked=not is_decided_elsewise(entry)
                )
            yield checked
            # 6
            with _Naming(index, entry.kind):
                fold(directory, leaf)

    def finish(self) -> tuple[Cosigned, ...]:
        """Do 7, and return who signed the checkpoint beside the log.

        Raises:
            BadSignature: somebody who counts is said to have signed it, and did not.
        """
        # 7
        directory = self.directory
        clock = VerifierKey(name=f"{directory.origin}/time", kind=COSIGNATURE, public_key=directory.keys.time)
        keys = (self.log_key, clock, *map(parse_verifier_key, directory.acceptance.witnesses))
        signatures = verify_note(self._note, keys).signatures
        return tuple(
            Cosigned(name=key.name, at=signed_at(line.signature)) for key, line in signatures if key.kind == COSIGNATURE
        )


class _Naming:
    """Turns whatever is wrong in its block into an error that names the entry."""

    def __init__(self, index: int, kind: str) -> None:
        self.index, self.kind = index, kind

    def __enter__(self) -> _Naming:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (StrongroomError, KeyError, TypeError, ValueError)):
            what = error.message if isinstance(error, StrongroomError) else f"not of the form that it has: {error!r}"
            named = f"entry {self.index}, `{self.kind}`" if self.kind else f"entry {self.index}"
            raise EntryForged(f"{named}: {what}", entry=self.index) from error


def _verified_genesis(leaf: bytes, name: str) -> Directory:
    if (found := deployment_name(leaf)) != name:
        raise LogTampered(f"this is the log of `{found}`, not of `{name}`")
    entry = parse_entry(leaf)
    if (entry.kind, entry.data) != (FOUNDING_KIND, None):
        raise LogTampered("the first entry is more, or less, than a founding")
    return verify_genesis(entry.envelope(), name=name, at=entry.at)

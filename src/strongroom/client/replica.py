"""Replica: this client's own copy of the log, and the directory that it folds to. Nothing else here is believed.

    <folder>/entries      length (4 bytes, big-endian) || leaf, one after another; append-only
    <folder>/checkpoint   the last signed note whose entries this client has verified
    <folder>/ahead        a later one, proven to continue it; its entries are not here yet
    <folder>/folded       the directory after the first so many of the entries; see `folded`

A new checkpoint is taken only like this:

1. The genesis, leaf 0, has the digest that is the deployment's name. That came out of band; nothing is trusted on
   first use.
2. The note is signed by the log key that the genesis names, and its time key cosigned the keep's time beside it. Only a
   keep that is sealed tells none: where that is said, a warning is all that stands beside a log that may be old.
3. It is not shorter than the last one seen, nor is its time before that one's.
4. A gateway's consistency proof leads from the last one seen to it; or else
5. the entries that are new are fetched, the root of all of them is the one that was signed, and the tree still has the
   roots that the last checkpoint had, and the one ahead of it.

Every leaf that is here is then in the signed tree: what is read here needs no further proof. The files are a cache that
proves itself again at each start: a torn tail is cut off, and a copy that was changed is fetched anew.
"""

from __future__ import annotations

import base64
import logging
import os
import time
from array import array
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from strongroom.acts.fold import deployment_name, fold, genesis
from strongroom.client.connection import Answer, Asking
from strongroom.client.folded import Folded, Secret
from strongroom.client.private_folder import PrivateFolder, disk, sync_folder
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadSignature, LogTampered, NotFound, StrongroomError, WrongDeployment
from strongroom.terms.outer_errors import KeepUnavailable, StaleTime
from strongroom.tlog.checkpoints import Checkpoint, parse_checkpoint
from strongroom.tlog.notes import COSIGNATURE, ED25519, VerifierKey, signed_at, verify_note
from strongroom.tlog.proofs import check_consistency
from strongroom.tlog.tree import Tree, leaf_hash

OLDEST_SECONDS = 60
MOST_ENTRIES = 1000
_ENTRIES, _CHECKPOINT, _AHEAD = "entries", "checkpoint", "ahead"
_LENGTH_BYTES = 4

_log = logging.getLogger("strongroom")

Clock = Callable[[], float]
Warn = Callable[[str], None]


class Replica:
    """The copy in `folder` of the log of `deployment`, as far as it was verified. Not for several threads at once."""

    def __init__(
        self,
        folder: Path,
        deployment: str,
        *,
        era: int = 1,
        clock: Clock = time.time,
        warn: Warn = _log.warning,
        secret: Secret | None = None,
    ) -> None:
        """Read and verify what is there. With a `secret` of this client's, what was folded once need not be again.

        Raises:
            UnsafePlace, StoreUnavailable: the folder is open to others, or fails.
        """
        self._folder = PrivateFolder(folder)
        self._folded = None if secret is None else Folded(self._folder, secret)
        self._path = folder / _ENTRIES
        self.deployment, self._era, self._clock, self._warn = deployment, era, clock, warn
        self.keep_time: int | None = None
        """The keep's clock when it signed the last checkpoint that has a time."""
        self._note: bytes | None = None
        self._checkpoint: Checkpoint | None = None
        self._ahead: bytes | None = None
        self._last: tuple[Checkpoint | None, int | None] = (None, None)
        self._directory: Directory | None = None
        self._is_warned = False
        self._tree, self._ends = Tree(), array("Q")
        with self._folder.locked(), disk(self._path):
            self._load()

    @property
    def directory(self) -> Directory:
        """The directory after the last entry that was verified. It changes as the replica does.

        Raises:
            NotFound: nothing has been fetched yet.
        """
        if self._directory is None:
            raise NotFound("nothing of the log is here yet", hint="connect to the keep, or to a gateway, first")
        return self._directory

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint that was verified."""
        return self._checkpoint

    @property
    def seen_size(self) -> int | None:
        """How many entries the newest checkpoint has that was verified; from there a gateway proves consistency."""
        last, _ = self._seen()
        return None if last is None else last.size

    @property
    def note(self) -> bytes | None:
        """The signed note of that checkpoint, as the keep sent it."""
        return self._note if self._checkpoint is not None else None

    @property
    def tree(self) -> Tree:
        """The tree of the entries that are here. It grows as the replica does; another one if files are read again."""
        return self._tree

    @property
    def ends(self) -> array[int]:
        """Where each of them ends in the file `path`, which has the length (4 bytes) before each. It grows likewise."""
        return self._ends

    @property
    def path(self) -> Path:
        """The file of the entries."""
        return self._path

    def leaf(self, index: int) -> bytes:
        """Return a leaf that was verified.

        Raises:
            NotFound: the log is not so long.
        """
        if not 0 <= index < self._tree.size:
            raise NotFound(f"no entry {index} in a log of {self._tree.size}")
        with self._path.open("rb") as file:
            file.seek(self._ends[index - 1] if index else 0)
            leaf = file.read(self._ends[index] - file.tell())[_LENGTH_BYTES:]
        if leaf_hash(leaf) != self._tree.leaf(index):
            raise LogTampered(f"this client's copy of entry {index} was changed", hint="run the command again")
        return leaf

    def entry(self, index: int) -> Entry:
        """Return an entry that was verified."""
        return parse_entry(self.leaf(index))

    def sync(self, connection: Asking) -> Checkpoint:
        """Fetch and verify what is new, up to the checkpoint that the keep now shows. Errors as for `follow`."""
        return self.follow(connection.ask("status"), connection)

    def follow(self, answer: Answer, connection: Asking) -> Checkpoint:
        """Verify the checkpoint of `answer`, by its proof of consistency if it has one, or with everything up to it.

        Raises:
            WrongDeployment: this is the log of another deployment.
            LogTampered: shorter than before, forked, edited, or of a time that has been.
            BadSignature, BadNote: not signed by this log.
            KeepUnavailable, KeepSealed: entries that are missing are not to be had now.
            StaleTime: the checkpoint holds and was taken in, but the keep signed it more than a minute ago, or tells no
                time though nobody says that it is sealed.
        """
        if answer.checkpoint is None:
            raise KeepUnavailable("the keep has not founded a deployment yet, or shows no checkpoint of it")
        with self._folder.locked(), disk(self._path):
            if (self._folder.read(_CHECKPOINT), self._folder.read(_AHEAD)) != (self._note, self._ahead):
                self._load()  # another process has been further than this one
            try:
                checkpoint, at, is_ahead = self._verified(answer, answer.checkpoint, connection)
            except BaseException:
                # INVARIANT: what is in memory was verified. Leaves that were taken on the way were not.
                self._load()
                raise
            if is_ahead:
                self._folder.replace(_AHEAD, answer.checkpoint)
                self._ahead = answer.checkpoint
            else:
                self._commit(answer.checkpoint, checkpoint)
            self.keep_time = at if at is not None else self.keep_time
            self._last = (checkpoint, self.keep_time)
        self._check_age(at, is_sealed=answer.ok.get("state") == "sealed")
        return checkpoint

    # --- verifying -----------------------------------------------------------------------------

    def _verified(self, answer: Answer, note: bytes, connection: Asking) -> tuple[Checkpoint, int | None, bool]:
        """Return the checkpoint, the keep's time, and whether it is ahead of the entries that are here."""
        # 1
        if self._tree.size == 0:
            self._fetch(connection, 1)
        # 2
        checkpoint, at = self._parse_note(note)
        last, last_at = self._seen()
        # 3
        if last is not None and checkpoint.size < last.size:
            raise LogTampered(f"the log has {checkpoint.size} entries and had {last.size}")
        if at is not None and last_at is not None and at < last_at:
            raise LogTampered(
                f"a checkpoint of {last_at - at} s before the last one: an old answer, or a clock put back"
            )
        # 4
        if answer.consistency is not None and last is not None and self._checkpoint is not None:
            check_consistency(
                old_size=last.size,
                old_root=last.root,
                new_size=checkpoint.size,
                new_root=checkpoint.root,
                proof=answer.consistency,
            )
            return checkpoint, at, checkpoint.size > self._tree.size
        # 5
        self._fetch(connection, checkpoint.size)
        if self._tree.root() != checkpoint.root:
            raise LogTampered(f"the {checkpoint.size} entries are not those that the keep signed: edited, or a fork")
        for seen in (self._checkpoint, last):
            if seen is not None and self._tree.root(seen.size) != seen.root:
                raise LogTampered(f"the log does not continue the one of {seen.size} entries that was here: a fork")
        return checkpoint, at, False

    def _parse_note(self, note: bytes) -> tuple[Checkpoint, int | None]:
        """Return what the log signed, and when by the keep's clock."""
        directory = self.directory
        log = VerifierKey(name=directory.origin, kind=ED25519, public_key=directory.keys.log)
        timer = VerifierKey(name=f"{directory.origin}/time", kind=COSIGNATURE, public_key=directory.keys.time)
        try:
            verified = verify_note(note, (log, timer))
        except BadSignature as error:
            raise BadSignature(
                f"a checkpoint that the log `{directory.origin}` has not signed: {error.message}",
                hint=LogTampered.default_hint,
            ) from error
        checkpoint = parse_checkpoint(verified.text)
        signed = {key for key, _ in verified.signatures}
        if log not in signed or checkpoint.origin != directory.origin:
            raise LogTampered(f"a checkpoint that the log `{directory.origin}` has not signed as its own")
        times = [signed_at(line.signature) for key, line in verified.signatures if key == timer]
        return checkpoint, max(times, default=None)

    def _seen(self) -> tuple[Checkpoint | None, int | None]:
        """Return the newest checkpoint and its time, also where its entries are not here yet, or are lost."""
        if self._last[0] is None and self._directory is not None:
            notes = [note for note in (self._note, self._ahead) if note is not None]
            found = [one for note in notes if (one := self._parsed(note)) is not None]
            self._last = max(found, key=lambda one: one[0].size) if found else (None, None)
        return self._last

    def _parsed(self, note: bytes) -> tuple[Checkpoint, int | None] | None:
        """Return what a note from the folder says; nothing if the file was damaged."""
        try:
            return self._parse_note(note)
        except StrongroomError:
            return None

    def _fetch(self, connection: Asking, size: int) -> None:
        """Take the entries up to `size` in, not yet verified."""
        with self._path.open("ab") as file:
            while (start := self._tree.size) < size:
                answer = connection.ask("entries", start=start, count=min(size - start, MOST_ENTRIES))
                leaves = _leaves(answer.ok.get("entries"), most=size - start)
                for leaf in leaves:
                    self._take(leaf)
                    file.write(len(leaf).to_bytes(_LENGTH_BYTES) + leaf)

    def _take(self, leaf: bytes) -> None:
        if self._directory is None:
            if deployment_name(leaf) != self.deployment:
                raise WrongDeployment(
                    f"this is the log of `{deployment_name(leaf)}`, not of `{self.deployment}`",
                    hint="connect with the name that you were given by somebody whom you trust",
                )
            self._directory = genesis(leaf, self._era)
        else:
            fold(self._directory, leaf)
        self._tree.append(self._hashed(leaf))

    def _check_age(self, at: int | None, *, is_sealed: bool) -> None:
        """Refuse a time of the keep's that has been, or none; a sealed keep tells none, and is warned of."""
        if at is None and not is_sealed:
            raise StaleTime("the newest checkpoint to be had tells no time: that was taken off, or is withheld")
        age = None if self.keep_time is None else self._clock() - self.keep_time
        if age is not None and age <= OLDEST_SECONDS:
            self._is_warned = False
            return
        old = f"is {age:.0f} s old" if age is not None else "tells no time"
        text = f"the newest checkpoint to be had {old}: something may be withheld, or a clock is off"
        if at is not None:
            raise StaleTime(text)
        # TRUST: nobody's, that it is sealed. A sealed keep does nothing: who lies about it can show an old log.
        if not self._is_warned:
            self._warn(f"the keep is said to be sealed, and {text}")
        self._is_warned = True

    # --- the files -----------------------------------------------------------------------------

    def _commit(self, note: bytes, checkpoint: Checkpoint) -> None:
        # ORDER: the entries are on the disk before the checkpoint that covers them. A crash between leaves a tail that
        # no checkpoint covers, which is cut off at the next start and fetched again.
        if self._checkpoint is None or checkpoint.size != self._checkpoint.size:
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(self._folder.path)
        self._folder.replace(_CHECKPOINT, note)
        self._note, self._checkpoint = note, checkpoint
        # ORDER: after the one that has it all. A crash between leaves one that is not ahead any more.
        if self._ahead is not None:
            self._folder.remove(_AHEAD)
            self._ahead = None
        if self._folded is not None:
            self._folded.keep_if_due(self.directory, checkpoint.root)

    def _load(self) -> None:
        """Read the files, and verify all of it again."""
        self._note, self._ahead = self._folder.read(_CHECKPOINT), self._folder.read(_AHEAD)
        self._forget()
        try:
            self._read_entries()
        except (StrongroomError, StopIteration) as error:
            if self._note is not None:
                why = error.message if isinstance(error, StrongroomError) else "entries are missing"
                self._warn(f"this client's copy of the log is damaged and is fetched anew: {why}")
            self._forget()
        self.keep_time = self._seen()[1]
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "r+b") as file:
            file.truncate(self._ends[-1] if self._ends else 0)

    def _forget(self) -> None:
        self._tree, self._ends = Tree(), array("Q")
        self._directory = self._checkpoint = None
        self._last = (None, None)

    def _read_entries(self) -> None:
        leaves = self._stored()
        self._take(next(leaves))
        if self._note is None:
            raise LogTampered("entries that no checkpoint covers")
        checkpoint, _ = self._parse_note(self._note)
        self._skip(leaves, checkpoint.size)
        while self._tree.size < checkpoint.size:
            self._take(next(leaves))
        if self._tree.root() != checkpoint.root:
            raise LogTampered("the entries are not those of the checkpoint")
        self._checkpoint = checkpoint

    def _skip(self, leaves: Iterator[bytes], most: int) -> None:
        """Hash leaves, and do not fold them, as far as there is a directory of just these."""
        kept = None if self._folded is None else self._folded.read()
        if self._folded is None or kept is None or (size := kept.directory.size) > most:
            return
        self._tree.extend(map(self._hashed, islice(leaves, size - self._tree.size)))
        if self._tree.root() != kept.root:
            self._folded.forget()
            raise LogTampered("the entries are not those that were folded")
        self._directory = kept.directory

    def _hashed(self, leaf: bytes) -> bytes:
        self._ends.append((self._ends[-1] if self._ends else 0) + _LENGTH_BYTES + len(leaf))
        return leaf_hash(leaf)

    def _stored(self) -> Iterator[bytes]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while len(length := file.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
                leaf = file.read(size := int.from_bytes(length))
                if len(leaf) != size:
                    return
                yield leaf


def _leaves(entries: Json, *, most: int) -> list[bytes]:
    if not isinstance(entries, list) or not 1 <= len(entries) <= most:
        raise KeepUnavailable("the keep does not give the entries that it has signed for")
    try:
        return [base64.b64decode(str(one), validate=True) for one in entries]
    except ValueError as error:
        raise KeepUnavailable("the keep gives entries that are not base64") from error

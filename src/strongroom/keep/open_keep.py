"""The open keep: what it does with a batch of requests while it holds the keys.

    envelope -> Said (acts.admit) -> Permitted (acts.decide) -> Staged -> Logged (book) -> Released (release)

Each step takes only what the step before can make. A request ends in an answer, or in one of our errors; anything else
ends the process.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from strongroom.acts import approve, fact_attest, model_enrol, propose, read, version_register
from strongroom.acts.act import Effect, Said
from strongroom.acts.admit import admit
from strongroom.acts.decide import Permitted, bundle_of, decide, enact
from strongroom.acts.fold import Step
from strongroom.acts.table import act_of_change
from strongroom.acts.texts import text_digests
from strongroom.directory.entries import Entry
from strongroom.directory.state import Directory, Seen
from strongroom.journal.port import Kept, Space
from strongroom.keep import asked
from strongroom.keep.asked import text_of
from strongroom.keep.book import Book, Logged, Staged
from strongroom.keep.clock import Clock
from strongroom.keep.refusals import RefusalCounter
from strongroom.keep.release import release as release_key
from strongroom.keep.vault import Vault
from strongroom.policy.bundle import Bundle
from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms import errors
from strongroom.terms.canonical import Json
from strongroom.terms.records import parse_record

MOST_ENTRIES, MOST_ENTRIES_BYTES = 1000, 4 << 20

Finish = Callable[[], dict[str, Json]]
"""Makes the answer, once the batch is in the log."""


class OpenKeep:
    """A book and a vault that fits it."""

    def __init__(self, book: Book, vault: Vault, clock: Clock) -> None:
        self.book, self.vault, self.clock = book, vault, clock
        self._refusals = RefusalCounter()
        self._bundle: tuple[object, Bundle] | None = None
        self._at = book.directory.at
        self._timed = (b"", 0, "")

    @property
    def directory(self) -> Directory:
        """The directory, as of the last request."""
        return self.book.directory

    # --- a batch -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look at the clock, and write down what is due without anybody asking."""
        self._at = self.clock.now(self.directory.at)
        if self.book.space() is Space.ENOUGH:
            if (doubt := self.clock.take_doubt()) and not (self.directory.time_doubted or self.directory.trial):
                self._event("clock.doubted", {"reason": doubt})
            for by, count in self._refusals.take_over(self._at):
                self._event("refusals.counted", {"by": by, "count": count})
            self.book.snapshot_if_due(self._at)

    def commit(self) -> None:
        """Make the batch durable. If that fails, the keep ends: see `book`."""
        try:
            self.book.commit(lambda size, root: self.vault.sign(self.directory.origin, size, root))
        except errors.NoSpace as error:
            raise errors.JournalBroken(f"a batch was decided and cannot be written: {error.message}") from error

    def checkpoint(self) -> str:
        """Return the checkpoint with the keep's time, for every answer."""
        note = self.book.journal.note
        if note is None:
            return ""
        if self._timed[:2] != (note, self._at):
            told = self.vault.with_time(note, self.directory.origin, self._at).decode("utf-8")
            self._timed = (note, self._at, told)
        return self._timed[2]

    def take(self, request: asked.Request) -> Finish:
        """Decide one request, and stage what it does.

        Raises:
            StrongroomError: it is refused.
        """
        match request:
            case asked.Act():
                return self._act(request)
            case asked.Entries():
                return lambda: self._entries(request)
            case _:
                raise errors.BadRequest("the keep is open already")

    # --- acts ----------------------------------------------------------------------------------

    def _act(self, request: asked.Act) -> Finish:
        envelope = parse_envelope(request.statement)
        seen = self.directory.statements.get(_statement_id(envelope))
        said = admit(self.directory, envelope, at=self._at, is_first=seen is None)
        try:
            if seen is not None:
                return self._again(said, seen)
            return self._new(said, envelope, request.details or ())
        except errors.Unavailable:
            raise
        except errors.StrongroomError as error:
            self._refuse(said, error)
            raise

    def _again(self, said: Said[Any], seen: Seen) -> Finish:
        """Answer what was taken before as it was then: no second entry, and no key that would be refused today.

        So the same release once more is the renewal of its lease: the keep's word of now that it would still be given.
        """
        if said.digest != seen.digest:
            raise errors.StatementReused(f"statement `{said.statement.id}` was another one the first time")
        if said.act.name == "release":
            decide(self.directory, self._policies(), said, at=self._at)
        return lambda: self._told(said, self.book.logged(seen.index))

    def _new(self, said: Said[Any], envelope: Envelope, details: Sequence[asked.Detail]) -> Finish:
        self._check_space(said)
        permitted = decide(self.directory, self._policies(), said, at=self._at)
        if isinstance(said.body, read.Read):
            return lambda: self._texts(said.body)
        if isinstance(said.body, fact_attest.FactAttest) and fact_attest.is_repeated(self.directory, permitted.move):
            return lambda: {"answer": {"repeated": True}}
        if isinstance(said.body, version_register.VersionRegister):
            self._check_registration(said.body)
        kept = self._keep_texts(said.body, details)
        staged = self._stage(permitted, permitted.data, kept, statement=envelope)
        if isinstance(said.body, propose.Propose | approve.Approve):
            return self._voted(said, staged)
        return lambda: self._told(said, self.book.logged_now(staged))

    def _stage(
        self, permitted: Permitted, data: dict[str, Json], kept: tuple[Kept, ...], *, statement: Envelope | None = None
    ) -> Staged:
        act, move = permitted.act, permitted.move
        entry = Entry(
            at=self._at,
            kind=act.entry,
            data=data or None,
            statement=None if statement is None else statement.json(),
        )
        return self.book.stage(Step(entry=entry, act=act, move=replace(move, said=None, data=data)), kept=kept)

    def _voted(self, said: Said[Any], staged: Staged) -> Finish:
        """See whether the proposal may happen now; if not, say what is missing."""
        name = said.statement.id if isinstance(said.body, propose.Propose) else said.body.proposal
        enacted, missing = self._enact(name)

        def finish() -> dict[str, Json]:
            told = self._told(said, self.book.logged_now(staged))
            if enacted is not None:
                return {**told, "enacted": _place(self.book.logged_now(enacted))}
            return {**told, "missing": missing}

        return finish

    def _enact(self, name: str) -> tuple[Staged | None, str]:
        try:
            permitted = enact(self.directory, self._policies(), name, at=self._at)
        except errors.Unavailable:
            raise
        except errors.StrongroomError as error:
            return None, error.message
        data = permitted.data
        kept: tuple[Kept, ...] = ()
        if isinstance(permitted.move.body, model_enrol.ModelEnrol):
            model = permitted.move.body.model
            public_key, sealed = self.vault.make_model_key(self.directory.deployment, model)
            data = {**data, "public_key": text_of(public_key.raw)}
            kept = (Kept(kind="model-key", name=f"{model}/1", data=sealed),)
        return self._stage(permitted, data, kept), ""

    def _check_registration(self, body: version_register.VersionRegister) -> None:
        model = self.directory.models[body.model]
        self.vault.check_registration(self.directory, model, body.seal_id, body.wrapped_key, body.header)

    def _check_space(self, said: Said[Any]) -> None:
        match self.book.space():
            case Space.ENOUGH:
                return
            case Space.RESERVED if said.act.effect is Effect.CLOSES:
                return
            case Space.RESERVED:
                raise errors.NoSpace("only closing down is left room for", hint="make room on the journal's disk")
            case Space.GONE:
                raise errors.JournalBroken("no room is left, not even for closing down: the keep stops")

    def _refuse(self, said: Said[Any], error: errors.StrongroomError) -> None:
        """Write the refusal down; a flood of them is counted."""
        if self.book.space() is Space.ENOUGH and self._refusals.is_entry(said.statement.by, self._at):
            refused: dict[str, Json] = {
                "act": said.act.name,
                "by": said.statement.by,
                "code": error.code,
                "statement": said.digest,
            }
            self._event("refused", refused)

    def _event(self, kind: str, data: Json) -> None:
        self.book.stage(Step(entry=Entry(at=self._at, kind=kind, data=data)))

    def _policies(self) -> Bundle:
        if self._bundle is None or self._bundle[0] is not self.directory.policies:
            self._bundle = (self.directory.policies, bundle_of(self.directory))
        return self._bundle[1]

    # --- texts beside the log ------------------------------------------------------------------

    def _keep_texts(self, body: Any, details: Sequence[asked.Detail]) -> tuple[Kept, ...]:
        """Return the texts that a statement names, sealed. Each has to be here, now or from before."""
        due = set(text_digests(body))
        if isinstance(body, propose.Propose):
            due |= set(text_digests(parse_record(act_of_change(body.act).body, body.change)))
        return keep_texts(self.vault, due, details, lambda digest: self.book.kept_text("detail", digest) is not None)

    def _texts(self, body: read.Read) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for digest in body.digests:
            if (opened := self.vault.open_text(digest)) is not None:
                found[digest] = {"salt": opened[1].hex(), "text": opened[0]}
        return {"answer": {"details": found}}

    # --- answers -------------------------------------------------------------------------------

    def _told(self, said: Said[Any], logged: Logged) -> dict[str, Json]:
        told = _place(logged)
        if said.act.name == "release":
            released = release_key(self.vault, self.directory, logged, at=self._at)
            told["answer"] = {"envelope": released.envelope.json()}
        return told

    def _entries(self, request: asked.Entries) -> dict[str, Json]:
        size = self.book.journal.size
        found: list[Json] = []
        total = 0
        for leaf in self.book.journal.read(request.start, min(size, request.start + min(request.count, MOST_ENTRIES))):
            total += len(leaf)
            if found and total > MOST_ENTRIES_BYTES:
                break
            found.append(text_of(leaf))
        return {"entries": found}


def keep_texts(
    vault: Vault, due: set[str], details: Sequence[asked.Detail], is_kept: Callable[[str], bool]
) -> tuple[Kept, ...]:
    """Return the texts whose digests are `due`, sealed for the journal.

    Raises:
        BadRequest: one is missing, or one came that nobody named.
    """
    sealed = dict(vault.seal_text(one.text, bytes.fromhex(one.salt)) for one in details)
    if stray := sealed.keys() - due:
        raise errors.BadRequest(f"the text of `{min(stray)}` is not named in the statement")
    if missing := {digest for digest in due - sealed.keys() if not is_kept(digest)}:
        raise errors.BadRequest(f"the text of `{min(missing)}` is not here", hint="send each text with its digest")
    return tuple(Kept(kind="detail", name=digest, data=blob) for digest, blob in sealed.items())


def _statement_id(envelope: Envelope) -> str:
    return parse_statement(envelope).id


def _place(logged: Logged) -> dict[str, Json]:
    proof: list[Json] = [text_of(one) for one in logged.proof]
    return {"index": logged.index, "leaf": text_of(logged.leaf), "proof": proof}

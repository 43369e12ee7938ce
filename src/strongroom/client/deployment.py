"""Deployment: the keep as one client sees it. What is sent is answered with a proof, or it did not happen.

An act counts as done only when all of this holds:

1. The checkpoint in the answer is signed by this deployment's log and continues all that was seen of it (`replica`).
2. The entry in the answer is in the log at the index that is named, by its inclusion proof under that checkpoint.
3. The statement in that entry is the very one that was sent, and the entry is of the kind that the act leaves.
4. An entry that says what was thereby enacted is proven the same way, and names the proposal.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from strongroom.acts.act import Act
from strongroom.client.connection import Answer, Asking
from strongroom.client.names import Detail, Names
from strongroom.client.replica import Replica
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory
from strongroom.statements.envelope import Envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms.canonical import Json
from strongroom.terms.errors import StrongroomError
from strongroom.terms.outer_errors import BadAnswer, BadProof
from strongroom.tlog.checkpoints import Checkpoint
from strongroom.tlog.proofs import check_inclusion
from strongroom.tlog.tree import leaf_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An entry that is proven to be in the log."""

    index: int
    leaf: bytes
    entry: Entry

    @property
    def data(self) -> dict[str, Any]:
        """What the keep added."""
        return dict(self.entry.data) if isinstance(self.entry.data, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An act that is in the log. `enacted` is what its approval made happen, `missing` what that still takes."""

    logged: Logged
    answer: Json = None
    enacted: Logged | None = None
    missing: str = ""


class Deployment:
    """A connection, the verified copy of the log, and the names that were shown."""

    def __init__(self, connection: Asking, replica: Replica, names: Names | None = None) -> None:
        self.connection, self.replica = connection, replica
        self.names = Names() if names is None else names

    @property
    def name(self) -> str:
        """The deployment's name: the digest of its genesis."""
        return self.replica.deployment

    @property
    def directory(self) -> Directory:
        """The directory after the last entry that was verified."""
        return self.replica.directory

    def sync(self) -> Directory:
        """Fetch and verify what is new in the log, and return the directory. Errors as for `Replica.follow`."""
        self.replica.sync(self.connection)
        return self.directory

    def called(self, identifier: str) -> str:
        """Return what people read for an identifier."""
        return self.names.called(self.directory, identifier)

    def within(self, seconds: float) -> Deployment:
        """Return the same deployment for questions that, all together, take at most so long from now."""
        return Deployment(self.connection.within(seconds), self.replica, self.names)

    def ask(self, envelope: Envelope, details: Iterable[Detail] = (), *, since: int | None = None) -> Answer:
        """Send an envelope; nothing of the answer is verified. `done` does that."""
        given: list[Json] = [detail.json() for detail in details]
        return self.connection.ask("act", since=since, statement=envelope.json(), details=given)

    def act(self, act: Act[Any], envelope: Envelope, details: Iterable[Detail] = (), *, alone: bool = False) -> Done:
        """Have the keep do `act`, as `envelope` says it, and return it proven.

        Afterwards the directory knows of it, unless `alone`: then only the proofs are asked for, where a gateway can
        give them, and what others did meanwhile is left until somebody looks (`sync`).

        Raises:
            BadProof, BadAnswer, LogTampered, BadSignature: it is not proven, whatever the keep says.
            Denied, NotAllowed, Stale, …: the keep refuses.
            KeepUnavailable: no answer; it may have happened, and the same envelope may be sent again.
        """
        since = self.replica.seen_size if alone else None
        return self.done(act, envelope, self.ask(envelope, details, since=since))

    def done(self, act: Act[Any], envelope: Envelope, answer: Answer) -> Done:
        """Return the act that `answer` proves to be done; errors as for `act`."""
        # 1
        checkpoint = self.replica.follow(answer, self.connection)
        # 2
        logged = prove(answer.ok, checkpoint)
        # 3
        if logged.entry.kind != act.entry or logged.entry.envelope().digest != envelope.digest:
            raise BadAnswer(f"entry {logged.index} is not what was asked for with `{act.name}`")
        # 4
        enacted = None
        if (told := answer.ok.get("enacted")) is not None:
            enacted = prove(told, checkpoint)
            _check_enacted(enacted, logged)
        missing = answer.ok.get("missing")
        return Done(
            logged=logged,
            answer=answer.ok.get("answer"),
            enacted=enacted,
            missing=missing if isinstance(missing, str) else "",
        )


def prove(told: Json, checkpoint: Checkpoint) -> Logged:
    """Return the entry that an answer holds, if it is proven to be in the log of that checkpoint.

    Raises:
        BadProof: it is not, or there is no proof.
    """
    match told:
        case {"index": int(index), "leaf": str(leaf), "proof": list(proof)} if not isinstance(index, bool):
            pass
        case _:
            raise BadProof("the keep says that it is done and shows no proof")
    try:
        data = base64.b64decode(leaf, validate=True)
        hashes = [base64.b64decode(str(one), validate=True) for one in proof]
    except ValueError as error:
        raise BadProof("a proof that is not base64") from error
    check_inclusion(leaf=leaf_hash(data), index=index, size=checkpoint.size, proof=hashes, root=checkpoint.root)
    try:
        return Logged(index=index, leaf=data, entry=parse_entry(data))
    except StrongroomError as error:
        raise BadProof(f"entry {index} is in the log and is no entry: {error.message}") from error


def _check_enacted(enacted: Logged, logged: Logged) -> None:
    """Refuse an enactment of another proposal than the one that was spoken of."""
    statement = parse_statement(logged.entry.envelope())
    body = statement.body if isinstance(statement.body, dict) else {}
    if enacted.data.get("proposal") != body.get("proposal", statement.id):
        raise BadAnswer(f"entry {enacted.index} enacts another proposal than the one that this was about")

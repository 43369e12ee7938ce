"""Fold: the log into the directory, entry by entry. The same log gives the same directory, byte for byte, anywhere.

    genesis(leaf 0) -> Directory;  fold(directory, leaf n) for all that follow

TRUST: the entries come from a log whose checkpoint was verified. What they may do was decided when they were written,
and the offline verifier decides it again; here they are only applied. One that cannot be is a log that is not ours.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from strongroom.acts import deployment_found
from strongroom.acts.act import Act, Move
from strongroom.acts.table import act_of_change, act_of_entry
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import PRUNE_SECONDS, Directory, Proposal, Seen, made
from strongroom.statements.statement import Statement, parse_statement
from strongroom.terms.errors import LogTampered, StrongroomError
from strongroom.terms.records import parse_record

EVENTS = ("keep.unsealed", "refused", "refusals.counted", "snapshot.taken", "clock.doubted")
"""What the keep itself saw or did, without anybody's statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An entry, and what it does: the act and the move of whoever caused it; neither for an event."""

    entry: Entry
    act: Act[Any] | None = None
    move: Move[Any] | None = None


def deployment_name(leaf: bytes) -> str:
    """Return the name of the deployment that begins with this genesis entry."""
    return "sr1:" + hashlib.sha256(leaf).hexdigest()


def genesis(leaf: bytes, era: int = 1) -> Directory:
    """Return the directory after the first entry. Its signatures are `founding.verify_genesis`'s to check.

    Raises:
        LogTampered: it is no genesis.
    """
    try:
        entry = parse_entry(leaf)
        if entry.kind != "deployment.founded":
            raise LogTampered("the log does not begin with a founding")
        statement = parse_statement(entry.envelope())
        body = parse_record(deployment_found.DeploymentFound, statement.body)
    except StrongroomError as error:
        raise LogTampered(f"the first entry is no founding: {error.message}") from error
    return deployment_found.found(body, name=deployment_name(leaf), era=era, at=entry.at)


def fold(directory: Directory, leaf: bytes) -> None:
    """Apply the next entry.

    Raises:
        LogTampered: it cannot come next.
    """
    try:
        apply(directory, step_of(directory, parse_entry(leaf)))
    except (StrongroomError, KeyError, TypeError, ValueError) as error:
        what = error.message if isinstance(error, StrongroomError) else str(error)
        raise LogTampered(f"entry {directory.size} does not follow from those before it: {what}") from error


def step_of(directory: Directory, entry: Entry) -> Step:
    """Return what `entry` does to a directory."""
    act = act_of_entry(entry.kind)
    data: Mapping[str, Any] = entry.data if isinstance(entry.data, Mapping) else {}
    if act is None:
        if entry.kind not in EVENTS:
            raise LogTampered(f"an entry of the unknown kind `{entry.kind}`")
        return Step(entry=entry)
    if act.is_proposed:
        if (proposed := directory.proposals[data["proposal"]].act) != act.name:
            raise LogTampered(f"an entry `{entry.kind}` for a proposal of `{proposed}`")
        return Step(entry=entry, act=act, move=proposed_move(directory, data["proposal"], at=entry.at, data=data))
    envelope = entry.envelope()
    statement = parse_statement(envelope)
    if statement.kind != act.kind:
        raise LogTampered(f"an entry `{entry.kind}` for a statement of kind `{statement.kind}`")
    body = parse_record(act.body, statement.body)
    move = moved(directory, statement, body=body, digest=envelope.digest, at=entry.at, data=data)
    return Step(entry=entry, act=act, move=move)


def proposed_move(directory: Directory, name: str, *, at: int, data: Mapping[str, Any]) -> Move[Any]:
    """Return what an open proposal would do at this point of the log."""
    proposal = directory.proposals[name]
    body = parse_record(act_of_change(proposal.act).body, proposal.body)
    return moved(directory, proposal, id=name, body=body, at=at, data=data)


def moved(directory: Directory, source: Statement | Proposal, **more: Any) -> Move[Any]:
    """Return what comes next in the log: `more`, and what else a move takes, from a statement or a proposal."""
    return made(Move, source, index=directory.size, **{"said": None, "data": {}, **more})


def apply(directory: Directory, step: Step) -> None:
    """Change the directory by one step; the keep calls this as it writes, everybody else as they read."""
    entry, act, move = step.entry, step.act, step.move
    if entry.at < directory.at:
        raise LogTampered("time runs backwards")
    if act is not None and move is not None:
        if not act.is_proposed:
            _note_statement(directory, move)
        act.apply(directory, move)
        if act.is_proposed:
            del directory.proposals[move.id]
            directory.closed[move.id] = "enacted"
    elif entry.kind == "clock.doubted":
        directory.time_doubted = True
        for name in [name for name, one in directory.proposals.items() if one.act == "clock.confirm"]:
            del directory.proposals[name]
            directory.closed[name] = "overtaken by another doubt"
    # ORDER: by the time of entries alone, so that everybody forgets the same things at the same entry.
    if entry.at // PRUNE_SECONDS != directory.at // PRUNE_SECONDS:
        directory.prune(entry.at)
    directory.at = entry.at
    directory.size += 1


def _note_statement(directory: Directory, move: Move[Any]) -> None:
    directory.statements[move.id] = Seen(digest=move.digest, index=move.index, until=move.until)
    if (name := move.data.get("credential")) is not None:
        directory.credentials[name] = replace(directory.credentials[name], counter=move.data["counter"])

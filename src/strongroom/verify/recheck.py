"""Recheck: one entry, against the directory as it was before it. The numbers are those of the list in `log`.

TRUST: of an event, the keep's word is all there is. It is held to what the log says: nobody is refused who does not
exist, no keep is unsealed by fewer than it takes, and no snapshot shows another directory than the one that was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any

from strongroom.acts.act import Said
from strongroom.acts.admit import admit
from strongroom.acts.decide import Permitted, bundle_of, decide, enact
from strongroom.acts.fold import step_of
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.table import act_of_entry
from strongroom.directory import find
from strongroom.directory.entries import Entry
from strongroom.directory.state import Directory, PublicKeyBytes
from strongroom.policy.bundle import CEDAR_VERSION, Bundle, bundle_digest, floor_file
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import LogTampered, NotAllowed, StatementReused
from strongroom.terms.records import (
    Digest,
    Matches,
    Natural,
    PersonId,
    StatementId,
    SubjectId,
    Word,
    parse_record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """Data of `keep.unsealed`: the custodians whose shares it took, and the digest of the code that runs."""

    by: tuple[PersonId, ...]
    code: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOnce:
    """Data of `refused`. `statement` is the digest of what was asked; `code` that of the error."""

    act: Word
    by: SubjectId
    code: Word
    statement: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOften:
    """Data of `refusals.counted`: how many more there were than were written down."""

    by: SubjectId
    count: Natural


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """Data of `clock.doubted`."""

    reason: Annotated[str, Matches("[^\x00-\x1f]{1,200}", "a line of text")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """Data of `snapshot.taken`: the digest of the directory before this entry."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _MadeByTheKeep:
    """Of a model, what no one else can know."""

    public_key: PublicKeyBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Enacted:
    proposal: StatementId


class Rules:
    """The policies in force, parsed once for as long as they stay the same."""

    def __init__(self) -> None:
        self._parsed: tuple[object, Bundle] | None = None

    def of(self, directory: Directory) -> Bundle:
        """Return the policies in force, under this program's own floor."""
        if self._parsed is None or self._parsed[0] is not directory.policies:
            self._parsed = (directory.policies, bundle_of(directory))
        return self._parsed[1]


@cache
def floor_version() -> str:
    """Return the version of the floor that this program has."""
    return bundle_digest([floor_file()])


def is_decided_elsewise(entry: Entry) -> bool:
    """Tell whether an entry says it was decided under another floor, or by another Cedar, than this program has."""
    match entry.data:
        case {"cedar": str(cedar), "floor": str(floor)} if act_of_entry(entry.kind) is not None:
            return (cedar, floor) != (CEDAR_VERSION, floor_version())
    return False


def check_entry(directory: Directory, rules: Rules, entry: Entry) -> None:
    """Refuse an entry that the keep could not honestly have written next.

    Of what was decided elsewise, signatures are checked all the same, and whatever no policy could allow.

    Raises:
        StrongroomError: any, with what is wrong: it is the one that the keep should have answered.
    """
    act = act_of_entry(entry.kind)
    if act is not None and not act.is_proposed:
        # 3
        said = admit(directory, entry.envelope(), at=entry.at)
        if said.statement.id in directory.statements:
            raise StatementReused(f"statement `{said.statement.id}` is in the log before")
        # 4
        if is_decided_elsewise(entry):
            _check_elsewise(directory, entry, said)
        else:
            _check_data(entry, decide(directory, rules.of(directory), said, at=entry.at))
        return
    if entry.statement is not None:
        raise LogTampered("a statement where none belongs")
    if act is None:
        # 5
        _check_event(directory, entry)
    elif is_decided_elsewise(entry):
        find.proposal(directory, _proposal(entry))
        _check_elsewise(directory, entry)
    else:
        # 4
        _check_data(entry, enact(directory, rules.of(directory), _proposal(entry), at=entry.at))


def _check_elsewise(directory: Directory, entry: Entry, said: Said[Any] | None = None) -> None:
    """Refuse what no policy could allow."""
    step = step_of(directory, entry)
    if step.act is not None and step.move is not None:
        step.act.check(directory, replace(step.move, said=said))


def _proposal(entry: Entry) -> str:
    named = entry.data.get("proposal") if isinstance(entry.data, dict) else None
    return parse_record(_Enacted, {"proposal": named}).proposal


def _check_data(entry: Entry, permitted: Permitted) -> None:
    expected: dict[str, Json] = dict(permitted.data)
    found: dict[str, Json] = entry.data if isinstance(entry.data, dict) else {}
    if isinstance(permitted.move.body, ModelEnrol):
        made = {"public_key": found.get("public_key")}
        parse_record(_MadeByTheKeep, made)
        expected |= made
    # Compared as they are written: to Python, 1 and true are equal.
    if canonical.encode(expected) != canonical.encode(found):
        names = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
        raise LogTampered(f"its data is not what follows: `{', '.join(names) or 'a truth for a number'}`")


def _check_event(directory: Directory, entry: Entry) -> None:
    if (check := EVENTS.get(entry.kind)) is None:
        raise LogTampered(f"`{entry.kind}` is nothing that a keep writes")
    check(directory, entry.data)


def _check_unsealed(directory: Directory, data: Json) -> None:
    by = parse_record(Unsealed, data).by
    # The founding keep, and every trial's, has the root key at hand and needs nobody's share.
    if not by and (directory.trial or directory.size == 1):
        return
    if stray := set(by) - directory.custodians.keys():
        raise NotAllowed(f"`{min(stray)}` is no custodian")
    if len(set(by)) < directory.custodians_needed:
        raise NotAllowed(f"unsealed by {len(set(by))} custodians: it takes {directory.custodians_needed}")


def _check_refused(directory: Directory, data: Json) -> None:
    _check_known(directory, parse_record(RefusedOnce, data).by)


def _check_counted(directory: Directory, data: Json) -> None:
    _check_known(directory, parse_record(RefusedOften, data).by)


def _check_known(directory: Directory, by: str) -> None:
    if by not in directory.people and by not in directory.workloads and by not in directory.attesters:
        raise NotAllowed(f"a refusal of `{by}`, whom nobody enrolled")


def _check_doubted(directory: Directory, data: Json) -> None:
    parse_record(Doubted, data)


def _check_snapshot(directory: Directory, data: Json) -> None:
    if parse_record(SnapshotTaken, data).digest != directory.digest():
        raise LogTampered("the snapshot is not of the directory that the log leads to")


EVENTS: dict[str, Callable[[Directory, Any], None]] = {
    "clock.doubted": _check_doubted,
    "keep.unsealed": _check_unsealed,
    "refusals.counted": _check_counted,
    "refused": _check_refused,
    "snapshot.taken": _check_snapshot,
}

"""`fact.attest`: an attester says something, for a while. A fact can only withhold."""

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory, Fact
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Count, Record, SubjectId, Word

REPEAT_SECONDS = 3600
WORSE_IF_LARGER = frozenset({"egress-bytes-per-day"})


class FactAttest(Record):
    """`value` is a number; a truth is 1 or 0. It holds until the statement's `until`."""

    subject: SubjectId
    fact: Word
    value: Count


def check(directory: Directory, move: Move[FactAttest]) -> None:
    attester = find.attester(directory, move.by)
    if move.body.fact not in attester.kinds:
        raise NotAllowed(f"attester `{move.by}` says nothing about `{move.body.fact}`")
    if move.until - move.at > attester.longest_seconds:
        raise NotAllowed(f"attester `{move.by}` says things for at most {attester.longest_seconds} s")
    find.check_subject(directory, move.body.subject)


def is_repeated(directory: Directory, move: Move[FactAttest]) -> bool:
    """Tell whether this was said with the same value less than an hour ago, and so is no entry again."""
    said = directory.facts.get(move.body.subject, {}).get(move.body.fact, {}).get(move.by)
    return (
        said is not None
        and said.value == move.body.value
        and move.at - said.at < REPEAT_SECONDS <= said.until - move.at
    )


def apply(directory: Directory, move: Move[FactAttest]) -> None:
    kinds = dict(directory.facts.get(move.body.subject, {}))
    fact = Fact(value=move.body.value, at=move.at, until=move.until)
    kinds[move.body.fact] = {**kinds.get(move.body.fact, {}), move.by: fact}
    directory.facts[move.body.subject] = kinds


def live_facts(directory: Directory, subject: str, at: int) -> dict[str, int]:
    """Return what holds of `subject` now: of each kind the worst that anybody says. What lapsed says nothing."""
    found: dict[str, int] = {}
    for kind, said in directory.facts.get(subject, {}).items():
        if values := [fact.value for fact in said.values() if fact.until >= at]:
            found[kind] = max(values) if kind in WORSE_IF_LARGER else min(values)
    return found


def target(directory: Directory, by: str, body: FactAttest) -> str:
    return body.subject

"""What freezing and thawing share: what can be frozen, and how it is marked."""

from dataclasses import replace
from typing import Annotated

from strongroom.acts.act import DEPLOYMENT
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.ids import kind_of
from strongroom.terms.records import Digest, Matches, Record

Target = Annotated[
    str, Matches("deployment|(?:model|person|device|zone|workload)-[0-9a-f]{32}", "an id of what can freeze")
]


class Freezing(Record):
    """What, and the salted digest of why."""

    target: Target
    reason: Digest


def is_frozen(directory: Directory, target: str) -> bool:
    """Tell whether `target` is frozen.

    Raises:
        NotFound: there is no such thing.
    """
    if target == DEPLOYMENT:
        return directory.frozen
    is_so: bool = find.FINDERS[kind_of(target)](directory, target).frozen
    return is_so


def mark(directory: Directory, target: str, *, frozen: bool) -> None:
    """Freeze or thaw `target`."""
    if target == DEPLOYMENT:
        directory.frozen = frozen
        return
    kind = kind_of(target)
    things = getattr(directory, "people" if kind == "person" else f"{kind}s")
    things[target] = replace(things[target], frozen=frozen)

"""A socket in front of a keep, for one client: it counts what is asked, and loses answers where a test says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from strongroom.client.joining import connect
from strongroom.client.place import Place
from strongroom.client.profile import Profile
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms.canonical import Json
from strongroom.terms.errors import StoreUnavailable
from strongroom.terms.frames import error_answer
from tests.client_keep.logs import World, served


@dataclass
class Between:
    """What was asked: `status`, `entries`, and the kinds of what was said."""

    handle: Callable[[Sequence[Json]], Sequence[Any]]
    asked: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """How many answers to questions of a kind are still to be lost, once the keep has given them."""

    def __call__(self, requests: Sequence[Json]) -> list[Any]:
        return [self._passed(request, answer) for request, answer in zip(requests, self.handle(requests), strict=True)]

    def since(self) -> Counter[str]:
        """Return what was asked since this was called last."""
        asked, self.asked = self.asked, Counter()
        return asked

    def _passed(self, request: Any, answer: Any) -> Any:
        kind = request["ask"]
        if kind == "act":
            kind = parse_statement(parse_envelope(request["statement"])).kind
        self.asked[kind] += 1
        if self.lost[kind]:
            self.lost[kind] -= 1
            return error_answer(StoreUnavailable("the answer was lost"))
        return answer


@contextmanager
def between(world: World, profile: Profile, name: str = "between") -> Iterator[Between]:
    """Have `profile` ask the keep through a socket of its own."""
    found = Between(world.keeper.handle)
    with served(found, world.folder / name / "keep") as socket:
        profile.join(Place(name=world.deployment, socket=socket))
        connect(profile).sync()
        found.since()
        yield found

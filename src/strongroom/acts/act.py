"""The act: a row of the table. A file of this room defines one, with the body of its statement beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from strongroom.directory.state import Credential, Device, Directory, Session
from strongroom.statements.statement import Statement
from strongroom.terms.canonical import Json

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)

DEPLOYMENT = "deployment"
"""The target of what concerns no single thing."""

MINUTE, HOUR, DAY = 60, 3600, 86400


class Effect(Enum):
    """Which way an act moves things. The value is the group of its Cedar action."""

    OPENS = "opening"
    GOVERNS = "governance"
    CLOSES = "closing"
    EVERYDAY = "everyday"


class Signer(Enum):
    """Whose signatures an act's statement carries. The value is for the page of acts."""

    SESSION = "session, or a workload"
    SESSION_AND_DEVICE = "session and its device, or a workload"
    SECURITY_KEY = "security key"
    SECURITY_KEY_AND_DEVICE = "security key, and the device if there is one"
    ATTESTER = "attester"
    QUORUM = "nobody alone: a proposal, approved"
    FOUNDERS = "every founder's security key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Generic[B_co]):
    """A statement whose signatures hold and whose time it is; made only by `admit`."""

    act: Act[Any]
    statement: Statement
    body: B_co
    digest: str
    """Names the exact statement, whatever its signatures look like."""
    path: str
    """`cli`, `approval` or `console` for a security key; otherwise empty."""
    session: Session | None = None
    device: Device | None = None
    credential: Credential | None = None
    counter: int = 0

    def touch(self) -> dict[str, Json]:
        """Return which security key was touched, and how: what every entry about a touch says."""
        credential = self.credential.credential if self.credential is not None else ""
        return {"counter": self.counter, "credential": credential, "path": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Generic[B_co]):
    """What an act is to check or to apply: a statement that was said, or a proposal that was approved."""

    by: str
    id: str
    body: B_co
    digest: str
    at: int
    until: int
    index: int
    said: Said[B_co] | None = None
    """Only while it is decided: an entry that is folded was verified before."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the keep added."""


def _nothing(*_: Any) -> None:
    return None


def _no_data(*_: Any) -> dict[str, Json]:
    return {}


def _nobody(*_: Any) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(Generic[B]):
    """One thing that the keep can be asked to do."""

    name: str
    """As in policies, on the wire and on the command line: `grant.give`."""
    body: type[B]
    resources: tuple[str, ...]
    """Cedar entity types."""
    effect: Effect
    signer: Signer
    entry: str
    """The kind of the entry that it appends; empty where there is none."""
    help: str
    principals: tuple[str, ...] = ("Person",)
    longest_seconds: int = 5 * MINUTE
    """How long its statement may be valid."""
    paths: tuple[str, ...] = ()
    """Where its security key may be touched."""
    target: Callable[[Directory, str, B], str] = lambda directory, by, body: DEPLOYMENT
    """(directory, by, body) -> the identifier of what it acts on, or `deployment`."""
    check: Callable[[Directory, Move[B]], None] = _nothing
    """Refuses what no policy can allow. Runs when it is said and, for a proposal, when it is enacted too."""
    data: Callable[[Directory, Move[B]], dict[str, Json]] = _no_data
    """What follows from directory and statement, and is written into the entry for whoever reads only that."""
    apply: Callable[[Directory, Move[B]], None] = _nothing
    """Changes the directory."""
    gains: Callable[[Directory, str, B], frozenset[str]] = _nobody
    """The people who gain by it, and so have no voice."""
    holder: Callable[[Directory, B], tuple[str, ...] | None] = _nothing
    """The roles that somebody would hold afterwards, for separation of duties."""
    place: Callable[[Directory, B], tuple[str | None, str | None]] = lambda directory, body: (None, None)
    """The device and the zone that a proposal is about."""
    base: Callable[[Directory, B], Any] = _nothing
    """The record that it changes, of which a proposal names the digest."""
    is_sensitive: bool = False
    """Changes who decides: decided again under the state that it leads to, and never locks everybody out."""
    keeps_possible: Callable[[Directory, str, B], tuple[str, str] | None] = _nothing
    """An act and a target for which enough people must be left afterwards."""
    ends_on_rejection: bool = False

    @property
    def kind(self) -> str:
        """The kind of its statement."""
        return f"{self.name}/1"

    @property
    def is_proposed(self) -> bool:
        """Whether it takes a proposal and approvals."""
        return self.signer is Signer.QUORUM

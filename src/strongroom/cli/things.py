"""Things by the names that people use: from `Dan`, `acme/atlas@1` or an identifier to the identifier in the log.

A name counts only where its text fits the digest in the log. What two things are called names neither.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from strongroom.acts.act import DEPLOYMENT
from strongroom.client.deployment import Deployment
from strongroom.client.names import details_of
from strongroom.directory.state import Directory
from strongroom.terms.errors import BadRequest, NotFound, StrongroomError
from strongroom.terms.ids import kind_of
from strongroom.terms.names import is_alias

RECORDS = {
    "person": "people",
    "credential": "credentials",
    "device": "devices",
    "workload": "workloads",
    "attester": "attesters",
    "zone": "zones",
    "model": "models",
    "version": "versions",
    "alias": "aliases",
    "session": "sessions",
    "grant": "grants",
    "statement": "proposals",
}
"""Where the directory has things of each kind."""

NAMED = ("person", "workload", "attester", "zone", "model", "version", "alias")


class Learner(Protocol):
    """A speaker, or whoever reads."""

    @property
    def deployment(self) -> Deployment:
        """The log and the names."""

    def learn(self, identifiers: Any = (), digests: Any = ()) -> None:
        """Get names."""


def records(directory: Directory, kind: str) -> dict[str, Any]:
    """Return all things of a kind, by identifier."""
    found: dict[str, Any] = getattr(directory, RECORDS[kind])
    return found


def find_thing(learner: Learner, text: str, kinds: Collection[str] = tuple(RECORDS)) -> str:
    """Return the identifier of what `text` names, among `kinds`; `deployment` stands for itself.

    Raises:
        NotFound, BadName: nothing is proven to be called so. BadRequest: several are, or it is of another kind.
    """
    directory = learner.deployment.directory
    if text == DEPLOYMENT and DEPLOYMENT in kinds:
        return text
    if (kind := _kind(text)) is not None:
        if kind not in kinds:
            raise BadRequest(f"`{text}` is a {kind}", hint=f"this takes {spoken(kinds)}")
        return text
    named = [kind for kind in NAMED if kind in kinds]
    learner.learn([one for kind in named for one in records(directory, kind)])
    names = learner.deployment.names
    if "@" in text and "alias" in kinds and is_alias(text):
        return names.alias(directory, text).alias
    if "@" in text and "version" in kinds:
        learner.learn(directory.aliases if is_alias(text) else ())
        return names.version(directory, text).version
    found = [
        one
        for kind in named
        if kind not in {"version", "alias"}
        for one in records(directory, kind)
        if names.text_of(details_of(directory, one) or "") == text
    ]
    if len(found) > 1:
        raise BadRequest(f"{len(found)} are called `{text[:200]}`", hint=f"name it by its id: {', '.join(found)}")
    if not found:
        raise NotFound(
            f"nothing is proven to be called `{text[:200]}` among {spoken(kinds)}",
            hint="name it by its id: `strongroom show` lists them; names are shown to who is logged in",
        )
    return found[0]


def name_of(deployment: Deployment, identifier: str) -> str | None:
    """Return the proven name of a thing, if there is one that shows whole."""
    called = deployment.called(identifier).removeprefix(identifier)
    name = called.removeprefix(" (").removesuffix(")")
    return name if called and name != "name not proven" else None


def spoken(kinds: Collection[str]) -> str:
    """Return kinds as people say them: `a person or a workload`."""
    said = {"statement": "a proposal", DEPLOYMENT: "`deployment`", "attester": "an attester", "alias": "an alias"}
    return " or ".join(said.get(kind, f"a {kind}") for kind in kinds)


def _kind(text: str) -> str | None:
    try:
        return kind_of(text)
    except StrongroomError:
        return None

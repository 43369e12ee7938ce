"""Answers: what the keep says to a release, verified. The first time and, word for word, whenever it is renewed.

1. It is a statement signed by the answer key that the genesis names, for this deployment and era.
2. It is about the very entry that was proven, its version and manifest, and our own key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from strongroom.statements.envelope import parse_envelope
from strongroom.statements.signing import verify_ed25519
from strongroom.statements.statement import KEEP, parse_statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import Malformed
from strongroom.terms.outer_errors import BadAnswer
from strongroom.terms.records import Bytes, Count, Digest, Instant, VersionId, parse_record

RELEASED = "released/1"
RELEASE_FORMAT = "strongroom/release/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The body of the keep's answer to a release."""

    entry: Digest
    index: Count
    version: VersionId
    manifest: Digest
    recipient: Digest
    expires_at: Instant
    wrapped: Annotated[bytes, Bytes(most=8 << 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An answer that was verified. `at` is the keep's time when it signed."""

    at: int
    body: Released


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What an answer has to be: who signs it, and what it is about."""

    deployment: str
    era: int
    answer_key: bytes
    entry: str
    index: int
    version: str
    manifest: str
    recipient: str

    def verify(self, answer: Json) -> Verified:
        """Return the answer, verified.

        Raises:
            BadSignature, BadAnswer, …: it is another, or somebody else's.
        """
        # 1
        try:
            envelope = parse_envelope(answer.get("envelope") if isinstance(answer, dict) else None)
        except Malformed as error:
            raise BadAnswer(f"what comes with the release is no answer of the keep's: {error.message}") from error
        verify_ed25519(self.answer_key, envelope.message, envelope.signature(KEEP).sig)
        statement = parse_statement(envelope)
        said: tuple[Any, ...] = (statement.kind, statement.by, statement.deployment, statement.era)
        if said != (RELEASED, KEEP, self.deployment, self.era):
            raise BadAnswer("the keep signed something else than a release of this deployment")
        # 2
        body = parse_record(Released, statement.body)
        about = (body.entry, body.index, body.version, body.manifest, body.recipient)
        if about != (self.entry, self.index, self.version, self.manifest, self.recipient):
            raise BadAnswer("the keep released something else than what was asked for, or to somebody else")
        return Verified(at=statement.at, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release that is in the log, its first answer verified, and how to ask for that answer again.

    `sent` is when the question was sent, by the clock that its lease goes by; `at` and `expires_at` are the keep's
    time.
    """

    due: Due
    at: int
    expires_at: int
    sent: float
    ask: Callable[[float], Json]
    """Sends the very same statement again, and returns its answer, not verified, within so many seconds."""


def release_info(*, deployment: str, version: str, entry: str, recipient: str, expires_at: int) -> bytes:
    """Return HPKE's `info` of a release."""
    return canonical.encode(
        {
            "deployment": deployment,
            "entry": entry,
            "expires_at": expires_at,
            "format": RELEASE_FORMAT,
            "recipient": recipient,
            "version": version,
        }
    )

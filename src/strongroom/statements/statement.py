"""The statement: who says what, where and until when; the typed payload of every envelope.

    {"at": 1795000000, "body": {...}, "by": "person-…", "deployment": "sr1:…", "era": 1, "id": "statement-…",
     "kind": "approve/1", "until": 1795000060}

The body's fields belong to the kind. A kind that is not known is refused, and so is whatever is not canonical.
"""

from functools import lru_cache
from typing import Annotated

from strongroom.statements.envelope import Envelope
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.ids import KINDS
from strongroom.terms.records import Instant, Matches, Natural, Record, StatementId, parse_record, record_json

FOUNDING = "founding"
"""The deployment that a genesis names, since its own name is the digest of the entry that holds it."""
KEEP = "keep"
"""Who speaks in the keep's answers."""

Kind = Annotated[str, Matches("[a-z]+(?:[.-][a-z]+)*/[1-9][0-9]{0,3}", "a kind like `approve/1`")]
By = Annotated[str, Matches(rf"{KEEP}|(?:{'|'.join(KINDS)})-[0-9a-f]{{32}}", "an id, or `keep`")]
Where = Annotated[str, Matches(f"{FOUNDING}|sr1:[0-9a-f]{{64}}", "the name of a deployment")]


class Statement(Record):
    """What an envelope's payload says. `body` is JSON until its kind has parsed it. Times are seconds since 1970."""

    at: Instant
    body: Json
    by: By
    deployment: Where
    era: Natural
    id: StatementId
    kind: Kind
    until: Instant

    def encode(self) -> bytes:
        """Return the payload that is signed."""
        return canonical.encode(record_json(self))


def parse_statement(envelope: Envelope) -> Statement:
    """Return what `envelope` says; nothing is verified yet.

    Raises:
        NotCanonical, BadRecord: the payload is not the one encoding of a statement.
    """
    return _parsed(envelope.payload)


@lru_cache(maxsize=256)
def _parsed(payload: bytes) -> Statement:
    """Parse once what is looked at on its way in, when it is admitted and when it is answered.

    INVARIANT: one value for all of them, so nobody changes a body.
    """
    return parse_record(Statement, canonical.parse(payload))

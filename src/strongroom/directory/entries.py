"""The entry: one leaf of the log. What happened, when, the statement that caused it, and what the keep adds."""

from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.records import Instant, Record, Word, parse_record, record_json


class Entry(Record):
    """`kind` is a word of the table of acts, as `key.released`; `statement` the envelope of whoever caused it."""

    at: Instant
    kind: Word
    data: Json | None = None
    statement: Json | None = None

    def encode(self) -> bytes:
        """Return the bytes of the leaf."""
        return canonical.encode(record_json(self))

    def envelope(self) -> Envelope:
        """Return the envelope of the statement.

        Raises:
            BadRecord: there is none, or it is not well formed.
        """
        return parse_envelope(self.statement)


def parse_entry(leaf: bytes) -> Entry:
    """Return the entry that the bytes of a leaf are.

    Raises:
        NotCanonical, BadRecord: they are not the one encoding of an entry.
    """
    return parse_record(Entry, canonical.parse(leaf))

"""`read`: the texts beside the log: names, purposes, reasons. Whoever is enrolled may; it leaves no entry."""

from typing import Annotated

from strongroom.terms.records import Ascending, Digest, Record


class Read(Record):
    """The salted digests of the texts."""

    digests: Annotated[tuple[Digest, ...], Ascending()]

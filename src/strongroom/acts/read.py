"""`read`: the texts beside the log: names, purposes, reasons. Whoever is enrolled may; it leaves no entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from strongroom.acts.act import Act, Effect, Signer
from strongroom.terms.records import Ascending, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The salted digests of the texts."""

    digests: Annotated[tuple[Digest, ...], Ascending()]


ACT = Act(
    name="read",
    body=Read,
    principals=("Person", "Workload"),
    resources=("Deployment",),
    effect=Effect.EVERYDAY,
    signer=Signer.SESSION,
    entry="",
    help="read names, purposes and reasons, which lie beside the log",
)

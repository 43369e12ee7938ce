"""`release`: open a version. The key leaves only after this is in the log, wrapped to the recipient's own key."""

from typing import Annotated

from strongroom.acts.act import HOUR, Move
from strongroom.directory import find
from strongroom.directory.state import Directory, FilePath, PublicKeyBytes
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotAllowed, NotNow, Stale
from strongroom.terms.records import Ascending, Digest, GrantId, Record, VersionId

LEASE_SECONDS = HOUR
"""What was released may be opened for so long, and no longer than the grant."""


class Release(Record):
    """Which version, of which manifest, on which grant; `recipient` is a fresh HPKE public key.

    Without `files`, all that the grant gives.
    """

    version: VersionId
    manifest: Digest
    grant: GrantId
    recipient: PublicKeyBytes
    files: Annotated[tuple[FilePath, ...], Ascending()] | None = None


def check(directory: Directory, move: Move[Release]) -> None:
    """Refuse what the grant does not say, word for word."""
    body, grant = move.body, find.grant(directory, move.body.grant)
    if grant.subject != move.by:
        raise NotAllowed("this grant is somebody else's")
    if move.at > grant.until:
        raise NotNow("this grant has ended", hint="ask again with `strongroom request`")
    if grant.version != body.version:
        raise NotAllowed("this grant is for another version")
    if not grant.manifest == body.manifest == find.version(directory, body.version).manifest:
        raise Stale("this is not the manifest that the grant was given for")
    if grant.files is not None and (body.files is None or not set(body.files) <= set(grant.files)):
        raise NotAllowed(f"this grant is for {len(grant.files)} named files only", hint="ask for those")
    device = move.said.device if move.said is not None else None
    if grant.device is not None and (device is None or device.device != grant.device):
        raise NotAllowed("this grant is for another device")
    zone = device.zone if device is not None else find.workload(directory, move.by).zone
    if zone != grant.zone:
        raise NotAllowed("this grant is for another zone")


def data(directory: Directory, move: Move[Release]) -> dict[str, Json]:
    grant = directory.grants[move.body.grant]
    return {
        "expires_at": min(grant.until, move.at + LEASE_SECONDS),
        "manifest": move.body.manifest,
        "open": move.digest,
    }


def target(directory: Directory, by: str, body: Release) -> str:
    return find.version(directory, body.version).version

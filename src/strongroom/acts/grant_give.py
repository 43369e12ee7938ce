"""`grant.give`: a quorum lets somebody open one version, on one device, in one zone, for a while."""

from typing import Annotated

from strongroom.acts.act import DAY, Move
from strongroom.acts.quorum import people_behind, standing
from strongroom.directory import find
from strongroom.directory.state import Directory, FilePath, Grant, made
from strongroom.terms.errors import NotAllowed, Stale
from strongroom.terms.records import Ascending, DeviceId, Digest, Matches, Record, VersionId, Within, ZoneId

Opener = Annotated[str, Matches("(?:person|workload)-[0-9a-f]{32}", "the id of a person or a workload")]


class GrantGive(Record):
    """`seconds` count from the enactment. A person's grant names a device, a workload's none; `files` may narrow it."""

    subject: Opener
    zone: ZoneId
    version: VersionId
    manifest: Digest
    seconds: Annotated[int, Within(60, 30 * DAY)]
    device: DeviceId | None = None
    files: Annotated[tuple[FilePath, ...], Ascending()] | None = None


def check(directory: Directory, move: Move[GrantGive]) -> None:
    body = move.body
    if find.version(directory, body.version).manifest != body.manifest:
        raise Stale("this is not the manifest of that version")
    if body.subject.startswith("workload-"):
        place = find.workload(directory, body.subject).zone
        if body.device is not None:
            raise NotAllowed("a workload has no device")
    else:
        find.person(directory, body.subject)
        if body.device is None:
            raise NotAllowed("a person opens on a device that is named")
        device = find.device(directory, body.device)
        if device.person != body.subject:
            raise NotAllowed(f"device `{body.device}` is another person's")
        place = device.zone
    if find.zone(directory, body.zone).zone != place:
        raise NotAllowed("what would open it is in another zone")
    if body.files == ():
        raise NotAllowed("no file is named")


def apply(directory: Directory, move: Move[GrantGive]) -> None:
    body = move.body
    grant, asked, version = grant_id(move.id), directory.proposals[move.id], directory.versions[body.version]
    # Only what counts today stands behind the grant: nothing that did not may count later.
    approvals = standing(
        directory,
        asked.approvals,
        without=gains(directory, move.by, body) | {move.by},
        label=directory.label_of(version),
        model=version.model,
        asked=asked,
        at=move.at,
    )
    directory.grants[grant] = made(
        Grant,
        body,
        grant=grant,
        until=move.at + body.seconds,
        proposer=move.by,
        approvals=tuple(approvals.values()),
    )


def grant_id(proposal: str) -> str:
    """Return the identifier of the grant that a proposal becomes: the same bits, so that it is never another's."""
    return "grant-" + proposal.removeprefix("statement-")


def target(directory: Directory, by: str, body: GrantGive) -> str:
    return find.version(directory, body.version).version


def gains(directory: Directory, by: str, body: GrantGive) -> frozenset[str]:
    return people_behind(directory, body.subject)


def place(directory: Directory, body: GrantGive) -> tuple[str | None, str]:
    return (body.device, body.zone)

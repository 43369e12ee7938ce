"""`session.open`: a security key, and the device beside it, name a fresh key that speaks for them for an hour."""

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory, Session, made
from strongroom.statements.signatures import check_p256_point
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import DeviceId, P256Point, Record, SessionId


class SessionOpen(Record):
    """Without a device it is a browser's: it may read and propose, never open, seal or attest."""

    session: SessionId
    public_key: P256Point
    device: DeviceId | None = None


def check(directory: Directory, move: Move[SessionOpen]) -> None:
    body, said = move.body, move.said
    find.check_new(directory.sessions, body.session)
    find.check_new_key(directory, body.public_key)
    check_p256_point(body.public_key)
    if body.device is not None and find.device(directory, body.device).person != move.by:
        raise NotAllowed(f"device `{body.device}` is another person's")
    if body.device is None and said is not None and said.path == "cli":
        raise NotAllowed("a session of the command line names its device", hint="enrol this device first")


def apply(directory: Directory, move: Move[SessionOpen]) -> None:
    body = move.body
    directory.sessions[body.session] = made(
        Session, body, person=move.by, credential=move.data["credential"], opened_at=move.at, until=move.until
    )

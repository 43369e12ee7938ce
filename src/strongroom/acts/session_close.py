"""`session.close`: end a session: one's own, or, as a responder, anybody's."""

from strongroom.acts.act import Move
from strongroom.directory.state import Directory
from strongroom.terms.errors import NotFound
from strongroom.terms.records import Record, SessionId


class SessionClose(Record):
    """Which session."""

    session: SessionId


def target(directory: Directory, by: str, body: SessionClose) -> str:
    if (session := directory.sessions.get(body.session)) is None:
        raise NotFound(f"no session `{body.session}`: it has ended, or never was")
    return session.person


def apply(directory: Directory, move: Move[SessionClose]) -> None:
    del directory.sessions[move.body.session]

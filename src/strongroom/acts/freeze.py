"""`freeze`: one responder stops anything: it opens nothing until a quorum thaws it."""

from strongroom.acts import freezing
from strongroom.acts.act import Move
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone


class Freeze(freezing.Freezing):
    """See `freezing`."""


def check(directory: Directory, move: Move[Freeze]) -> None:
    target = move.body.target
    if freezing.is_frozen(directory, target):
        raise AlreadyDone(f"`{target}` is frozen already")


def apply(directory: Directory, move: Move[Freeze]) -> None:
    freezing.mark(directory, move.body.target, frozen=True)


def target(directory: Directory, by: str, body: Freeze) -> str:
    return body.target


def keeps_possible(directory: Directory, by: str, body: Freeze) -> tuple[str, str] | None:
    return ("thaw", body.target) if body.target.startswith("person-") else None

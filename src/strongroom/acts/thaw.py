"""`thaw`: a quorum lets something go on. The person concerned has no voice."""

from strongroom.acts import freezing
from strongroom.acts.act import Move
from strongroom.acts.quorum import people_behind
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone


class Thaw(freezing.Freezing):
    """See `freezing`."""


def check(directory: Directory, move: Move[Thaw]) -> None:
    if not freezing.is_frozen(directory, move.body.target):
        raise AlreadyDone(f"`{move.body.target}` is not frozen")


def apply(directory: Directory, move: Move[Thaw]) -> None:
    freezing.mark(directory, move.body.target, frozen=False)


def target(directory: Directory, by: str, body: Thaw) -> str:
    return body.target


def gains(directory: Directory, by: str, body: Thaw) -> frozenset[str]:
    return people_behind(directory, body.target)

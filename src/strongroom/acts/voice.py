"""What approving and rejecting share: somebody able says yes or no to one exact proposal, with a security key."""

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Approval, Directory, made
from strongroom.terms.errors import NotAllowed, NotNow, Stale
from strongroom.terms.records import Digest, Record, StatementId, Word


class Voice(Record):
    """`digest` names the exact proposal; the voice counts in this role of this team, and in no other."""

    proposal: StatementId
    digest: Digest
    role: Word
    team: Word


def target(directory: Directory, by: str, body: Voice) -> str:
    """Return the proposal: it stands for what it is about, see `decide`."""
    return body.proposal


def check(directory: Directory, move: Move[Voice]) -> None:
    """Refuse a voice for another text, after its time, or about one's own; whether the role is held, see `decide`."""
    body = move.body
    proposal = find.proposal(directory, body.proposal)
    if body.digest != proposal.digest:
        raise Stale(
            f"proposal `{body.proposal}` is not the text that was signed for",
            hint="read it again: somebody may have shown you another one",
        )
    if move.at > proposal.until:
        raise NotNow(f"proposal `{body.proposal}` has lapsed")
    if move.by == proposal.by:
        raise NotAllowed("nobody decides about what they proposed themselves")


def holds(directory: Directory, person: str, role: str, team: str, *, model: str | None, since: int) -> bool:
    """Tell whether `person` holds the role, for `model` or everywhere, now and ever since the entry `since`."""
    return any(
        held.role == role and held.team == team and held.model in {None, model} and held.since <= since
        for held in directory.people[person].roles
    )


def approval(directory: Directory, move: Move[Voice]) -> Approval:
    """Return the voice as a proposal keeps it."""
    credential = directory.credentials[move.data["credential"]]
    return made(
        Approval, credential, role=move.body.role, team=move.body.team, path=move.data["path"], until=move.until
    )

"""`approve`: one person's yes to one exact proposal."""

from dataclasses import replace

from strongroom.acts import voice
from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone


class Approve(voice.Voice):
    """See `voice`."""


def check(directory: Directory, move: Move[Approve]) -> None:
    voice.check(directory, move)
    # INVARIANT: found by person and proposal, never by the bytes of a signature, for those are malleable.
    if any(
        given.person == move.by and given.until >= move.at and not directory.credentials[given.credential].compromised
        for given in find.proposal(directory, move.body.proposal).approvals
    ):
        raise AlreadyDone("you approved this already: a person counts once, with however many keys")


def apply(directory: Directory, move: Move[Approve]) -> None:
    proposal = directory.proposals[move.body.proposal]
    others = (given for given in proposal.approvals if given.person != move.by)
    approvals = (*others, voice.approval(directory, move))
    directory.proposals[proposal.proposal] = replace(proposal, approvals=approvals)


target = voice.target

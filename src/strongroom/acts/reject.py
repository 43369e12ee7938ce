"""`reject`: one person's no. It ends a request for access; of other proposals it is counted only."""

from dataclasses import replace

from strongroom.acts import voice
from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory
from strongroom.terms.errors import AlreadyDone
from strongroom.terms.records import Digest


class Reject(voice.Voice):
    """See `voice`; with the salted digest of the reason."""

    reason: Digest


def check(directory: Directory, move: Move[Reject]) -> None:
    voice.check(directory, move)
    if move.by in find.proposal(directory, move.body.proposal).rejections:
        raise AlreadyDone("you rejected this already")


def apply(directory: Directory, move: Move[Reject]) -> None:
    proposal = directory.proposals[move.body.proposal]
    if move.data["ends"]:
        del directory.proposals[proposal.proposal]
        directory.closed[proposal.proposal] = "rejected"
    else:
        rejections = (*proposal.rejections, move.by)
        directory.proposals[proposal.proposal] = replace(proposal, rejections=rejections)


target = voice.target

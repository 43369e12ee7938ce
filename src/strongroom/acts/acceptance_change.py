"""`acceptance.change`: what the keep accepts: origins, makers of security keys, software keys, clock, witnesses."""

from strongroom.acts.act import Move
from strongroom.directory.state import Acceptance, Directory
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Natural, Record
from strongroom.tlog.notes import parse_verifier_key

LONGEST_TOLERANCE_SECONDS = 300


class AcceptanceChange(Record):
    """The whole of it, as it is to be, and the quorum that policies read."""

    acceptance: Acceptance
    quorum: Natural


def check_acceptance(acceptance: Acceptance) -> None:
    """Refuse what would weaken a signature or shut everybody out."""
    if acceptance.origins.get("strongroom:cli") != "cli":
        raise NotAllowed("the origin `strongroom:cli` is the command line's, always")
    if any(path == "cli" and origin != "strongroom:cli" for origin, path in acceptance.origins.items()):
        raise NotAllowed("no browser may speak for the command line")
    for origin in acceptance.origins:
        host = origin.removeprefix("https://").partition(":")[0]
        if origin != "strongroom:cli" and not (host == acceptance.rp_id or host.endswith("." + acceptance.rp_id)):
            raise NotAllowed(f"the origin `{origin}` is not of `{acceptance.rp_id}`")
    for witness in acceptance.witnesses:
        parse_verifier_key(witness)
    if acceptance.clock_tolerance_seconds > LONGEST_TOLERANCE_SECONDS:
        raise NotAllowed(f"clocks may differ by {LONGEST_TOLERANCE_SECONDS} s at most")


def check(directory: Directory, move: Move[AcceptanceChange]) -> None:
    check_acceptance(move.body.acceptance)
    if move.body.acceptance.rp_id != directory.acceptance.rp_id:
        raise NotAllowed("every security key is bound to the rpId for ever", hint="found another deployment")
    if move.body.quorum < 2 and not directory.trial:
        raise NotAllowed("a quorum is two people at least")


def apply(directory: Directory, move: Move[AcceptanceChange]) -> None:
    directory.acceptance = move.body.acceptance
    directory.quorum = move.body.quorum


def base(directory: Directory, body: AcceptanceChange) -> object:
    return AcceptanceChange(acceptance=directory.acceptance, quorum=directory.quorum)

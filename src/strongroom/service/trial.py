"""Trial: one person's deployment on one machine, made by a program: founded, a device enrolled, logged in.

It holds the same ceremony as founders do, with one founder, and goes on where an earlier run stopped. What it makes
never becomes a real deployment: its genesis says so for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strongroom.acts.deployment_found import FoundingRole
from strongroom.client.cards import Card, make_card
from strongroom.client.connection import Connection
from strongroom.client.founding import Plan, PlannedZone, draft_genesis, found, prepare, sign_genesis
from strongroom.client.joining import join
from strongroom.client.place import Place
from strongroom.client.profile import SOFTWARE, Profile, create_profile, open_profile
from strongroom.client.security_keys.port import ORIGIN
from strongroom.client.session import login
from strongroom.directory.state import Acceptance
from strongroom.terms.errors import BadRequest, NotFound, OutputExists
from strongroom.terms.ids import new_id

RP_ID, TEAM, ZONE = "localhost", "self", "here"
ROLES = ("governor", "approver", "researcher", "writer", "responder")
_HIGHEST_LABEL = 2
_EGRESS_BYTES_PER_DAY = 1_000_000_000
_CLOCK_TOLERANCE_SECONDS = 60


def trial_plan(cards: Sequence[Card]) -> Plan:
    """Return the plan of one person who plays every part.

    Raises:
        BadRequest: not exactly one card.
    """
    if len(cards) != 1:
        raise BadRequest("a trial is one person's", hint="give one card, or a `--plan`")
    return Plan(
        quorum=1,
        acceptance=Acceptance(
            rp_id=RP_ID,
            origins={ORIGIN: "cli"},
            software_keys=True,
            attestation_roots=(),
            clock_tolerance_seconds=_CLOCK_TOLERANCE_SECONDS,
            witnesses=(),
        ),
        roles={cards[0].person: [FoundingRole(role=role, team=TEAM) for role in ROLES]},
        zones=[PlannedZone(name=ZONE, ceiling=_HIGHEST_LABEL, egress_bytes_per_day=_EGRESS_BYTES_PER_DAY)],
        trial=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial of the person whose profile is in the folder `profile`; `name` is what it calls them."""

    profile: Path
    name: str

    def found(self, socket: Path) -> str:
        """Found the trial at the socket of its keep, and return its name.

        Raises:
            OutputExists: the profile is somebody's already.
        """
        try:
            own = create_profile(new_id("person", os.urandom), self.profile, security_key=SOFTWARE)
        except OutputExists as error:
            hint = "give the trial one of its own, here and with all that follows: `strongroom --home DIR up --trial`"
            raise OutputExists(error.message, hint=hint) from error
        key, connection = own.security_key(), Connection(socket)
        card = make_card(own, key, self.name, rp_id=RP_ID, random=os.urandom)
        keys = prepare(connection)
        draft = draft_genesis([card], trial_plan([card]), keys, at=int(time.time()), random=os.urandom)
        name = found(connection, draft, [sign_genesis(draft, own, key)])
        own.join(Place(name=name, socket=socket))
        return name

    def enter(self, place: Place) -> Profile:
        """Have the profile use the gateway at `place`, and a session that lasts an hour.

        Raises:
            NotFound, BadRequest: the profile is not there any more, or belongs to another deployment.
        """
        try:
            own = open_profile(self.profile)
        except NotFound as error:
            raise NotFound(
                f"the profile that made this trial is not in `{self.profile}`",
                hint="choose it with `--home`, or begin another trial with another `--folder`",
            ) from error
        deployment = join(own, place)
        kept = own.session()
        if kept is None or kept.session not in deployment.directory.sessions or kept.until < time.time() + 600:
            login(own, deployment, own.security_key())
        return own

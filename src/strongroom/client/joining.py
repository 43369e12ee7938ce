"""Joining: how a profile comes to belong to a deployment, and how it asks there from then on.

join             from a connection string: the log is fetched and verified first, then the profile remembers
connect          the deployment of a profile that has joined, with its copy of the log
connection_of    what carries its questions: the keep's socket, or a gateway
looker_of        what signs its reads at a gateway
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.client.connection import TIMEOUT_SECONDS, Asking, Connection
from strongroom.client.deployment import Deployment
from strongroom.client.https import HttpsConnection, client_context, fetch_ca
from strongroom.client.looks import Looker, say_look
from strongroom.client.place import Place
from strongroom.client.profile import Profile
from strongroom.client.replica import Clock, Replica
from strongroom.terms.errors import UnknownSigner
from strongroom.terms.ids import Random


def connect(profile: Profile, *, clock: Clock = time.time, timeout_seconds: float = TIMEOUT_SECONDS) -> Deployment:
    """Return the profile's deployment, with the verified copy of its log as it was left; nothing is fetched yet."""
    replica = replica_of(profile, profile.deployment, clock=clock)
    connection = connection_of(profile, clock=clock, timeout_seconds=timeout_seconds)
    return Deployment(connection, replica)


def connection_of(profile: Profile, *, clock: Clock = time.time, timeout_seconds: float = TIMEOUT_SECONDS) -> Asking:
    """Return what carries questions to the profile's keep: its socket, or a gateway.

    Raises:
        BadRequest: the profile has not joined a deployment.
    """
    if profile.who.url is None:
        return Connection(Path(profile.where), timeout_seconds)
    looker = looker_of(profile, profile.deployment, clock=clock)
    return HttpsConnection(
        profile.who.url, context=client_context(profile.ca), looker=looker, timeout_seconds=timeout_seconds
    )


def join(
    profile: Profile, place: Place, *, clock: Clock = time.time, timeout_seconds: float = TIMEOUT_SECONDS
) -> Deployment:
    """Fetch and verify the log of the deployment at `place`, then have the profile belong to it.

    Raises:
        BadRequest: the profile belongs to another. GatewayImpostor, WrongDeployment: something else answers.
        UnknownSigner: over a gateway only who is enrolled may read. KeepUnavailable, …: as for `Replica.follow`.
    """
    if profile.who.deployment not in {None, place.name}:
        profile.join(place)  # refuses
    replica = replica_of(profile, place.name, clock=clock)
    connection: Asking
    ca = None
    if place.url is None:
        connection = Connection(Path(str(place.socket)), timeout_seconds)
    else:
        ca = None if place.ca is None else fetch_ca(place.url, place.ca, timeout_seconds=timeout_seconds)
        looker = looker_of(profile, place.name, clock=clock)
        context = client_context(ca)
        connection = HttpsConnection(place.url, context=context, looker=looker, timeout_seconds=timeout_seconds)
    deployment = Deployment(connection, replica)
    try:
        deployment.sync()
    except UnknownSigner as error:
        raise UnknownSigner(
            f"the deployment does not know this machine yet: {error.message}",
            hint="hand over your card, and connect again once it is approved",
        ) from error
    profile.join(place, ca)
    return deployment


def replica_of(profile: Profile, deployment: str, *, clock: Clock = time.time) -> Replica:
    """Return the profile's copy of the log, as it was left."""
    return Replica(profile.log, deployment, clock=clock, secret=lambda: profile.secret(b"folded"))


def looker_of(
    profile: Profile,
    deployment: str,
    *,
    era: int = 1,
    clock: Clock = time.time,
    random: Random = os.urandom,
) -> Looker:
    """Return what signs this profile's reads: the session's key while there is one, otherwise the profile's own.

    It reads nothing of the log: threads may share it.
    """
    keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    def sign(target: str, body: bytes) -> str:
        at = int(clock())
        session = profile.session()
        if session is not None and at <= session.until:
            keyid = session.session
            key = keys.get(keyid) or keys.setdefault(keyid, session.key())
        else:
            keyid = profile.who.device or profile.who.subject
            key = keys.get(keyid) or keys.setdefault(keyid, profile.key())
        by = profile.who.subject
        return say_look(target, body, by=by, keyid=keyid, key=key, deployment=deployment, era=era, at=at, random=random)

    return sign

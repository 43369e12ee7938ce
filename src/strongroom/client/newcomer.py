"""Newcomer: whoever is not enrolled yet. A gateway shows them the founding, and nothing that came after.

That is enough for a card: the name came out of band, the founding has that name, and what the card proves is bound to
it. Everything else is read and verified once they are enrolled.
"""

from __future__ import annotations

import base64

from strongroom.acts.fold import deployment_name, genesis
from strongroom.client.connection import Asking
from strongroom.client.https import HttpsConnection, client_context, fetch_ca
from strongroom.client.joining import join
from strongroom.client.place import Place
from strongroom.client.profile import Profile
from strongroom.directory.state import Directory
from strongroom.terms.errors import UnknownSigner, WrongDeployment
from strongroom.terms.outer_errors import BadAnswer


def acquaint(profile: Profile, place: Place) -> Directory:
    """Have a profile belong to a deployment; return the directory as it is now, or as it was founded.

    The latter is what a gateway shows to who is not enrolled.

    Raises:
        BadRequest: the profile belongs to another. GatewayImpostor, WrongDeployment: something else answers.
        KeepUnavailable, …: as for `join`.
    """
    try:
        return join(profile, place).directory
    except UnknownSigner:
        if place.url is None:
            raise
    ca = None if place.ca is None else fetch_ca(place.url, place.ca)
    directory = founding_shown(HttpsConnection(place.url, context=client_context(ca)), place.name)
    profile.join(place, ca)
    return directory


def founding_shown(connection: Asking, name: str) -> Directory:
    """Return the directory as the deployment `name` was founded, from the entry that a gateway shows to everybody.

    Raises:
        WrongDeployment: it is another's. BadAnswer: it is none.
    """
    entries = connection.ask("entries", start=0, count=1).ok.get("entries")
    if not isinstance(entries, list) or len(entries) != 1:
        raise BadAnswer("the gateway does not show the founding")
    try:
        leaf = base64.b64decode(str(entries[0]), validate=True)
    except ValueError as error:
        raise BadAnswer("the gateway shows a founding that is not base64") from error
    if deployment_name(leaf) != name:
        raise WrongDeployment(
            f"this is the founding of `{deployment_name(leaf)}`, not of `{name}`",
            hint="connect with the name that you were given by somebody whom you trust",
        )
    return genesis(leaf)

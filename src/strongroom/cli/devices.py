"""`strongroom connect` and `strongroom device enrol`: how a machine comes to a deployment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strongroom.cli import here
from strongroom.cli.deployment import SOFTWARE, SOFTWARE_WARNING, own_profile, security_key_option
from strongroom.cli.files import write_file
from strongroom.cli.options import json_option, output_option
from strongroom.cli.output import note, show
from strongroom.client.place import Place, parse_place

if TYPE_CHECKING:
    from strongroom.client.cards import Card
    from strongroom.client.profile import Profile
    from strongroom.directory.state import Directory

place_argument = click.argument(
    "place", callback=lambda context, parameter, value: parse_place(value), metavar="https://…#sr1:…"
)


@click.command()
@place_argument
@json_option
def connect(place: Place) -> None:
    """Have this profile belong to a deployment, by the connection string that somebody you trust gave you.

    \b
    https://keep.example.org#sr1:6251…          a gateway, with a certificate that this system trusts
    https://10.0.0.7:8443#sr1:6251…&ca=0a1b…    a gateway with a certificate authority of its own
    /run/keep/socket#sr1:6251…                  the keep itself, on its own host

    Nothing is trusted on first use: what answers has to have that name, and that certificate. Connect again to go by
    another gateway. Who is new to the deployment begins with `deployment card --deployment …`, one more machine of
    somebody's with `device enrol …`: both connect as well, and take the same string.
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    from strongroom.client.joining import join

    own = here.profile()
    directory = join(own, place).directory
    note(f"connected: {directory.size} entries verified, the first is the founding that has this name")
    show({"deployment": own.deployment, "where": own.where, "size": directory.size}, [own.deployment])


@click.group("device")
def group() -> None:
    """The machines of people."""


@group.command()
@place_argument
@click.option(
    "--person", required=True, metavar="ID", help="Whose machine: the identifier that `whoami` shows on another one."
)
@click.option("--name", required=True, metavar="TEXT", help="What people call the machine.")
@click.option("--new-key", is_flag=True, help="Put a new security key on the card as well: for `credential.add`.")
@security_key_option
@output_option
@json_option
def enrol(place: Place, person: str, name: str, new_key: bool, security_key: str, output: Path) -> None:
    """Have this machine become one more device of a person: makes its key, and the card to be enrolled with.

    The key stays in this machine's new profile, in a file for you alone. Two commands, and whatever approval it takes:

    \b
    here         strongroom device enrol https://…#sr1:… --person person-… --name laptop -o laptop.card
    elsewhere    strongroom propose device.enrol --card laptop.card --zone lab --purpose "my new laptop"

    Then `strongroom login`, here, with the security key that its person has. A trial stays on the machine that it was
    begun on: its security key is a file there, and its gateway listens for that machine alone.
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    from strongroom.client.newcomer import acquaint
    from strongroom.directory import find

    own = own_profile(person, security_key)
    directory = acquaint(own, place)
    if directory.trial:
        note("this is a trial, which stays on one machine: to log in here takes the security key that is a file there")
    if directory.size > 1:  # whom only the founding is shown, is told later
        find.person(directory, person)
    card = _card_with_key(own, name, directory) if new_key else _card(own, name, directory)
    if new_key and security_key == SOFTWARE:
        note(SOFTWARE_WARNING)
    write_file(output, card.encode())
    note(f"card of {card.device} written to {output}; profile in {own.path}")
    note("hand it over: `strongroom propose device.enrol --card …`; once that is enacted: `strongroom login`, here")
    show({"card": str(output), "profile": str(own.path), "subject": person, "device": card.device}, [card.device])


def _card_with_key(own: Profile, name: str, directory: Directory) -> Card:
    from strongroom.client.cards import make_card

    return make_card(
        own,
        here.security_key(own),
        name,
        rp_id=directory.acceptance.rp_id,
        random=os.urandom,
        deployment=directory.deployment,
        roots=directory.acceptance.attestation_roots,
    )


def _card(own: Profile, name: str, directory: Directory) -> Card:
    """Return the card of this machine alone: its person goes on with the security keys that they have."""
    from strongroom.acts.enrol import NewKey
    from strongroom.client.cards import Card
    from strongroom.client.names import new_detail
    from strongroom.statements.signing import point_of, prove_possession
    from strongroom.terms.ids import new_id

    device, key = new_id("device", os.urandom), own.key()
    own.set_device(device)
    return Card(
        deployment=directory.deployment,
        person=own.who.subject,
        detail=new_detail(name, os.urandom),
        credentials=(),
        device=device,
        key=NewKey(public_key=point_of(key), proof=prove_possession(key, directory.deployment, device)),
        custodian=own.custodian().public_key().raw,
    )


commands = (connect, group)

"""`strongroom deployment …`: the ceremony in which people found a deployment, in files; and cards, to be enrolled."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from strongroom.cli import here
from strongroom.cli.files import read_file, write_file
from strongroom.cli.options import PathText, json_option, output_option, socket_option, yes_option
from strongroom.cli.output import moment, note, show
from strongroom.client.place import Place, parse_place
from strongroom.terms.errors import BadRequest, KeepSealed, OutputExists

if TYPE_CHECKING:
    from strongroom.client.profile import Profile

T = TypeVar("T")

USB, SOFTWARE = "usb", "software"
SOFTWARE_WARNING = "A SOFTWARE SECURITY KEY: whoever can read your files can be you. For trials and tests only"

security_key_option = click.option(
    "--key",
    "security_key",
    type=click.Choice([USB, SOFTWARE]),
    default=USB,
    show_default=True,
    help="A real security key, or software in its place, which is for trials and tests.",
)


def _place(context: click.Context, parameter: click.Parameter, value: str | None) -> Place | None:
    return None if value is None else parse_place(value)


@click.group("deployment")
def group() -> None:
    """Found a deployment; make the card with which you are enrolled in one.

    \b
      everybody   strongroom deployment card --name Ada --rp-id keep.example.org -o ada.card
      one         strongroom deployment draft *.card --plan plan.toml --socket /run/keep/socket -o genesis.draft
      everybody   strongroom deployment sign genesis.draft -o ada.sig
      one         strongroom deployment found genesis.draft *.sig --socket /run/keep/socket
      everybody   strongroom connect /run/keep/socket#sr1:…
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"


@group.command()
@click.option("--name", required=True, metavar="TEXT", help="What people call you, or the program.")
@click.option("--rp-id", default=None, metavar="HOST", help="For a founding: the host that security keys are made for.")
@click.option("--trial", is_flag=True, help="For the founding of a trial: made for `localhost`.")
@click.option(
    "--deployment",
    "place",
    default=None,
    callback=_place,
    metavar="https://…#sr1:…",
    help="To be enrolled in a deployment that there is.",
)
@click.option(
    "--workload", "kind", flag_value="workload", default=None, help="The card of a program that seals or opens."
)
@click.option("--attester", "kind", flag_value="attester", help="The card of a program that says facts.")
@security_key_option
@output_option
@json_option
def card(
    name: str,
    rp_id: str | None,
    trial: bool,
    place: Place | None,
    kind: str | None,
    security_key: str,
    output: Path,
) -> None:
    """Make a card: what you hand over to be enrolled. Makes your profile, and the keys in it, which never leave.

    A card holds public keys, and the proofs that you hold the private halves; besides your name, nothing secret.
    """
    from strongroom.client.cards import make_card, make_program_card
    from strongroom.client.newcomer import acquaint
    from strongroom.service.trial import RP_ID

    if sum((rp_id is not None, trial, place is not None)) != 1:
        raise click.UsageError("give one of `--rp-id`, `--trial` and `--deployment`")
    if kind is not None and place is None:
        raise click.UsageError("programs are enrolled in a deployment: `--deployment`")
    own = own_profile(f"{kind}-" if kind is not None else here.PERSON, security_key)
    directory = None if place is None else acquaint(own, place)
    made: Any
    if kind is not None:
        made = make_program_card(own, name, deployment=own.deployment, random=os.urandom)
        subject = made.program
    else:
        made = make_card(
            own,
            here.security_key(own),
            name,
            rp_id=directory.acceptance.rp_id if directory is not None else rp_id or RP_ID,
            random=os.urandom,
            **({} if directory is None else {"deployment": directory.deployment}),
            roots=() if directory is None else directory.acceptance.attestation_roots,
        )
        subject = made.person
    if own.who.security_key == SOFTWARE and subject.startswith(here.PERSON):
        note(SOFTWARE_WARNING)
    write_file(output, made.encode())
    note(f"card of {name} ({subject}) written to {output}; profile in {own.path}")
    show({"card": str(output), "profile": str(own.path), "subject": subject}, [subject])


@group.command()
@click.argument("cards", nargs=-1, required=True, type=PathText(), metavar="CARD…")
@click.option("--plan", type=PathText(), default=None, metavar="FILE", help="What the founders agreed on, in TOML.")
@click.option("--trial", is_flag=True, help="Instead: one person who plays every part, for ever a trial.")
@socket_option(required=True)
@output_option
@json_option
def draft(cards: tuple[Path, ...], plan: Path | None, trial: bool, socket: Path, output: Path) -> None:
    """Draft the genesis from everybody's cards and a plan, with the keys that the keep makes for it now.

    \b
    quorum = 2
    rp_id = "keep.example.org"
    software_keys = false
    custodians = ["Ada", "Ben", "Cleo"]
    custodians_needed = 2
    [people.Ada]
    roles = ["governor@core", "approver@core"]
    [[zones]]
    name = "lab"
    ceiling = 2
    egress_bytes_per_day = 200_000_000

    Also: `origins`, `attestation_roots`, `clock_tolerance_seconds`, `witnesses`, `policies` (a folder), and for each
    of `people` a `zone`. A second draft makes new keys: signatures under the first one found nothing any more.
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    from strongroom.cli.plans import read_plan
    from strongroom.client.cards import parse_card
    from strongroom.client.connection import Connection
    from strongroom.client.founding import draft_genesis, prepare
    from strongroom.service.trial import trial_plan

    if trial == (plan is not None):
        raise click.UsageError("give one of `--plan` and `--trial`")
    people = [parse_card(read_file(path)) for path in cards]
    agreed = trial_plan(people) if plan is None else read_plan(plan, people)
    made = draft_genesis(people, agreed, prepare(Connection(socket)), at=int(time.time()), random=os.urandom)
    write_file(output, made.encode())
    for line in made.lines():
        note(line)
    note(f"draft written to {output}; everybody has to see the same words:")
    show({"draft": str(output), "words": made.words}, [made.words])


@group.command()
@click.argument("draft_file", type=PathText(), metavar="DRAFT")
@yes_option
@output_option
@json_option
def sign(draft_file: Path, yes: str | None, output: Path) -> None:
    """Read the genesis, compare its words with the other founders', and sign it with a touch."""
    from strongroom.client.founding import encode_signature, parse_draft, sign_genesis

    own, read = here.person(), parse_draft(read_file(draft_file))
    for line in read.lines():
        note(line)
    note(f"digest words: {read.words}")
    here.agree(read.words, yes, "Do all founders see these words, and do you found this?")
    signature = sign_genesis(read, own, here.security_key(own))
    write_file(output, encode_signature(signature))
    note(f"signature written to {output}")
    show({"signature": str(output), "words": read.words}, [read.words])


@group.command()
@click.argument("draft_file", type=PathText(), metavar="DRAFT")
@click.argument("signatures", nargs=-1, required=True, type=PathText(), metavar="SIGNATURE…")
@socket_option(required=True)
@json_option
def found(draft_file: Path, signatures: tuple[Path, ...], socket: Path) -> None:
    """Found the deployment, and print its name: write it down, it is how everybody knows the right one."""
    from strongroom.client.connection import Connection
    from strongroom.client.founding import found as found_deployment
    from strongroom.client.founding import parse_draft, parse_signature

    read = parse_draft(read_file(draft_file))
    given = [parse_signature(read_file(path)) for path in signatures]
    name = found_deployment(Connection(socket), read, given)
    note(f"founded. On this host: `strongroom connect '{socket.absolute()}#{name}'`; then custodians: `share fetch`")
    note("everybody else connects through a gateway, by the string that `strongroom up` prints once it is ready")
    show({"deployment": name, "socket": str(socket.absolute())}, [name])


@group.command()
@socket_option(required=False)
@json_option
def status(socket: Path | None) -> None:
    """Show what the keep at the socket says of itself, and how much of that is verified."""
    from strongroom.client.connection import Connection
    from strongroom.client.founding import unseal_key, unseal_words
    from strongroom.client.joining import connect as connect_to
    from strongroom.client.joining import connection_of

    own = None if socket is not None else here.profile()
    connection = connection_of(own) if own is not None else Connection(_given(socket))
    said = connection.ask("status").ok
    words = unseal_words(unseal_key(connection))
    shares = said.get("shares")
    told = {"state": said.get("state"), "deployment": said.get("deployment"), "era": said.get("era")}
    told |= {"trial": said.get("trial"), "size": said.get("size"), "shares": shares, "unseal_words": words}
    lines = [f"state       {told['state']}", f"deployment  {told['deployment']}", f"unseal key  {words}"]
    if isinstance(shares, dict) and told["state"] == "sealed":
        given = shares.get("given")
        lines.append(f"shares      {len(given) if isinstance(given, list) else 0} of {shares.get('needed')} given")
    verified: dict[str, Any] = {"verified": False}
    if own is not None and own.who.deployment is not None:
        replica = connect_to(own).replica
        try:
            checkpoint = replica.sync(connection)
            root = checkpoint.root.hex()
            verified = {"verified": True, "size": checkpoint.size, "root": root, "keep_time": replica.keep_time}
            lines += [f"verified    {checkpoint.size} entries, root {root}", f"keep's time {_time(replica.keep_time)}"]
        except KeepSealed:
            note("sealed: nothing of this is verified but what you compare")
    else:
        note("nothing of this is verified: whoever sits at the socket says so")
    show(told | verified, lines)


def own_profile(subject: str, security_key: str) -> Profile:
    """Return a profile for `subject`, a kind or an identifier: a new one, or one that nothing came of yet."""
    from strongroom.client.profile import create_profile, open_profile
    from strongroom.terms.ids import kind_of, new_id

    kind = subject.removesuffix("-")
    name = new_id(kind, os.urandom) if subject.endswith("-") else subject
    if kind_of(name) not in {"person", "workload", "attester"}:
        raise BadRequest(f"`{subject}` is not a person", hint="give the identifier that `strongroom show` has")
    try:
        return create_profile(name, here.home(), security_key=security_key)
    except OutputExists:
        own = open_profile(here.home())
        is_same = own.who.subject.startswith(subject) and own.who.security_key == security_key
        if not is_same or own.who.credentials or own.who.device is not None:
            raise
        return own


def _given(value: T | None) -> T:
    if value is None:
        raise BadRequest("this takes a deployment", hint="give `--deployment` or `--socket`")
    return value


def _time(seconds: int | None) -> str:
    return "not told" if seconds is None else f"{moment(seconds)} UTC"

"""What one person does at once: freeze, revoke, raise, report. And what opens again by a quorum: thaw. Facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from strongroom.cli import here
from strongroom.cli.known import Known
from strongroom.cli.options import FREEZABLE, GRANT, Duration, json_option, purpose_option, reason_option
from strongroom.cli.output import show
from strongroom.cli.proposing import show_proposed
from strongroom.terms.errors import BadRequest, Unavailable
from strongroom.terms.outer_errors import NotFrozen

if TYPE_CHECKING:
    from strongroom.client.deployment import Done

_DAY = 86400
_FREEZABLE = ("deployment", *FREEZABLE)
_TARGET = Known("THING", *FREEZABLE)


@click.command()
@click.argument("target", type=_TARGET, metavar="THING")
@reason_option
@json_option
def freeze(target: str, reason: str) -> None:
    """Freeze a model, person, device, zone or workload, or the whole `deployment`, at once.

    It counts only with its proof. Without one in 5 seconds it says NOT FROZEN, and what else to try.
    """
    from strongroom.cli.things import find_thing
    from strongroom.client.requests import freeze as freeze_now
    from strongroom.client.session import Session

    speaker = here.resumed()
    if not isinstance(speaker, Session):
        raise BadRequest("this takes a person", hint="choose a person's profile with `--home`")
    try:
        if speaker.deployment.replica.checkpoint is None or not _is_plain(target):
            # ORDER: an identifier needs no name looked up, so that nothing slow stands before its freeze.
            speaker.deployment.sync()
        found = find_thing(speaker, target, _FREEZABLE)
    except Unavailable as error:
        raise NotFrozen(f"NOT FROZEN: `{target}`: {error.message}") from error
    _show_closed(freeze_now(speaker, found, reason), f"frozen: {speaker.deployment.called(found)}", target=found)


@click.command()
@click.argument("target", type=_TARGET, metavar="THING")
@purpose_option
@json_option
def thaw(target: str, purpose: str) -> None:
    """Propose to let something that is frozen go on."""
    from strongroom.cli.things import find_thing
    from strongroom.client.requests import thaw as propose_thaw

    session = here.session()
    show_proposed(propose_thaw(session, find_thing(session, target, _FREEZABLE), purpose, purpose))


@click.group("grant")
def grant() -> None:
    """Rights to open, while they last."""


@grant.command()
@click.argument("grant_id", type=GRANT, metavar="GRANT")
@reason_option
@json_option
def revoke(grant_id: str, reason: str) -> None:
    """End a grant before its time."""
    from strongroom.client.requests import revoke_grant

    _show_closed(revoke_grant(here.session(), grant_id, reason), f"revoked: {grant_id}", target=grant_id)


@click.group("label")
def label() -> None:
    """How sensitive models and versions are: 0 public to 4 critical."""


@label.command("raise")
@click.argument("target", type=Known("THING", "model", "version", "alias"), metavar="THING")
@click.argument("to", type=click.IntRange(0, 4), metavar="LABEL")
@json_option
def raise_(target: str, to: int) -> None:
    """Say that a model or version is more sensitive. To lower it takes a quorum: `propose label.lower`."""
    from strongroom.cli.things import find_thing
    from strongroom.client.requests import raise_label

    session = here.session()
    found = find_thing(session, target, ("model", "version"))
    _show_closed(raise_label(session, found, to), f"label {to}: {session.deployment.called(found)}", target=found)


@click.group("credential")
def credential() -> None:
    """Security keys of people."""


@credential.command()
@click.argument("credential_id", metavar="CREDENTIAL")
@reason_option
@json_option
def report(credential_id: str, reason: str) -> None:
    """Report a security key as lost or in wrong hands: approvals that it gave no longer stand."""
    from strongroom.client.requests import report_credential

    done = report_credential(here.session(), credential_id, reason)
    _show_closed(done, f"reported: {credential_id}", target=credential_id)


@click.group("attester")
def attester() -> None:
    """Programs that say facts."""


@attester.command("revoke")
@click.argument("target", metavar="THING")
@reason_option
@json_option
def revoke_attester(target: str, reason: str) -> None:
    """Stop believing an attester: everything that it said is void."""
    from strongroom.cli.things import find_thing
    from strongroom.client.requests import revoke_attester as stop_believing

    session = here.session()
    found = find_thing(session, target, ("attester",))
    _show_closed(stop_believing(session, found, reason), f"revoked: {session.deployment.called(found)}", target=found)


@click.command()
@click.argument("subject", metavar="ID")
@click.argument("fact", metavar="FACT")
@click.argument("value", type=click.IntRange(0), metavar="NUMBER")
@click.option("--for", "seconds", type=Duration(), default="1d", show_default=True, help="How long it holds.")
@json_option
def attest(subject: str, fact: str, value: int, seconds: int) -> None:
    """As an attester, say a fact of a thing: a number, or 1 or 0 for a truth."""
    from strongroom.client.requests import attest as say_fact
    from strongroom.client.session import Program

    speaker = here.speaker()
    if not isinstance(speaker, Program):
        raise BadRequest("facts are said by attesters", hint="choose an attester's profile with `--home`")
    done = say_fact(speaker, subject, fact, value, seconds=seconds)
    index = None if done is None else done.logged.index
    said = "said already, less than an hour ago" if index is None else f"said, entry {index}"
    show({"subject": subject, "fact": fact, "value": value, "index": index}, [said])


def _is_plain(target: str) -> bool:
    from strongroom.terms.errors import StrongroomError
    from strongroom.terms.ids import kind_of

    try:
        return target == "deployment" or kind_of(target) in _FREEZABLE
    except StrongroomError:
        return False


def _show_closed(done: Done, what: str, *, target: str) -> None:
    show(
        {"target": target, "index": done.logged.index, "entry": done.logged.entry.kind},
        [f"{what}, entry {done.logged.index}"],
    )


commands = (freeze, thaw, grant, label, credential, attester, attest)

"""`strongroom request` and `strongroom propose ACT …`, one command for each act of the table that takes a quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.known import Known
from strongroom.cli.options import VERSION, Duration, json_option, purpose_option
from strongroom.cli.output import note, show

if TYPE_CHECKING:
    from strongroom.acts.act import Act
    from strongroom.client.deployment import Done
    from strongroom.client.session import Session

_HOUR = 3600


@click.command()
@click.argument("version", type=VERSION, metavar="VERSION")
@click.option("--for", "seconds", type=Duration(), required=True, help="How long you want to be able to open it.")
@purpose_option
@click.option("--file", "files", multiple=True, metavar="PATH", help="Only this file of it; may be repeated.")
@click.option(
    "--workload",
    type=Known("THING", "workload"),
    default=None,
    metavar="THING",
    help="Not for this device, but for a workload.",
)
@json_option
def request(version: str, seconds: int, purpose: str, files: tuple[str, ...], workload: str | None) -> None:
    """Ask to open a version from this device. Prints the proposal: others approve it."""
    from strongroom.cli.things import find_thing
    from strongroom.client.requests import request_access

    session = here.session()
    subject = None if workload is None else find_thing(session, workload, ("workload",))
    done = request_access(session, version, seconds / _HOUR, purpose, files or None, workload=subject)
    if subject is not None:
        _warn_of_role(session, subject, version)
    show_proposed(done)


class Proposals(click.Group):
    """A command for each act that takes a quorum, made from its row in the table when it is first asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the acts."""
        from strongroom.acts.table import ACTS

        return [act.name for act in ACTS if act.is_proposed]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of one act."""
        from strongroom.acts.table import act_named

        return _command(act_named(name)) if name in self.list_commands(context) else None


@click.group("propose", cls=Proposals)
def propose() -> None:
    """Propose a change, which others approve. People, models, zones, … are given by name or identifier."""


def _warn_of_role(session: Session, workload: str, version: str) -> None:
    """Say so where a workload lacks a role, without which it could not open whatever others approve."""
    from strongroom.cli.policies import lacking_role

    found = session.deployment.names.version(session.directory, version)
    if (role := lacking_role(session.directory, workload, found.version)) is not None:
        note(f"{session.deployment.called(workload)} lacks the role `{role}`, without which it opens nothing of this:")
        note(f"`strongroom propose role.give --subject {workload} --role {role} --team … --purpose …`")


def show_proposed(done: Done) -> None:
    """Show a proposal that was made: its identifier is the result."""
    from strongroom.client.requests import proposal_id
    from strongroom.statements.words import digest_words

    proposal, words = proposal_id(done), digest_words(done.logged.entry.envelope().digest)
    note(f"proposed, entry {done.logged.index}. Whoever approves has to see: {words}")
    if done.enacted is not None:
        note(f"that was enough: {done.enacted.entry.kind}, entry {done.enacted.index}")
    elif done.missing:
        note(f"missing: {done.missing}")
    show(
        {
            "proposal": proposal,
            "words": words,
            "index": done.logged.index,
            "enacted": None if done.enacted is None else done.enacted.index,
            "missing": done.missing,
        },
        [proposal],
    )


def _command(act: Act[Any]) -> click.Command:
    from strongroom.cli.changes import change_of, options_of
    from strongroom.client.requests import propose as make_proposal

    @click.command(act.name, help=f"{act.help[:1].upper()}{act.help[1:]}.")
    @purpose_option
    @json_option
    def command(purpose: str, **given: Any) -> None:
        session = here.session()
        change = change_of(act, session, given)
        done = make_proposal(session, act.name, change.body, purpose, details=change.details)
        change.done()
        show_proposed(done)

    command.params[:0] = options_of(act)
    return command


commands = (request, propose)

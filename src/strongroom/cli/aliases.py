"""`strongroom alias set, list`: names that move from version to version, such as `acme/atlas@prod`."""

from __future__ import annotations

from typing import Any

import click

from strongroom.cli import here
from strongroom.cli.known import Known
from strongroom.cli.options import MODEL, VERSION, json_option
from strongroom.cli.output import show, table


@click.group("alias")
def group() -> None:
    """Names of versions that move, such as `acme/atlas@prod`."""


@group.command("set")
@click.argument("alias", type=Known("ALIAS", "alias"), metavar="ALIAS")
@click.argument("version", type=VERSION, metavar="VERSION")
@json_option
def set_(alias: str, version: str) -> None:
    """Have an alias mean a version of its model from now on; the log has the change.

    \b
    strongroom alias set acme/atlas@prod acme/atlas@7

    Nobody may open more by it: a release takes a grant for the version itself.
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    from strongroom.client.aliases import set_alias

    session = here.session()
    identifier, done = set_alias(session, alias, version)
    meant = session.directory.aliases[identifier].version
    known = {"alias": identifier, "name": alias, "version": meant, "index": done.logged.index}
    show(known, [f"{alias} is {session.deployment.called(meant)}, entry {done.logged.index}"])


@group.command("list")
@click.argument("model", type=MODEL, required=False, metavar="[MODEL]")
@json_option
def list_(model: str | None) -> None:
    """List aliases, of one model or all, and what each means now."""
    from strongroom.cli.things import find_thing, name_of

    reader = here.reader()
    chosen = None if model is None else find_thing(reader, model, ("model",))
    found = [one for one in reader.directory.aliases.values() if chosen in {None, one.model}]
    reader.learn({one.alias for one in found} | {one.model for one in found})
    rows = [("ALIAS", "VERSION"), *[(reader.called(one.alias), reader.called(one.version)) for one in found]]
    known: list[dict[str, Any]] = [
        {"alias": one.alias, "name": name_of(reader.deployment, one.alias), "model": one.model, "version": one.version}
        for one in found
    ]
    show({"aliases": known}, table(rows) if found else ["no aliases"])


commands = (group,)

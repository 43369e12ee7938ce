"""`strongroom copies`: every release that the log tells of: who has it, where, until when."""

from __future__ import annotations

import time

import click

from strongroom.cli import here
from strongroom.cli.known import Known
from strongroom.cli.options import json_option
from strongroom.cli.output import moment, note, show, table


@click.command()
@click.argument("what", type=Known("WHAT", "model", "version", "alias"), required=False, metavar="[MODEL|VERSION]")
@click.option("--live", is_flag=True, help="Only those that nothing in the log has ended.")
@json_option
def copies(what: str | None, live: bool) -> None:
    """List the copies of a model or a version, or all: what an incident or a recall starts from.

    A copy that has ended opens nothing more at an honest client. What a host had read by then, it may have kept.
    """
    from strongroom.cli.things import find_thing
    from strongroom.client.copies import LIVE, copies_of
    from strongroom.terms.records import record_json

    reader = here.reader()
    chosen = None if what is None else find_thing(reader, what, ("model", "version"))
    model, version = (chosen, None) if chosen is not None and chosen.startswith("model-") else (None, chosen)
    told = copies_of(reader.deployment.replica, at=int(time.time()), model=model, version=version)
    found = [one for one in told if not live or one.state == LIVE]
    reader.learn({name for one in found for name in (one.version, one.subject, one.zone)})
    rows = [("ENTRY", "SINCE", "VERSION", "WHO", "DEVICE", "ZONE", "UNTIL", "STATE")]
    for one in found:
        who, zone, device = reader.called(one.subject), reader.called(one.zone), one.device or ""
        which = reader.called(one.version) + (f" {', '.join(one.files)}" if one.files is not None else "")
        rows.append((str(one.index), moment(one.at), which, who, device, zone, moment(one.expires_at), one.state))
    if len(told) != len(found):
        note(f"{len(told) - len(found)} that have ended are left out")
    show({"copies": [record_json(one) for one in found]}, table(rows) if found else ["no copies"])


commands = (copies,)

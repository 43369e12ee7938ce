"""`strongroom exec`: run a program with a private folder of the files of a version, in memory."""

from __future__ import annotations

from pathlib import Path

import click

from strongroom.cli import here
from strongroom.cli.options import VERSION, keep_store_option, threads_option
from strongroom.cli.output import note
from strongroom.objects import ObjectStore


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("name", type=VERSION)
@keep_store_option
@click.option("--file", "files", multiple=True, metavar="PATH", help="Only this file; may be repeated.")
@click.option("--grant", default=None, metavar="GRANT", help="On this grant, if you have several.")
@click.option(
    "--on-lease-end",
    type=click.Choice(["stop", "keep"]),
    default="stop",
    show_default=True,
    help="When what was released may no longer be used: end the program, or leave it alone (below label 3).",
)
@threads_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
def exec_(
    name: str,
    store: ObjectStore | None,
    files: tuple[str, ...],
    grant: str | None,
    on_lease_end: str,
    threads: int | None,
    command: tuple[str, ...],
) -> None:
    """Run a program with the opened files of a version, which are in memory and gone afterwards.

    Opens through the keep, on a live grant. The program finds the folder in `STRONGROOM_MODEL`, and in place of each
    `{}` in its command. Signals are handed on, and its exit code is this command's. It ends with the lease, which is
    renewed for as long as the grant lives.

    \b
      strongroom exec acme/atlas@7 -- python serve.py --model {}
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    from strongroom.client.private_folder import PrivateFolder
    from strongroom.client.running import run
    from strongroom.client.version import SealedVersion

    def open_() -> SealedVersion:
        from strongroom.client.transfer.stores import open_sealed_version

        return open_sealed_version(here.speaker(), name, store, files=files or None, grant=grant, threads=threads)

    mount_point: Path = PrivateFolder(here.profile().path / "opened").path
    code = run(command, open_, mount_point=mount_point, outlives_lease=on_lease_end == "keep", tell=note)
    click.get_current_context().exit(code)


commands = (exec_,)

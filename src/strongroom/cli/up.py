"""`strongroom up`: keep and gateway on this machine, under one supervisor; `up --trial` makes them for one person."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strongroom.cli import here
from strongroom.cli.options import PathText, json_option
from strongroom.cli.output import note, show

if TYPE_CHECKING:
    from strongroom.client.place import Place
    from strongroom.service.settings import Settings

_PORT = 8443
_UNFOUNDED = """\
there is no deployment here yet, and the keep waits for one at {socket}
  everybody   strongroom deployment card --name … --rp-id … -o ….card
  one         strongroom deployment draft *.card --plan plan.toml --socket {socket} -o genesis.draft
  everybody   strongroom deployment sign genesis.draft -o ….sig
  one         strongroom deployment found genesis.draft *.sig --socket {socket}
then the gateway starts by itself. In full: docs/runbook/founding.md. For one person alone: `strongroom up --trial`"""
_SEALED = """\
the keep is sealed: it does nothing until {needed} custodians have unsealed it, each with `strongroom unseal`
there they compare these words first: {words}"""

_NEXT = """\
a trial, ready after {seconds:.1f} s: one person, a software key, labels up to 2; it never becomes a real deployment

  connect   strongroom connect '{connect}'
  profile   {profile}
  store     {store}

Next, in another terminal; Ctrl-C here stops it, and `strongroom up --trial` goes on with it:

  strongroom propose model.enrol --name acme/mine --label 1 --purpose "to try it"
  strongroom seal ./my-model --as acme/mine
  python3
  >>> import strongroom
  >>> room = strongroom.connect()
  >>> weights = room.open_version("acme/mine@1", purpose="to try it").load_all()
"""


@click.command()
@click.option("--config", type=PathText(), default=None, metavar="FILE", help="What to run here: `strongroom.toml`.")
@click.option("--trial", is_flag=True, help="One person, a software key, labels up to 2, for ever a trial.")
@click.option(
    "--folder",
    type=PathText(),
    default=None,
    metavar="DIR",
    help="Without `--config`: where everything goes. [default: beside the profile, `…-trial` or `…-service`]",
)
@click.option("--store", default=None, metavar="URL", help="Without `--config`: the object store. [default: in DIR]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    help="Without `--config`: the gateway's, on loopback.",
)
@click.option("--name", default=None, metavar="TEXT", help="For `--trial`: what it calls you. [default: your user's]")
@json_option
def up(config: Path | None, trial: bool, folder: Path | None, store: str | None, port: int, name: str | None) -> None:
    """Run the keep and the gateway of this machine, and start again what dies; until Ctrl-C, or SIGTERM.

    \b
      strongroom up --trial                     everything for one person who wants to try it; again: goes on with it
      strongroom up --config strongroom.toml    a real installation, see docs/operations.md
      strongroom up                             everything below one folder; waits until people have founded

    What happens is told on standard error, one line of JSON for each event.
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    from strongroom.client.profile import profile_folder
    from strongroom.service.settings import read_settings, settings_in

    if config is not None and (trial or folder is not None or store is not None):
        raise click.UsageError("`--config` says what to run, and where: without `--trial`, `--folder` and `--store`")
    home = profile_folder(here.home()).absolute()
    if config is not None:
        settings = read_settings(config)
    else:
        settings = settings_in(_made_folder(folder, home, trial=trial), trial=trial, store=store, port=port)
    run = _run_trial if trial else _run_service
    click.get_current_context().exit(run(settings, home, name))


def _run_service(settings: Settings, home: Path, name: str | None) -> int:
    from strongroom.service.events import Events
    from strongroom.service.running import Service

    told: set[Path] = set()

    def tell(socket: Path) -> None:
        if socket not in told:
            told.add(socket)
            for line in _UNFOUNDED.format(socket=socket).splitlines():
                note(line)

    def ready(place: Place | None) -> None:
        show({"connect": None if place is None else str(place)}, [f"strongroom connect '{place}'"] if place else [])

    def sealed(words: str, needed: int | None) -> None:
        for line in _SEALED.format(words=words, needed="enough" if needed is None else needed).splitlines():
            note(line)

    service = Service(settings=settings, events=Events(time.time), found=tell, on_ready=ready, on_sealed=sealed)
    return service.run()


def _run_trial(settings: Settings, home: Path, name: str | None) -> int:
    from strongroom.service.events import Events
    from strongroom.service.running import Service
    from strongroom.service.trial import Trial

    trial, begun = Trial(profile=home, name=name or _user()), time.monotonic()

    def ready(place: Place | None) -> None:
        if place is not None and settings.gateway is not None:
            trial.enter(place)
            result = {"connect": str(place), "profile": str(home), "store": settings.gateway.store}
            show(result, _NEXT.format(**result, seconds=time.monotonic() - begun).splitlines())

    return Service(settings=settings, events=Events(time.time), found=trial.found, on_ready=ready).run()


def _made_folder(given: Path | None, home: Path, *, trial: bool) -> Path:
    """Return the folder for everything, made with one for a store in it."""
    from strongroom.client.private_folder import PrivateFolder

    folder = home.with_name(f"{home.name}-{'trial' if trial else 'service'}") if given is None else given.absolute()
    PrivateFolder(folder)
    PrivateFolder(folder / "store")
    return folder


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "me"

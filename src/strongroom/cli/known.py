"""Known names: what a shell completes from, in one file of the profile, without keep, network or log.

    <profile>/known.json      {identifier: what to type for it}, for the profile's owner alone

It is there only where somebody wants completion (`begin`); then each command that reads the log leaves in it what it
learned (`remember`). It is a convenience: nothing is decided by it, and what is broken counts as empty.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.terms.errors import StrongroomError

if TYPE_CHECKING:
    from strongroom.client.deployment import Deployment
    from strongroom.client.private_folder import PrivateFolder

FILE = "known.json"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._/+-]*\Z")
MOST = 5000
"""The newest ones: a shell has to have them at once."""


class Known(click.ParamType[str]):
    """The name or identifier of something; completed from what is known of these `kinds`."""

    def __init__(self, name: str, *kinds: str) -> None:
        self.name, self._kinds = name, kinds

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the name of the type."""
        return self.name

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        """Return the text as it is: the command finds out what it names."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem[str]]:
        """Return what begins like that, and means nothing else to a shell: it goes into the line as it is."""
        from click.shell_completion import CompletionItem

        home: Path | None = ctx.find_root().params.get("home")
        texts = sorted({text for name, text in _read_at(home).items() if name.startswith(self._prefixes)})
        return [CompletionItem(text) for text in texts if text.startswith(incomplete) and _PLAIN.match(text)]

    @property
    def _prefixes(self) -> tuple[str, ...]:
        return tuple(f"{kind}-" for kind in self._kinds)


def begin(folder: PrivateFolder) -> None:
    """Have names remembered in a profile from now on."""
    if folder.read(FILE) is None:
        folder.replace(FILE, b"{}")


def remember(folder: PrivateFolder, deployment: Deployment) -> None:
    """Leave what is proven to be called something, where it is wanted; what is gone is forgotten."""
    from strongroom.cli.things import name_of

    if (data := folder.read(FILE)) is None:
        return
    directory, known = deployment.directory, _parse(data)
    things: tuple[Collection[str], ...] = (
        [name for name, one in directory.people.items() if not one.removed],
        [name for name, one in directory.workloads.items() if not one.removed],
        directory.zones,
        directory.models,
        directory.versions,
        directory.aliases,
    )
    named = {one: name_of(deployment, one) or known.get(one) for kind in things for one in kind}
    found = {one: text for one, text in named.items() if text is not None}
    found |= {
        one: one
        for kind in (directory.proposals, directory.grants, directory.devices, directory.sessions)
        for one in kind
    }
    kept = dict(list(found.items())[-MOST:])
    if kept != known:
        folder.replace(FILE, json.dumps(kept).encode("ascii"))


def home_folder(home: Path | None) -> Path:
    """Return where the profile is, as `client.profile` says it, which takes too long to load for a shell that waits."""
    return home if home is not None else Path(os.environ.get("STRONGROOM_HOME") or "~/.strongroom").expanduser()


def _read_at(home: Path | None) -> dict[str, str]:
    """Return what is known in a profile; what cannot be read, or is not for its owner alone, is nothing."""
    from strongroom.client.private_folder import PrivateFolder

    path = home_folder(home)
    with suppress(StrongroomError):
        if path.is_dir():
            return _parse(PrivateFolder(path).read(FILE) or b"{}")
    return {}


def _parse(data: bytes) -> dict[str, str]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}

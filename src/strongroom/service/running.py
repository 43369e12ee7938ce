"""Running: the keep and the gateway of one machine, under one supervisor, until somebody stops them.

    nobody else is there -> keep listens -> there is a deployment -> gateway listens -> ready

A keep that founded nothing yet is left running, with a word on how to go on: the ceremony is held at its socket. Where
one starts sealed, it is told what unseals it.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from strongroom.client.connection import Connection
from strongroom.client.place import Place
from strongroom.service.events import Events
from strongroom.service.programs import (
    KEEP_ENVIRONMENT,
    gateway_command,
    gateway_environment,
    keep_command,
    make_places,
)
from strongroom.service.settings import GatewaySection, KeepSettings, Settings
from strongroom.service.supervisor import Process, Supervisor
from strongroom.terms.errors import BadRequest, KeepRunning, WrongDeployment
from strongroom.terms.outer_errors import KeepUnavailable

KEEP, GATEWAY = "keep", "gateway"
_ASK_SECONDS = 1.0
_KEEP_LISTENING = re.compile(r"keep: listening on .+; unseal key: ([a-z-]+)\Z")
_LISTENING = re.compile(r"gateway: listening on https://(\S+?)(?:; ca: ([0-9a-f]{64}))?(?:;.*)?\Z")


class Founding(Protocol):
    """What founds a deployment at the socket of a keep that has none, and returns its name; or none: people do."""

    def __call__(self, socket: Path, /) -> str | None:
        """Found it."""
        ...


class Sealed(Protocol):
    """What is told that the keep is sealed: the words of its key, and how many custodians it takes, if it says so."""

    def __call__(self, words: str, needed: int | None, /) -> None:
        """Tell it."""
        ...


@dataclass(slots=True, kw_only=True)
class Service:
    """What `settings` say is to run here. `on_ready` is told how clients connect, if there is a gateway."""

    settings: Settings
    events: Events
    found: Founding
    on_ready: Callable[[Place | None], None]
    on_sealed: Sealed = lambda words, needed: None
    deployment: str | None = None
    _keep_listens: bool = field(default=False, init=False)
    _words: str | None = field(default=None, init=False)
    _listening: tuple[str, str | None] | None = field(default=None, init=False)

    def run(self) -> int:
        """Run until a signal says to stop, or something ends for good; return the exit code.

        Raises:
            BadRequest: there is nothing to run, or its port is taken. KeepRunning: it runs already.
            StrongroomError: it cannot run so; all has been stopped.
        """
        processes = list(self._processes())
        if not processes:
            raise BadRequest("there is nothing to run: neither `[keep]` nor `[gateway]`", hint="see `docs/settings.md`")
        if self.settings.keep is not None and self._status(self.settings.keep) is not None:
            raise KeepRunning(
                f"a keep runs at `{self.settings.keep.socket}` already",
                hint="go on with the `strongroom up` that started it, or stop that first; or choose another `--folder`",
            )
        if self.settings.gateway is not None:
            _check_port(self.settings.gateway)
        return Supervisor(processes, self.events, on_ready=lambda: self.on_ready(self._place())).run()

    def _processes(self) -> Iterator[Process]:
        self.deployment = self.settings.deployment.name
        if (keep := self.settings.keep) is not None:
            make_places(keep)
            yield Process(
                name=KEEP,
                command=lambda: keep_command(keep),
                is_ready=lambda: self._is_founded(keep),
                environment=KEEP_ENVIRONMENT,
                heard=lambda line: self._heard_keep(keep, line),
            )
        if (gateway := self.settings.gateway) is not None:
            yield Process(
                name=GATEWAY,
                command=lambda: self._gateway_command(gateway),
                is_ready=lambda: self._listening is not None,
                environment=gateway_environment(os.environ),
                heard=self._heard,
            )

    def _is_founded(self, keep: KeepSettings) -> bool:
        """Tell whether the keep answers and has a deployment, which it is to be told of."""
        # INVARIANT: it is our own that listens. Without that, another's at the same socket would be taken for it.
        if not self._keep_listens or (status := self._status(keep)) is None:
            return False
        self._tell_sealed(status)
        # TRUST: the socket of our own keep, in a folder of its own user, for the name that nobody told us.
        name = status.get("deployment")
        if name is None:
            name = self.found(Path(keep.socket))
        if name is None:
            return False
        if self.deployment not in {None, name}:
            raise WrongDeployment(
                f"the keep in `{keep.folder}` is that of `{name}`, not of `{self.deployment}`",
                hint="correct `name` in `[deployment]`, or the places in `[keep]`",
            )
        self.deployment = str(name)
        return True

    def _heard_keep(self, keep: KeepSettings, line: str) -> None:
        """Take note that our keep has started, now or again, and tell what it takes if it is sealed."""
        if (found := _KEEP_LISTENING.match(line)) is None:
            return
        self._keep_listens, self._words = True, found[1]
        self._tell_sealed(self._status(keep))

    def _tell_sealed(self, status: dict[str, Any] | None) -> None:
        """Tell, once for each start, what it takes to unseal a keep that says that it is sealed."""
        if self._words is not None and status is not None and status.get("state") == "sealed":
            shares = status.get("shares")
            self.on_sealed(self._words, shares.get("needed") if isinstance(shares, dict) else None)
            self._words = None

    def _status(self, keep: KeepSettings) -> dict[str, Any] | None:
        """Return what the keep at the socket says of itself; none if nobody is there."""
        try:
            return Connection(Path(keep.socket), _ASK_SECONDS).ask("status").ok
        except KeepUnavailable:
            return None

    def _gateway_command(self, gateway: GatewaySection) -> list[str]:
        keep = gateway.keep
        if keep is None and self.settings.keep is not None:
            keep = self.settings.keep.socket
        return gateway_command(gateway, deployment=str(self.deployment), keep=str(keep))

    def _heard(self, line: str) -> None:
        if found := _LISTENING.match(line):
            self._listening = found[1], found[2]

    def _place(self) -> Place | None:
        """Return how clients connect: with the port that the gateway has, and the CA that it shows."""
        if self._listening is None or self.settings.gateway is None:
            return None
        (address, ca), public = self._listening, self.settings.gateway.public
        if public is not None:
            address = f"{public}:{address.rpartition(':')[2]}"
        return Place(name=str(self.deployment), url=f"https://{address}", ca=ca)


def _check_port(gateway: GatewaySection) -> None:
    """Refuse a port that somebody listens at: a gateway would say so too, among the events of many others."""
    family = socket.AF_INET6 if ":" in gateway.host else socket.AF_INET
    try:
        socket.create_server((gateway.host, gateway.port), family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return  # the gateway finds out, and says so
        raise BadRequest(
            f"port {gateway.port} is taken: somebody listens there",
            hint="choose another with `--port`, or with `port` in `[gateway]`; another `strongroom up` may have it",
        ) from error

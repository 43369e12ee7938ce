"""A real keep and a real gateway, each a process of its own, on loopback and a socket in a folder of the test's.

    with real_gateway(tmp_path) as real:               one person's trial, founded: `real.ada`, everybody's only profile
    with real_gateway(tmp_path, house=True) as real:   the five of `tests/client_keep/logs.py`: `real.world`

    real.url, real.place             https://127.0.0.1:…, and the connection string
    real.ca_pem, real.context()      the gateway's CA, and the TLS context that trusts it alone
    real.get("/healthz")             one request by nobody: a `Response` with status, headers, body
    real.https(profile)              an `HttpsConnection` whose reads that profile signs
    real.session()                   somebody logged in over HTTPS, by default Ada: a `Session`
    real.gateway, real.keep          the processes: `.stop()`, `.kill()`, `.start()`; the gateway comes back at its port
    real.metrics()                   what Prometheus reads, by name and labels
    real.unseal()                    two custodians unseal the keep of a house that was started again

More flags of the gateway's, as ("--limit", "header_seconds=1"), go in with `flags`.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.acts.deployment_found import FoundingRole
from strongroom.client.cards import make_card
from strongroom.client.connection import Asking, Connection
from strongroom.client.deployment import Deployment
from strongroom.client.founding import (
    Plan,
    PlannedZone,
    draft_genesis,
    fetch_share,
    found,
    prepare,
    sign_genesis,
    unseal,
    unseal_key,
)
from strongroom.client.https import HttpsConnection, Response, client_context
from strongroom.client.joining import join, looker_of
from strongroom.client.looks import Looker
from strongroom.client.names import Names
from strongroom.client.place import Place, parse_place
from strongroom.client.profile import SOFTWARE, Profile, create_profile
from strongroom.client.replica import Replica
from strongroom.client.session import Session, login
from strongroom.terms.errors import StrongroomError
from strongroom.terms.ids import new_id
from tests.client_keep.logs import RP_ID, Clock, Keeper, World, acceptance
from tests.servers import free_port_pairs, started

READY_WITHIN_SECONDS = 60
TRIAL_ROLES = ("governor", "approver", "researcher", "writer", "responder")
_LISTENING = re.compile(r"gateway: listening on (\S+); ca: ([0-9a-f]{64})(?:; metrics: (\S+))?\n")


@dataclass
class Now(Clock):
    """The clock on the wall, as the processes have it."""

    def __call__(self) -> float:
        return time.time()


@dataclass
class Process:
    """A program that runs until it is stopped, and says on standard error when it is ready."""

    name: str
    folder: Path
    command: Callable[[], Sequence[str]]
    ready: str
    said: str = ""
    """What it said at its last start."""
    _running: ExitStack = field(default_factory=ExitStack)
    _process: Any = None

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        command = [sys.executable, "-m", *self.command()]
        self._process = self._running.enter_context(
            started(command, environment=environment, folder=self.folder, log=self.log)
        )
        end = time.monotonic() + READY_WITHIN_SECONDS
        while self.ready not in (said := self.log.read_text()):
            if not self.is_running() or time.monotonic() > end:
                self.kill()
                raise OSError(f"{self.name} did not start: {said}")
            time.sleep(0.02)
        self.said = said

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """End it in order, and return its exit code."""
        self._process.terminate()
        code: int = self._process.wait(READY_WITHIN_SECONDS)
        self._running.close()
        return code

    def kill(self) -> None:
        """End it at once."""
        self._running.close()


@dataclass
class RealGateway:
    """Both processes, and the people."""

    folder: Path
    flags: Sequence[str] = ()
    deployment: str = ""
    url: str = ""
    ca: str = ""
    metrics_url: str = ""
    world: World = field(init=False, repr=False)
    ada: Profile = field(init=False, repr=False)
    keep: Process = field(init=False, repr=False)
    gateway: Process = field(init=False, repr=False)
    shares: dict[str, str] = field(default_factory=dict)
    is_trial: bool = True
    port: int = 0
    connections: list[HttpsConnection] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "keep"

    @property
    def place(self) -> Place:
        return parse_place(f"{self.url}#{self.deployment}&ca={self.ca}")

    @property
    def ca_pem(self) -> bytes:
        return (self.folder / "gateway" / "ca.pem").read_bytes()

    def context(self) -> ssl.SSLContext:
        return client_context(self.ca_pem)

    # --- asking --------------------------------------------------------------------------------

    def https(self, profile: Profile | None = None) -> HttpsConnection:
        """Return a connection, which ends with the test; with a profile it signs its reads."""
        return self._https(None if profile is None else looker_of(profile, self.deployment))

    def get(self, target: str) -> Response:
        """Return the answer to one request by nobody."""
        connection = self.https()
        try:
            return connection.request("GET", target)
        finally:
            connection.close()

    def connect(self, profile: Profile) -> Deployment:
        """Return the deployment, as this profile sees it over HTTPS. Its profile stays as it is."""
        replica = Replica(self.folder / "replicas" / profile.who.subject, self.deployment)
        return Deployment(self._https(looker_of(profile, self.deployment)), replica, Names())

    def session(self, profile: Profile | None = None) -> Session:
        """Return somebody logged in over HTTPS."""
        profile = self.ada if profile is None else profile
        return login(profile, self.connect(profile), profile.security_key())

    def join(self, profile: Profile) -> Deployment:
        """Have a profile belong to the deployment by its connection string."""
        return join(profile, self.place)

    def _https(self, looker: Looker | None) -> HttpsConnection:
        self.connections.append(HttpsConnection(self.url, context=self.context(), looker=looker))
        return self.connections[-1]

    def metrics(self) -> dict[str, float]:
        """Return the counts, by name and labels."""
        with urllib.request.urlopen(self.metrics_url) as answer:  # noqa: S310 - our own process
            lines = answer.read().decode("utf-8").splitlines()
        found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in found}

    def until(self, holds: Callable[[], bool], seconds: float = READY_WITHIN_SECONDS) -> None:
        """Wait until something holds; an error counts as not yet."""
        end = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except (StrongroomError, OSError) as error:
                last = str(error)
            else:
                last = "it does not hold"
            assert time.monotonic() < end, last
            time.sleep(0.02)

    def is_ready(self) -> bool:
        return self.get("/readyz").status == 200

    # --- the processes -------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the keep, found a deployment, and start the gateway."""
        for name in ("run", "high", "gateway", "replicas"):
            (self.folder / name).mkdir(mode=0o700)
        self.keep = Process(name="keep", folder=self.folder, command=self._keep, ready="keep: listening on")
        self.keep.start()
        if self.is_trial:
            self.ada = found_trial(self.folder / "ada", self.socket)
            self.deployment = self.ada.deployment
        else:
            self.world = World(folder=self.folder / "people", socket=self.socket, clock=Now(), keeper=Keeper(Clock()))
            self.world.found()
            self.ada, self.deployment = self.world.profiles["Ada"], self.world.deployment
            connection = Connection(self.socket)
            self.shares = {name: fetch_share(self.world.profiles[name], connection) for name in ("Ada", "Ben")}
        self.gateway = Process(name="gateway", folder=self.folder, command=self._gateway, ready="gateway: listening on")
        for attempt in range(3):
            (self.port,) = free_port_pairs(1)
            try:
                self.start_gateway()
            except OSError:
                if attempt == 2:
                    raise
            else:
                break

    def start_gateway(self) -> None:
        """Start the gateway, and wait until it is ready, if its keep is open."""
        self.gateway.start()
        listening = _LISTENING.search(self.gateway.said)
        assert listening is not None, self.gateway.said
        self.url, self.ca, self.metrics_url = listening[1], listening[2], listening[3]
        if self.keep.is_running() and Connection(self.socket).ask("status").ok["state"] == "open":
            self.until(self.is_ready)

    def unseal(self, connection: Asking | None = None) -> None:
        """Have two custodians unseal the keep, by default at its socket."""
        connection = Connection(self.socket) if connection is None else connection
        to = unseal_key(connection)
        for name, share in self.shares.items():
            unseal(self.world.profiles[name], connection, share, to=to)

    def _keep(self) -> list[str]:
        places = ["--folder", "journal", "--high-water", "high/water", "--socket", "run/keep"]
        return ["strongroom.keep", *places, *(["--trial"] if self.is_trial else [])]

    def _gateway(self) -> list[str]:
        where = ["--deployment", self.deployment, "--keep", "run/keep", "--folder", "gateway", "--port", str(self.port)]
        return ["strongroom.gateway", *where, "--metrics-port", "0", *self.flags]


def found_trial(folder: Path, socket: Path) -> Profile:
    """Found one person's trial, and return their profile."""
    profile = create_profile(new_id("person", os.urandom), folder, security_key=SOFTWARE)
    card = make_card(profile, profile.security_key(), "Ada", rp_id=RP_ID, random=os.urandom)
    connection = Connection(socket)
    plan = Plan(
        quorum=1,
        acceptance=acceptance(),
        roles={card.person: [FoundingRole(role=role, team="self") for role in TRIAL_ROLES]},
        zones=[PlannedZone(name="here", ceiling=2, egress_bytes_per_day=1 << 30)],
        trial=True,
    )
    draft = draft_genesis([card], plan, prepare(connection), at=int(time.time()), random=os.urandom)
    name = found(connection, draft, [sign_genesis(draft, profile, profile.security_key())])
    profile.join(Place(name=name, socket=socket))
    return profile


@contextmanager
def real_gateway(folder: Path, *, house: bool = False, flags: Sequence[str] = ()) -> Iterator[RealGateway]:
    """Give a gateway of a deployment that was just founded, and end both processes with the test."""
    real = RealGateway(folder=folder, flags=flags, is_trial=not house)
    try:
        real.begin()
        yield real
    finally:
        for connection in real.connections:
            connection.close()
        for process in (getattr(real, "gateway", None), getattr(real, "keep", None)):
            if process is not None:
                process.kill()

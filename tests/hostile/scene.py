"""The scene of the crime: a real house whose people have Mallory for a gateway; what she must not get or bring about.

    scene.victim("Dan")             Dan, logged in at a laptop that knows the deployment through Mallory alone
    scene.job()                     the training job, likewise: a `Program`, which may write and not read
    with scene.nothing_happens():   whatever is tried, the keep's log has afterwards what it had, and refusals
    scene.log()                     the true log, read at the keep's own socket

What lasts is set up at the socket, honestly: a model with two versions in a store, and Dan's grant for the first.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts.role_give import RoleGive
from strongroom.client.cards import make_program_card
from strongroom.client.connection import Answer, Connection
from strongroom.client.deployment import Deployment
from strongroom.client.https import HttpsConnection, Response
from strongroom.client.joining import connect, join, looker_of
from strongroom.client.profile import Profile, create_profile, open_profile
from strongroom.client.released import Registered, find_grant, release_keys, seal_through_keep
from strongroom.client.requests import freeze
from strongroom.client.session import Program, Session, resume
from strongroom.directory.entries import Entry, parse_entry
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import DataKey
from strongroom.terms.ids import new_id
from tests.attacks.versions import MODEL, write_model
from tests.client_keep.logs import World
from tests.gateway.world import RealGateway
from tests.hostile.proxy import HostileGateway, pass_on, says

NAME = "acme/atlas"
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A version and its model, by their identifiers."""

    model: str
    version: str


@dataclass
class Scene:
    """See above."""

    folder: Path
    real: RealGateway
    mallory: HostileGateway
    store: ObjectStore
    model: str = ""
    versions: list[Registered] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)
    _laptops: Iterator[int] = field(default_factory=itertools.count)

    @property
    def world(self) -> World:
        return self.real.world

    @property
    def keep(self) -> Connection:
        """The keep's own socket, which a gateway has at hand too."""
        return Connection(self.real.socket)

    def set_up(self) -> None:
        """Do, at the socket, what there has to be before anything can be attacked."""
        self.model = self.world.model(NAME)
        job = self.world.workload("trainer", "writer")
        job.deployment.sync()
        for number in range(2):
            folder = write_model(self.folder / f"model-{number}", {**MODEL, "number.txt": f"number {number}".encode()})
            self.versions.append(seal_through_keep(job, [folder], self.model, self.store))
        self.world.grant(self.versions[0].version)
        dan = self.world.session("Dan")
        version = dan.directory.versions[self.versions[0].version]
        _, keys = release_keys(dan, version, find_grant(dan, version), None)
        assert isinstance(keys, DataKey)
        self.secrets |= {"the data key": keys.raw, "plaintext": MODEL["weights.bin"][4_000:4_064]}
        for name in self.world.profiles:
            if name in self.real.shares:
                self.secrets[f"the share of {name}"] = self.real.shares[name].encode()
            self.secrets[f"the key of {name}"] = secret_of(self.world.profiles[name].key())

    # --- people --------------------------------------------------------------------------------

    def laptop(self, name: str) -> Profile:
        """Return the profile of somebody at a machine that has seen nothing of the log yet."""
        there = self.folder / "laptops" / f"{name}-{next(self._laptops)}"
        shutil.copytree(self.world.profiles[name].path, there, ignore=shutil.ignore_patterns("log"))
        return open_profile(there)

    def join(self, profile: Profile, *, clock: Clock = time.time, timeout_seconds: float = 20) -> Deployment:
        """Connect by the connection string that leads to Mallory."""
        return join(profile, self.mallory.place, clock=clock, timeout_seconds=timeout_seconds)

    def connection(self, profile: Profile) -> HttpsConnection:
        """Return a connection to Mallory whose reads this profile signs."""
        looker = looker_of(profile, self.real.deployment)
        return HttpsConnection(self.mallory.url, context=self.real.context(), looker=looker)

    def victim(
        self, name: str, *, clock: Clock = time.time, anew: bool = False, timeout_seconds: float = 20
    ) -> Session:
        """Return a person who has come this far unharmed: joined, logged in, and with all of the log until now.

        `anew`: in a session that nobody else is in, so that it may be ended.
        """
        if anew:
            self.world.sessions.pop(name, None)
        self.world.session(name)
        profile = self.laptop(name)
        session = profile.session()
        assert session is not None
        if anew:
            self.world.sessions.pop(name, None)
        self.secrets[f"the session key of {name}"] = secret_of(session.key())
        return resume(profile, self.join(profile, clock=clock, timeout_seconds=timeout_seconds), clock=clock)

    def fresh_model(self) -> str:
        """Return a model that was enrolled just now, for what cannot be undone."""
        return self.world.model(f"acme/{time.monotonic_ns()}")

    def job(self, *, clock: Clock = time.time) -> Program:
        """Return the training job."""
        profile = self.laptop("trainer")
        return Program(profile=profile, deployment=self.join(profile, clock=clock), clock=clock)

    def seal_and_grant(self) -> Sealed:
        """Return a version that Dan may open, of a model that was enrolled just now."""
        model = self.fresh_model()
        job = Program(profile=self.world.profiles["trainer"], deployment=connect(self.world.profiles["trainer"]))
        made = seal_through_keep(job, [write_model(self.folder / model)], model, self.store)
        self.world.grant(made.version)
        return Sealed(model=model, version=made.version)

    def writer(self) -> Session:
        """Return Eve at the socket, who may write from now on."""
        if all(
            held.role != "writer" for held in self.world.session("Eve").directory.people[self.world.person("Eve")].roles
        ):
            self.world.govern("role.give", RoleGive(subject=self.world.person("Eve"), role="writer", team="core"))
        return self.world.session("Eve")

    def freeze_something(self) -> None:
        """Have there be a freeze in the log."""
        freeze(self.world.session("Ada"), self.fresh_model(), "to have an example")

    def attester(self, *kinds: str) -> Program:
        """Return an attester whom a quorum believes about these kinds of facts."""
        profile = create_profile(new_id("attester", os.urandom), self.folder / "laptops" / f"mdm-{next(self._laptops)}")
        card = make_program_card(profile, "mdm", deployment=self.real.deployment, random=os.urandom)
        self.world.govern("attester.enrol", card.attester_enrol(kinds=kinds, longest_seconds=86_400), card.detail)
        return Program(profile=profile, deployment=self.join(profile))

    # --- what Mallory can have of the keep ---------------------------------------------------------

    def answer(self, ok: dict[str, Any]) -> Response:
        """Return an answer of her own, under the checkpoint that there is now."""
        return self.told(replace(self.keep.ask("status"), ok=ok))

    def told(self, answer: Answer) -> Response:
        """Return an answer of the keep's, as a gateway passes it on."""
        assert answer.checkpoint is not None
        return says({"checkpoint": answer.checkpoint.decode(), "ok": answer.ok})

    def entry(self, index: int) -> Any:
        """Return an entry with its proof and its checkpoint, as the real gateway shows it."""
        connection = self.real.https(self.world.profiles["Eve"])
        connection.ask("status")  # from then on the gateway knows of everything that the keep has
        return connection.get(f"/v1/log/entries/{index}")

    # --- what must not be ----------------------------------------------------------------------

    def words_on_the_console(self) -> str:
        """Return the words of its unseal key that the keep printed at its start."""
        return self.real.keep.said.partition("unseal key: ")[2].partition("\n")[0]

    def log(self) -> list[Entry]:
        """Return the entries that the keep has."""
        leaves: list[str] = []
        size = self.keep.ask("status").ok["size"]
        assert isinstance(size, int)
        while len(leaves) < size:
            found = self.keep.ask("entries", start=len(leaves), count=size - len(leaves)).ok["entries"]
            assert isinstance(found, list)
            leaves += [str(one) for one in found]
        return [parse_entry(base64.b64decode(leaf)) for leaf in leaves]

    @contextmanager
    def nothing_happens(self) -> Iterator[None]:
        """See that the log gains nothing but refusals."""
        before = self.log()
        yield
        after = self.log()
        assert after[: len(before)] == before
        assert {entry.kind for entry in after[len(before) :]} <= {"refused"}

    def check_nothing_leaked(self) -> None:
        """See that no key and no plaintext ever came by Mallory."""
        for heard in self.mallory.heard():
            for name, secret in self.secrets.items():
                shapes = (secret, base64.b64encode(secret), secret.hex().encode())
                assert not any(shape in heard for shape in shapes), f"{name} went through the gateway"

    def end_of_test(self) -> None:
        """Have Mallory behave, and see what she got."""
        self.mallory.attack = pass_on
        try:
            assert not self.mallory.defects, [*map(repr, self.mallory.defects)]
            self.check_nothing_leaked()
        finally:
            for noted in (self.mallory.defects, self.mallory.asked, self.mallory.told):
                noted.clear()


def secret_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the private half of a key."""
    return key.private_numbers().private_value.to_bytes(32)


def open_scene(folder: Path, real: RealGateway, mallory: HostileGateway, store: ObjectStore) -> Scene:
    """Return a scene that is set up. The store is Mallory's as well: she reads and writes it as she likes."""
    scene = Scene(folder, real, mallory, store)
    scene.set_up()
    return scene

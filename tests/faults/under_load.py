"""A client that works without a pause, until it is killed or told to stop, and writes down what it was told.

    python -m tests.faults.under_load PROFILE MODEL TOLD STOP SEED

It seals small versions of MODEL, asks for access, and opens what it or others sealed, through the gateway of PROFILE
alone. What got no answer it says again, the very same envelope, for as long as it takes. It ends well once there is a
file STOP; what it was not ready for ends it with a traceback.

What it writes down (`told`), each before it goes on:

    sealed   which content is in which seal, before anybody can know of it
    entry    an entry that was proven to it, and the checkpoint under which it was: also the entry of every key
    read     which content came out of which seal
"""

from __future__ import annotations

import base64
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from strongroom.acts.act import Act
from strongroom.client.connection import Answer, Asking
from strongroom.client.deployment import Deployment, Done
from strongroom.client.https import HttpsConnection
from strongroom.client.joining import connection_of
from strongroom.client.names import Detail
from strongroom.client.opened import opened
from strongroom.client.profile import Profile, open_profile
from strongroom.client.released import find_grant, register, sealed_through_keep
from strongroom.client.replica import Replica
from strongroom.client.requests import request_access
from strongroom.client.seal import seal_for_deployment
from strongroom.client.session import Session, resume
from strongroom.client.transfer.gateway_store import GatewayStore
from strongroom.client.transfer.gateway_uploads import GatewayUploads
from strongroom.directory.state import Directory, Version
from strongroom.sealing.keys import PublicKey
from strongroom.statements.envelope import Envelope
from strongroom.terms.errors import NotAllowed, NotNow, Unavailable
from tests.client.sealed import safetensors
from tests.faults.told import Told

T = TypeVar("T")

TENSOR = "layer.weight"
LARGEST_ELEMENTS = 40_000
PASSING = (Unavailable, NotNow)
"""What may happen while parts are down: a turn comes to nothing. A statement that nothing took in time is too old."""


class Persistent(Deployment):
    """A deployment of which each question is put again until there is an answer, and each proof written down."""

    def __init__(self, connection: Asking, replica: Replica, told: Told) -> None:
        super().__init__(connection, replica)
        self._told = told

    def sync(self) -> Directory:
        return persist(super().sync)

    def ask(self, envelope: Envelope, details: Iterable[Detail] = (), *, since: int | None = None) -> Answer:
        given = list(details)
        return persist(lambda: super(Persistent, self).ask(envelope, given, since=since))

    def act(self, act: Act[Any], envelope: Envelope, details: Iterable[Detail] = (), *, alone: bool = False) -> Done:
        given = list(details)
        return persist(lambda: super(Persistent, self).act(act, envelope, given, alone=alone))

    def done(self, act: Act[Any], envelope: Envelope, answer: Answer) -> Done:
        done = super().done(act, envelope, answer)
        assert answer.checkpoint is not None
        for logged in (done.logged, done.enacted):
            if logged is not None:
                leaf = base64.b64encode(logged.leaf).decode("ascii")
                note = answer.checkpoint.decode("utf-8")
                self._told.note("entry", kind=logged.entry.kind, index=logged.index, leaf=leaf, note=note)
        return done


def persist(ask: Callable[[], T]) -> T:
    """Return what `ask` returns, once it does."""
    while True:
        try:
            return ask()
        except Unavailable:
            time.sleep(random.uniform(0.02, 0.2))


class Worker:
    """One person at one device, and the two stores that a gateway is."""

    def __init__(self, profile: Profile, model: str, told: Told, seed: int) -> None:
        replica = Replica(profile.log, profile.deployment)
        connection = connection_of(profile)
        assert isinstance(connection, HttpsConnection)
        self._session: Session = resume(profile, Persistent(connection, replica, told))
        self._reads = GatewayStore(connection, lambda: self._session.directory)
        self._writes = GatewayUploads(connection, model)
        self._model, self._told, self._dice = model, told, random.Random(seed)
        self._session.deployment.sync()

    def turns(self) -> Iterator[None]:
        """Do one thing after the other."""
        while True:
            versions = list(self._session.directory.versions.values())
            try:
                if not versions or self._dice.random() < 0.3:
                    self._seal()
                else:
                    self.open(self._dice.choice(versions))
            except PASSING as error:
                self._told.note("nothing", code=error.code, message=error.message)
            yield

    def open(self, version: Version) -> None:
        """Have the keys released, and read a tensor; ask for access first if need be."""
        try:
            find_grant(self._session, version)
        except NotAllowed:
            request_access(self._session, version.version, 1, "to work with it")
        sealed = sealed_through_keep(self._session, version.version, self._reads)
        with opened(sealed) as model:
            content = model.get_tensor(TENSOR).tobytes()
        self._told.note("read", seal_id=version.seal_id, content=hashlib.sha256(content).hexdigest())

    def _seal(self) -> None:
        content = self._dice.randbytes(4 * self._dice.randrange(1, LARGEST_ELEMENTS))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.safetensors")
            file.write_bytes(safetensors({TENSOR: ("F32", (len(content) // 4,), content)}))
            directory = self._session.deployment.sync()
            model = directory.models[self._model]
            sealed = seal_for_deployment(
                [file],
                deployment=directory.deployment,
                model_id=model.model,
                generation=model.generation,
                to=PublicKey(model.public_key),
                store=self._writes,
            )
        # ORDER: before it is registered, for from then on others may open it.
        self._told.note("sealed", seal_id=sealed.seal_id, content=hashlib.sha256(content).hexdigest())
        register(self._session, sealed)


def main(profile: Path, model: str, told: Path, stop: Path, seed: int) -> None:
    worker = Worker(open_profile(profile), model, Told(told), seed)
    for _ in worker.turns():
        if stop.exists():
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))

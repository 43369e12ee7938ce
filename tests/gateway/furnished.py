"""A trial with something in it: a model, a version, a grant to open it, and one release of it.

with furnished(tmp_path) as trial:
    trial.real, trial.session            the gateway, and Ada logged in over HTTPS
    trial.model, trial.version, trial.grant
    trial.get("/v1/people")              the JSON of a signed read
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strongroom.acts.model_enrol import ModelEnrol
from strongroom.client.https import HttpsConnection, Response
from strongroom.client.names import new_detail
from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.client.requests import propose, request_access
from strongroom.client.session import Session
from strongroom.objects import ObjectStore, open_store
from strongroom.terms import canonical
from strongroom.terms.ids import new_id
from tests.attacks.versions import write_model
from tests.gateway.world import RealGateway, real_gateway

NAME = "acme/atlas"


@dataclass
class Furnished:
    """See the module."""

    real: RealGateway
    session: Session
    connection: HttpsConnection
    store: ObjectStore
    model: str
    version: str
    grant: str

    def get(self, target: str) -> Any:
        """Return the JSON that Ada is shown, or raise what she is refused with."""
        return shown(self.connection, target)

    def ask(self, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Response:
        """Return the answer to Ada, whatever it is."""
        return self.connection.request(method, target, is_signed=True, headers=headers)

    def open(self) -> None:
        """Release the version once more."""
        open_through_keep(self.session, f"{NAME}@1", self.store, grant=self.grant).close()


@contextmanager
def furnished(folder: Path, *, flags: Sequence[str] = ()) -> Iterator[Furnished]:
    """Give such a trial, and end its processes; `flags` are more of the gateway's."""
    with real_gateway(folder, flags=flags) as real:
        session = real.session()
        store = open_store((folder / "store").as_uri())
        detail = new_detail(NAME, os.urandom)
        model = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=1)
        propose(session, "model.enrol", model, "to try it", details=[detail])
        made = seal_through_keep(session, [write_model(folder / "model")], NAME, store, notes="first run")
        given = request_access(session, f"{NAME}@1", 4, "to look at it")
        assert given.enacted is not None
        (grant,) = session.deployment.sync().grants
        found = Furnished(
            real=real,
            session=session,
            connection=real.https(real.ada),
            store=store,
            model=model.model,
            version=made.version,
            grant=grant,
        )
        found.open()
        yield found


def shown(connection: HttpsConnection, target: str) -> Any:
    """Return the JSON at `target`, of whatever shape."""
    return connection.get(target)


def problem(response: Response) -> dict[str, Any]:
    """Return what a refusal says."""
    assert response.headers["content-type"] == "application/problem+json"
    told: Any = canonical.parse(response.body)
    assert told["status"] == response.status
    return dict(told)

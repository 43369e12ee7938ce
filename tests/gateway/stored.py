"""A trial whose gateway stands before a store, and a model in it that was sealed through the gateway and may be opened.

with stored(folder, url) as trial:
    trial.real, trial.session, trial.model      the gateway, Ada logged in over HTTPS, the model's identifier
    trial.reads, trial.writes                   her `GatewayStore` and `GatewayUploads`
    trial.behind                                the store itself
    trial.folder                                the plain files
    trial.version                               `acme/atlas@1`, granted to her and not yet released
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from strongroom.acts.model_enrol import ModelEnrol
from strongroom.client.names import new_detail
from strongroom.client.released import seal_through_keep, sealed_through_keep
from strongroom.client.requests import propose, request_access
from strongroom.client.session import Session
from strongroom.client.transfer.gateway_store import GatewayStore
from strongroom.client.transfer.gateway_uploads import GatewayUploads
from strongroom.client.version import SealedVersion
from strongroom.directory.state import Version
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.ids import new_id
from tests.attacks.versions import write_model
from tests.gateway.world import RealGateway, real_gateway

NAME = "acme/atlas"
PATIENCE_SECONDS = 10.0


@dataclass
class Stored:
    """See the module."""

    real: RealGateway
    session: Session
    model: str
    behind: ObjectStore
    folder: Path
    version: Version

    @property
    def reads(self) -> GatewayStore:
        return GatewayStore(
            self.real.https(self.real.ada), lambda: self.session.directory, patience_seconds=PATIENCE_SECONDS
        )

    @property
    def writes(self) -> GatewayUploads:
        return GatewayUploads(self.real.https(self.real.ada), self.model, patience_seconds=PATIENCE_SECONDS)

    def open(self, store: ObjectStore | None = None, *, version: str | None = None) -> SealedVersion:
        """Release the version, and open it over `store`, by default the gateway's."""
        name = self.version.version if version is None else version
        return sealed_through_keep(self.session, name, self.reads if store is None else store)

    def seal(self, paths: Sequence[Path]) -> Version:
        made = seal_through_keep(self.session, paths, NAME, self.writes)
        return self.session.directory.versions[made.version]

    def names(self) -> list[str]:
        """Return what is in the store."""
        return [info.name for kind in ("m/", "o/", "w/") for info in self.behind.list(kind)]


@contextmanager
def stored(folder: Path, url: str) -> Iterator[Stored]:
    """Give such a trial, and end its processes."""
    with real_gateway(folder, flags=("--store", url)) as real:
        session = real.session()
        detail = new_detail(NAME, os.urandom)
        change = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=1)
        propose(session, "model.enrol", change, "to try it", details=[detail])
        plain = write_model(folder / "model")
        writes = GatewayUploads(real.https(real.ada), change.model, patience_seconds=PATIENCE_SECONDS)
        made = seal_through_keep(session, [plain], NAME, writes)
        request_access(session, made.version, 4, "to look at it")
        session.deployment.sync()
        yield Stored(
            real=real,
            session=session,
            model=change.model,
            behind=open_store(url),
            folder=plain,
            version=session.directory.versions[made.version],
        )

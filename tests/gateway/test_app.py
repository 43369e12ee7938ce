"""The gateway's own routes: what it passes on, what it proves, and how it refuses."""

from __future__ import annotations

from strongroom.terms import canonical
from tests.gateway.world import RealGateway


def test_ready(shared: RealGateway) -> None:
    assert canonical.parse(shared.get("/readyz").body) == {"ready": True}


def test_login(shared: RealGateway) -> None:
    session = shared.session()
    session.deployment.sync()
    assert session.directory.sessions

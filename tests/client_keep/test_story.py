"""From founding to an open model, through the client alone, over a real socket."""

from __future__ import annotations

from pathlib import Path

from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.objects import open_store
from tests.attacks.versions import MODEL, write_model
from tests.client_keep.logs import founded


def test_a_model_is_sealed_by_a_job_that_cannot_read_it_and_opened_by_a_researcher_whom_two_let(tmp_path: Path) -> None:
    with founded(tmp_path) as world:
        store = open_store((tmp_path / "store").as_uri())
        world.model()
        job = world.workload("trainer", "writer")
        job.deployment.sync()
        job.deployment.names.add(world.keeper.details.values())
        made = seal_through_keep(job, [write_model(tmp_path / "model")], "acme/atlas", store, notes="first run")
        assert (made.name, made.number) == ("acme/atlas@1", 1)
        given = world.grant("acme/atlas@1")
        assert given.enacted is not None
        with open_through_keep(world.session("Dan"), "acme/atlas@1", store) as model:
            assert model.read_bytes("config.json") == MODEL["config.json"]

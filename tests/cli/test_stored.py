"""`ls`, `inspect` and `scrub` in a deployment: what the log says, and what a gateway gives of what was released."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.terms.errors import BadRequest, NotAllowed, NotFound, ObjectTampered
from tests.attacks.versions import write_model
from tests.cli.command import Outcome, run_inside
from tests.gateway.world import RealGateway, real_gateway


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A trial behind a gateway that has a store, with one sealed version that an alias names."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "store").mkdir()
    with real_gateway(folder, flags=("--store", (folder / "store").as_uri())) as real:
        done(real, "connect", real.place)
        done(real, "propose", "model.enrol", "--name", "acme/atlas", "--label", 1, "--purpose", "to try")
        done(real, "seal", write_model(folder / "model"), "--as", "acme/atlas", "--notes", "the first")
        done(real, "alias", "set", "acme/atlas@prod", "acme/atlas@1")
        yield real


def run(real: RealGateway, *arguments: object) -> Outcome:
    return run_inside("--home", real.ada.path, *arguments)


def done(real: RealGateway, *arguments: object) -> Any:
    outcome = run(real, *arguments, "--json")
    assert outcome.code == 0, outcome
    return json.loads(outcome.out)


def store(real: RealGateway) -> str:
    return (real.folder / "store").as_uri()


def test_versions_are_listed_looked_at_and_checked_without_any_store(real: RealGateway, tmp_path: Path) -> None:
    (listed,) = done(real, "ls")["versions"]
    assert (listed["name"], listed["label"], listed["notes"]) == ("acme/atlas@1", 1, "the first")
    assert (listed["aliases"], listed["may_open"]) == (["acme/atlas@prod"], [])
    assert listed["size_bytes"] > 0

    # Before it was released, a gateway gives nothing of it but what is in the log.
    outcome = run(real, "inspect", "acme/atlas@prod")
    assert outcome.code == 0, outcome
    assert listed["manifest"] in outcome.out
    assert "no live release" in outcome.err
    assert done(real, "inspect", "acme/atlas@1") == listed | {"objects": None}
    refused = run(real, "scrub", "acme/atlas@1")
    assert refused.code == NotAllowed.exit_code
    assert "`strongroom open` it first" in refused.err

    done(real, "request", "acme/atlas@1", "--for", "1h", "--purpose", "to try")
    done(real, "open", "acme/atlas@1", "--to", tmp_path / "opened")
    (listed,) = done(real, "ls")["versions"]
    assert [may for may in listed["may_open"] if "(Ada) until" in may]
    assert "acme/atlas@1" in run(real, "ls").out
    objects = done(real, "inspect", "acme/atlas@1")["objects"]
    assert sum(one["size_bytes"] for one in objects) > 0
    assert done(real, "scrub", "acme/atlas@prod") | {"size_bytes": 0} == {
        "versions": 1,
        "objects": len(objects),
        "size_bytes": 0,
        "damage": [],
        "stray": 0,
    }


def test_a_store_that_is_named_is_asked_for_the_very_version_in_the_log(real: RealGateway) -> None:
    (held,) = done(real, "ls", "--store", store(real))["versions"]
    (listed,) = done(real, "ls")["versions"]
    assert held["manifest"] == listed["manifest"]
    assert done(real, "inspect", "acme/atlas@1", "--store", store(real))["seal_id"] == listed["seal_id"]
    assert done(real, "scrub", listed["version"], "--store", store(real))["damage"] == []
    assert run(real, "scrub", "acme/atlas@1", "--store", store(real), "--manifest", listed["manifest"]).code == 2
    assert done(real, "scrub", "--store", store(real))["versions"] == 1


def test_what_is_damaged_is_found_and_another_manifest_is_not_taken_for_it(real: RealGateway) -> None:
    (listed,) = done(real, "ls")["versions"]
    (manifest,) = (path for path in (real.folder / "store" / "m").rglob("*") if path.is_file())
    held = manifest.read_bytes()
    manifest.write_bytes(held.replace(b" ", b"") + b" ")
    try:
        outcome = run(real, "scrub", listed["version"], "--store", store(real))
    finally:
        manifest.write_bytes(held)
    assert outcome.code == ObjectTampered.exit_code
    assert f"not {listed['manifest']}" in outcome.out


def test_what_is_not_there_is_said_with_where_to_look(real: RealGateway) -> None:
    for command in (("inspect", "acme/atlas@7"), ("scrub", "acme/atlas@7"), ("inspect", f"version-{'0' * 32}")):
        outcome = run(real, *command)
        assert outcome.code == NotFound.exit_code
        assert "`strongroom ls`" in outcome.err
    outcome = run(real, "scrub")
    assert outcome.code == BadRequest.exit_code
    assert "`strongroom copies --live`" in outcome.err

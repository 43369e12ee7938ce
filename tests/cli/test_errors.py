"""What bad input gets: one line of the right family, a hint, the family's exit code, never a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from strongroom.objects import open_store
from strongroom.terms.errors import (
    BadKey,
    BadRequest,
    NotFound,
    OutputExists,
    StoreUnavailable,
    StrongroomError,
    WrongKey,
    families,
)
from strongroom.terms.outer_errors import BadName, BadSource, BadStoreUrl, VersionExists, WrongManifest
from tests.attacks.versions import ATLAS_1, OWNER, STRANGER, read_tree, seal, write_model
from tests.cli.command import COMMAND, check_refused, run, run_inside

# {…} stands for what `world` makes.
SEAL = "seal {model} --as acme/atlas@2 --to {public} --store {store}"
OPEN = "open acme/atlas@1 --identity {key} --store {store} --to {to}"

MISTAKES: list[tuple[str, type[StrongroomError]]] = [
    (SEAL.replace("atlas@2", "atlas@1"), VersionExists),
    (SEAL.replace("acme/atlas@2", "atlas"), BadName),
    (SEAL.replace("acme/atlas@2", "Acme/Atlas@2"), BadName),
    (SEAL.replace("acme/atlas@2", "acme/atlas@01"), BadName),
    (SEAL.replace("acme/atlas@2", "acme/../@2"), BadName),
    (SEAL.replace("{public}", "{key}"), BadKey),
    (SEAL.replace("{public}", "strongroom-public-1:AAAA"), BadKey),
    (SEAL.replace("{public}", "nowhere.pub"), NotFound),
    (SEAL.replace("{model}", "nowhere"), NotFound),
    (SEAL.replace("{model}", "{model} {model}"), StrongroomError),
    (SEAL.replace("{model}", "/dev/null"), BadSource),
    (SEAL + " --include nothing", BadSource),
    (SEAL.replace("{store}", "/a/path"), BadStoreUrl),
    (SEAL.replace("{store}", "file://host/path"), BadStoreUrl),
    (SEAL.replace("{store}", "ftp://host/path"), BadStoreUrl),
    (SEAL.replace("{store}", "s3://user:password@bucket"), BadStoreUrl),
    (SEAL.replace("{store}", "{file_url}"), StoreUnavailable),
    (OPEN.replace("{key}", "{stranger}"), WrongKey),
    (OPEN.replace("{key}", "nowhere.key"), NotFound),
    (OPEN.replace("{key}", "{open_key}"), BadKey),
    (OPEN.replace("{key}", "{model}"), BadKey),
    (OPEN.replace("{key}", "{model}/weights.bin"), BadKey),
    (OPEN.replace("atlas@1", "atlas@7"), NotFound),
    (OPEN.replace("{to}", "{model}"), OutputExists),
    (OPEN.replace("{to}", "{key}"), OutputExists),
    (OPEN.replace("{store}", "{store}/nowhere"), StoreUnavailable),
    (OPEN + " --file nothing.bin", NotFound),
    (OPEN + " --file ../identity.key", NotFound),
    (OPEN + " --manifest sha256:1234", BadRequest),
    (OPEN + " --manifest 1234", BadRequest),
    ("open acme/atlas@1 --store {store} --to {to}", NotFound),
    ("seal {model} --as acme/atlas --store {store}", NotFound),
    ("ls", NotFound),
    ("inspect acme/atlas@1", NotFound),
    ("scrub", BadRequest),
    ("scrub acme/atlas@1", NotFound),
    ("ls --store {store}/nowhere", StoreUnavailable),
    ("ls --store {store}?x=y", BadStoreUrl),
    ("inspect acme/atlas@7 --store {store}", NotFound),
    ("inspect acme/atlas --store {store}", BadName),
    ("inspect acme/atlas@1 --store {store} --identity {stranger}", WrongKey),
    ("scrub acme/atlas@7 --store {store}", NotFound),
    ("scrub {model} --store {store}", BadName),
    ("store sweep --store {store}/nowhere", StoreUnavailable),
    ("keygen -o {key}", OutputExists),
    ("keygen -o {to}/nowhere", BadRequest),
]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A store with one version, its key, somebody else's, a key that others can read, and no profile."""
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "home"))
    write_model(tmp_path / "model", {"weights.bin": b"weights"})
    for name, identity, mode in (
        ("identity.key", OWNER, 0o600),
        ("stranger.key", STRANGER, 0o600),
        ("open.key", OWNER, 0o644),
    ):
        (tmp_path / name).write_text(identity.encode() + "\n")
        (tmp_path / name).chmod(mode)
    store = open_store((tmp_path / "store").as_uri())
    seal(store)
    return {
        "model": str(tmp_path / "model"),
        "public": str(OWNER.public_key()),
        "store": store.url,
        "file_url": (tmp_path / "identity.key").as_uri(),
        "key": str(tmp_path / "identity.key"),
        "stranger": str(tmp_path / "stranger.key"),
        "open_key": str(tmp_path / "open.key"),
        "to": str(tmp_path / "place" / "opened"),
    }


@pytest.mark.parametrize(("mistake", "error"), MISTAKES)
def test_a_mistake_gets_one_line_a_hint_and_the_exit_code_of_its_family(
    world: dict[str, str], tmp_path: Path, mistake: str, error: type[StrongroomError]
) -> None:
    before = read_tree(tmp_path)
    outcome = run_inside(*[word.format_map(world) for word in mistake.split()], "--json")
    if error is StrongroomError:
        error = next(family for family in families() if family.exit_code == outcome.code)
        assert outcome.err.startswith(f"strongroom: {error.family.lower()}: ")
    else:
        check_refused(outcome, error)
        assert outcome.json()["error"]["message"] in outcome.err
    assert "password" not in outcome.err
    assert read_tree(tmp_path) == before
    assert not (tmp_path / "place" / "opened").exists()


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (OPEN.replace("{key}", "{open_key}"), BadKey),
        (OPEN.replace("{key}", "{stranger}"), WrongKey),
        (OPEN.replace("{to}", "{model}"), OutputExists),
        (OPEN.replace("{store}", "{store}/nowhere"), StoreUnavailable),
        (OPEN + " --manifest sha256:" + "0" * 64, WrongManifest),
    ],
    ids=[family.__name__ for family in (BadKey, WrongKey, OutputExists, StoreUnavailable, WrongManifest)],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["in-words", "json"])
def test_a_mistake_of_each_family_ends_a_process_as_promised(
    world: dict[str, str], mistake: str, error: type[StrongroomError], form: list[str]
) -> None:
    outcome = run(*[word.format_map(world) for word in mistake.split()], *form)
    check_refused(outcome, error)
    assert bool(outcome.out) == bool(form)
    assert not Path(world["to"]).exists()


def test_every_family_is_met_by_some_mistake() -> None:
    """Tampered has a room of its own: the attacks."""
    met = {family for family in families() for _, error in MISTAKES if issubclass(error, family)}
    assert {family.__name__ for family in set(families()) - met} == {"Tampered"}


@pytest.mark.parametrize(
    "mistake",
    [
        "",
        "unknown",
        "seal",
        "seal {model}",
        "seal {model} --as acme/atlas@2 --to {public}",
        "open",
        "open acme/atlas@1 --store {store} --to {to} --manifest sha256:" + "0" * 64,
        "open acme/atlas@1 --identity {key} --store {store} --to {to} --grant grant-" + "0" * 32,
        "seal {model} --as acme/atlas@2 --to {public} --store {store} --notes private",
        "open acme/atlas@1 --identity {key} --store {store}",
        "open acme/atlas@1 acme/atlas@2 --identity {key} --store {store} --to {to}",
        "open acme/atlas@1 --identity {key} --store {store} --to {to} --threads 0",
        "open acme/atlas@1 --identity {key} --store {store} --to {to} --threads many",
        "ls --unknown",
        "inspect acme/atlas@1 --identity {key}",
        "inspect --store {store}",
        "scrub --store {store} --manifest sha256:" + "0" * 64,
        "store",
        "store sweep --store {store} --grace 0.5",
        "store sweep --store {store} --grace -1",
        "keygen",
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(world: dict[str, str], tmp_path: Path, mistake: str) -> None:
    before = read_tree(tmp_path)
    outcome = run_inside(*[word.format_map(world) for word in mistake.split()])
    assert outcome.code == 2, outcome
    assert "Usage: strongroom" in outcome.err + outcome.out
    assert read_tree(tmp_path) == before


@pytest.mark.parametrize("version", [ATLAS_1, "acme/nowhere@1"], ids=["result", "error"])
def test_the_reader_of_the_output_may_leave(world: dict[str, str], version: object) -> None:
    process = subprocess.Popen(
        [*COMMAND, "inspect", str(version), "--store", world["store"], "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141

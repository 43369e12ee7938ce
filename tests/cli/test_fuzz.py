"""Arguments that make no sense, by the thousand: never a traceback, and nothing but the known exit codes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.objects import open_store
from tests.attacks.versions import OWNER, read_tree, seal, write_key
from tests.cli.command import run_inside

EXIT_CODES = {0, 2, 3, 4, 5, 6, 7}

WORDS = st.sampled_from(
    [
        *("keygen", "seal", "open", "ls", "inspect", "scrub", "store", "sweep"),
        *("--store", "--identity", "--to", "--as", "--manifest", "--file", "--threads", "--include", "--exclude"),
        *("--sha256", "--json", "--help", "--version", "-o", "-h", "--grace", "--dry-run", "--", "-"),
        *("acme/atlas@1", "acme/atlas@2", "acme/atlas", "store-url", "identity.key", "model", "opened", "new.key"),
        *(
            "sha256:" + "0" * 64,
            "1",
            "0",
            "-1",
            "1e309",
            "nan",
            "file:///",
            "s3://",
            "s3://b/p",
            "file://%00",
            "http://[::1",
        ),
        *("weights.bin", "", ".", "..", "*", "[", "/dev/null", "/proc/self/mem", "\udcff", "\u202e", "\n", "é" * 300),
    ]
)
ARGUMENTS = st.lists(
    st.one_of(WORDS, st.binary(max_size=12).filter(lambda data: b"\0" not in data).map(os.fsdecode)),
    max_size=9,
)
# A command that is nearly right gets further than one that is not.
NEARLY = st.builds(
    lambda command, more: [*command, *more],
    st.sampled_from(
        [
            ["seal", "model", "--as", "acme/atlas@1", "--to", "public", "--store", "store-url"],
            ["open", "acme/atlas@1", "--identity", "identity.key", "--store", "store-url", "--to", "opened"],
            ["inspect", "acme/atlas@1", "--store", "store-url", "--identity", "identity.key"],
            ["scrub", "--store", "store-url"],
            ["ls", "--store", "store-url"],
            ["store", "sweep", "--store", "store-url"],
        ]
    ),
    ARGUMENTS,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that holds a store, a key and a model, and is where the command runs."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "model").mkdir()
    (folder / "model" / "weights.bin").write_bytes(b"weights")
    write_key(folder / "identity.key", OWNER)
    seal(open_store((folder / "store").as_uri()))
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@settings(max_examples=400, deadline=None)
@given(arguments=st.one_of(ARGUMENTS, NEARLY))
def test_no_arguments_end_in_a_traceback(world: Path, arguments: list[str]) -> None:
    values = {"store-url": (world / "store").as_uri(), "public": str(OWNER.public_key())}
    before = read_tree(world / "store")
    outcome = run_inside(*[values.get(argument, argument) for argument in arguments])
    assert outcome.code in EXIT_CODES, outcome
    assert OWNER.encode() not in outcome.out + outcome.err
    after = read_tree(world / "store")
    assert before.items() <= after.items()

"""What every release wrote folds to the same directory for ever, and is valid for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from strongroom import __version__
from strongroom.acts.fold import fold, genesis
from strongroom.directory.entries import parse_entry
from strongroom.verify.copy import read_leaves, read_note
from strongroom.verify.log import LogVerifier
from tests.vectors.golden import GOLDEN

DIGESTS = {"0.1.0": "e8a4e4352a338e0bb83dba1c133a3c27d5d623774a7abb774837c58a7c2c62d2"}
"""SHA-256 of each release's `entries` and `directory.json`, one after the other: nobody may write them anew."""


def folders() -> dict[str, Path]:
    return {path.name: path for path in GOLDEN.iterdir() if path.is_dir()}


def is_nothing(value: Any) -> bool:
    return value in ({}, [], 0, False, "")


def test_this_release_and_every_one_before_it_has_a_log() -> None:
    assert set(folders()) == set(DIGESTS)
    assert __version__ in DIGESTS


@pytest.mark.parametrize("version", DIGESTS)
def test_the_golden_log_is_what_its_release_wrote(version: str) -> None:
    folder = folders()[version]
    digest = hashlib.sha256((folder / "entries").read_bytes() + (folder / "directory.json").read_bytes())
    assert digest.hexdigest() == DIGESTS[version]


@pytest.mark.parametrize("version", DIGESTS)
def test_it_folds_to_what_its_release_folded_it_to(version: str) -> None:
    leaves = list(read_leaves(folders()[version]))
    directory = genesis(leaves[0])
    for leaf in leaves[1:]:
        fold(directory, leaf)
    then, now = json.loads((folders()[version] / "directory.json").read_bytes()), json.loads(directory.encode())
    # What came in with a later release is there, and empty: an old log says nothing of it.
    assert {name: value for name, value in now.items() if name in then} == then
    assert all(is_nothing(value) for name, value in now.items() if name not in then)
    assert len({parse_entry(leaf).kind for leaf in leaves}) >= 18


@pytest.mark.parametrize("version", DIGESTS)
def test_it_is_valid(version: str) -> None:
    folder = folders()[version]
    verifier = LogVerifier(lambda: read_leaves(folder), read_note(folder), (folder / "name").read_text().strip())
    assert len(list(verifier.entries())) == verifier.checkpoint.size - 1
    assert len(verifier.finish()) == 1

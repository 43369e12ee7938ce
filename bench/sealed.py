"""Sealed: a model that is sealed with our own library, in this process, and ways to open it here."""

from __future__ import annotations

import shutil
from pathlib import Path

from measure import timed
from model import Model
from warm import warm, warm_files

import strongroom
from strongroom.client.extract import extract_version
from strongroom.client.identity import create_identity
from strongroom.client.opened import OpenVersion
from strongroom.client.seal import seal_version
from strongroom.client.version import open_sealed
from strongroom.objects import open_store
from strongroom.terms.names import parse_version

VERSION = "bench/model@1"


class SealedModel:
    """One model in a store of its own in `home`; sealing it again replaces it."""

    def __init__(self, home: Path, model: Model, threads: int) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.model = model
        self.threads = threads
        self.size_bytes = model.size_bytes
        self.identity_file = home / "identity.key"
        self.identity = create_identity(self.identity_file)
        self.store = f"file://{home}/store"

    def seal(self, *, threads: int = 0, whole_file_digests: bool = False) -> float:
        """Seal the model; return the seconds."""
        shutil.rmtree(self.home / "store", ignore_errors=True)
        with warm_files(self.home, self.size_bytes), timed() as clock:
            seal_version(
                [self.model.folder],
                name=parse_version(VERSION),
                to=self.identity.public_key(),
                store=open_store(self.store),
                threads=threads or self.threads,
                whole_file_digests=whole_file_digests,
            )
        return clock.seconds

    def open(self, *, threads: int = 0) -> OpenVersion:
        """Return the version, opened as a user does."""
        return strongroom.open_version(
            VERSION, identity=self.identity_file, store=self.store, threads=threads or self.threads
        )

    def load(self, *, threads: int = 0) -> float:
        """Open the version and all its tensors into fresh memory; return the seconds."""
        warm(self.size_bytes)
        with timed() as clock:
            tensors = self.open(threads=threads).load_all()
        del tensors
        return clock.seconds

    def extract(self, to: Path) -> float:
        """Open the version onto disk; return the seconds."""
        with warm_files(self.home, self.size_bytes), timed() as clock:
            sealed = open_sealed(open_store(self.store), parse_version(VERSION), self.identity, threads=self.threads)
            extract_version(sealed, to)
        shutil.rmtree(to)
        return clock.seconds

"""Subjects: each tool seals a model and opens it onto disk, with what it offers for speed and no compression.

Where a tool takes one file at a time, as many of it run side by side as there are processors.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import run
from model import Model

PROCESSORS = len(os.sched_getaffinity(0))
STRONGROOM = (sys.executable, "-c", "from strongroom.cli import main; main()")
VERSION = "bench/model@1"
_PASSWORD = "correct horse battery staple"


class Subject:
    """A tool and the one model that it seals, once, into `home`. What is not timed goes before and after."""

    name = ""
    version_command: tuple[str, ...] = ()

    def __init__(self, home: Path, model: Model) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.model = model
        self.password = home / "password"
        self.password.write_text(_PASSWORD)
        self.prepare()

    @classmethod
    def version(cls) -> str:
        """Return what the tool says of its version."""
        return " ".join(re.findall(r"v?\d+\.\d[\w.-]*", run(*cls.version_command))[:1])

    def prepare(self) -> None:
        """Make keys, repositories and the like."""

    def seal(self) -> None:
        """Seal the model."""
        raise NotImplementedError

    def before_open(self) -> None:
        """Do what a user does once."""

    def open(self, to: Path) -> None:
        """Open the model into the folder `to`, which is empty or not there."""
        raise NotImplementedError

    def after_open(self) -> None:
        """Undo what `before_open` did."""


class Strongroom(Subject):
    """Ours, as the command."""

    name = "strongroom"
    version_command = (*STRONGROOM, "--version")

    def prepare(self) -> None:
        self.identity = self.home / "identity.key"
        self.public_key = run(*STRONGROOM, "keygen", "-o", self.identity).strip()
        self.store = f"file://{self.home}/store"

    def seal(self, *options: str) -> None:
        store = ("--as", VERSION, "--to", self.public_key, "--store", self.store)
        run(*STRONGROOM, "seal", self.model.folder, *store, *options)

    def open(self, to: Path) -> None:
        run(*STRONGROOM, "open", VERSION, "--identity", self.identity, "--store", self.store, "--to", to)

    def clear(self) -> None:
        """Forget what was sealed."""
        shutil.rmtree(self.home / "store", ignore_errors=True)


class Age(Subject):
    """One process for each file."""

    name = "age"
    version_command = ("age", "--version")

    def prepare(self) -> None:
        self.identity = self.home / "identity.txt"
        run("age-keygen", "-o", self.identity)
        self.public_key = run("age-keygen", "-y", self.identity).strip()
        self.sealed = self.home / "sealed"

    def seal(self) -> None:
        self.sealed.mkdir()
        side_by_side(
            [
                ("age", "-r", self.public_key, "-o", self.sealed / file.name, file)
                for file in self.model.folder.iterdir()
            ]
        )

    def open(self, to: Path) -> None:
        to.mkdir(exist_ok=True)
        side_by_side([("age", "-d", "-i", self.identity, "-o", to / file.name, file) for file in self.sealed.iterdir()])

    def clear(self) -> None:
        """Forget what was sealed."""
        shutil.rmtree(self.sealed, ignore_errors=True)


class Gocryptfs(Subject):
    """Files are copied into and out of the mounted view; a new mount for each round, so that no cache answers."""

    name = "gocryptfs"
    version_command = ("gocryptfs", "--version")

    def prepare(self) -> None:
        self.sealed, self.view = self.home / "sealed", self.home / "view"
        self.sealed.mkdir()
        self.view.mkdir()
        run("gocryptfs", "-q", "-init", "-passfile", self.password, self.sealed)

    def seal(self) -> None:
        self.before_open()
        shutil.copytree(self.model.folder, self.view, dirs_exist_ok=True)
        self.after_open()

    def before_open(self) -> None:
        run("gocryptfs", "-q", "-passfile", self.password, self.sealed, self.view)

    def open(self, to: Path) -> None:
        to.mkdir(exist_ok=True)
        side_by_side([("cp", file, to) for file in self.view.iterdir()])

    def after_open(self) -> None:
        run("fusermount3", "-u", self.view)


class Rclone(Subject):
    """A `crypt` remote over a local folder."""

    name = "rclone crypt"
    version_command = ("rclone", "version")

    def prepare(self) -> None:
        self.env = {
            "RCLONE_CONFIG": str(self.home / "rclone.conf"),
            "RCLONE_CONFIG_SEALED_TYPE": "crypt",
            "RCLONE_CONFIG_SEALED_REMOTE": str(self.home / "sealed"),
            "RCLONE_CONFIG_SEALED_PASSWORD": run("rclone", "obscure", _PASSWORD).strip(),
        }
        (self.home / "rclone.conf").touch()

    def seal(self) -> None:
        run("rclone", "copy", self.model.folder, "sealed:", env=self.env)

    def open(self, to: Path) -> None:
        run("rclone", "copy", "sealed:", to, env=self.env)


class Restic(Subject):
    """A local repository, without cache and compression, in the largest packs."""

    name = "restic"
    version_command = ("restic", "version")

    def prepare(self) -> None:
        self.repository = ("-r", self.home / "repository", "-p", self.password, "--no-cache", "-q")
        run("restic", *self.repository, "init")

    def seal(self) -> None:
        run(
            "restic",
            *self.repository,
            "backup",
            "--compression=off",
            "--pack-size=128",
            ".",
            cwd=self.model.folder,
        )

    def open(self, to: Path) -> None:
        run("restic", *self.repository, "--no-lock", "restore", "latest", "--target", to)


class Borg(Subject):
    """A local repository, encrypted (AES-CTR, HMAC-SHA-256), without compression."""

    name = "borg"
    version_command = ("borg", "--version")

    def prepare(self) -> None:
        self.repository = str(self.home / "repository")
        self.env = {"BORG_PASSPHRASE": _PASSWORD, "BORG_BASE_DIR": str(self.home)}
        run("borg", "init", "-e", "repokey", self.repository, env=self.env)

    def seal(self) -> None:
        archive = f"{self.repository}::model"
        run("borg", "create", "-C", "none", archive, ".", cwd=self.model.folder, env=self.env)

    def open(self, to: Path) -> None:
        to.mkdir(exist_ok=True)
        run("borg", "extract", f"{self.repository}::model", cwd=to, env=self.env)


OTHERS: tuple[type[Subject], ...] = (Age, Gocryptfs, Rclone, Restic, Borg)


def side_by_side(commands: list[tuple[str | Path, ...]]) -> None:
    """Run `commands`, as many at once as there are processors."""
    with ThreadPoolExecutor(PROCESSORS) as pool:
        for _ in pool.map(lambda command: run(*command), commands):
            pass

"""A trial to measure a gateway with: `strongroom up` as people run it, before a real S3 server.

One person and one workload. Clients in numbers are copies of their profiles, each in a folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import run
from model import Model
from subjects import STRONGROOM

from strongroom.acts.role_give import RoleGive
from strongroom.client.cards import make_program_card
from strongroom.client.joining import connect, join
from strongroom.client.place import parse_place
from strongroom.client.profile import HOME, Profile, create_profile, open_profile
from strongroom.client.requests import propose
from strongroom.client.room import Room
from strongroom.client.session import Session, login, resume
from strongroom.client.transfer.stores import STORE
from strongroom.service.trial import TEAM
from strongroom.terms.ids import new_id

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.servers import S3Server, running_s3_server

PURPOSE = "to measure it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A trial that runs: `person` is logged in, `program` is a workload of theirs."""

    disk: Path
    memory: Path
    person: Profile
    program: Profile
    server: S3Server
    pids: Mapping[str, int]
    """Of keep and gateway."""

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self.person.where

    @property
    def keep(self) -> Path:
        """The keep's socket."""
        return next(one for one in (self.disk / "trial").rglob("*") if one.is_socket())

    def seal(self, name: str, model: Model) -> str:
        """Seal `model` through the gateway as a version that both may open; return its identifier."""
        run(*STRONGROOM, "--home", self.person.path, "propose", "model.enrol", "--name", name, *_PURPOSE)
        room = Room(self.person)
        version = room.seal(model.folder, name).version
        for workload in (None, self.program.who.subject):
            assert room.request(version, PURPOSE, hours=4, workload=workload).enacted
        connect(self.program).sync()
        return version

    def log_in(self, folder: Path, count: int) -> list[Session]:
        """Return so many sessions of the person, each in a profile of its own in the new `folder`."""
        folder.mkdir(mode=0o700)
        sessions = []
        for number in range(count):
            # One after another: a security key counts its touches, and one that is behind counts as cloned.
            login(self.person, connect(self.person), self.person.security_key())
            copy = open_profile(copied(self.person, folder / str(number)))
            sessions.append(resume(copy, connect(copy)))
        return sessions


_PURPOSE = ("--label", "1", "--purpose", PURPOSE)


def copied(profile: Profile, folder: Path) -> Path:
    """Copy a profile, with its copy of the log, to `folder`, which is new."""
    return Path(shutil.copytree(profile.path, folder))


@contextmanager
def running_place(disk: Path, memory: Path) -> Iterator[Place]:
    """Run a trial, with keep and gateway on `disk` and everybody else in `memory`, both new; and end it."""
    for folder in (disk, memory):
        folder.mkdir(mode=0o700)
    tempfile.tempdir = str(memory)  # where the S3 server goes
    with ExitStack() as stack:
        server = stack.enter_context(running_s3_server())
        events = stack.enter_context((memory / "events").open("w+"))
        inherited = {name: text for name, text in os.environ.items() if name not in {HOME, STORE}}
        command = [*STRONGROOM, "--home", str(memory / "person"), "up", "--trial", "--json", "--port", "0"]
        process = stack.enter_context(
            subprocess.Popen(
                [*command, "--folder", str(disk / "trial"), "--store", f"s3://{server.bucket}", "--name", "Ada"],
                env=inherited | server.environment(),
                stdout=subprocess.PIPE,
                stderr=events,
                text=True,
            )
        )
        stack.callback(process.terminate)
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            if not (line := process.stdout.readline()):
                raise SystemExit(f"bench: the trial does not start: {(folder / 'events').read_text()[-2000:]}")
            told += line
        person = open_profile(memory / "person")
        lines = (json.loads(line) for line in (memory / "events").read_text().splitlines() if line[0] == "{")
        yield Place(
            disk=disk,
            memory=memory,
            person=person,
            program=_enrolled(person, memory / "program", json.loads(told)["connect"]),
            server=server,
            pids={one["process"]: one["pid"] for one in lines if one["event"] == "started"},
        )


def _enrolled(person: Profile, folder: Path, place: str) -> Profile:
    """Return the profile of a new workload, which has joined."""
    program = create_profile(new_id("workload", os.urandom), folder)
    deployment = connect(person)
    card = make_program_card(program, "a fleet", deployment=deployment.name, random=os.urandom)
    (zone,) = deployment.sync().zones
    change = card.workload_enrol(sponsor=person.who.subject, zone=zone)
    session = resume(person, deployment)
    propose(session, "workload.enrol", change, PURPOSE, details=[card.detail])
    given = RoleGive(subject=program.who.subject, role="researcher", team=TEAM)
    propose(session, "role.give", given, PURPOSE)
    join(program, parse_place(place))
    return program

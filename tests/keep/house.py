"""The house of `tests/acts/world.py` around a real keep, in this process: asked without a socket, its journal on disk.

house = kept_house(tmp_path)
house.do("Ada", Freeze(target=house.model, reason=text("odd")))     # or one of our errors, as the keep answers it
house.stop(), house.start(), house.unseal("Ada", "Ben")
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.acts.approve import Approve
from strongroom.acts.fold import fold, genesis
from strongroom.acts.propose import Propose
from strongroom.acts.release import Release
from strongroom.acts.version_register import VersionRegister
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory, KeepKeys
from strongroom.journal.port import Journal, Kept, Sign, Space
from strongroom.journal.sqlite import SqliteJournal, create_journal, open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.keep.clock import Clocks
from strongroom.keep.keep import Keep
from strongroom.keyring.provider import PlainFile
from strongroom.sealing import keys
from strongroom.sealing.floe import Parameters
from strongroom.sealing.floe_header import tag_and_message_key
from strongroom.sealing.keys import Binding, Identity, PublicKey, unwrap_with, wrap_to
from strongroom.statements.envelope import Envelope
from strongroom.terms import canonical
from strongroom.terms.errors import StrongroomError, families
from strongroom.terms.records import record_json
from strongroom.tlog.tree import Tree
from tests.acts.world import ACT_OF, SALT, START, TEXTS, Genesis, House, a_genesis, a_trial, custodian, text

CUSTODIAN = Identity(bytes(32))
"""The key that releases are wrapped to: see `world.RECIPIENT`."""
DATA_KEY = b"d" * 32
ERRORS: dict[str, type[StrongroomError]] = {
    error.code: error for family in families() for error in family.__subclasses__()
}


class FilledJournal:
    """A journal whose disk is as full as the test says."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal, self.left, self.room_bytes = journal, Space.ENOUGH, 1 << 60

    def space(self, pending_bytes: int = 0) -> Space:
        return self.left if pending_bytes <= self.room_bytes else Space.RESERVED

    @property
    def size(self) -> int:
        return self.journal.size

    @property
    def tree(self) -> Tree:
        return self.journal.tree

    @property
    def note(self) -> bytes | None:
        return self.journal.note

    def append(
        self, entries: Sequence[bytes], *, sign: Sign, kept: Sequence[Kept] = (), closing: bool = False
    ) -> bytes:
        return self.journal.append(entries, sign=sign, kept=kept, closing=closing)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        return self.journal.read(start, stop)

    def entry(self, index: int) -> bytes:
        return self.journal.entry(index)

    def kept(self, kind: str, name: str) -> bytes | None:
        return self.journal.kept(kind, name)

    def all_kept(self, kind: str) -> Iterator[tuple[str, bytes]]:
        return self.journal.all_kept(kind)

    def close(self) -> None:
        self.journal.close()


@dataclass
class Machine:
    """Where a keep runs: its folder, its clocks, and what it was started with."""

    folder: Path
    wall: int = START
    monotonic: int = 0
    is_trial: bool = False
    random: Callable[[int], bytes] = os.urandom
    keep: Keep = field(init=False)
    journal: FilledJournal = field(init=False)

    def __post_init__(self) -> None:
        self.folder.chmod(0o700)
        create_journal(self.folder / "journal", high_water=self.folder / "high-water")
        self.start()

    def start(self) -> None:
        """Start the keep, as after a crash."""
        opened = open_journal(
            self.folder / "journal", high_water=self.folder / "high-water", log_key_of=log_key_of, reserve_bytes=1 << 16
        )
        self.journal = FilledJournal(opened)
        port: Journal = self.journal
        clocks = Clocks(wall=lambda: float(self.wall), monotonic=lambda: float(self.monotonic))
        plain = PlainFile(self.folder / "root.key") if self.is_trial else None
        self.keep = Keep(port, clocks=clocks, random=self.random, plain_file=plain)

    def stop(self) -> None:
        self.journal.close()

    def pass_time(self, seconds: int) -> None:
        """Let both clocks run."""
        self.wall += seconds
        self.monotonic += seconds

    def answers(self, *requests: Any) -> list[Any]:
        """Return the answers to a batch."""
        # As it comes from a socket.
        return list(self.keep.handle([canonical.parse(canonical.encode(request)) for request in requests]))

    def ask(self, kind: str, **fields: Any) -> Any:
        """Return the answer to one request, or raise the error that it is."""
        (answer,) = self.answers({"ask": kind, **fields})
        return told(answer)

    def leaves(self) -> list[bytes]:
        """Return the log."""
        return list(self.journal.read(0, self.journal.size))

    def entries(self) -> list[Entry]:
        """Return the log, parsed."""
        return [parse_entry(leaf) for leaf in self.leaves()]

    def kinds(self) -> list[str]:
        """Return the kind of every entry."""
        return [entry.kind for entry in self.entries()]


def told(answer: Any) -> Any:
    """Return what an answer says, or raise the error that it is."""
    if "error" in answer:
        error = answer["error"]
        raise ERRORS[error["code"]](error["message"], hint=error["hint"])
    return answer["ok"]


@dataclass
class KeptHouse(House):
    """A house whose directory is the keep's."""

    machine: Machine = field(kw_only=True)

    def sync(self) -> None:
        """Look at the keep's directory and clock."""
        assert self.machine.keep._book is not None
        self.directory = self.machine.keep._book.directory

    def pass_time(self, seconds: int) -> None:
        self.machine.pass_time(seconds)
        self.at += seconds

    def request(self, envelope: Envelope, **more: Any) -> dict[str, Any]:
        """Return the request that says `envelope`, with the texts that it names and that this process knows."""
        due = [digest for digest in TEXTS if digest.encode() in envelope.payload]
        details: Any = [{"salt": SALT.hex(), "text": TEXTS[digest]} for digest in due]
        return {"ask": "act", "statement": envelope.json(), **({"details": details} if details else {}), **more}

    def tell(self, envelope: Envelope, **more: Any) -> Any:
        """Say it, and return the answer or raise the error that it is."""
        answer = told(self.machine.answers(self.request(envelope, **more))[0])
        self.sync()
        return answer

    def do(self, who: str, body: Any, /, *signers: Any, **changes: Any) -> str:
        said = changes.pop("id", "") or self.new("statement")
        self.tell(self.say(who, body, *signers, id=said, **changes))
        return said

    def voice_of(self, proposal: str, team: str = "core") -> Approve:
        """Return an approver's approval."""
        return Approve(proposal=proposal, digest=self.directory.proposals[proposal].digest, role="approver", team=team)

    def propose_of(self, change: Any) -> Propose:
        """Return the proposal of a change that changes no record."""
        return Propose(act=ACT_OF[type(change)], change=record_json(change), purpose=text("because"))

    def enact(self, proposal: str) -> str:
        """See that the keep enacted it by itself."""
        assert self.directory.closed[proposal] == "enacted"
        return proposal

    def version_body(self, **changes: Any) -> VersionRegister:
        """Return what registers a version that is really sealed to the model's key, or something else than that."""
        self.count += 1
        seal_id, model = f"{self.count:032x}", self.directory.models[self.model]
        binding = Binding(
            deployment=self.directory.deployment, model=model.model, generation=model.generation, seal_id=seal_id
        )
        wrapped = PublicKey(model.public_key).wrap(DATA_KEY, binding)
        usual = {"seal_id": seal_id, "wrapped_key": wrapped, "header": header(seal_id)}
        return super().version_body(**{**usual, **changes})

    def opened(self, envelope: Any, answer: Any) -> Any:
        """Return what a release holds, unwrapped as the client does it."""
        body = canonical.parse(base64.b64decode(envelope["payload"]))
        assert isinstance(body, dict)
        said: Any = body["body"]
        info = {
            "deployment": self.directory.deployment,
            "entry": said["entry"],
            "expires_at": said["expires_at"],
            "format": "strongroom/release/1",
            "recipient": said["recipient"],
            "version": said["version"],
        }
        assert answer["index"] == said["index"]
        return canonical.parse(unwrap_with(CUSTODIAN, base64.b64decode(said["wrapped"]), canonical.encode(info)))

    def open(self, body: Release, **changes: Any) -> Any:
        """Have Dan open something; return what the keep released."""
        answer = self.tell(self.say("Dan", body, **changes))
        return self.opened(answer["answer"]["envelope"], answer)

    # --- stopping and starting -----------------------------------------------------------------

    def share(self, who: str) -> str:
        """Return the words of a custodian's share, fetched while the keep is open."""
        wrapped = base64.b64decode(self.machine.ask("share", person=self.person(who))["share"])
        return unwrap_with(custodian(who), wrapped, self.share_info("share", who)).decode("ascii")

    def share_info(self, purpose: str, who: str) -> bytes:
        return canonical.encode(
            {
                "deployment": self.directory.deployment,
                "format": f"strongroom/{purpose}/1",
                "person": self.person(who),
            }
        )

    def give(self, who: str, words: str, *, as_whom: str = "") -> Any:
        """Give a share to the sealed keep."""
        answer = told(self.machine.answers(self.giving(who, words, as_whom=as_whom))[0])
        self.sync()
        return answer

    def giving(self, who: str, words: str, *, as_whom: str = "") -> dict[str, Any]:
        """Return the request that gives a share."""
        unseal_key = PublicKey(base64.b64decode(self.machine.ask("status")["unseal_key"]))
        person = as_whom or who
        wrapped = wrap_to(unseal_key, words.encode("ascii"), self.share_info("unseal", person))
        return {"ask": "unseal", "person": self.person(person), "share": base64.b64encode(wrapped).decode()}


def header(seal_id: str, data_key: bytes = DATA_KEY) -> bytes:
    """Return the header of a manifest's sealed part, as sealing with `data_key` makes it."""
    key, parameters, iv = keys.manifest_key(data_key, seal_id), Parameters(), bytes(32)
    tag, _ = tag_and_message_key(parameters, key.key, iv, key.aad)
    return parameters.encode() + iv + tag


def prepared(machine: Machine) -> KeepKeys:
    """Have a keep make a root key for a founding."""
    made = machine.ask("prepare")["keys"]
    return KeepKeys(**{name: base64.b64decode(key) for name, key in made.items()})


def found(machine: Machine, begun: Genesis, **signed: Any) -> KeptHouse:
    """Found the deployment through the keep."""
    envelope = begun.sign(**signed)
    due = [digest for digest in TEXTS if digest.encode() in envelope.payload]
    details = [{"salt": SALT.hex(), "text": TEXTS[digest]} for digest in due]
    machine.ask("found", statement=envelope.json(), details=details)
    assert machine.keep._book is not None
    return KeptHouse(directory=machine.keep._book.directory, people=begun.people, machine=machine)


@contextmanager
def machine_in(folder: Path, **options: Any) -> Iterator[Machine]:
    """Give a machine with a keep that founded nothing yet."""
    machine = Machine(folder, **options)
    try:
        yield machine
    finally:
        machine.stop()


@contextmanager
def kept_house(folder: Path) -> Iterator[KeptHouse]:
    """Give a house that was just founded through a real keep."""
    with machine_in(folder) as machine:
        yield found(machine, a_genesis(keys=prepared(machine)))


@contextmanager
def kept_trial(folder: Path) -> Iterator[KeptHouse]:
    """Give one person's trial."""
    with machine_in(folder, is_trial=True) as machine:
        yield found(machine, a_trial(keys=prepared(machine)))


def folded(machine: Machine) -> Directory:
    """Return the directory that the log of a machine makes, by whoever reads it."""
    leaves = machine.leaves()
    directory = genesis(leaves[0])
    for leaf in leaves[1:]:
        fold(directory, leaf)
    return directory

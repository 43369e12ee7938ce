"""A log with a story in it, written by the real keep, and whoever holds all of that keep's keys and wants to lie.

The forger signs checkpoints with the log's own key, and has people who are with them sign what they like. What they do
not have is anybody else's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.acts.fold import deployment_name, fold, genesis
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.role_give import RoleGive
from strongroom.acts.table import act_named
from strongroom.client.released import Registered, open_through_keep, seal_through_keep
from strongroom.client.requests import freeze, propose, raise_label, reject, thaw, withdraw
from strongroom.client.requests import proposal_id as id_of
from strongroom.client.review import review
from strongroom.client.session import Session
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory, PolicySource
from strongroom.objects import open_store
from strongroom.policy.bundle import CEDAR_VERSION, bundle_digest
from strongroom.policy.source import PolicyFile
from strongroom.statements.envelope import Envelope
from strongroom.terms.canonical import Json
from strongroom.terms.errors import Denied
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.tree import Tree, leaf_hash
from strongroom.verify.log import LogVerifier
from strongroom.verify.recheck import floor_version
from tests.client_keep.logs import World
from tests.keep.world import founded_keep, shares, unseal_again


@dataclass
class Forger:
    """A log that is being written, by whoever has the keep's keys."""

    world: World
    log_key: Ed25519PrivateKey
    time_key: Ed25519PrivateKey
    leaves: list[bytes] = field(default_factory=list)

    @property
    def directory(self) -> Directory:
        """The directory that the log, as it is now, leads to."""
        directory = genesis(self.leaves[0])
        for leaf in self.leaves[1:]:
            fold(directory, leaf)
        return directory

    @property
    def name(self) -> str:
        return deployment_name(self.leaves[0])

    def basis(self, **more: Json) -> dict[str, Json]:
        """Return what the entry of a permitted act says of the policies in force."""
        files = [PolicyFile(name=one.name, text=one.text) for one in self.directory.policies]
        return {"cedar": CEDAR_VERSION, "floor": floor_version(), "policy": bundle_digest(files), **more}

    def write(self, kind: str, data: Json = None, statement: Envelope | None = None, *, at: int | None = None) -> int:
        """Append an entry, whatever it says, and return its index."""
        entry = Entry(
            at=self.world.clock.at if at is None else at,
            kind=kind,
            data=data,
            statement=None if statement is None else statement.json(),
        )
        self.leaves.append(entry.encode())
        return len(self.leaves) - 1

    def said(self, name: str, act: str, body: object, **other: Any) -> Envelope:
        """Return what somebody who is with the forger truly signs, in their session."""
        session = self.world.session(name)
        return session.sign(act_named(act), session.statement(act_named(act), body, **other))

    def touched(self, name: str, act: str, body: object) -> Envelope:
        """Return what somebody who is with the forger truly signs, with a touch of their security key."""
        session = self.world.session(name)
        statement = session.statement(act_named(act), body)
        return Envelope(payload=statement.encode(), signatures=(self.touch(name, session, statement),))

    def touch(self, name: str, session: Session, statement: Any) -> Any:
        return session.touch(statement, self.world.profiles[name].security_key())

    def touch_data(self, envelope: Envelope, **more: Json) -> dict[str, Json]:
        """Return what the entry of an act with a touch says."""
        (signature,) = envelope.signatures
        assert signature.webauthn is not None
        counter = int.from_bytes(signature.webauthn.authenticator_data[33:37])
        return self.basis(counter=counter, credential=signature.keyid, path="cli", **more)

    def note(self, leaves: Sequence[bytes] | None = None, **other: Any) -> bytes:
        """Return the checkpoint over the log, signed with the log's key."""
        tree = Tree(map(leaf_hash, self.leaves if leaves is None else leaves))
        said: dict[str, Any] = {"origin": f"{self.name}/1", "size": tree.size, "root": tree.root(), **other}
        note = sign_checkpoint(Checkpoint(**said), self.log_key)
        return with_signature(note, cosign(note, f"{self.name}/1/time", self.time_key, self.world.clock.at))

    def export(self, folder: Path) -> Path:
        """Write a copy as `strongroom log export` does."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "entries").write_bytes(b"".join(len(leaf).to_bytes(4) + leaf for leaf in self.leaves))
        (folder / "checkpoint").write_bytes(self.note())
        return folder

    def verify(self, name: str = "", note: bytes | None = None) -> LogVerifier:
        """Verify the log as it is now."""
        verifier = LogVerifier(lambda: self.leaves, note or self.note(), name or self.name)
        assert all(checked.is_rechecked for checked in verifier.entries())
        verifier.finish()
        return verifier

    def cut(self, size: int) -> Forger:
        """Return a forger who goes on from the first `size` entries."""
        return Forger(self.world, self.log_key, self.time_key, self.leaves[:size])

    def index(self, kind: str, which: int = 0) -> int:
        """Return where the entry of that kind is."""
        return [number for number, leaf in enumerate(self.leaves) if parse_entry(leaf).kind == kind][which]

    def edit(self, index: int, change: Callable[[dict[str, Any]], None]) -> int:
        """Change the data of an entry that the keep wrote."""
        entry = parse_entry(self.leaves[index])
        assert isinstance(entry.data, dict)
        data = dict(entry.data)
        change(data)
        self.leaves[index] = Entry(at=entry.at, kind=entry.kind, data=data, statement=entry.statement).encode()
        return index


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened: `forger` starts from the honest log, after everything."""

    world: World
    forger: Forger
    model: str
    made: Registered


def keys_of(world: World) -> tuple[Ed25519PrivateKey, Ed25519PrivateKey]:
    """Return what whoever has broken into the keep has: the key of the log, and of the time."""
    keep: Any = world.keeper
    vault = keep.keep._open.vault
    return vault._log_key, vault._time_key


def leaves_of(world: World) -> list[bytes]:
    keep: Any = world.keeper
    return list(keep.journal.read(0, keep.journal.size))


@contextmanager
def told(folder: Path) -> Iterator[Story]:
    """Go through the story, and give it while its people can still sign."""
    with founded_keep(folder) as world:
        shares(world)
        model = world.model()
        job = world.workload("training", "writer")
        world.session("Dan")
        (folder / "weights").mkdir()
        (folder / "weights" / "a.txt").write_bytes(b"weights")
        (folder / "store").mkdir()
        store = open_store((folder / "store").as_uri())
        made = seal_through_keep(job, [folder / "weights"], model, store, notes="first")
        world.grant(made.version)
        with open_through_keep(world.session("Dan"), made.version, store) as opened:
            assert opened.read_bytes("a.txt") == b"weights"
        _govern(world, model)
        freeze(world.session("Ada"), model, "somebody is at it")
        with pytest.raises(Denied):
            open_through_keep(world.session("Dan"), made.version, store)
        keeper: Any = world.keeper
        keeper.stop()
        keeper.start()
        assert unseal_again(world) == 0
        log_key, time_key = keys_of(world)
        yield Story(world=world, forger=Forger(world, log_key, time_key, leaves_of(world)), model=model, made=made)


def _govern(world: World, model: str) -> None:
    """Do some of everything else."""
    world.govern("role.give", RoleGive(subject=world.person("Eve"), role="responder", team="core"))
    policies = (*world.session("Ada").directory.policies, PolicySource(name="own.cedar", text=OWN_POLICY))
    world.govern("policy.change", PolicyChange(policies=policies))
    raise_label(world.session("Ada"), model, 2)
    freeze(world.session("Ada"), world.person("Eve"), "a mistake")
    world.agree(
        thaw(world.session("Ada"), world.person("Eve"), "a mistake", "she is back"), "Ben", "Cleo", role="governor"
    )
    again = RoleGive(subject=world.person("Eve"), role="approver", team="core")
    refused = propose(world.session("Ben"), "role.give", again, "to help")
    cleo = world.session("Cleo")
    read = review(cleo, id_of(refused))
    reject(cleo, read, world.profiles["Cleo"].security_key(), role="governor", team="core", reason="not now")
    withdraw(world.session("Ben"), id_of(refused))


OWN_POLICY = """
@id("own-nobody-at-night")
@requires("the day")
forbid (principal, action == Action::"release", resource)
when { context.deployment.people > 1000 };
"""

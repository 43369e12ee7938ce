"""A deployment for tests: real acts, policies, keys, log and socket, held in memory by one who can be made to lie.

`Keeper` answers what the keep would, from the very table of acts; whoever tests an attack gives it a `lie`, which
turns each answer into another one, and has the log's keys at hand to sign whatever it likes.
"""

from __future__ import annotations

import base64
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.acts import model_enrol, release
from strongroom.acts.admit import admit
from strongroom.acts.decide import bundle_of, decide, enact
from strongroom.acts.deployment_found import FoundingRole
from strongroom.acts.fold import fold, genesis
from strongroom.acts.role_give import RoleGive
from strongroom.client.answers import RELEASED, release_info
from strongroom.client.cards import make_card, make_program_card
from strongroom.client.connection import Connection
from strongroom.client.deployment import Deployment, Done
from strongroom.client.founding import Draft, Plan, PlannedZone, draft_genesis, found, prepare, sign_genesis
from strongroom.client.joining import connect
from strongroom.client.names import Detail, new_detail
from strongroom.client.place import Place
from strongroom.client.profile import SOFTWARE, Profile, create_profile
from strongroom.client.requests import approve, proposal_id, request_access
from strongroom.client.requests import propose as ask_for
from strongroom.client.review import review
from strongroom.client.session import Program, Session, login
from strongroom.directory.entries import Entry
from strongroom.directory.state import Acceptance, Directory
from strongroom.keep.server import Server
from strongroom.sealing.keys import SEED_BYTES, Binding, Identity, PublicKey, released_file_keys, unwrap_with, wrap_to
from strongroom.statements.envelope import Envelope, Signature, parse_envelope
from strongroom.statements.signatures import sign_ed25519
from strongroom.statements.statement import KEEP, Statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.details import detail_digest
from strongroom.terms.digests import sha256
from strongroom.terms.errors import AlreadyDone, StrongroomError
from strongroom.terms.frames import error_answer
from strongroom.terms.ids import new_id
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.tree import Tree, leaf_hash

RP_ID = "keep.example.org"
START = 1_800_000_000
Request = dict[str, Any]
Reply = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass
class Clock:
    """A clock that stands still until it is moved; client and keeper share it."""

    at: int = START

    def __call__(self) -> float:
        return float(self.at)


class Keeper:
    """Answers like a keep. `lie(request, answer)` may return another answer than the honest one."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lie: Callable[[Request, Reply], Reply] = lambda request, answer: answer
        self.log_key, self.answer_key, self.time_key = (Ed25519PrivateKey.generate() for _ in range(3))
        self.unseal_identity = Identity(os.urandom(SEED_BYTES))
        self.leaves: list[bytes] = []
        self.tree = Tree()
        self.state: Directory | None = None
        self.details: dict[str, Detail] = {}
        self.model_keys: dict[str, Identity] = {}
        self.shares: dict[str, str] = {}
        self.given: list[str] = []

    @property
    def directory(self) -> Directory:
        assert self.state is not None
        return self.state

    def handle(self, requests: Sequence[Json]) -> list[Reply]:
        answers: list[Reply] = []
        for request in requests:
            assert isinstance(request, dict)
            try:
                answer: Reply = {"ok": getattr(self, f"_{request['ask']}")(request)}
            except StrongroomError as error:
                answer = {**error_answer(error)}
                answer["error"] = {**answer["error"], "family": error.family}
            if self.leaves:
                answer["checkpoint"] = self.note().decode("utf-8")
            answers.append(self.lie(request, answer))
        return answers

    def note(self, *, at: int | None = None, key: Ed25519PrivateKey | None = None, tree: Tree | None = None) -> bytes:
        """Return the checkpoint of the log as it is, or of another tree, signed and timed."""
        tree, origin = tree or self.tree, self.directory.origin
        signed = sign_checkpoint(Checkpoint(origin=origin, size=tree.size, root=tree.root()), key or self.log_key)
        timed = cosign(signed, f"{origin}/time", self.time_key, self.clock.at if at is None else at)
        return with_signature(signed, timed)

    def logged(self, index: int) -> Reply:
        proof = self.tree.inclusion_proof(index, self.tree.size)
        return {"index": index, "leaf": b64(self.leaves[index]), "proof": [b64(one) for one in proof]}

    def append(self, entry: Entry) -> int:
        leaf = entry.encode()
        fold(self.directory, leaf)
        self.leaves.append(leaf)
        return self.tree.append(leaf_hash(leaf))

    # --- what can be asked ---------------------------------------------------------------------

    def _status(self, request: Request) -> Reply:
        status: Reply = {
            "state": "open" if self.leaves else "unfounded",
            "size": len(self.leaves),
            "unseal_key": b64(self.unseal_identity.public_key().raw),
            "shares": {"needed": 0, "given": list(self.given)},
        }
        return status | ({"deployment": self.directory.deployment, "era": 1, "trial": False} if self.leaves else {})

    def _prepare(self, request: Request) -> Reply:
        keys = {"log": self.log_key, "answer": self.answer_key, "time": self.time_key}
        return {"keys": {name: b64(key.public_key().public_bytes_raw()) for name, key in keys.items()}}

    def _found(self, request: Request) -> Reply:
        leaf = Entry(at=self.clock.at, kind="deployment.founded", statement=request["statement"]).encode()
        self.state = genesis(leaf)
        self.leaves.append(leaf)
        self.tree.append(leaf_hash(leaf))
        self._take_details(request)
        return {**self.logged(0), "deployment": self.directory.deployment}

    def _entries(self, request: Request) -> Reply:
        start = request["start"]
        # A few at a time, so that whoever fetches has to ask again.
        return {"entries": [b64(leaf) for leaf in self.leaves[start : start + min(request["count"], 7)]]}

    def _share(self, request: Request) -> Reply:
        person = request["person"]
        info = self._info("share", person)
        key = PublicKey(self.directory.custodians[person])
        self.shares.setdefault(person, f"words of {person}")
        return {"share": b64(wrap_to(key, self.shares[person].encode("utf-8"), info))}

    def _unseal(self, request: Request) -> Reply:
        person, sent = request["person"], base64.b64decode(request["share"])
        text = unwrap_with(self.unseal_identity, sent, self._info("unseal", person)).decode("utf-8")
        assert text == self.shares[person]
        self.given.append(person)
        return {"missing": max(0, self.directory.custodians_needed - len(self.given))}

    def _info(self, what: str, person: str) -> bytes:
        deployment = self.directory.deployment
        return canonical.encode({"format": f"strongroom/{what}/1", "deployment": deployment, "person": person})

    def _act(self, request: Request) -> Reply:
        envelope = parse_envelope(request["statement"])
        said = admit(self.directory, envelope, at=self.clock.at)
        seen = self.directory.statements.get(said.statement.id)
        if seen is not None and said.act.name != "release":
            raise AlreadyDone("said before")
        permitted = decide(self.directory, bundle_of(self.directory), said, at=self.clock.at)
        if seen is not None:
            return {**self.logged(seen.index), "answer": self._release(said.body, seen.index)}
        if said.act.name == "read":
            texts = {one: self.details[one].json() for one in said.body.digests if one in self.details}
            return {"answer": {"details": texts}}
        self._take_details(request)
        index = self.append(
            Entry(at=self.clock.at, kind=said.act.entry, data=permitted.data, statement=envelope.json())
        )
        about = said.statement.id if said.act.name == "propose" else getattr(said.body, "proposal", "")
        enacted: Reply = {}
        if said.act.name in {"propose", "approve"}:
            enacted = self._enact(about)
        answer = {"answer": self._release(said.body, index)} if said.act.name == "release" else {}
        return {**self.logged(index), **answer, **enacted}

    def _enact(self, name: str) -> Reply:
        try:
            permitted = enact(self.directory, bundle_of(self.directory), name, at=self.clock.at)
        except StrongroomError as error:
            return {"missing": error.message}
        data = dict(permitted.data)
        if permitted.act.name == "model.enrol":
            identity = Identity(os.urandom(SEED_BYTES))
            self.model_keys[permitted.move.body.model] = identity
            data["public_key"] = b64(identity.public_key().raw)
        index = self.append(Entry(at=self.clock.at, kind=permitted.act.entry, data=data))
        return {"enacted": self.logged(index)}

    def _release(self, body: release.Release, index: int) -> Json:
        return {"envelope": self.answer_to(body, index).json()}

    def answer_to(
        self, body: release.Release, index: int, /, *, signer: Ed25519PrivateKey | None = None, **other: Any
    ) -> Envelope:
        """Return the signed answer to a release; `other` are fields of its body that say something else."""
        directory = self.directory
        version = directory.versions[body.version]
        binding = Binding(
            deployment=directory.deployment,
            model=version.model,
            generation=version.generation,
            seal_id=version.seal_id,
        )
        data_key = self.model_keys[version.model].unwrap(version.wrapped_key, binding)
        plain: Json = {"data_key": b64(data_key)}
        if body.files is not None:
            keys = released_file_keys(data_key, version.seal_id, body.files)
            plain = {"manifest_key": b64(keys.manifest), "files": {path: b64(key) for path, key in keys.files.items()}}
        recipient = PublicKey(body.recipient)
        said: dict[str, Any] = {
            "entry": sha256(self.leaves[index]),
            "index": index,
            "version": body.version,
            "manifest": body.manifest,
            "recipient": recipient.digest(),
            "expires_at": self.clock.at + 3600,
            **other,
        }
        info = release_info(
            deployment=directory.deployment,
            version=body.version,
            entry=sha256(self.leaves[index]),
            recipient=recipient.digest(),
            expires_at=said["expires_at"],
        )
        said["wrapped"] = b64(wrap_to(recipient, canonical.encode(plain), info))
        return self.signed(said, signer=signer)

    def signed(self, body: Json, *, signer: Ed25519PrivateKey | None = None, **other: Any) -> Envelope:
        fields: dict[str, Any] = {
            "at": self.clock.at,
            "body": body,
            "by": KEEP,
            "deployment": self.directory.deployment,
            "era": 1,
            "id": new_id("statement", os.urandom),
            "kind": RELEASED,
            "until": self.clock.at + 3600,
            **other,
        }
        envelope = Envelope(payload=Statement(**fields).encode(), signatures=())
        signature = Signature(keyid=KEEP, sig=sign_ed25519(signer or self.answer_key, envelope.message))
        return Envelope(payload=envelope.payload, signatures=(signature,))

    def _take_details(self, request: Request) -> None:
        for one in request.get("details", []):
            detail = Detail(salt=one["salt"], text=one["text"])
            self.details[detail_digest(detail.text, bytes.fromhex(detail.salt))] = detail


@contextmanager
def served(handle: Callable[[Sequence[Json]], Sequence[Json]], socket: Path) -> Iterator[Path]:
    """Serve `handle` at `socket`, in a thread, through the keep's own server."""
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    stop = threading.Event()
    ticks = itertools.count()
    server = Server(socket, handle, clock=lambda: float(next(ticks)) * 1e-6)
    thread = threading.Thread(target=server.serve_forever, args=(stop.is_set,))
    thread.start()
    try:
        yield socket
    finally:
        stop.set()
        server.wake()
        thread.join()


ROLES = {
    "Ada": ("governor", "approver", "responder"),
    "Ben": ("governor", "approver"),
    "Cleo": ("governor", "approver"),
    "Dan": ("researcher",),
    "Eve": ("governor",),
}
ZONE = "lab"


@dataclass
class World:
    """Five founders, and whoever is enrolled later, around one keeper."""

    folder: Path
    socket: Path
    clock: Clock
    keeper: Keeper
    profiles: dict[str, Profile] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    deployment: str = ""

    def found(self) -> None:
        """Go through the ceremony."""
        draft, profiles = drafted(self.folder, self.socket, at=int(self.clock()))
        self.profiles = dict(zip(ROLES, profiles, strict=True))
        signatures = [sign_genesis(draft, one, one.security_key()) for one in profiles]
        self.deployment = found(Connection(self.socket), draft, signatures)
        for profile in profiles:
            profile.join(Place(name=self.deployment, socket=self.socket))

    def person(self, name: str) -> str:
        return self.profiles[name].who.subject

    def connect(self, name: str) -> Deployment:
        return connect(self.profiles[name], clock=self.clock, timeout_seconds=10)

    def session(self, name: str) -> Session:
        """Return the session of a person, logged in now if need be, and up to date."""
        if name not in self.sessions:
            profile = self.profiles[name]
            self.sessions[name] = login(profile, self.connect(name), profile.security_key(), clock=self.clock)
        self.sessions[name].deployment.sync()
        return self.sessions[name]

    def agree(self, done: Done, *names: str, role: str) -> Done:
        """Have people approve a proposal, and return the last of it."""
        for name in names:
            session = self.session(name)
            read_first = review(session, proposal_id(done))
            done_now = approve(session, read_first, self.profiles[name].security_key(), role=role, team="core")
        return done_now

    def govern(self, act: str, change: object, *details: Detail) -> Done:
        done = ask_for(self.session("Ada"), act, change, "because it is needed", details=details)
        return self.agree(done, "Ben", "Cleo", role="governor")

    def model(self, name: str = "acme/atlas", label: int = 1) -> str:
        detail = new_detail(name, os.urandom)
        change = model_enrol.ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=label)
        self.govern("model.enrol", change, detail)
        return change.model

    def zone(self) -> str:
        return next(iter(self.session("Ada").directory.zones))

    def workload(self, name: str, *roles: str) -> Program:
        """Enrol a training job for which Ada answers."""
        profile = create_profile(new_id("workload", os.urandom), self.folder / name)
        profile.join(Place(name=self.deployment, socket=self.socket))
        card = make_program_card(profile, name, deployment=self.deployment, random=os.urandom)
        done = ask_for(
            self.session("Ben"),
            "workload.enrol",
            card.workload_enrol(sponsor=self.person("Dan"), zone=self.zone()),
            "trains",
            details=[card.detail],
        )
        self.agree(done, "Ada", "Cleo", role="governor")
        for role in roles:
            self.govern("role.give", RoleGive(subject=profile.who.subject, role=role, team="core"))
        program = Program(profile=profile, deployment=connect(profile, clock=self.clock), clock=self.clock)
        self.profiles[name] = profile
        return program

    def grant(self, version: str, *, files: Sequence[str] | None = None) -> Done:
        """Have Dan ask to open `version`, and Ada and Ben agree."""
        done = request_access(self.session("Dan"), version, 4, "to look at it", files)
        return self.agree(done, "Ada", "Ben", role="approver")


def acceptance() -> Acceptance:
    return Acceptance(
        rp_id=RP_ID,
        origins={"strongroom:cli": "cli"},
        software_keys=True,
        attestation_roots=(),
        clock_tolerance_seconds=60,
        witnesses=(),
    )


def drafted(folder: Path, socket: Path, *, at: int = START) -> tuple[Draft, list[Profile]]:
    """Return the genesis that the five are to sign, and the profiles that they made for it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    profiles, cards = [], []
    for name in ROLES:
        profile = create_profile(new_id("person", os.urandom), folder / name, security_key=SOFTWARE)
        profiles.append(profile)
        cards.append(make_card(profile, profile.security_key(), name, rp_id=RP_ID, random=os.urandom))
    plan = Plan(
        quorum=2,
        acceptance=acceptance(),
        roles={
            profile.who.subject: [FoundingRole(role=role, team="core") for role in roles]
            for profile, roles in zip(profiles, ROLES.values(), strict=True)
        },
        zones=[PlannedZone(name=ZONE, ceiling=2, egress_bytes_per_day=1 << 30)],
        custodians=[profile.who.subject for profile in profiles[:3]],
        custodians_needed=2,
    )
    return draft_genesis(cards, plan, prepare(Connection(socket)), at=at, random=os.urandom), profiles


@contextmanager
def founded(folder: Path) -> Iterator[World]:
    """Give a world that has just been founded, by the ceremony that people go through."""
    clock = Clock()
    keeper = Keeper(clock)
    with served(keeper.handle, folder / "keep" / "keep.socket") as socket:
        world = World(folder=folder, socket=socket, clock=clock, keeper=keeper)
        world.found()
        yield world

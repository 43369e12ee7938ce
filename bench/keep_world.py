"""A deployment to measure the keep with: founded by five people, then a log of many entries, made fast.

Founded through the keep itself, at a time some days ago. What follows is decided by nobody: the acts' own records,
staged, committed and snapshotted by the keep's own book, so that a start folds them like any others. Signatures under
entries that only fill the log are random bytes, for a start does not verify them; whoever opens something while it is
measured has real keys, and signs.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from measure import say

from strongroom.acts.act import DAY, HOUR, MINUTE, Move
from strongroom.acts.approve import Approve
from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.deployment_found import FoundingRole
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.enrol import NewCredential, NewKey
from strongroom.acts.fact_attest import FactAttest
from strongroom.acts.fold import Step, proposed_move
from strongroom.acts.grant_give import GrantGive
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_enrol import PersonEnrol
from strongroom.acts.propose import Propose
from strongroom.acts.release import Release
from strongroom.acts.role_give import RoleGive
from strongroom.acts.session_open import SessionOpen
from strongroom.acts.table import act_named
from strongroom.acts.version_register import VersionRegister
from strongroom.client.cards import make_card
from strongroom.client.connection import Answer, Connection
from strongroom.client.founding import (
    Plan,
    PlannedZone,
    draft_genesis,
    fetch_share,
    found,
    prepare,
    sign_genesis,
    unseal,
    unseal_key,
)
from strongroom.client.place import Place
from strongroom.client.profile import SOFTWARE, Profile, create_profile
from strongroom.client.say import enveloped, sign_with_key
from strongroom.client.say import say as put
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Acceptance, Directory, Grant, Version
from strongroom.journal.port import Kept
from strongroom.journal.sqlite import SqliteJournal, create_journal, open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.keep.book import read_book
from strongroom.keep.clock import Clocks
from strongroom.keep.keep import Keep
from strongroom.keep.vault import Vault
from strongroom.keyring.provider import CustodianShares
from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import parse_share
from strongroom.sealing.keys import Binding, Identity, PublicKey
from strongroom.statements.envelope import Assertion, Envelope, Signature
from strongroom.statements.signing import point_of
from strongroom.terms.canonical import Json
from strongroom.terms.ids import new_id
from strongroom.terms.records import record_json

FOUNDERS, TEAM, RP_ID = 5, "core", "keep.example.org"
OPENERS = 32
"""People with real keys: as many as there are clients at once."""
MODELS, LABEL = 16, 2
SPAN_SECONDS = 3 * DAY
BATCH = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Somebody who opens versions while it is measured."""

    person: str
    device: str
    device_key: ec.EllipticCurvePrivateKey
    session: str
    session_key: ec.EllipticCurvePrivateKey
    grant: str
    version: str
    manifest: str


@dataclass(kw_only=True)
class World:
    """A deployment whose journal lies in `folder`, on a disk that keeps what is synced."""

    folder: Path
    root: RootKey
    shares: dict[str, str]
    profiles: list[Profile]
    deployment: str
    device_keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    openers: list[Opener] = field(default_factory=list)

    def journal(self) -> SqliteJournal:
        """Open the journal, as the keep does."""
        return open_journal(self.folder / "journal", high_water=self.folder / "high-water", log_key_of=log_key_of)

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Write to the log; what is left is committed at the end."""
        journal = self.journal()
        try:
            writer = Writer(journal, self.root)
            yield writer
            writer.commit()
        finally:
            journal.close()

    @contextmanager
    def process(self) -> Iterator[RunningKeep]:
        """Run the real keep, still sealed."""
        socket = self.folder / "run" / "keep.socket"
        socket.parent.mkdir(mode=0o700, exist_ok=True)
        places = ["--folder", self.folder / "journal", "--high-water", self.folder / "high-water", "--socket", socket]
        began = time.perf_counter()
        command = [sys.executable, "-m", "strongroom.keep", *map(str, places)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                told = process.stderr.readline()
                if not told.startswith("keep: listening"):
                    raise SystemExit(f"bench: the keep does not start: {told}{process.stderr.read()}")
                yield RunningKeep(socket=socket, pid=process.pid, started_seconds=time.perf_counter() - began)
            finally:
                process.terminate()
                process.wait()

    def unseal(self, keep: RunningKeep) -> None:
        """Give the custodians' shares to a keep that runs."""
        connection = Connection(keep.socket, 120)
        to = unseal_key(connection)
        for profile in self.profiles[:2]:
            missing = unseal(profile, connection, self.shares[profile.who.subject], to=to)
        assert missing == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningKeep:
    """The keep's process."""

    socket: Path
    pid: int
    started_seconds: float

    def memory_mib(self, what: str) -> float:
        """Return `VmRSS` (now) or `VmHWM` (at most so far) of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{what}:")[2].split()[0]) / 1024


class _Here(Connection):
    """A connection to a keep in this very process."""

    def __init__(self, keep: Keep) -> None:
        super().__init__(Path())
        self._keep = keep

    def ask(self, what: str, /, **fields: Json) -> Answer:
        [answer] = self._keep.handle([{"ask": what, **fields}])
        if not isinstance(answer, dict) or not isinstance(ok := answer.get("ok"), dict):
            raise SystemExit(f"bench: the keep refuses `{what}`: {answer}")
        return Answer(ok=ok, checkpoint=None)


def found_world(folder: Path, *, ago_seconds: int = SPAN_SECONDS) -> World:
    """Found a deployment, as of `ago_seconds` before now."""
    folder.mkdir(mode=0o700)
    at = int(time.time()) - ago_seconds
    create_journal(folder / "journal", high_water=folder / "high-water")
    journal = open_journal(folder / "journal", high_water=folder / "high-water", log_key_of=log_key_of)
    clocks = Clocks(wall=lambda: float(at), monotonic=lambda: float(at))
    connection = _Here(Keep(journal, clocks=clocks, random=os.urandom))
    profiles = [
        create_profile(new_id("person", os.urandom), folder / f"founder-{number}", security_key=SOFTWARE)
        for number in range(FOUNDERS)
    ]
    cards = [
        make_card(one, one.security_key(), f"founder {number}", rp_id=RP_ID, random=os.urandom)
        for number, one in enumerate(profiles)
    ]
    roles = [FoundingRole(role=role, team=TEAM) for role in ("approver", "governor")]
    plan = Plan(
        quorum=2,
        acceptance=Acceptance(
            rp_id=RP_ID,
            origins={"strongroom:cli": "cli"},
            software_keys=True,
            attestation_roots=(),
            clock_tolerance_seconds=60,
            witnesses=(),
        ),
        roles={one.who.subject: roles for one in profiles},
        zones=[PlannedZone(name="lab", ceiling=LABEL, egress_bytes_per_day=1 << 30)],
        custodians=[one.who.subject for one in profiles[:3]],
        custodians_needed=2,
    )
    draft = draft_genesis(cards, plan, prepare(connection), at=at, random=os.urandom)
    deployment = found(connection, draft, [sign_genesis(draft, one, one.security_key()) for one in profiles])
    collected = CustodianShares(2, 3)
    shares = {}
    for profile in profiles[:2]:
        profile.join(Place(name=deployment, socket=folder / "run" / "keep.socket"))
        shares[profile.who.subject] = fetch_share(profile, connection)
        collected.add(parse_share(shares[profile.who.subject]))
    journal.close()
    return World(folder=folder, root=collected.root(), shares=shares, profiles=profiles, deployment=deployment)


class Writer:
    """Writes entries as the keep does, without deciding anything: see `Book`."""

    def __init__(self, journal: SqliteJournal, root: RootKey) -> None:
        self.vault = Vault(root, os.urandom, journal.kept)
        self.book = read_book(journal)
        self.at = self.directory.at
        self._since_commit = 0
        self._signature = os.urandom(70)
        self._touch = Assertion(authenticator_data=os.urandom(37), client_data=os.urandom(150))
        first, *others = sorted(self.directory.people.values(), key=lambda one: -len(one.roles))[:3]
        self.proposer, self._approvers = first.person, [one.person for one in others]
        self._credentials: dict[str, str] = {}

    @property
    def directory(self) -> Directory:
        return self.book.directory

    def event(self, kind: str, data: Json) -> None:
        """Write down what the keep itself saw."""
        self._stage(Step(entry=Entry(at=self.at, kind=kind, data=data)))

    def said(self, name: str, by: str, body: object, *keyids: str, seconds: int, **data: Json) -> str:
        """Write down what somebody said, with signatures by `keyids`; return the statement's identifier."""
        act = act_named(name)
        statement = put(
            act,
            body,
            by=by,
            deployment=self.directory.deployment,
            era=self.directory.era,
            at=self.at,
            until=self.at + seconds,
            random=os.urandom,
        )
        signatures = tuple(
            Signature(keyid=one, sig=self._signature, webauthn=self._touch if one.startswith("credential-") else None)
            for one in keyids
        )
        envelope = Envelope(payload=statement.encode(), signatures=signatures)
        if keyids and keyids[0].startswith("credential-"):
            counter = self.directory.credentials[keyids[0]].counter + 1
            data = {"counter": counter, "credential": keyids[0], "path": "cli", **data}
        data |= {"cedar": "4.12.2", "floor": _digest(), "policy": _digest()}
        move = Move(
            by=by,
            id=statement.id,
            body=body,
            digest=envelope.digest,
            at=self.at,
            until=statement.until,
            index=self.directory.size,
            data=data,
        )
        entry = Entry(at=self.at, kind=act.entry, data=data, statement=envelope.json())
        self._stage(Step(entry=entry, act=act, move=move))
        return statement.id

    def agreed(self, name: str, body: object, *, kept: tuple[Kept, ...] = (), **data: Json) -> str:
        """Write down a proposal, two approvals and what came of it; return the proposal's identifier."""
        change = Propose(act=name, change=record_json(body), purpose=_digest())
        proposal = self.said("propose", self.proposer, change, new_id("session", os.urandom), seconds=DAY)
        digest = self.directory.proposals[proposal].digest
        for person in self._approvers:
            voice = Approve(proposal=proposal, digest=digest, role="approver", team=TEAM)
            self.said("approve", person, voice, self.credential_of(person), seconds=DAY)
        act = act_named(name)
        data |= {"cedar": "4.12.2", "floor": _digest(), "policy": _digest(), "proposal": proposal}
        move = proposed_move(self.directory, proposal, at=self.at, data=data)
        self._stage(Step(entry=Entry(at=self.at, kind=act.entry, data=data), act=act, move=move), kept)
        return proposal

    def credential_of(self, person: str) -> str:
        """Return a security key of `person`."""
        if person not in self._credentials:
            self._credentials = {one.person: one.credential for one in self.directory.credentials.values()}
        return self._credentials[person]

    def commit(self) -> None:
        """Make what was written durable."""
        self.book.snapshot_if_due(self.at)
        self.book.commit(lambda size, root: self.vault.sign(self.directory.origin, size, root))
        self._since_commit = 0

    def _stage(self, step: Step, kept: tuple[Kept, ...] = ()) -> None:
        self.book.stage(step, kept=kept)
        self._since_commit += 1
        if self._since_commit >= BATCH:
            self.commit()


def fill(world: World, *, people: int, entries: int) -> None:
    """Write `people` with a device and a grant each, then the days of the keep's life that make it `entries`."""
    with world.writer() as writer:
        began, size = writer.at, writer.directory.size
        step = SPAN_SECONDS / max(1, entries)

        def tick() -> None:
            writer.at = min(began + int((writer.directory.size - size) * step), began + SPAN_SECONDS - MINUTE)

        versions = list(_write_versions(writer))
        for number in range(people):
            tick()
            _write_person(writer, world, versions[number % len(versions)], real=number < OPENERS)
            if number % 1000 == 999:
                say(f"    {number + 1} people, {writer.directory.size} entries")
        enrol = AttesterEnrol(
            attester=new_id("attester", os.urandom),
            key=_new_key(),
            kinds=("disk-encrypted",),
            longest_seconds=DAY,
            details=_digest(),
        )
        writer.agreed("attester.enrol", enrol)
        live(writer, entries - writer.directory.size, tick)


def live(writer: Writer, entries: int, tick: Callable[[], None] = lambda: None) -> None:
    """Write what a keep sees all day, `entries` of it; call `tick` before each."""
    grants = list(writer.directory.grants.values())
    for number in range(entries):
        tick()
        _write_life(writer, grants[number % len(grants)], number)
        if number % 100_000 == 99_999:
            say(f"    {writer.directory.size} entries")


def live_to_snapshot(writer: Writer) -> None:
    """Write on until the newest entry is that of a snapshot."""
    while parse_entry(writer.book.journal.entry(writer.book.journal.size - 1)).kind != "snapshot.taken":
        live(writer, BATCH)
        writer.commit()


def since_snapshot(world: World) -> tuple[int, int]:
    """Return how many entries the journal itself has, and how many of them came after the last snapshot."""
    journal = world.journal()
    try:
        record = journal.kept("snapshot", "")
        assert record is not None
        return journal.size, journal.size - 1 - int.from_bytes(record[:8])
    finally:
        journal.close()


def open_sessions(world: World) -> None:
    """Log the openers in, as of now."""
    world.openers = []
    with world.writer() as writer:
        writer.at = int(time.time())
        directory = writer.directory
        grants = {one.subject: one for one in directory.grants.values() if one.device in world.device_keys}
        for person, grant in grants.items():
            assert grant.device is not None
            key, session = ec.generate_private_key(ec.SECP256R1()), new_id("session", os.urandom)
            body = SessionOpen(session=session, public_key=point_of(key), device=grant.device)
            writer.said("session.open", person, body, writer.credential_of(person), grant.device, seconds=HOUR)
            world.openers.append(
                Opener(
                    person=person,
                    device=grant.device,
                    device_key=world.device_keys[grant.device],
                    session=session,
                    session_key=key,
                    grant=grant.grant,
                    version=grant.version,
                    manifest=grant.manifest,
                )
            )


def ask_release(world: World, opener: Opener, *, at: int) -> tuple[Envelope, Identity]:
    """Return a signed statement that opens a version for a fresh key, and that key."""
    recipient = Identity(os.urandom(32))
    act = act_named("release")
    body = Release(
        version=opener.version,
        manifest=opener.manifest,
        grant=opener.grant,
        recipient=recipient.public_key().raw,
    )
    statement = put(
        act, body, by=opener.person, deployment=world.deployment, era=1, at=at, until=at + MINUTE, random=os.urandom
    )
    signatures = (
        sign_with_key(statement, opener.session, opener.session_key),
        sign_with_key(statement, opener.device, opener.device_key),
    )
    return enveloped(statement, *signatures), recipient


# --- what happened -----------------------------------------------------------------------------


def _write_versions(writer: Writer) -> Iterator[Version]:
    """Write models, each with a version whose data key the keep really can unwrap."""
    for _ in range(MODELS):
        model, version, seal_id = new_id("model", os.urandom), new_id("version", os.urandom), os.urandom(16).hex()
        public_key, sealed = writer.vault.make_model_key(writer.directory.deployment, model)
        kept = (Kept(kind="model-key", name=f"{model}/1", data=sealed),)
        body = ModelEnrol(model=model, details=_digest(), label=LABEL)
        writer.agreed("model.enrol", body, kept=kept, public_key=_text(public_key.raw))
        binding = Binding(deployment=writer.directory.deployment, model=model, generation=1, seal_id=seal_id)
        registered = VersionRegister(
            version=version,
            model=model,
            seal_id=seal_id,
            generation=1,
            wrapped_key=PublicKey(public_key.raw).wrap(os.urandom(32), binding),
            header=os.urandom(74),
            manifest=_digest(),
            size_bytes=1 << 40,
            tensor_bytes=1 << 40,
            notes=_digest(),
            lineage=(),
        )
        by = writer.proposer
        writer.said("version.register", by, registered, new_id("session", os.urandom), seconds=MINUTE)
        yield writer.directory.versions[version]


def _write_person(writer: Writer, world: World, version: Version, *, real: bool) -> None:
    """Write somebody new, with a role, a device and a grant."""
    person, device, credential = (new_id(kind, os.urandom) for kind in ("person", "device", "credential"))
    [zone] = writer.directory.zones
    touch = Assertion(authenticator_data=os.urandom(37), client_data=os.urandom(150))
    enrolled = NewCredential(
        credential=credential,
        raw_id=os.urandom(32),
        public_key=os.urandom(65),
        backup_eligible=False,
        software=False,
        counter=1,
        attestation_object=os.urandom(500),
        client_data=os.urandom(150),
        possession=Signature(keyid=credential, sig=os.urandom(70), webauthn=touch),
    )
    writer.agreed("person.enrol", PersonEnrol(person=person, details=_digest(), credentials=(enrolled,)))
    writer.agreed("role.give", RoleGive(subject=person, role="researcher", team=TEAM))
    key = _new_key()
    if real:
        world.device_keys[device] = ec.generate_private_key(ec.SECP256R1())
        key = NewKey(public_key=point_of(world.device_keys[device]), proof=os.urandom(70))
    writer.agreed("device.enrol", DeviceEnrol(device=device, person=person, zone=zone, key=key))
    give = GrantGive(
        subject=person, zone=zone, version=version.version, manifest=version.manifest, seconds=30 * DAY, device=device
    )
    writer.agreed("grant.give", give)


def _write_life(writer: Writer, grant: Grant, number: int) -> None:
    """Write one entry: of ten, six are facts, two releases, one a login and one a refusal."""
    person, device, [attester] = grant.subject, grant.device or "", writer.directory.attesters
    match number % 10:
        case 0 | 1:
            body = Release(
                version=grant.version, manifest=grant.manifest, grant=grant.grant, recipient=os.urandom(1216)
            )
            signers = (new_id("session", os.urandom), device)
            told: dict[str, Json] = {"expires_at": writer.at + HOUR, "manifest": grant.manifest, "open": _digest()}
            writer.said("release", person, body, *signers, seconds=MINUTE, **told)
        case 2:
            opened = SessionOpen(session=new_id("session", os.urandom), public_key=os.urandom(65), device=device)
            writer.said("session.open", person, opened, writer.credential_of(person), device, seconds=HOUR)
        case 3:
            writer.event("refused", {"act": "release", "by": person, "code": "denied", "statement": _digest()})
        case _:
            fact = FactAttest(subject=device, fact="disk-encrypted", value=number % 2)
            writer.said("fact.attest", attester, fact, attester, seconds=12 * HOUR)


def _new_key() -> NewKey:
    return NewKey(public_key=os.urandom(65), proof=os.urandom(70))


def _digest() -> str:
    return f"sha256:{os.urandom(32).hex()}"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")

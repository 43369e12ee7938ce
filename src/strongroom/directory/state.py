"""The state: everything that exists and is in force, as plain values by identifier.

INVARIANT: nothing is ever taken out under whose identifier something else could come back. What is gone is marked;
only what time alone has ended (sessions, grants, statements past their `until`) is dropped, see `prune`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, TypeVar

from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.records import (
    Ascending,
    AttesterId,
    Bytes,
    Count,
    CredentialId,
    DeploymentName,
    DeviceId,
    Digest,
    GrantId,
    Instant,
    Label,
    Matches,
    ModelId,
    Natural,
    P256Point,
    PersonId,
    Record,
    SealId,
    SessionId,
    StatementId,
    SubjectId,
    VersionId,
    Word,
    WorkloadId,
    ZoneId,
    parse_record,
    record_json,
)

T = TypeVar("T")

PRUNE_SECONDS = 600
PUBLIC_KEY_BYTES = 1216

Ed25519Key = Annotated[bytes, Bytes(32)]
Origin = Annotated[str, Matches("strongroom:cli|https://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?", "an origin")]
Host = Annotated[str, Matches("[a-z0-9-]{1,63}(?:[.][a-z0-9-]{1,63}){0,8}", "a host name")]
FilePath = Annotated[str, Matches("[^\x00-\x1f]{1,1024}", "a path")]
FileName = Annotated[str, Matches("[a-z0-9][a-z0-9-]{0,63}[.]cedar", "a name like `access.cedar`")]
PolicyText = Annotated[str, Matches("(?s:.{1,131072})", "text of at most 128 KiB")]
PublicKeyBytes = Annotated[bytes, Bytes(PUBLIC_KEY_BYTES)]
VerifierKeyText = Annotated[str, Matches("[!-~]{10,300}", "a verifier key")]


class PolicySource(Record):
    """One file of the policy bundle."""

    name: FileName
    text: PolicyText


class Acceptance(Record):
    """What the keep accepts: directory state, never a settings file."""

    rp_id: Host
    origins: dict[Origin, Word]
    """Exact origin to path: `cli`, `approval` or `console`."""
    software_keys: bool
    attestation_roots: tuple[Annotated[bytes, Bytes()], ...]
    clock_tolerance_seconds: Natural
    witnesses: tuple[VerifierKeyText, ...]


class KeepKeys(Record):
    """The public halves of what the root key yields: signing the log, answers, and the time beside a checkpoint."""

    log: Ed25519Key
    answer: Ed25519Key
    time: Ed25519Key


class Role(Record):
    """One role somebody holds: everywhere, or for one model. `since` is the entry that gave it."""

    role: Word
    team: Word
    since: Count
    model: ModelId | None = None


class Person(Record):
    """Somebody. `details` is the salted digest of their name and contact."""

    person: PersonId
    details: Digest
    roles: tuple[Role, ...]
    frozen: bool
    removed: bool


class Credential(Record):
    """A security key of one person. A compromised one takes the approvals it gave with it."""

    credential: CredentialId
    person: PersonId
    raw_id: Annotated[bytes, Bytes(most=1023)]
    public_key: P256Point
    software: bool
    backup_eligible: bool
    counter: Count
    compromised: bool
    removed: bool


class Device(Record):
    """A machine of one person, with a key of its own, in one zone."""

    device: DeviceId
    person: PersonId
    public_key: P256Point
    zone: ZoneId
    software: bool
    frozen: bool
    removed: bool


class Workload(Record):
    """A program with a key of its own, such as a training job; a person answers for it."""

    workload: WorkloadId
    sponsor: PersonId
    public_key: P256Point
    zone: ZoneId
    details: Digest
    roles: tuple[Role, ...]
    frozen: bool
    removed: bool


class Attester(Record):
    """Whoever may say facts of these kinds, each for at most so long."""

    attester: AttesterId
    public_key: P256Point
    kinds: Annotated[tuple[Word, ...], Ascending()]
    longest_seconds: Natural
    details: Digest
    revoked: bool


class Zone(Record):
    """A place where things run. `ceiling` is the highest label that may be opened there."""

    zone: ZoneId
    details: Digest
    ceiling: Label
    egress_bytes_per_day: Count
    frozen: bool


class Model(Record):
    """A model: its label, and the public key that its versions are sealed to."""

    model: ModelId
    details: Digest
    label: Label
    frozen: bool
    generation: Natural
    public_key: PublicKeyBytes
    versions: Count


class Version(Record):
    """A sealed version: it exists because the log says so. `label` is its own; the model's holds as well."""

    version: VersionId
    model: ModelId
    number: Natural
    manifest: Digest
    seal_id: SealId
    generation: Natural
    wrapped_key: Annotated[bytes, Bytes(1168)]
    size_bytes: Count
    tensor_bytes: Count
    label: Label
    notes: Digest
    lineage: Annotated[tuple[VersionId, ...], Ascending()]
    by: SubjectId


class Session(Record):
    """An hour at most, for a key that stays on its device. Without a device it reads and proposes, nothing more."""

    session: SessionId
    person: PersonId
    credential: CredentialId
    public_key: P256Point
    opened_at: Instant
    until: Instant
    device: DeviceId | None = None


class Approval(Record):
    """One person's voice for one proposal, given in one role of one team."""

    person: PersonId
    role: Word
    team: Word
    credential: CredentialId
    path: Word
    backup_eligible: bool
    software: bool
    until: Instant


class Proposal(Record):
    """What somebody asks for. `digest` names the exact statement; `index` is its entry."""

    proposal: StatementId
    by: PersonId
    act: Word
    body: Json
    digest: Digest
    index: Count
    at: Instant
    until: Instant
    approvals: tuple[Approval, ...]
    rejections: tuple[PersonId, ...]
    base: Digest | None = None


class Grant(Record):
    """A time-boxed right to open one version, and the approvals that it stands on."""

    grant: GrantId
    subject: SubjectId
    zone: ZoneId
    version: VersionId
    manifest: Digest
    until: Instant
    proposer: PersonId
    approvals: tuple[Approval, ...]
    device: DeviceId | None = None
    files: Annotated[tuple[FilePath, ...], Ascending()] | None = None


class Fact(Record):
    """What one attester says, as a number (a truth is 1 or 0), until when."""

    value: Count
    at: Instant
    until: Instant


class Seen(Record):
    """A statement that was taken: its digest and its entry."""

    digest: Digest
    index: Count
    until: Instant


@dataclass(slots=True, kw_only=True)
class Directory:
    """The whole state. Changed only by `acts.fold`, which applies one entry after another."""

    deployment: DeploymentName
    era: Natural
    size: Count
    at: Instant
    trial: bool
    frozen: bool
    time_doubted: bool
    quorum: Natural
    acceptance: Acceptance
    keys: KeepKeys
    policies: tuple[PolicySource, ...]
    custodians_needed: Natural
    custodians: dict[PersonId, PublicKeyBytes]
    people: dict[PersonId, Person] = field(default_factory=dict)
    credentials: dict[CredentialId, Credential] = field(default_factory=dict)
    devices: dict[DeviceId, Device] = field(default_factory=dict)
    workloads: dict[WorkloadId, Workload] = field(default_factory=dict)
    attesters: dict[AttesterId, Attester] = field(default_factory=dict)
    zones: dict[ZoneId, Zone] = field(default_factory=dict)
    models: dict[ModelId, Model] = field(default_factory=dict)
    versions: dict[VersionId, Version] = field(default_factory=dict)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    proposals: dict[StatementId, Proposal] = field(default_factory=dict)
    closed: dict[StatementId, Word] = field(default_factory=dict)
    """How each proposal ended."""
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    facts: dict[SubjectId, dict[Word, dict[AttesterId, Fact]]] = field(default_factory=dict)
    key_owners: dict[Digest, SubjectId] = field(default_factory=dict)
    """The digest of every public key that was ever enrolled, and whose it is for ever."""
    seals: dict[SealId, VersionId] = field(default_factory=dict)
    statements: dict[StatementId, Seen] = field(default_factory=dict)

    def copy(self) -> Directory:
        """Return a directory that changes apart from this one. Values are frozen, so that only the maps are copied."""
        copied = replace(self)
        for one in fields(self):
            if isinstance(value := getattr(self, one.name), dict):
                setattr(copied, one.name, dict(value))
        return copied

    def encode(self) -> bytes:
        """Return the canonical bytes: the same log gives the same ones, anywhere."""
        return canonical.encode(record_json(self))

    def digest(self) -> str:
        """Return the digest of the canonical bytes."""
        return sha256(self.encode())

    @property
    def origin(self) -> str:
        """The origin of the log's checkpoints."""
        return f"{self.deployment}/{self.era}"

    def label_of(self, version: Version) -> int:
        """Return the label that holds for `version`: the higher of its own and its model's."""
        return max(version.label, self.models[version.model].label)

    def prune(self, at: int) -> None:
        """Drop what time has ended before `at`: nothing of it can be used, said or taken again."""
        self.sessions = {name: one for name, one in self.sessions.items() if one.until >= at}
        self.grants = {name: one for name, one in self.grants.items() if one.until >= at}
        for name in [name for name, one in self.proposals.items() if one.until < at]:
            del self.proposals[name]
            self.closed[name] = "lapsed"
        self.statements = {name: one for name, one in self.statements.items() if one.until >= at}


def parse_directory(data: bytes) -> Directory:
    """Return the directory whose canonical bytes are `data`.

    Raises:
        NotCanonical, BadRecord: it is none.
    """
    return parse_record(Directory, canonical.parse(data))


def made(kind: type[T], source: object, /, **more: Any) -> T:
    """Return the record of type `kind` that takes what has the same name from `source`, and the rest from `more`."""
    names = {one.name for one in fields(kind)} - more.keys()  # type: ignore[arg-type] # every kind here is a dataclass
    return kind(**{name: getattr(source, name) for name in names}, **more)


def record_digest(record: object) -> str:
    """Return the digest that a change names as the state it was made for."""
    return sha256(canonical.encode(record_json(record)))

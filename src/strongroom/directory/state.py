"""The state: everything that exists and is in force, as plain values by identifier.

INVARIANT: nothing is ever taken out under whose identifier something else could come back. What is gone is marked;
only what time alone has ended (sessions, grants, statements past their `until`) is dropped, see `prune`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, TypeVar

from strongroom.terms import canonical, records
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256

T = TypeVar("T")

PRUNE_SECONDS = 600
PUBLIC_KEY_BYTES = 1216

Ed25519Key = Annotated[bytes, records.Bytes(32)]
Origin = Annotated[str, records.Matches("strongroom:cli|https://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?", "an origin")]
Host = Annotated[str, records.Matches("[a-z0-9-]{1,63}(?:[.][a-z0-9-]{1,63}){0,8}", "a host name")]
FilePath = Annotated[str, records.Matches("[^\x00-\x1f]{1,1024}", "a path")]
FileName = Annotated[str, records.Matches("[a-z0-9][a-z0-9-]{0,63}[.]cedar", "a name like `access.cedar`")]
PolicyText = Annotated[str, records.Matches("(?s:.{1,131072})", "text of at most 128 KiB")]
PublicKeyBytes = Annotated[bytes, records.Bytes(PUBLIC_KEY_BYTES)]
VerifierKeyText = Annotated[str, records.Matches("[!-~]{10,300}", "a verifier key")]


class PolicySource(records.Record):
    """One file of the policy bundle."""

    name: FileName
    text: PolicyText


class Acceptance(records.Record):
    """What the keep accepts: directory state, never a settings file."""

    rp_id: Host
    origins: dict[Origin, records.Word]
    """Exact origin to path: `cli`, `approval` or `console`."""
    software_keys: bool
    attestation_roots: tuple[Annotated[bytes, records.Bytes()], ...]
    clock_tolerance_seconds: records.Natural
    witnesses: tuple[VerifierKeyText, ...]


class KeepKeys(records.Record):
    """The public halves of what the root key yields: signing the log, answers, and the time beside a checkpoint."""

    log: Ed25519Key
    answer: Ed25519Key
    time: Ed25519Key


class Role(records.Record):
    """One role somebody holds: everywhere, or for one model. `since` is the entry that gave it."""

    role: records.Word
    team: records.Word
    since: records.Count
    model: records.ModelId | None = None


class Person(records.Record):
    """Somebody. `details` is the salted digest of their name and contact."""

    person: records.PersonId
    details: records.Digest
    roles: tuple[Role, ...]
    frozen: bool
    removed: bool


class Credential(records.Record):
    """A security key of one person. A compromised one takes the approvals it gave with it."""

    credential: records.CredentialId
    person: records.PersonId
    raw_id: Annotated[bytes, records.Bytes(most=1023)]
    public_key: records.P256Point
    software: bool
    backup_eligible: bool
    counter: records.Count
    compromised: bool
    removed: bool


class Device(records.Record):
    """A machine of one person, with a key of its own, in one zone."""

    device: records.DeviceId
    person: records.PersonId
    public_key: records.P256Point
    zone: records.ZoneId
    software: bool
    frozen: bool
    removed: bool


class Workload(records.Record):
    """A program with a key of its own, such as a training job; a person answers for it."""

    workload: records.WorkloadId
    sponsor: records.PersonId
    public_key: records.P256Point
    zone: records.ZoneId
    details: records.Digest
    roles: tuple[Role, ...]
    frozen: bool
    removed: bool


class Attester(records.Record):
    """Whoever may say facts of these kinds, each for at most so long."""

    attester: records.AttesterId
    public_key: records.P256Point
    kinds: Annotated[tuple[records.Word, ...], records.Ascending()]
    longest_seconds: records.Natural
    details: records.Digest
    revoked: bool


class Zone(records.Record):
    """A place where things run. `ceiling` is the highest label that may be opened there."""

    zone: records.ZoneId
    details: records.Digest
    ceiling: records.Label
    egress_bytes_per_day: records.Count
    frozen: bool


class Model(records.Record):
    """A model: its label, and the public key that its versions are sealed to."""

    model: records.ModelId
    details: records.Digest
    label: records.Label
    frozen: bool
    generation: records.Natural
    public_key: PublicKeyBytes
    versions: records.Count


class Version(records.Record):
    """A sealed version: it exists because the log says so. `label` is its own; the model's holds as well."""

    version: records.VersionId
    model: records.ModelId
    number: records.Natural
    manifest: records.Digest
    seal_id: records.SealId
    generation: records.Natural
    wrapped_key: Annotated[bytes, records.Bytes(1168)]
    size_bytes: records.Count
    tensor_bytes: records.Count
    label: records.Label
    notes: records.Digest
    lineage: Annotated[tuple[records.VersionId, ...], records.Ascending()]
    by: records.SubjectId


class Alias(records.Record):
    """A name of a version that moves, as `prod` does. `details` is the salted digest of the name."""

    alias: records.AliasId
    details: records.Digest
    model: records.ModelId
    version: records.VersionId


class Session(records.Record):
    """An hour at most, for a key that stays on its device. Without a device it reads and proposes, nothing more."""

    session: records.SessionId
    person: records.PersonId
    credential: records.CredentialId
    public_key: records.P256Point
    opened_at: records.Instant
    until: records.Instant
    device: records.DeviceId | None = None


class Approval(records.Record):
    """One person's voice for one proposal, given in one role of one team."""

    person: records.PersonId
    role: records.Word
    team: records.Word
    credential: records.CredentialId
    path: records.Word
    backup_eligible: bool
    software: bool
    until: records.Instant


class Proposal(records.Record):
    """What somebody asks for. `digest` names the exact statement; `index` is its entry."""

    proposal: records.StatementId
    by: records.PersonId
    act: records.Word
    body: Json
    digest: records.Digest
    index: records.Count
    at: records.Instant
    until: records.Instant
    approvals: tuple[Approval, ...]
    rejections: tuple[records.PersonId, ...]
    base: records.Digest | None = None


class Grant(records.Record):
    """A time-boxed right to open one version, and the approvals that it stands on."""

    grant: records.GrantId
    subject: records.SubjectId
    zone: records.ZoneId
    version: records.VersionId
    manifest: records.Digest
    until: records.Instant
    proposer: records.PersonId
    approvals: tuple[Approval, ...]
    device: records.DeviceId | None = None
    files: Annotated[tuple[FilePath, ...], records.Ascending()] | None = None


class Fact(records.Record):
    """What one attester says, as a number (a truth is 1 or 0), until when."""

    value: records.Count
    at: records.Instant
    until: records.Instant


class Seen(records.Record):
    """A statement that was taken: its digest and its entry."""

    digest: records.Digest
    index: records.Count
    until: records.Instant


@dataclass(slots=True, kw_only=True)
class Directory:
    """The whole state. Changed only by `acts.fold`, which applies one entry after another."""

    deployment: records.DeploymentName
    era: records.Natural
    size: records.Count
    at: records.Instant
    trial: bool
    frozen: bool
    time_doubted: bool
    quorum: records.Natural
    acceptance: Acceptance
    keys: KeepKeys
    policies: tuple[PolicySource, ...]
    custodians_needed: records.Natural
    custodians: dict[records.PersonId, PublicKeyBytes]
    people: dict[records.PersonId, Person] = field(default_factory=dict)
    credentials: dict[records.CredentialId, Credential] = field(default_factory=dict)
    devices: dict[records.DeviceId, Device] = field(default_factory=dict)
    workloads: dict[records.WorkloadId, Workload] = field(default_factory=dict)
    attesters: dict[records.AttesterId, Attester] = field(default_factory=dict)
    zones: dict[records.ZoneId, Zone] = field(default_factory=dict)
    models: dict[records.ModelId, Model] = field(default_factory=dict)
    versions: dict[records.VersionId, Version] = field(default_factory=dict)
    aliases: dict[records.AliasId, Alias] = field(default_factory=dict)
    sessions: dict[records.SessionId, Session] = field(default_factory=dict)
    proposals: dict[records.StatementId, Proposal] = field(default_factory=dict)
    closed: dict[records.StatementId, records.Word] = field(default_factory=dict)
    """How each proposal ended."""
    grants: dict[records.GrantId, Grant] = field(default_factory=dict)
    facts: dict[records.SubjectId, dict[records.Word, dict[records.AttesterId, Fact]]] = field(default_factory=dict)
    key_owners: dict[records.Digest, records.SubjectId] = field(default_factory=dict)
    """The digest of every public key that was ever enrolled, and whose it is for ever."""
    seals: dict[records.SealId, records.VersionId] = field(default_factory=dict)
    statements: dict[records.StatementId, Seen] = field(default_factory=dict)

    def copy(self) -> Directory:
        """Return a directory that changes apart from this one. Values are frozen, so that only the maps are copied."""
        copied = replace(self)
        for one in fields(self):
            if isinstance(value := getattr(self, one.name), dict):
                setattr(copied, one.name, dict(value))
        return copied

    def encode(self) -> bytes:
        """Return the canonical bytes: the same log gives the same ones, anywhere."""
        return canonical.encode(records.record_json(self))

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
    return records.parse_record(Directory, canonical.parse(data))


def made(kind: type[T], source: object, /, **more: Any) -> T:
    """Return the record of type `kind` that takes what has the same name from `source`, and the rest from `more`."""
    names = {one.name for one in fields(kind)} - more.keys()  # type: ignore[arg-type] # every kind here is a dataclass
    return kind(**{name: getattr(source, name) for name in names}, **more)


def record_digest(record: object) -> str:
    """Return the digest that a change names as the state it was made for."""
    return sha256(canonical.encode(records.record_json(record)))

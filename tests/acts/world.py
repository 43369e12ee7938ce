"""A deployment in memory: real acts, policies and keys, and the clock in the test's hand. No socket, disk or sleep.

    house = a_house()                      # founded by five, with a model, a version, a workload and an attester
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    with refused(Denied): house.enact(asked)

Every statement is signed by keys made here and goes the whole way: envelope, `admit`, `decide`, the bytes of the entry,
`fold`. Security keys are written by `tests/vectors/statements/writer.py`, which shares no code with what verifies them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from strongroom.acts.act import Signer
from strongroom.acts.admit import admit
from strongroom.acts.approve import Approve
from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.decide import Permitted, bundle_of, decide, enact
from strongroom.acts.deployment_found import DeploymentFound, Founder, FoundingRole
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.enrol import NewCredential, NewKey
from strongroom.acts.fact_attest import FactAttest
from strongroom.acts.fold import deployment_name, fold, genesis
from strongroom.acts.founding import verify_genesis
from strongroom.acts.grant_give import GrantGive, grant_id
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.person_enrol import PersonEnrol
from strongroom.acts.propose import Propose
from strongroom.acts.reject import Reject
from strongroom.acts.release import Release
from strongroom.acts.role_give import RoleGive
from strongroom.acts.session_open import SessionOpen
from strongroom.acts.table import act_named, schema
from strongroom.acts.version_register import VersionRegister
from strongroom.acts.workload_enrol import WorkloadEnrol
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory.entries import Entry
from strongroom.directory.state import PUBLIC_KEY_BYTES, Acceptance, Directory, KeepKeys, PolicySource, record_digest
from strongroom.policy.beginning import default_bundle
from strongroom.policy.bundle import Bundle
from strongroom.sealing.keys import Identity
from strongroom.statements.envelope import Assertion, Envelope, Signature
from strongroom.statements.signatures import possession_message
from strongroom.statements.signing import point_of, prove_possession, sign_es256
from strongroom.statements.statement import FOUNDING, Statement
from strongroom.statements.webauthn import registration_message
from strongroom.terms.details import detail_digest
from strongroom.terms.errors import StrongroomError
from strongroom.terms.records import record_json
from tests.vectors.statements import writer

START = 1_800_000_000
MINUTE, HOUR, DAY = 60, 3600, 86400
RP_ID = "strongroom.example"
CLI, APPROVALS, CONSOLE = "strongroom:cli", "https://approve.strongroom.example", "https://console.strongroom.example"
ORIGINS = {CLI: "cli", APPROVALS: "approval", CONSOLE: "console"}
ROOT_KEY, MAKER_KEY = writer.private(9001), writer.private(9002)
ROOT = writer.certificate("Root", ROOT_KEY.public_key(), "Root", ROOT_KEY, authority=True, unit=None)
MAKER = writer.certificate("Maker", MAKER_KEY.public_key(), "Root", ROOT_KEY)
DAILY_BYTES = 200_000_000
HUGE = 9000 * DAILY_BYTES
SALT = bytes(16)
TEXTS: dict[str, str] = {}
"""What each digest that `text` made stands for: whoever asks a keep sends it along."""

Sign = Callable[[bytes], Signature]
"""Signs the message of an envelope, or something else instead."""


def name(kind: str, number: int) -> str:
    """Return an identifier that is easy to read in a failure."""
    return f"{kind}-{number:032x}"


def text(said: str) -> str:
    """Return the salted digest of a text, and remember what it stands for."""
    digest = detail_digest(said, SALT)
    TEXTS[digest] = said
    return digest


@contextmanager
def refused(*errors: type[StrongroomError], why: str = "") -> Iterator[None]:
    """Expect one of these very errors, with `why` in its message."""
    with pytest.raises(errors) as caught:
        yield
    assert caught.type in errors
    assert why in caught.value.message, caught.value.message


@dataclass
class SecurityKey:
    """A key that signs by WebAuthn; its maker vouches for it if it is `attested`."""

    number: int
    credential: str
    attested: bool = True
    eligible: bool = False
    counter: int = 0

    @property
    def key(self) -> writer.Key:
        return writer.private(self.number)

    @property
    def raw_id(self) -> bytes:
        return self.number.to_bytes(32)

    def register(self, deployment: str, person: str, *, origin: str = CLI) -> NewCredential:
        """Return what the ceremony of its enrolment gives."""
        message = registration_message(deployment=deployment, person=person, credential=self.credential)
        client = writer.client_json("webauthn.create", message, origin)
        rest = writer.credential(self.key, raw_id=self.raw_id)
        data = writer.authenticator_data(rp_id=RP_ID, flags=self._flags() | 0x40, counter=self.counter, rest=rest)
        statement: Any = {}
        if self.attested:
            sig = writer.sign(MAKER_KEY, data + writer.sha256(client))
            statement = {"alg": -7, "sig": sig, "x5c": (MAKER,)}
        public_key = point_of(self.key)
        possession = self.touch(
            possession_message(deployment, f"{person}/{self.credential}", public_key), origin=origin
        )
        return NewCredential(
            credential=self.credential,
            raw_id=self.raw_id,
            public_key=public_key,
            backup_eligible=self.eligible,
            software=not self.attested,
            counter=self.counter,
            attestation_object=writer.attestation_object("packed" if self.attested else "none", statement, data),
            client_data=client,
            possession=possession,
        )

    def touch(self, message: bytes, *, origin: str = CLI) -> Signature:
        """Sign `message`, as a touch does."""
        self.counter += 1
        client = writer.client_json("webauthn.get", message, origin)
        data = writer.authenticator_data(rp_id=RP_ID, flags=self._flags(), counter=self.counter)
        touched = writer.touch(self.key, message, client=client, data=data)
        assertion = Assertion(authenticator_data=data, client_data=client)
        return Signature(keyid=self.credential, sig=touched["sig"], webauthn=assertion)

    def at(self, origin: str) -> Sign:
        """Return what signs with it at `origin`."""
        return lambda message: self.touch(message, origin=origin)

    def _flags(self) -> int:
        return 0x05 | (0x08 if self.eligible else 0)


@dataclass
class PlainKey:
    """A device's, session's, workload's or attester's key."""

    number: int
    subject: str

    @property
    def key(self) -> writer.Key:
        return writer.private(self.number)

    @property
    def point(self) -> bytes:
        return point_of(self.key)

    def new(self, deployment: str) -> NewKey:
        """Return the public half, with the proof that we hold the other."""
        return NewKey(public_key=self.point, proof=prove_possession(self.key, deployment, self.subject))

    def __call__(self, message: bytes) -> Signature:
        return Signature(keyid=self.subject, sig=sign_es256(self.key, message))


@dataclass
class Somebody:
    """A person with what they hold."""

    person: str
    keys: list[SecurityKey]
    device: PlainKey
    session: PlainKey | None = None
    browser: PlainKey | None = None


FOUNDERS: dict[str, tuple[tuple[str, str], ...]] = {
    "Ada": (("governor", "core"), ("approver", "core"), ("responder", "core")),
    "Ben": (("governor", "core"), ("approver", "red")),
    "Cleo": (("governor", "core"), ("approver", "core")),
    "Dan": (("researcher", "core"),),
    "Eve": (("governor", "core"),),
}
LAB = name("zone", 1)
"""The zone where everybody works."""


@dataclass
class House:
    """A deployment, everybody in it, and the time. `people` are by display name."""

    directory: Directory
    people: dict[str, Somebody]
    at: int = START
    count: int = 1000
    leaves: list[bytes] = field(default_factory=list)
    model: str = ""
    version: str = ""
    manifest: str = "sha256:" + "ab" * 32
    job: PlainKey = field(default_factory=lambda: PlainKey(7001, name("workload", 1)))
    attester: PlainKey = field(default_factory=lambda: PlainKey(7002, name("attester", 1)))

    # --- names and keys ------------------------------------------------------------------------

    def new(self, kind: str) -> str:
        """Return an identifier that is not used yet."""
        self.count += 1
        return name(kind, self.count)

    def new_key(self, subject: str) -> PlainKey:
        """Return a key that is not used yet, for `subject`."""
        self.count += 1
        return PlainKey(20_000 + self.count, subject)

    def new_security_key(self, **more: Any) -> SecurityKey:
        """Return a security key that is not used yet."""
        credential = self.new("credential")
        return SecurityKey(30_000 + self.count, credential, **more)

    def person(self, who: str) -> str:
        """Return the identifier of somebody."""
        return self.people[who].person

    def bundle(self) -> Bundle:
        """Return the policies in force; parsed once."""
        if self.directory.policies not in BUNDLES:
            BUNDLES[self.directory.policies] = bundle_of(self.directory)
        return BUNDLES[self.directory.policies]

    # --- saying --------------------------------------------------------------------------------

    def envelope(self, body: Any, by: str, signers: Sequence[Sign], /, **changes: Any) -> Envelope:
        """Return a signed statement; `changes` are fields of it that say something else."""
        act = act_named(ACT_OF[type(body)])
        fields: dict[str, Any] = {
            "at": self.at,
            "body": record_json(body),
            "by": by,
            "deployment": self.directory.deployment,
            "era": self.directory.era,
            "id": changes.get("id") or self.new("statement"),
            "kind": act.kind,
            "until": self.at + min(act.longest_seconds, HOUR),
            **changes,
        }
        unsigned = Envelope(payload=Statement(**fields).encode(), signatures=())
        return Envelope(payload=unsigned.payload, signatures=tuple(sign(unsigned.message) for sign in signers))

    def say(self, who: str, body: Any, /, *signers: Sign, **changes: Any) -> Envelope:
        """Return what somebody says, signed as it should be unless `signers` are given."""
        if who == "job":
            return self.envelope(body, self.job.subject, signers or [self.job], **changes)
        if who == "attester":
            return self.envelope(body, self.attester.subject, signers or [self.attester], **changes)
        somebody = self.people[who]
        return self.envelope(body, somebody.person, signers or self.usual_signers(who, body), **changes)

    def usual_signers(self, who: str, body: Any) -> tuple[Sign, ...]:
        """Return the keys of somebody that are to sign such a statement."""
        somebody = self.people[who]
        match act_named(ACT_OF[type(body)]).signer:
            case Signer.SESSION:
                return (self.session(who),)
            case Signer.SESSION_AND_DEVICE:
                return (self.session(who), somebody.device)
            case Signer.SECURITY_KEY_AND_DEVICE:
                return (somebody.keys[0].touch, somebody.device)
            case _:
                return (somebody.keys[0].touch,)

    def session(self, who: str) -> PlainKey:
        """Return the key of somebody's session, opened now if need be."""
        somebody = self.people[who]
        if somebody.session is None or somebody.session.subject not in self.directory.sessions:
            session = self.new_key(self.new("session"))
            body = SessionOpen(session=session.subject, public_key=session.point, device=somebody.device.subject)
            self.do(who, body)
            somebody.session = session
        return somebody.session

    def browser(self, who: str) -> PlainKey:
        """Return the key of a session in somebody's browser."""
        session = self.new_key(self.new("session"))
        body = SessionOpen(session=session.subject, public_key=session.point)
        self.do(who, body, self.people[who].keys[0].at(CONSOLE))
        return session

    # --- doing ---------------------------------------------------------------------------------

    def take(self, envelope: Envelope) -> Permitted:
        """Admit, decide, write down."""
        said = admit(self.directory, envelope, at=self.at)
        permitted = decide(self.directory, self.bundle(), said, at=self.at)
        if permitted.act.entry:
            self.append(Entry(at=self.at, kind=permitted.act.entry, data=permitted.data, statement=envelope.json()))
        return permitted

    def do(self, who: str, body: Any, /, *signers: Sign, **changes: Any) -> str:
        """Say something and have it happen; return the identifier of the statement."""
        return self.take(self.say(who, body, *signers, **changes)).move.id

    def append(self, entry: Entry) -> None:
        """Write an entry, and fold its bytes."""
        leaf = entry.encode()
        fold(self.directory, leaf)
        self.leaves.append(leaf)

    def ask(self, who: str, body: Any, *signers: Sign, base: str | None = "now", **changes: Any) -> str:
        """Propose a change; return the proposal."""
        act = ACT_OF[type(body)]
        record = act_named(act).base(self.directory, body)
        now = None if record is None else record_digest(record)
        asked = Propose(act=act, change=record_json(body), purpose=text("because"), base=now if base == "now" else base)
        return self.do(who, asked, *signers, **changes)

    def voice(self, kind: type[Any], proposal: str, role: str, team: str, **changes: Any) -> Any:
        """Return the body of an approval or a rejection."""
        about = self.directory.proposals[proposal]
        fields: dict[str, Any] = {"proposal": proposal, "digest": about.digest, "role": role, "team": team, **changes}
        return kind(**fields)

    def approve(self, who: str, proposal: str, role: str, *signers: Sign, team: str = "", **changes: Any) -> str:
        """Approve a proposal, in the team in which the role is held."""
        return self.do(who, self.voice(Approve, proposal, role, team or self.team(who, role)), *signers, **changes)

    def reject(self, who: str, proposal: str, role: str) -> str:
        """Reject a proposal."""
        return self.do(who, self.voice(Reject, proposal, role, self.team(who, role), reason=text("no")))

    def team(self, who: str, role: str) -> str:
        """Return the team in which somebody holds a role."""
        held = [one.team for one in self.directory.people[self.person(who)].roles if one.role == role]
        return held[0] if held else "core"

    def enact(self, proposal: str) -> str:
        """Enact a proposal, and return it."""
        permitted = enact(self.directory, self.bundle(), proposal, at=self.at)
        data = dict(permitted.data)
        if isinstance(permitted.move.body, ModelEnrol):
            data["public_key"] = writer.b64(bytes(PUBLIC_KEY_BYTES))
        self.append(Entry(at=self.at, kind=permitted.act.entry, data=data))
        return proposal

    def govern(
        self, body: Any, *, by: str = "Ada", yes: Sequence[str] = ("Ben", "Cleo"), role: str = "governor"
    ) -> str:
        """Propose, approve and enact a change."""
        asked = self.ask(by, body)
        for who in yes:
            self.approve(who, asked, role)
        return self.enact(asked)

    # --- what is usual -------------------------------------------------------------------------

    def grant_body(self, **changes: Any) -> GrantGive:
        """Return what lets Dan open the version on his device for four hours."""
        fields: dict[str, Any] = {
            "subject": self.person("Dan"),
            "zone": LAB,
            "version": self.version,
            "manifest": self.manifest,
            "seconds": 4 * HOUR,
            "device": self.people["Dan"].device.subject,
            **changes,
        }
        return GrantGive(**fields)

    def grant(self, *yes: str, **changes: Any) -> str:
        """Have Dan ask for a grant, and people agree; return the grant."""
        asked = self.ask("Dan", self.grant_body(**changes))
        for who in yes or ("Ada", "Ben"):
            self.approve(who, asked, "approver")
        return grant_id(self.enact(asked))

    def release_body(self, grant: str, **changes: Any) -> Release:
        """Return what opens the version on a grant."""
        fields: dict[str, Any] = {
            "version": self.version,
            "manifest": self.manifest,
            "grant": grant,
            "recipient": RECIPIENT,
            **changes,
        }
        return Release(**fields)

    def release(self, grant: str, who: str = "Dan", **changes: Any) -> str:
        """Have somebody open the version."""
        return self.do(who, self.release_body(grant, **changes))

    def version_body(self, **changes: Any) -> VersionRegister:
        """Return what registers one more version of the model."""
        self.count += 1
        fields: dict[str, Any] = {
            "version": self.new("version"),
            "model": self.model,
            "seal_id": f"{self.count:032x}",
            "generation": 1,
            "wrapped_key": bytes(1168),
            "header": bytes(74),
            "manifest": self.manifest,
            "size_bytes": HUGE,
            "tensor_bytes": HUGE,
            "notes": text("notes"),
            "lineage": (),
            **changes,
        }
        return VersionRegister(**fields)

    def attest(self, subject: str, fact: str, value: int, **changes: Any) -> str:
        """Have the attester say something."""
        return self.do("attester", FactAttest(subject=subject, fact=fact, value=value), **changes)

    def enrol(self, who: str, *roles: tuple[str, str], **key: Any) -> Somebody:
        """Enrol one more person, with a device and roles."""
        person, security_key = self.new("person"), self.new_security_key(**key)
        deployment = self.directory.deployment
        new = security_key.register(deployment, person)
        self.govern(PersonEnrol(person=person, details=text(who), credentials=(new,)))
        device = self.new_key(self.new("device"))
        enrolled = DeviceEnrol(device=device.subject, person=person, zone=LAB, key=device.new(deployment))
        self.govern(enrolled)
        for role, team in roles:
            self.govern(RoleGive(subject=person, role=role, team=team))
        self.people[who] = Somebody(person=person, keys=[security_key], device=device)
        return self.people[who]

    def copy(self) -> House:
        """Return a house that goes its own way from here."""
        mine = copy.copy(self)
        mine.directory, mine.leaves = self.directory.copy(), list(self.leaves)
        mine.people = copy.deepcopy(self.people)
        return mine

    def use(self, **state: Any) -> None:
        """Put the directory into a state that would take long to reach."""
        for key, value in state.items():
            setattr(self.directory, key, value)


ACT_OF: dict[type[Any], str] = {act_named(act).body: act for act in (*schema().rows, "deployment.found")}
RECIPIENT = Identity(bytes(32)).public_key().raw


def custodian(who: str) -> Identity:
    """Return the key that a custodian's share travels to."""
    return Identity(who.encode("utf-8").ljust(32, b"."))


BUNDLES: dict[tuple[PolicySource, ...], Bundle] = {}


# --- founding ----------------------------------------------------------------------------------


@dataclass
class Genesis:
    """A founding that can be changed before it is signed."""

    people: dict[str, Somebody]
    body: DeploymentFound

    def sign(self, *, signers: Sequence[Sign] | None = None, **changes: Any) -> Envelope:
        """Return the genesis, signed by every founder unless `signers` are given."""
        fields: dict[str, Any] = {
            "at": START,
            "body": record_json(self.body),
            "by": next(iter(self.people.values())).person,
            "deployment": FOUNDING,
            "era": 1,
            "id": name("statement", 1),
            "kind": "deployment.found/1",
            "until": START + DAY,
            **changes,
        }
        unsigned = Envelope(payload=Statement(**fields).encode(), signatures=())
        signers = [one.keys[0].touch for one in self.people.values()] if signers is None else signers
        return Envelope(payload=unsigned.payload, signatures=tuple(sign(unsigned.message) for sign in signers))

    def leaf(self, **signed: Any) -> bytes:
        """Return the first entry of the log."""
        return Entry(at=START, kind="deployment.founded", statement=self.sign(**signed).json()).encode()

    def begin(self, **signed: Any) -> Directory:
        """Verify the founding; return the directory that it begins."""
        envelope = self.sign(**signed)
        leaf = Entry(at=START, kind="deployment.founded", statement=envelope.json()).encode()
        directory = verify_genesis(envelope, name=deployment_name(leaf), at=START)
        assert directory == genesis(leaf)
        return directory


def a_genesis(
    founders: dict[str, tuple[tuple[str, str], ...]] | None = None,
    keys: KeepKeys | None = None,
    custodians: Sequence[str] = ("Ada", "Ben", "Cleo"),
    policies: Sequence[PolicySource] | None = None,
    **changes: Any,
) -> Genesis:
    """Return the founding by these people; `changes` are fields of its body that say something else."""
    people: dict[str, Somebody] = {}
    bodies = []
    for number, (who, roles) in enumerate((FOUNDERS if founders is None else founders).items(), 1):
        person, device = name("person", number), PlainKey(2000 + number, name("device", number))
        key = SecurityKey(1000 + number, name("credential", number))
        people[who] = Somebody(person=person, keys=[key], device=device)
        bodies.append(
            Founder(
                person=person,
                details=text(who),
                credentials=(key.register(FOUNDING, person),),
                devices=(DeviceEnrol(device=device.subject, person=person, zone=LAB, key=device.new(FOUNDING)),),
                roles=tuple(FoundingRole(role=role, team=team) for role, team in roles),
            )
        )
    fields: dict[str, Any] = {
        "trial": False,
        "quorum": 2,
        "founders": tuple(bodies),
        "custodians_needed": 2,
        "custodians": {people[who].person: custodian(who).public_key().raw for who in custodians},
        "keys": keys or KeepKeys(log=bytes(32), answer=bytes(32), time=bytes(32)),
        "acceptance": acceptance(),
        "policies": default_policies() if policies is None else tuple(policies),
        "zones": (ZoneDefine(zone=LAB, details=text("lab"), ceiling=4, egress_bytes_per_day=DAILY_BYTES),),
        **changes,
    }
    return Genesis(people=people, body=DeploymentFound(**fields))


def a_trial(**changes: Any) -> Genesis:
    """Return the founding of one person's trial."""
    roles = tuple((role, "me") for role in ("governor", "approver", "responder", "researcher", "writer"))
    usual: dict[str, Any] = {"trial": True, "quorum": 1, "custodians": (), "custodians_needed": 1}
    return a_genesis(founders={"Ada": roles}, **{**usual, **changes})


def acceptance(**changes: Any) -> Acceptance:
    """Return what a deployment accepts: keys of one maker, and software keys too."""
    fields: dict[str, Any] = {
        "rp_id": RP_ID,
        "origins": ORIGINS,
        "software_keys": True,
        "attestation_roots": (ROOT,),
        "clock_tolerance_seconds": 60,
        "witnesses": (),
        **changes,
    }
    return Acceptance(**fields)


@cache
def default_policies() -> tuple[PolicySource, ...]:
    """Return the policies that a deployment begins with."""
    return tuple(PolicySource(name=file.name, text=file.text) for file in default_bundle())


@cache
def _founded() -> House:
    begun = a_genesis()
    leaf = begun.leaf()
    return House(directory=genesis(leaf), people=begun.people, leaves=[leaf])


def founded() -> House:
    """Return a house that was just founded."""
    return _founded().copy()


def furnish(house: House, *, label: int = 1) -> House:
    """Give a house a model, a workload that writes versions of it, one version, and an attester."""
    house.model, deployment = house.new("model"), house.directory.deployment
    house.govern(ModelEnrol(model=house.model, details=text("acme/atlas"), label=label))
    enrolled = WorkloadEnrol(
        workload=house.job.subject,
        sponsor=house.person("Dan"),
        zone=LAB,
        key=house.job.new(deployment),
        details=text("training"),
    )
    house.govern(enrolled)
    house.govern(RoleGive(subject=house.job.subject, role="writer", team="core"))
    kinds = ("disk-encrypted", "egress-bytes-per-day", "training")
    house.govern(
        AttesterEnrol(
            attester=house.attester.subject,
            key=house.attester.new(deployment),
            kinds=kinds,
            longest_seconds=DAY,
            details=text("mdm"),
        )
    )
    body = house.version_body()
    house.do("job", body)
    house.version = body.version
    return house


@cache
def _furnished() -> House:
    return furnish(founded())


def a_house() -> House:
    """Return a house with everything in it."""
    return _furnished().copy()


@cache
def _critical() -> House:
    house = furnish(founded(), label=3)
    for subject, fact, value in (
        (house.person("Dan"), "training", 1),
        (house.people["Dan"].device.subject, "disk-encrypted", 1),
        (LAB, "egress-bytes-per-day", DAILY_BYTES),
    ):
        house.attest(subject, fact, value)
    return house


def a_critical_house() -> House:
    """Return a house whose model has label 3, and about which every fact is said."""
    return _critical().copy()


def changed(before: Directory, after: Directory) -> set[str]:
    """Return what differs between two directories: `people/person-…`, `frozen`, … but for what every entry changes."""
    old, new = _flat(before), _flat(after)
    return {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


def _flat(directory: Directory) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record_json(directory).items():
        if key in {"size", "at", "statements"}:
            continue
        if isinstance(value, dict) and key not in {"acceptance", "keys"}:
            flat |= {f"{key}/{one}": item for one, item in value.items()}
        else:
            flat[key] = value
    for path, value in flat.items():
        if path.startswith("credentials/"):
            flat[path] = {one: item for one, item in value.items() if one != "counter"}
    return flat

"""A laboratory: the real keep in this process, everybody's keys in memory, and a naive model that hears the same.

`say` sends one statement, or several in one batch; what comes back is checked against what the model makes of it, and
against the log. A copy of a folder, with a copy of everybody's keys, is a deployment that goes its own way.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

from strongroom.acts.fold import fold, genesis
from strongroom.acts.table import act_named, act_of_entry
from strongroom.directory.entries import parse_entry
from strongroom.directory.state import Directory, record_digest
from strongroom.journal.port import Kept, Sign
from strongroom.journal.sqlite import SqliteJournal, create_journal, open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.keep.clock import Clocks
from strongroom.keep.keep import Keep
from strongroom.policy.beginning import default_bundle
from strongroom.sealing.floe import Encryptor, Parameters
from strongroom.sealing.keys import Binding, Identity, PublicKey, manifest_key, released_file_keys, unwrap_with, wrap_to
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.signing import verify_ed25519
from strongroom.statements.statement import parse_statement
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.records import parse_record
from strongroom.tlog.checkpoints import Checkpoint, verify_checkpoint
from strongroom.tlog.notes import VerifierKey
from strongroom.tlog.proofs import check_consistency, check_inclusion, consistency_proof
from strongroom.tlog.tree import EMPTY_ROOT, leaf_hash
from tests.model.naive import Naive
from tests.model.signer import (
    APPROVAL,
    CLI,
    CONSOLE,
    MAKERS,
    ORIGINS,
    RP_ID,
    Key,
    Random,
    SecurityKey,
    detail,
    digest,
    enveloped,
    named,
    signer,
    stream,
)

Json = Any
START = 1_800_000_000
DAY = 86400
RESERVE_BYTES = 1 << 16
PATHS = ("a.bin", "b.bin")
PLACES = {"cli": CLI, "approval": APPROVAL, "console": CONSOLE}
NOTE, NOTE_TEXT = detail("because", bytes(16))
STRICT = """@id("three-people")
@requires("three people")
forbid (principal, action in [Action::"governance", Action::"opening"], resource)
unless { context.quorum.people >= 3 };
"""
PEOPLE: dict[str, tuple[tuple[str, str], ...]] = {
    "Ada": (("governor", "core"), ("approver", "core"), ("responder", "core")),
    "Ben": (("governor", "core"), ("approver", "core")),
    "Cleo": (("governor", "red"), ("approver", "red")),
    "Dan": (("governor", "red"),),
    "Eve": (("approver", "red"), ("responder", "red")),
    "Finn": (("researcher", "core"),),
    "Gus": (("researcher", "red"),),
    "Hana": (),
}
TWO_KEYS = {"Ada", "Cleo", "Dan", "Finn"}


class Died(BaseException):
    """The process is no more."""


class Mortal:
    """A journal whose process dies around the next commit, when it is told to: `before` it, or `after`."""

    def __init__(self, inner: SqliteJournal) -> None:
        self.inner, self.dies = inner, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def append(
        self, entries: Sequence[bytes], *, sign: Sign, kept: Sequence[Kept] = (), closing: bool = False
    ) -> bytes:
        if self.dies == "before":
            raise Died
        note = self.inner.append(entries, sign=sign, kept=kept, closing=closing)
        if self.dies == "after":
            raise Died
        return note


@dataclass
class Known:
    """What people hold: keys, shares, and the data keys of what they sealed. Copied with the folder."""

    deployment: str = ""
    security_keys: dict[str, SecurityKey] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    custodians: dict[str, Identity] = field(default_factory=dict)
    shares: dict[str, str] = field(default_factory=dict)
    data_keys: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    zones: list[str] = field(default_factory=list)

    def credentials(self, person: str) -> list[str]:
        return [name for name, one in self.security_keys.items() if one.person == person]

    def copy(self) -> Known:
        return deepcopy(self, {id(one.key): one.key for one in self.security_keys.values()} | _kept(self))


def _kept(known: Known) -> dict[int, Any]:
    """Return what need not be copied: keys do not change."""
    return {id(one): one for one in (*known.keys.values(), *known.custodians.values())}


class Lab:
    """A founded deployment. `wall` and `mono` are its clocks; `released` the entries by which keys came."""

    def __init__(self, folder: Path, random: Random, policies: Sequence[Any] = (), start: int = START) -> None:
        self.folder, self.random = folder, random
        self.policies = [{"name": one.name, "text": one.text} for one in policies or default_bundle()]
        self.wall = self.mono = start
        self.known = Known()
        self.recipients = [Identity(random(32)) for _ in range(2)]
        self.released: list[int] = []
        self.checkpoint = Checkpoint(origin="", size=0, root=EMPTY_ROOT)
        self.leaves: list[bytes] = []
        self.journal: Mortal
        self.keep: Keep
        self.model: Naive
        self.shadow: Directory
        self.storage: dict[str, Any] = {"reserve_bytes": RESERVE_BYTES}
        self.log_key: VerifierKey

    # --- the process -----------------------------------------------------------------------------------

    @property
    def paths(self) -> tuple[Path, Path]:
        return self.folder / "journal", self.folder / "high-water"

    def open(self) -> Mortal:
        folder, high_water = self.paths
        return Mortal(open_journal(folder, high_water=high_water, log_key_of=log_key_of, **self.storage))

    def start(self) -> None:
        self.journal = self.open()
        clocks = Clocks(wall=lambda: float(self.wall), monotonic=lambda: float(self.mono))
        journal: Any = self.journal
        self.keep = Keep(journal, clocks=clocks, random=self.random)

    def stop(self) -> None:
        self.journal.inner.close()

    def give_shares(self) -> None:
        """Have two custodians give their shares. Sealed, the keep answers nothing else."""
        (sealed,) = self.ask({"ask": "entries", "start": 0, "count": 1})
        assert sealed["error"]["code"] == "sealed", sealed
        (status,) = self.ask({"ask": "status"})
        to = PublicKey(base64.b64decode(status["ok"]["unseal_key"]))
        for person, share in list(self.known.shares.items())[:2]:
            info = self._info("unseal", person)
            wrapped = base64.b64encode(wrap_to(to, share.encode(), info)).decode()
            (answer,) = self.ask({"ask": "unseal", "person": person, "share": wrapped})
        assert answer["ok"] == {"missing": 0}, answer

    def unseal(self) -> None:
        self.give_shares()
        self.model.begin(self.wall, self.mono, is_start=True)
        self.look()

    def restart(self) -> None:
        self.stop()
        self.start()
        self.unseal()

    def copy(self, folder: Path) -> Lab:
        """Return this deployment in another folder, with a keep that was started there and unsealed."""
        shutil.copytree(self.folder, folder)
        copied = self.at(folder)
        copied.start()
        copied.unseal()
        return copied

    def at(self, folder: Path) -> Lab:
        """Return the laboratory of a copy of the folder, which nothing runs in yet."""
        copied = Lab.__new__(Lab)
        copied.__dict__.update(self.__dict__)
        copied.folder, copied.random = folder, stream(folder.parent.name)
        copied.known, copied.model, copied.storage = self.known.copy(), deepcopy(self.model), dict(self.storage)
        copied.leaves, copied.released, copied.shadow = list(self.leaves), list(self.released), self.shadow.copy()
        return copied

    def ask(self, *requests: Json) -> list[Json]:
        """Ask as the server does: what comes and goes is canonical JSON."""
        batch = [canonical.parse(canonical.encode(one)) for one in requests]
        return [canonical.parse(canonical.encode(one)) for one in self.keep.handle(batch)]

    def _info(self, purpose: str, person: str) -> bytes:
        about = {"deployment": self.known.deployment, "format": f"strongroom/{purpose}/1", "person": person}
        return canonical.encode(about)

    # --- founding ----------------------------------------------------------------------------------------

    def found(self) -> None:
        folder, high_water = self.paths
        self.folder.mkdir(mode=0o700, exist_ok=True)
        create_journal(folder, high_water=high_water)
        self.start()
        (prepared,) = self.ask({"ask": "prepare"})
        self.known.zones = sorted(named("zone", self.random) for _ in range(2))
        founders = sorted((self._founder(name) for name in PEOPLE), key=lambda one: str(one["person"]))
        body = {
            "acceptance": {
                "attestation_roots": [base64.b64encode(one).decode() for one in MAKERS],
                "clock_tolerance_seconds": 60,
                "origins": ORIGINS,
                "rp_id": RP_ID,
                "software_keys": True,
                "witnesses": [],
            },
            "custodians": {
                person: base64.b64encode(one.public_key().raw).decode() for person, one in self.known.custodians.items()
            },
            "custodians_needed": 2,
            "founders": founders,
            "keys": prepared["ok"]["keys"],
            "policies": self.policies,
            "quorum": 2,
            "trial": False,
            "zones": [
                {"ceiling": ceiling, "details": NOTE, "egress_bytes_per_day": 1 << 10, "zone": zone}
                for zone, ceiling in zip(self.known.zones, (4, 1), strict=True)
            ],
        }
        statement = self._statement(
            "deployment.found", body, founders[0]["person"], "founding", at=self.wall, until=self.wall + DAY
        )
        touched = [self.known.security_keys[one["credentials"][0]["credential"]] for one in founders]
        envelope = enveloped(statement, *(one.touch for one in touched))
        (founded,) = self.ask({"ask": "found", "statement": envelope, "details": [NOTE_TEXT]})
        assert "ok" in founded, founded
        self.known.deployment = founded["ok"]["deployment"]
        self.model = Naive(body, self.wall, self.wall, self.mono)
        for person, identity in self.known.custodians.items():
            (answer,) = self.ask({"ask": "share", "person": person})
            wrapped = base64.b64decode(answer["ok"]["share"])
            self.known.shares[person] = unwrap_with(identity, wrapped, self._info("share", person)).decode()
        self.shadow = genesis(self.journal.inner.entry(0))
        self.log_key = log_key_of(self.journal.inner.entry(0))
        self.look()

    def _founder(self, name: str) -> Json:
        person = self.known.people[name] = named("person", self.random)
        keys = [self.new_security_key(person, maker=name != "Gus")]
        if name in TWO_KEYS:
            keys.append(self.new_security_key(person, maker=name != "Dan", eligible=name == "Cleo"))
        if len(self.known.custodians) < 3:
            self.known.custodians[person] = Identity(self.random(32))
        return {
            "credentials": [one.enrolled("founding") for one in keys],
            "details": NOTE,
            "devices": [self.new_device(person, zone, "founding") for zone in self.known.zones[: 1 + (name == "Gus")]],
            "person": person,
            "roles": [{"role": role, "team": team} for role, team in PEOPLE[name]],
        }

    def new_security_key(self, person: str, *, maker: bool = True, eligible: bool = False) -> SecurityKey:
        """Return a security key that nobody has heard of."""
        made = SecurityKey(
            credential=named("credential", self.random),
            person=person,
            key=Key.drawn(self.random),
            raw_id=self.random(32),
            maker=maker,
            eligible=eligible,
        )
        self.known.security_keys[made.credential] = made
        return made

    def new_device(self, person: str, zone: str, deployment: str = "") -> Json:
        """Return how a new device of somebody's is enrolled."""
        device, key = named("device", self.random), Key.drawn(self.random)
        self.known.keys[device] = key
        proven = key.proven(deployment or self.known.deployment, device)
        return {"device": device, "key": proven, "person": person, "zone": zone}

    def new_program(self, kind: str) -> tuple[str, Json]:
        """Return the identifier of a new workload or attester, and its proven key."""
        program, key = named(kind, self.random), Key.drawn(self.random)
        self.known.keys[program] = key
        return program, key.proven(self.known.deployment, program)

    def new_version(self, model: str, *, size: int, fits: bool = True) -> Json:
        """Return how a new version of `model` is registered, sealed as a writer would or, not `fits`, to nobody."""
        version, seal_id, data_key = named("version", self.random), self.random(16).hex(), self.random(32)
        binding = Binding(deployment=self.known.deployment, model=model, generation=1, seal_id=seal_id)
        public = PublicKey(self.directory.models[model].public_key) if fits else self.recipients[0].public_key()
        key = manifest_key(data_key, seal_id)
        header = Encryptor(Parameters(segment_bytes=4096), key.key, key.aad, self.random(32)).header
        self.known.data_keys[version] = (seal_id, data_key)
        return {
            "generation": 1,
            "header": base64.b64encode(header).decode(),
            "lineage": [],
            "manifest": sha256(version.encode()),
            "model": model,
            "notes": NOTE,
            "seal_id": seal_id,
            "size_bytes": size,
            "tensor_bytes": size,
            "version": version,
            "wrapped_key": base64.b64encode(public.wrap(data_key, binding)).decode(),
        }

    # --- saying ------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """What an honest client takes for the time: its own, or the keep's where that is ahead."""
        return max(self.wall, self.model.at)

    @property
    def directory(self) -> Directory:
        assert self.keep._book is not None
        return self.keep._book.directory

    def _statement(self, act: str, body: Json, by: str, deployment: str = "", *, at: int = 0, until: int = 0) -> Json:
        at = at or self.now
        return {
            "at": at,
            "body": body,
            "by": by,
            "deployment": deployment or self.known.deployment,
            "era": 1,
            "id": named("statement", self.random),
            "kind": f"{act}/1",
            "until": until or at + 300,
        }

    def words(
        self,
        act: str,
        by: str,
        body: Json,
        *,
        session: str = "",
        device: str = "",
        credential: str = "",
        path: str = "cli",
        at: int = 0,
        until: int = 0,
        fits: bool = True,
        forged: bool = False,
        again: str = "",
        base: str = "",
    ) -> Thing:
        """Return what somebody says: the envelope, and the words by which the model hears it.

        `fits` tells the model what only bytes show: that a digest or a wrapped key is the right one. `again` is the
        identifier of an older statement, for whoever uses it twice; `base` the state that a proposal is made for.
        """
        statement = self._statement(act, body, by, at=at, until=until)
        statement["id"] = again or statement["id"]
        signers: list[Callable[[bytes], Json]] = []
        for keyid in (session, device, by if not session and by in self.known.keys else ""):
            if keyid:
                signers.append(signer(keyid, self.known.keys[keyid]))
        if credential:
            key = self.known.security_keys[credential]
            signers.append(lambda message: key.touch(message, PLACES[path]))
        envelope = enveloped(statement, *signers)
        counter = self.known.security_keys[credential].counter if credential else 0
        if forged:
            envelope["signatures"][0]["sig"] = enveloped({**statement, "era": 2}, *signers)["signatures"][0]["sig"]
        return Thing(
            act=act,
            by=by,
            body=body,
            id=statement["id"],
            at=statement["at"],
            until=statement["until"],
            session=session,
            device=device,
            credential=credential,
            path=path,
            counter=counter,
            base=base,
            fits=fits,
            forged=forged,
            digest=digest(envelope),
            envelope=envelope,
        )

    def base(self, act: str, change: Json) -> str | None:
        """Return the digest of the state that a change is made for, as a client computes it."""
        row = act_named(act)
        record = row.base(self.directory, parse_record(row.body, change))
        return None if record is None else record_digest(record)

    def say(self, *said: Thing, dies: str = "") -> list[tuple[str, bool]]:
        """Say it, all in one batch, and hold what comes back against the model and the log. `dies`: see `Mortal`."""
        model = deepcopy(self.model) if dies == "before" else self.model
        model.begin(self.wall, self.mono)
        expected = [model.hear(one) for one in said]
        requests = [{"ask": "act", "statement": one.envelope} for one in said]
        self.journal.dies = dies
        try:
            answers = self.ask(*requests)
        except Died:
            self.restart()
            return expected
        self.journal.dies = ""
        self.model = model
        for one, answer, (verdict, enacted) in zip(said, answers, expected, strict=True):
            why = answer["ok"].get("missing", "") if "ok" in answer else answer["error"]["message"]
            told = (one.act, one.body, verdict, enacted, why)
            assert ("ok" in answer) == (verdict in {"yes", "same", "quiet"}), told
            if "ok" in answer:
                assert ("enacted" in answer["ok"]) == enacted, told
                self.check_told(one, answer, verdict)
        self.look()
        return expected

    def check_told(self, said: Thing, answer: Json, verdict: str) -> None:
        """Whoever was told anything can prove it: the entry, under a checkpoint that we verified, and the key."""
        if verdict == "quiet":
            return
        places = [answer["ok"], *([answer["ok"]["enacted"]] if "enacted" in answer["ok"] else [])]
        checkpoint = verify_checkpoint(answer["checkpoint"].encode(), self.log_key)
        for place in places:
            leaf = base64.b64decode(place["leaf"])
            proof = [base64.b64decode(one) for one in place["proof"]]
            size, root = checkpoint.size, checkpoint.root
            check_inclusion(leaf=leaf_hash(leaf), index=place["index"], size=size, proof=proof, root=root)
        leaf = base64.b64decode(answer["ok"]["leaf"])
        assert parse_entry(leaf).envelope().digest == said.digest
        if said.act == "release":
            self._check_released(said, answer["ok"], leaf)

    def _check_released(self, said: Thing, told: Json, leaf: bytes) -> None:
        envelope = parse_envelope(told["answer"]["envelope"])
        verify_ed25519(self.shadow.keys.answer, envelope.message, envelope.signature("keep").sig)
        body: Any = parse_statement(envelope).body
        assert parse_entry(leaf).kind == "key.released"
        assert (body["entry"], body["index"]) == (sha256(leaf), told["index"])
        identity = next(one for one in self.recipients if one.public_key().digest() == body["recipient"])
        info = {
            "deployment": self.known.deployment,
            "entry": sha256(leaf),
            "expires_at": body["expires_at"],
            "format": "strongroom/release/1",
            "recipient": body["recipient"],
            "version": said.body["version"],
        }
        opened: Any = canonical.parse(unwrap_with(identity, base64.b64decode(body["wrapped"]), canonical.encode(info)))
        seal_id, data_key = self.known.data_keys[said.body["version"]]
        if (files := said.body.get("files")) is None:
            assert opened == {"data_key": base64.b64encode(data_key).decode()}
        else:
            keys = released_file_keys(data_key, seal_id, files)
            assert opened["files"] == {name: base64.b64encode(one).decode() for name, one in keys.files.items()}
        self.released.append(told["index"])

    def all(self, kind: str) -> dict[str, Thing]:
        """Return what there is of a kind, as the model has it."""
        return {name: one for name, one in self.model.things.items() if name.startswith(kind) and not one.gone}

    # --- looking -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read what is new in the log; see that it only grew, that it is the model's, and what the directory is."""
        journal = self.journal.inner
        assert journal.note is not None
        old, new = self.checkpoint, verify_checkpoint(journal.note, self.log_key)
        assert new.size >= old.size, f"the log had {old.size} entries, and has {new.size}"
        proof = consistency_proof(journal.tree, old.size, new.size)
        check_consistency(old_size=old.size, old_root=old.root, new_size=new.size, new_root=new.root, proof=proof)
        self.checkpoint = new
        for leaf in journal.read(old.size, new.size):
            self.leaves.append(leaf)
            if len(self.leaves) > 1:
                fold(self.shadow, leaf)
        acts = [act_behind(leaf) for leaf in self.leaves[old.size :]]
        assert acts == self.model.log[old.size :], (acts, self.model.log[old.size :])
        assert self.shadow == self.directory
        for proposal in self.directory.proposals.values():
            assert len({one.person for one in proposal.approvals}) == len(proposal.approvals), "counted twice"

    def check_all(self) -> None:
        """From the very first entry: the directory byte for byte, and each key that came has its entry."""
        leaves = list(self.journal.inner.read(0, self.journal.inner.size))
        assert leaves == self.leaves
        fresh = genesis(leaves[0])
        for leaf in leaves[1:]:
            fold(fresh, leaf)
        assert fresh.encode() == self.directory.encode()
        assert {parse_entry(leaves[index]).kind for index in self.released} <= {"key.released"}


def act_behind(leaf: bytes) -> str:
    """Return the name of the act that appended an entry; of an event, its kind."""
    kind = parse_entry(leaf).kind
    act = act_of_entry(kind)
    return kind if act is None else act.name


def strict(policies: list[Json]) -> list[Json]:
    """Return policies under which everything takes three people."""
    return sorted([*policies, {"name": "strict.cedar", "text": STRICT}], key=lambda one: str(one["name"]))

"""A crew: what people do in a laboratory, so that it comes to something; and a laboratory ready for releases."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

from tests.model.lab import NOTE, START, Lab
from tests.model.signer import Key, named, stream

Json = Any
FACTS = ("disk-encrypted", "egress-bytes-per-day", "training")
TOLD: Counter[str] = Counter()
"""What was said in all laboratories so far, by act and verdict."""


class Picks:
    """Choices out of one number: small numbers make the first choices, so that Hypothesis finds simple runs."""

    def __init__(self, number: int) -> None:
        self._number = number

    def one(self, things: Sequence[Any]) -> Any:
        self._number, which = divmod(self._number, len(things))
        return things[which]

    def below(self, number: int) -> int:
        return int(self.one(range(number)))


def in_memory() -> Path:
    """Return a new folder on a disk in memory, where there is one."""
    shm = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="strongroom-", dir=shm if shm.is_dir() else None))


def prepared(folder: Path, policies: Sequence[Any] = (), start: int = START) -> Lab:
    """Return a deployment with what releases need: models of label 1 and 3, versions, a writer, an attester."""
    lab = Lab(folder, stream("prepared"), policies, start)
    lab.found()
    crew = Crew(lab)
    for label in (1, 3):
        crew.agree("model.enrol", {"details": NOTE, "label": label, "model": named("model", lab.random)})
    workload, key = lab.new_program("workload")
    sponsor, zone = lab.known.people["Finn"], lab.known.zones[0]
    crew.agree("workload.enrol", {"details": NOTE, "key": key, "sponsor": sponsor, "workload": workload, "zone": zone})
    for role in ("writer", "researcher"):
        crew.agree("role.give", {"role": role, "subject": workload, "team": "core"})
    attester, key = lab.new_program("attester")
    kinds = sorted(FACTS)
    enrolling = {"attester": attester, "details": NOTE, "key": key, "kinds": kinds, "longest_seconds": 86400}
    crew.agree("attester.enrol", enrolling)
    for model in list(lab.directory.models):
        for size in (1 << 30, 1 << 10):
            lab.say(lab.words("version.register", workload, lab.new_version(model, size=size)))
    for subject, fact, value in crew.everything():
        lab.say(lab.words("fact.attest", attester, crew.fact(subject, fact, value), until=lab.now + 86400))
    large, small = list(lab.directory.versions)[::2], list(lab.directory.versions)[1::2]
    for name, versions in (("Finn", [small[0], *large]), ("Gus", [large[0]])):
        for version in versions:
            crew.agree("grant.give", crew.grant(lab.known.people[name], version), lab.known.people[name])
    crew.agree("grant.give", crew.grant(workload, large[1]), lab.known.people["Gus"])
    assert (len(lab.all("version")), len(lab.all("grant"))) == (4, 5)
    return lab


class Crew:
    """What people do in a laboratory, so that it comes to something: log in, propose, and find who may approve."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.old: list[Thing] = []
        self.dies = ""

    def say(self, *said: Thing) -> list[tuple[str, bool]]:
        self.old += said
        dies, self.dies = self.dies, ""
        verdicts = self.lab.say(*said, dies=dies)
        TOLD.update(f"{one.act} {verdict}" for one, (verdict, _) in zip(said, verdicts, strict=True))
        TOLD.update(["enacted"] * sum(enacted for _, enacted in verdicts))
        return verdicts

    def login(self, person: str, device: str | None, credential: str, *, path: str = "cli", **how: Any) -> str:
        """Log in, and return the session, whether it was opened or not."""
        session, key = named("session", self.lab.random), Key.drawn(self.lab.random)
        self.lab.known.keys[session] = key
        body: dict[str, Json] = {"public_key": key_text(key), "session": session}
        if device is not None:
            body["device"] = device
        how.setdefault("until", self.lab.now + 3600)
        said = self.lab.words(
            "session.open", person, body, device=device or "", credential=credential, path=path, **how
        )
        self.say(said)
        return session

    def devices(self, person: str) -> list[str]:
        things = self.lab.model.things
        return [name for name, one in things.items() if name.startswith("device-") and one.person == person]

    def session(self, person: str) -> tuple[str, str]:
        """Return a session of the last minutes and its device, opened now if need be; empty if that is refused."""
        model = self.lab.model
        for name, one in self.lab.all("session").items():
            if one.person == person and one.device and one.until > self.lab.now and model.has(one.device):
                return name, one.device
        credentials = [one for one in self.lab.known.credentials(person) if model.has(one)]
        devices = [one for one in self.devices(person) if model.has(one)]
        if not credentials or not devices:
            return "", ""
        name = self.login(person, devices[0], credentials[0])
        return name, devices[0]

    def proposed(
        self, by: str, act: str, change: Json, *, wrong_base: bool = False, fits: bool = True, **how: Any
    ) -> Thing:
        """Return a proposal, said by the newest session of `by`."""
        body = {"act": act, "change": change, "purpose": NOTE}
        digest, state = "", "wrong"
        if wrong_base:
            digest = NOTE
        elif self.lab.model.about(act, change):
            digest, state = self.lab.base(act, change) or "", self.lab.model.base(act, change)
        if digest:
            body["base"] = digest
        session, _ = self.session(by)
        how.setdefault("until", self.lab.now + 86400)
        return self.lab.words("propose", by, body, session=session, fits=fits, base=state, **how)

    def vote(self, name: str, person: str, role: str, team: str, *, act: str = "approve", **how: Any) -> Thing:
        """Return an approval, or a rejection, of the proposal `name`."""
        fits = how.pop("fits", True)
        how.setdefault("until", self.lab.now + 86400)
        known = self.lab.directory.proposals.get(name)
        body = {
            "digest": known.digest if known is not None and fits else NOTE,
            "proposal": name,
            "role": role,
            "team": team,
        }
        if act == "reject":
            body["reason"] = NOTE
        return self.lab.words(act, person, body, fits=fits, **how)

    def able(self, name: str) -> Iterator[tuple[str, str, str, str]]:
        """Yield who may still approve a proposal: person, credential, role, team."""
        model, proposal = self.lab.model, self.lab.model.things[name]
        about = model.about(*proposal.asked)
        voted = {one.by for one in proposal.approvals} | {proposal.by}
        wanted = "approver" if proposal.body["act"] == "grant.give" else "governor"
        for person in self.lab.known.people.values():
            if not about or not model.has(person) or person in voted or model.things[person].frozen:
                continue
            keys = [one for one in self.lab.known.credentials(person) if model.has(one)]
            for role, team, _, _ in model.things[person].roles:
                if role == wanted and keys and (role, team) in model.voices(person, about, proposal.index):
                    yield person, keys[0], role, team

    def approve_all(self, name: str) -> None:
        """Have whoever may approve it do so, until it happens or nobody is left."""
        asked: set[str] = set()
        while self.lab.model.has(name) and (able := [one for one in self.able(name) if one[0] not in asked]):
            person, credential, role, team = able[0]
            asked.add(person)
            self.say(self.vote(name, person, role, team, credential=credential))

    def proposers(self, act: str, change: Json) -> list[str]:
        role = "researcher" if act == "grant.give" else "governor"
        about = self.lab.model.about(act, change)
        things = self.lab.model.things
        return [
            one
            for one in self.lab.known.people.values()
            if about and self.lab.model.has(one) and role in self.lab.model.roles(one, about) and not things[one].frozen
        ]

    def everything(self) -> list[tuple[str, str, int]]:
        """Return the facts that label 3 asks for: of whom, what, and how much."""
        devices = [name for name in self.lab.model.things if name.startswith("device-")][:9]
        everybody = [(one, "training", 1) for one in self.lab.known.people.values()]
        metered = (self.lab.known.zones[0], "egress-bytes-per-day", 100)
        return [*((one, "disk-encrypted", 1) for one in devices), *everybody, metered]

    def fact(self, subject: str, fact: str, value: int) -> Json:
        return {"fact": fact, "subject": subject, "value": value}

    def grant(self, subject: str, version: str, *, which: int = 0, seconds: int = 30 * 86400) -> Json:
        """Return the change that gives a grant on the first of somebody's devices, or on another."""
        things = self.lab.model.things
        change = {
            "manifest": things[version].manifest,
            "seconds": seconds,
            "subject": subject,
            "version": version,
            "zone": self.lab.known.zones[0],
        }
        if subject.startswith("workload-"):
            change["zone"] = things[subject].zone
        elif devices := self.devices(subject):
            change["device"] = devices[which % len(devices)]
            change["zone"] = things[change["device"]].zone
        return change

    def agree(self, act: str, change: Json, by: str = "") -> str:
        """Propose a change and have it approved, as far as the rules let anybody; return the proposal."""
        proposers = [by] if by else self.proposers(act, change)
        if not proposers:
            return ""
        said = self.proposed(proposers[0], act, change)
        if not said.session:
            return ""
        self.say(said)
        self.approve_all(said.id)
        return str(said.id)


def key_text(key: Key) -> str:
    return str(key.proven("", "")["public_key"])

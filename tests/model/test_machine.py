"""No unauthorised release: the real keep against a naive model, over everything that people, crashes and clocks do.

Each step says something to the keep, or does something to it, and `Lab` holds what comes of it against the model: the
answer, the entries, the key that was released and the proof that it is in the log. 20,000 steps in CI, a million in
`make soak`; the seed of each part is its name.
"""

from __future__ import annotations

import ast
import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from strongroom.policy.beginning import default_bundle
from strongroom.policy.source import PolicyFile
from strongroom.terms.errors import Tampered
from strongroom.terms.outer_errors import BadProof
from tests.model import naive
from tests.model.crew import FACTS, TOLD, Crew, Picks, in_memory, prepared
from tests.model.lab import NOTE, PATHS, Lab, strict
from tests.model.signer import named, possession
from tests.vectors.statements.writer import b64

Json = Any
PARTS, STEPS, SOAK_STEPS = 4, 20_000, 1_000_000
STEPS_OF_ONE = 100
NUMBERS = st.integers(0, 2**40 - 1)
ROLES = ("approver", "governor", "researcher", "writer", "responder", "auditor")
TEAMS = ("core", "red")


class Machine(RuleBasedStateMachine):
    """One deployment that goes its own way for a hundred steps."""

    lab_prepared: ClassVar[Lab]
    folder: ClassVar[Path]
    numbers: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        self.place = self.folder / f"run-{next(self.numbers)}"
        self.place.mkdir()
        self.lab = self.lab_prepared.copy(self.place / "lab")
        self.crew = Crew(self.lab)
        self.yesterday: tuple[int, Path] | None = None
        self.steps = -1

    def teardown(self) -> None:
        TOLD["steps"] += max(self.steps, 0)
        TOLD["released"] += len(self.lab.released)
        self.lab.stop()
        shutil.rmtree(self.place)

    @invariant()
    def the_log_is_the_models_and_the_directory_its_fold(self) -> None:
        self.steps += 1
        if self.steps % 50 == 0:
            self.lab.check_all()

    # --- who and what ------------------------------------------------------------------------------------

    def people(self) -> list[str]:
        return list(self.lab.known.people.values())

    def ids(self, kind: str) -> list[str]:
        return [name for name in self.lab.model.things if name.startswith(kind + "-")]

    def say_in_session(self, picks: Picks, act: str, body: Json, **how: Any) -> None:
        by = picks.one(self.people())
        session, _ = self.crew.session(by)
        if session:
            self.crew.say(self.lab.words(act, by, body, session=session, **how))

    def targets(self) -> list[str]:
        kinds = ("model", "person", "device", "zone", "workload")
        return ["deployment", *(one for kind in kinds for one in self.ids(kind))]

    # --- sessions ----------------------------------------------------------------------------------------

    @rule(n=NUMBERS)
    def login(self, n: int) -> None:
        picks = Picks(n)
        person = picks.one(self.people())
        credential = picks.one(self.lab.known.credentials(person))
        device: str | None = picks.one(self.crew.devices(person) or [None])
        path, how = picks.one([("cli", {})] * 3 + [("console", {}), ("approval", {}), ("cli", {"forged": True})])
        if picks.below(4) == 1:
            device = picks.one([None, *self.ids("device")])
        if picks.below(8) == 1:
            how = {"at": self.lab.now - 61, "until": self.lab.now + picks.one([60, 3600])}
        self.crew.login(person, device, credential, path=path, **how)

    @rule(n=NUMBERS)
    def close_a_session(self, n: int) -> None:
        picks = Picks(n)
        live = [name for name, one in self.lab.all("session").items() if one.until > self.lab.now + 600]
        if live:
            self.say_in_session(picks, "session.close", {"session": picks.one(live)})

    @rule(n=NUMBERS)
    def let_a_session_say_what_is_not_its(self, n: int) -> None:
        """Another person's session, a device that has nothing to sign, a forged signature, a time that is not now."""
        picks = Picks(n)
        sessions = list(self.lab.all("session"))
        if not sessions:
            return
        session = picks.one(sessions)
        owner = self.lab.model.things[session].person
        by, device, how = picks.one(
            [
                (picks.one(self.people()), "", {}),
                (owner, picks.one(self.ids("device")), {}),
                (owner, "", {"forged": True}),
                (owner, "", {"at": self.lab.now + picks.one([-61, 61, -3600])}),
                (owner, "", {"until": self.lab.now + 301}),
            ]
        )
        body = {"reason": NOTE, "target": picks.one(self.targets())}
        self.crew.say(self.lab.words("freeze", by, body, session=session, device=device, **how))

    # --- proposals ---------------------------------------------------------------------------------------

    def propose(self, picks: Picks, act: str, change: Json, *, fits: bool = True) -> None:
        """Propose it: by somebody who may, or by anybody; now and then for a state that there is not."""
        proposers = self.crew.proposers(act, change)
        by = picks.one(proposers if proposers and picks.below(4) else self.people())
        said = self.crew.proposed(by, act, change, wrong_base=picks.below(10) == 1, fits=fits)
        if said.session:
            self.crew.say(said)
            if picks.below(3) == 0:
                self.crew.approve_all(said.id)

    def grant(self, picks: Picks, subject: str, version: str) -> Json:
        seconds = picks.one([3600, 600, 86400])
        change = self.crew.grant(subject, version, which=picks.below(2), seconds=seconds)
        if picks.below(3) == 1:
            change["files"] = list(PATHS[: 1 + picks.below(2)])
        return change

    @rule(n=NUMBERS)
    def ask_for_access(self, n: int) -> None:
        picks = Picks(n)
        subject = picks.one([*self.people(), *self.ids("workload")])
        change = self.grant(picks, subject, picks.one(self.ids("version")))
        match picks.below(12):
            case 1:
                change["manifest"] = NOTE
            case 2:
                change["zone"] = picks.one(self.lab.known.zones)
            case 3 if self.ids("device"):
                change["device"] = picks.one(self.ids("device"))
            case _:
                pass
        self.propose(picks, "grant.give", change)

    @rule(n=NUMBERS)
    def propose_a_role(self, n: int) -> None:
        picks = Picks(n)
        subject = picks.one([*self.people(), *self.ids("workload")])
        change = {"role": picks.one(ROLES), "subject": subject, "team": picks.one(TEAMS)}
        if picks.below(3) == 1:
            change["model"] = picks.one(self.ids("model"))
        held = self.lab.model.things[subject].roles
        act = "role.give"
        if held and picks.below(4) == 1:
            role, team, model, _ = picks.one(held)
            act, change = (
                "role.take",
                {"role": role, "subject": subject, "team": team, **({"model": model} if model else {})},
            )
        self.propose(picks, act, change)

    @rule(n=NUMBERS)
    def propose_a_key(self, n: int) -> None:
        picks = Picks(n)
        person = picks.one(self.people())
        credentials = self.lab.known.credentials(person)
        match picks.below(4):
            case 0:
                owner = person if picks.below(4) else picks.one(self.people())
                new = self.lab.new_security_key(person, maker=bool(picks.below(3)), eligible=picks.below(5) == 1)
                old = self.lab.known.security_keys[picks.one(self.lab.known.credentials(owner))]
                enrolled = new.enrolled(self.lab.known.deployment)
                change = {"new": enrolled, "person": person, "touch": old.touch(self.wanting(person, new))}
                self.propose(picks, "credential.add", change)
            case 1:
                self.propose(picks, "credential.remove", {"credential": picks.one(credentials)})
            case 2:
                self.propose(picks, "device.enrol", self.lab.new_device(person, picks.one(self.lab.known.zones)))
            case _:
                self.propose(picks, "device.remove", {"device": picks.one(self.ids("device"))})

    def wanting(self, person: str, new: Any) -> bytes:
        return possession(self.lab.known.deployment, f"{person}/{new.credential}", new.key.point)

    @rule(n=NUMBERS)
    def propose_a_person(self, n: int) -> None:
        picks = Picks(n)
        if picks.below(3) == 2:
            self.propose(picks, "person.remove", {"person": picks.one(self.people())})
            return
        person = named("person", self.lab.random)
        new = self.lab.new_security_key(person, maker=bool(picks.below(3))).enrolled(self.lab.known.deployment)
        is_fresh = picks.below(4) != 1
        if not is_fresh:  # a key that is, or was, somebody's
            known = self.lab.known.security_keys[picks.one(self.ids("credential"))]
            stolen = type(known)(new["credential"], person, known.key, known.raw_id, known.maker, known.eligible)
            new = stolen.enrolled(self.lab.known.deployment)
        change = {"credentials": [new], "details": NOTE, "person": person}
        self.propose(picks, "person.enrol", change, fits=is_fresh)
        if self.lab.model.has(person):
            self.lab.known.people[f"New {len(self.lab.known.people)}"] = person

    @rule(n=NUMBERS)
    def propose_a_model_or_label(self, n: int) -> None:
        picks = Picks(n)
        if picks.below(3) == 0:
            model = picks.one([named("model", self.lab.random), *self.ids("model")])
            self.propose(picks, "model.enrol", {"details": NOTE, "label": picks.below(5), "model": model})
        else:
            target = picks.one([*self.ids("model"), *self.ids("version")])
            self.propose(picks, "label.lower", {"label": picks.below(4), "target": target})

    @rule(n=NUMBERS)
    def propose_a_policy(self, n: int) -> None:
        picks = Picks(n)
        policies = self.lab.policies
        if picks.below(3) == 0:
            self.propose(picks, "policy.change", {"policies": picks.one([strict(policies), policies])})

    @rule(n=NUMBERS)
    def propose_a_thaw_or_that_the_clock_is_right(self, n: int) -> None:
        picks = Picks(n)
        frozen = [one for one in self.targets() if self.lab.model.things[one].frozen]
        if self.lab.model.doubted or picks.below(8) == 1:
            self.propose(picks, "clock.confirm", {"seen_at": self.lab.now})
        elif frozen:
            self.propose(picks, "thaw", {"reason": NOTE, "target": picks.one(frozen)})
        else:
            self.propose(picks, "thaw", {"reason": NOTE, "target": picks.one(self.targets())})

    @rule()
    def make_it_work_again(self) -> None:
        self.make_it_work()

    def make_it_work(self) -> None:
        """Thaw what is frozen and confirm the clock, with whoever is left."""
        for target in [one for one in self.targets() if self.lab.model.things[one].frozen][:3]:
            self.crew.agree("thaw", {"reason": NOTE, "target": target})
        if self.lab.model.doubted:
            self.crew.agree("clock.confirm", {"seen_at": self.lab.now})

    # --- votes -------------------------------------------------------------------------------------------

    @rule(n=NUMBERS)
    def approve_well(self, n: int) -> None:
        picks = Picks(n)
        for name in [picks.one(list(self.lab.all("statement")))] if self.lab.all("statement") else []:
            if able := list(self.crew.able(name)):
                person, credential, role, team = picks.one(able)
                path, seconds = picks.one(["cli", "cli", "approval"]), picks.one([86400, 300])
                how = {"credential": credential, "path": path, "until": self.lab.now + seconds}
                self.crew.say(self.crew.vote(name, person, role, team, **how))

    @rule(n=NUMBERS)
    def approve_anyhow(self, n: int) -> None:
        """Anybody, in any role, with any key, by any path, for any text: self-approval and second keys among it."""
        picks = Picks(n)
        names = [*self.lab.all("statement"), "statement-" + "0" * 32]
        name, person = picks.one(names), picks.one(self.people())
        proposal = self.lab.all("statement").get(name)
        if proposal is not None and picks.below(2):
            person = picks.one([proposal.by, *(one.by for one in proposal.approvals)])
        owner = person if picks.below(6) else picks.one(self.people())
        role, team = picks.one(ROLES[:3]), picks.one(TEAMS)
        if picks.below(3) and self.lab.model.things[person].roles:
            role, team, _, _ = picks.one(self.lab.model.things[person].roles)
        credential = picks.one(self.lab.known.credentials(owner))
        path = picks.one(["cli", "approval", "approval", "console"])
        how = picks.one([{}] * 5 + [{"fits": False}, {"forged": True}])
        act = picks.one(["approve", "approve", "reject"])
        self.crew.say(self.crew.vote(name, person, role, team, act=act, credential=credential, path=path, **how))

    @rule(n=NUMBERS)
    def withdraw(self, n: int) -> None:
        picks = Picks(n)
        if self.lab.all("statement"):
            name = picks.one(list(self.lab.all("statement")))
            by = picks.one([self.lab.model.things[name].by, picks.one(self.people())])
            session, _ = self.crew.session(by)
            if session:
                self.crew.say(self.lab.words("withdraw", by, {"proposal": name}, session=session))

    # --- what releases take, and releases ----------------------------------------------------------------

    @rule(n=NUMBERS)
    def register_a_version(self, n: int) -> None:
        picks = Picks(n)
        model = picks.one(self.ids("model"))
        fits = picks.below(4) != 1
        by = picks.one([*self.ids("workload") * 4, *self.people()])
        session, device = self.crew.session(by) if by.startswith("person-") else ("", "")
        body = self.lab.new_version(model, size=picks.one([1 << 30, 1 << 10]), fits=fits)
        if picks.below(6) == 1:
            body["version"] = picks.one(self.ids("version"))
        if session or by.startswith("workload-"):
            self.crew.say(self.lab.words("version.register", by, body, session=session, device=device, fits=fits))

    @rule(n=NUMBERS)
    def attest_facts(self, n: int) -> None:
        """All that label 3 asks for, or one thing, true or not, for a while."""
        picks = Picks(n)
        (attester,) = self.ids("attester")
        everything = self.crew.everything()
        if picks.below(3):
            subject = picks.one([*self.ids("device"), *self.people(), *self.lab.known.zones])
            everything = [(subject, picks.one([*FACTS, "weather"]), picks.one([0, 1, 1 << 40]))]
        seconds = picks.one([3600, 86400, 600, 86401])
        for subject, fact, value in everything:
            body = self.crew.fact(subject, fact, value)
            self.crew.say(self.lab.words("fact.attest", attester, body, until=self.lab.now + seconds))

    def opening(self, picks: Picks, name: str) -> Thing | None:
        """Return an `open` on a grant, as whoever has it would say it."""
        grant = self.lab.model.things[name]
        body = {
            "grant": name,
            "manifest": grant.manifest,
            "recipient": b64(picks.one(self.lab.recipients).public_key().raw),
            "version": grant.version,
        }
        if grant.files is not None:
            body["files"] = grant.files
        if grant.subject.startswith("workload-"):
            return self.lab.words("release", grant.subject, body)
        session, device = "", ""
        for one, known in self.lab.all("session").items():
            if known.person == grant.subject and known.device == grant.device and known.until > self.lab.now:
                session, device = one, known.device
        keys = [one for one in self.lab.known.credentials(grant.subject) if self.lab.model.has(one)]
        if not session and keys:
            session, device = self.crew.login(grant.subject, grant.device, picks.one(keys)), grant.device
        return self.lab.words("release", grant.subject, body, session=session, device=device) if session else None

    @rule(n=NUMBERS)
    def release(self, n: int) -> None:
        picks = Picks(n)
        if picks.below(2):
            self.make_it_work()
        if self.lab.all("grant") and (said := self.opening(picks, picks.one(list(self.lab.all("grant"))))):
            self.crew.say(said)

    @rule(n=NUMBERS)
    def release_what_the_grant_does_not_say(self, n: int) -> None:
        picks = Picks(n)
        if not self.lab.all("grant") or not (said := self.opening(picks, picks.one(list(self.lab.all("grant"))))):
            return
        by, body, how = said.by, dict(said.body), {"session": said.session, "device": said.device}
        match picks.below(7):
            case 0:
                body["grant"] = picks.one([*self.lab.all("grant"), "grant-" + "0" * 32])
            case 1:
                body["version"] = picks.one(self.ids("version"))
            case 2:
                body["manifest"] = NOTE
            case 3:
                body["files"] = list(PATHS)
            case 4:
                body.pop("files", None)
            case 5:
                by = picks.one(self.people())
                session, device = self.crew.session(by)
                how = {"session": session, "device": device}
            case _:
                how["device"] = picks.one(self.ids("device"))
        if how["session"] or by.startswith("workload-"):
            self.crew.say(self.lab.words("release", by, body, **how))

    @rule(n=NUMBERS)
    def ask_agree_and_release(self, n: int) -> None:
        """The whole way, as far as the rules let anybody go."""
        picks = Picks(n)
        subject = picks.one([self.lab.known.people["Finn"], self.lab.known.people["Gus"], *self.ids("workload")])
        by = subject if subject.startswith("person-") else self.lab.known.people["Gus"]
        if picks.below(2):
            self.make_it_work()
        version = picks.one(self.ids("version"))
        if not self.lab.model.has(by):
            return
        name = self.crew.agree("grant.give", self.grant(picks, subject, version), by)
        grant = "grant-" + name.partition("-")[2]
        if grant in self.lab.all("grant") and (said := self.opening(picks, grant)):
            self.crew.say(said)

    # --- again ---------------------------------------------------------------------------------------------

    @rule(n=NUMBERS)
    def say_again(self, n: int) -> None:
        picks = Picks(n)
        if self.crew.old:
            old = picks.one(self.crew.old[:-30:-1])
            self.crew.say(old)

    @rule(n=NUMBERS)
    def say_something_else_under_an_old_identifier(self, n: int) -> None:
        picks = Picks(n)
        old = [one for one in self.crew.old[:-30:-1] if one.session and not one.device]
        if old:
            one = picks.one(old)
            body = {"reason": NOTE, "target": picks.one(self.targets())}
            self.crew.say(self.lab.words("freeze", one.by, body, session=one.session, again=one.id))

    @rule(n=NUMBERS)
    def say_it_twice_in_one_batch(self, n: int) -> None:
        picks = Picks(n)
        if self.lab.all("grant") and (said := self.opening(picks, picks.one(list(self.lab.all("grant"))))):
            by = picks.one(self.people())
            session, _ = self.crew.session(by)
            model = self.lab.model.things[said.body["version"]].model
            freeze = self.lab.words("freeze", by, {"reason": NOTE, "target": model}, session=session)
            self.crew.say(
                *picks.one([(said, said), (said, freeze, said), (freeze, said)] if session else [(said, said)])
            )

    # --- closing down ----------------------------------------------------------------------------------------

    @rule(n=NUMBERS)
    def freeze(self, n: int) -> None:
        picks = Picks(n)
        if picks.below(2):
            self.say_in_session(picks, "freeze", {"reason": NOTE, "target": picks.one(self.targets())})

    @rule(n=NUMBERS)
    def report_a_key(self, n: int) -> None:
        picks = Picks(n)
        if picks.below(3) == 0:
            known = list(self.lab.known.security_keys)
            self.say_in_session(picks, "credential.report", {"credential": picks.one(known), "reason": NOTE})

    @rule(n=NUMBERS)
    def revoke_a_grant(self, n: int) -> None:
        picks = Picks(n)
        live = [name for name, one in self.lab.all("grant").items() if one.until > self.lab.now + 600]
        grant = picks.one([*live, "grant-" + "0" * 32])
        self.say_in_session(picks, "grant.revoke", {"grant": grant, "reason": NOTE})

    @rule(n=NUMBERS)
    def raise_a_label(self, n: int) -> None:
        picks = Picks(n)
        target = picks.one([*self.ids("model"), *self.ids("version")])
        self.say_in_session(picks, "label.raise", {"label": picks.below(5), "target": target})

    # --- time, and the machine -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 30, 59, 61, 300, 901, 1800, 3601, 7200]))
    def time_passes(self, seconds: int) -> None:
        self.lab.wall += seconds
        self.lab.mono += seconds

    @rule(seconds=st.sampled_from([-7200, -301, -30, 200, 301, 100_000]))
    def the_clock_leaps(self, seconds: int) -> None:
        self.lab.wall += seconds

    @rule(sleeps=st.sampled_from([0, 0, 60, 90_000]))
    def it_is_killed_and_starts_again(self, sleeps: int) -> None:
        self.lab.wall += sleeps
        self.lab.mono += sleeps
        self.lab.restart()

    @rule(when=st.sampled_from(["before", "after"]))
    def it_will_be_killed_within_the_next_commit(self, when: str) -> None:
        self.crew.dies = when

    @rule()
    def yesterdays_database_is_kept(self) -> None:
        kept = self.place / "yesterday"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.lab.folder, kept)
        self.yesterday = self.lab.checkpoint.size, kept

    @rule()
    def yesterdays_database_is_put_back(self) -> None:
        """It is refused, whoever did it; and the right one is found unharmed."""
        if self.yesterday is None or self.yesterday[0] == self.lab.checkpoint.size:
            return
        self.lab.stop()
        folder, today = self.lab.paths[0], self.place / "today"
        folder.rename(today)
        shutil.copytree(self.yesterday[1] / "journal", folder)
        with pytest.raises(Tampered):
            self.lab.open()
        shutil.rmtree(folder)
        today.rename(folder)
        self.lab.start()
        self.lab.unseal()


def run(machine: type[Machine], number: int, *, steps: int, shrinks: bool = True) -> Counter[str]:
    """Run machines of a hundred steps each from that seed, so many steps at least; return what was said in them."""
    machine.numbers = itertools.count()
    TOLD.clear()
    for again in itertools.count(number, 1 << 20):
        if (left := steps - TOLD["steps"]) <= 0:
            break
        chosen = settings(
            max_examples=-(-left // STEPS_OF_ONE),
            stateful_step_count=STEPS_OF_ONE,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(seed(again)(machine), settings=chosen)
    return Counter(TOLD)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = in_memory()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def machine(folder: Path) -> type[Machine]:
    Machine.lab_prepared, Machine.folder = prepared(folder / "prepared"), folder
    Machine.lab_prepared.stop()
    return Machine


def check_busy(told: Counter[str]) -> None:
    """Nothing is shown by machines in which nothing happens."""
    print(", ".join(f"{what}: {count}" for what, count in sorted(told.items())))
    for what in ("release yes", "release no", "enacted", "approve no", "propose no"):
        assert told[what] >= told["steps"] // 200, f"{what}: {told[what]} in {told['steps']} steps"
    for what in ("freeze yes", "release same", "release out", "version.register yes", "credential.report yes"):
        assert told[what], what


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", range(PARTS))
def test_the_keep_releases_what_the_model_does_and_nothing_else(machine: type[Machine], number: int) -> None:
    told = run(machine, number, steps=STEPS // PARTS)
    assert told["steps"] >= STEPS // PARTS
    check_busy(told)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_keep_agrees_with_the_model_over_a_million_steps(machine: type[Machine]) -> None:
    told: Counter[str] = Counter()
    for number in range(1000, 1000 + SOAK_STEPS // STEPS):
        told += run(machine, number, steps=STEPS)
    assert told["steps"] >= SOAK_STEPS
    check_busy(told)


def test_the_model_is_small_and_shares_no_code() -> None:
    source = Path(naive.__file__).read_text("utf-8")
    module = ast.parse(source)
    imported = {
        name for node in ast.walk(module) if isinstance(node, ast.Import | ast.ImportFrom) for name in names(node)
    }
    assert imported == {"__future__", "copy", "types", "typing"}
    assert code_lines(source, module) <= 300


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [str(node.module)] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]


def code_lines(source: str, module: ast.Module) -> int:
    """Count the lines that are neither blank nor comment nor docstring."""
    written = {number for number, line in enumerate(source.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            written -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(written)


# --- a machine that cannot fail shows nothing -------------------------------------------------------------


def test_a_keep_that_opens_beyond_the_ceiling_of_a_zone_is_noticed(folder: Path) -> None:
    """One condition of one policy is gone, and with it what the model holds the keep to."""
    ceiling = "context.zone.ceiling >= resource.label"
    policies = [PolicyFile(name=one.name, text=one.text.replace(ceiling, "true")) for one in default_bundle()]
    assert policies != list(default_bundle())

    class Lax(Machine):
        lab_prepared = prepared(folder / "lax", policies)

    Lax.lab_prepared.stop()
    Lax.folder = folder
    with pytest.raises(AssertionError, match=r"grant\.give|release|approve"):
        run(Lax, 1, steps=STEPS // PARTS, shrinks=False)


def test_a_disk_that_forgets_what_was_released_is_noticed(machine: type[Machine], folder: Path) -> None:
    """Database and high-water file go back together, which no keep can see, but whoever has the keys does."""

    class Forgetful(machine):  # type: ignore[valid-type, misc] # a fixture
        @rule()
        def everything_is_put_back(self) -> None:
            if self.yesterday is None or self.yesterday[0] == self.lab.checkpoint.size:
                return
            self.lab.stop()
            shutil.rmtree(self.lab.folder)
            shutil.copytree(self.yesterday[1], self.lab.folder)
            self.lab.start()
            self.lab.unseal()

    Forgetful.folder = folder
    with pytest.raises((AssertionError, BadProof)):
        run(Forgetful, 1, steps=STEPS // PARTS, shrinks=False)

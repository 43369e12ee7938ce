"""Leases: what the keep lets go on, what ends it, and what somebody between can do about it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.session_close import SessionClose
from strongroom.acts.table import act_named
from strongroom.client.connection import Answer, Asking
from strongroom.client.deployment import Deployment
from strongroom.client.extract import extract_version
from strongroom.client.filesystem import SealedFileSystem
from strongroom.client.lease import FRESH_SECONDS, Lease
from strongroom.client.names import Names
from strongroom.client.opened import OpenVersion, opened
from strongroom.client.released import ANEW_SECONDS, seal_through_keep, sealed_through_keep, speak_again
from strongroom.client.replica import Replica
from strongroom.client.requests import freeze, request_access, revoke_grant
from strongroom.client.session import Session, Speaker, login
from strongroom.client.threads import Buffers, run_jobs
from strongroom.client.version import SealedVersion
from strongroom.objects import ObjectStore, open_store
from strongroom.statements.envelope import Envelope, Signature, parse_envelope
from strongroom.statements.signatures import sign_ed25519
from strongroom.statements.statement import KEEP
from strongroom.terms.errors import BadSignature, Denied, StrongroomError
from strongroom.terms.outer_errors import BadAnswer, KeepUnavailable, LeaseEnded
from tests.attacks.versions import MODEL, write_model
from tests.client_keep.logs import World
from tests.keep.world import founded_keep

HOUR = 3600
CONFIG = MODEL["config.json"]


@dataclass
class Relay:
    """Carries questions to the keep, and does with them and with the answers what a test says."""

    to: Asking
    releases: list[Answer] = field(default_factory=list)
    asked: int = 0
    before: Callable[[], None] = lambda: None
    after: Callable[[Answer], Answer] = lambda answer: answer

    @property
    def where(self) -> str:
        return self.to.where

    def within(self, seconds: float) -> Relay:
        return self

    def ask(self, what: str, /, *, since: int | None = None, **fields: Any) -> Answer:
        is_release = what == "act" and parse_envelope(fields["statement"]).payload.find(b'"kind":"release/1"') >= 0
        if not is_release:
            return self.to.ask(what, since=since, **fields)
        self.asked += 1
        self.before()
        answer = self.to.ask(what, since=since, **fields)
        self.releases.append(answer)
        return self.after(answer)


@dataclass
class Vault:
    """A version that Dan may open, the relay that he is behind, and two clocks that run side by side."""

    world: World
    store: ObjectStore
    model: str
    dan: Session
    relay: Relay
    ticks: float = 1000.0

    def __call__(self) -> float:
        return self.ticks

    def pass_time(self, seconds: int) -> None:
        self.ticks += seconds
        self.world.clock.at += seconds

    def sealed(self, speaker: Speaker | None = None, **how: Any) -> SealedVersion:
        return sealed_through_keep(speaker or self.dan, "acme/atlas@1", self.store, monotonic=self, threads=1, **how)

    def open(self, **how: Any) -> OpenVersion:
        return opened(self.sealed(**how))

    def releases(self) -> int:
        """Return how many releases the log has."""
        size = self.world.keeper.journal.size  # type: ignore[attr-defined]  # the real one
        return sum(b'"kind":"key.released"' in leaf for leaf in self.world.keeper.journal.read(0, size))  # type: ignore[attr-defined]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with founded_keep(tmp_path) as world:
        store = open_store((tmp_path / "store").as_uri())
        model = world.model()
        job = world.workload("trainer", "writer")
        job.deployment.sync()
        seal_through_keep(job, [write_model(tmp_path / "model")], model, store)
        world.grant("acme/atlas@1")
        dan = world.session("Dan")
        relay = Relay(dan.deployment.connection)
        dan.deployment.connection = relay
        yield Vault(world, store, model, dan, relay)


def down() -> None:
    raise KeepUnavailable("away")


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run `work` in a thread, and give it with where its result or error will be."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(work())
        except StrongroomError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def wait_for(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


# --- renewing --------------------------------------------------------------------------------------


def test_for_five_seconds_nobody_is_asked_and_then_one_question_renews_without_an_entry(vault: Vault) -> None:
    model = vault.open()
    vault.pass_time(4)
    assert model.read_bytes("config.json") == CONFIG
    assert (vault.relay.asked, vault.releases()) == (1, 1)
    vault.pass_time(1)
    assert model.read_bytes("config.json") == model.read_bytes("config.json") == CONFIG
    assert (vault.relay.asked, vault.releases()) == (2, 1)


def test_one_thread_asks_for_all(vault: Vault) -> None:
    model = vault.open()
    vault.pass_time(60)
    vault.relay.before = lambda: time.sleep(0.05)
    threads = [in_thread(lambda: model.read_bytes("config.json")) for _ in range(8)]
    for thread, found in threads:
        thread.join()
        assert found == [CONFIG]
    assert vault.relay.asked == 2


def test_at_its_end_a_new_release_is_made_while_the_grant_lives_and_then_no_more(vault: Vault) -> None:
    world = vault.world
    evaluator = world.workload("evaluator", "researcher")
    world.agree(
        request_access(world.session("Dan"), "acme/atlas@1", 2, "to evaluate", workload=evaluator.subject),
        *("Ada", "Ben"),
        role="approver",
    )
    evaluator.deployment.sync()
    version = next(iter(evaluator.directory.versions))
    model = opened(sealed_through_keep(evaluator, version, vault.store, monotonic=vault, sync=False))
    vault.pass_time(HOUR - 1)
    assert model.read_bytes("config.json") == CONFIG
    assert vault.releases() == 1
    vault.pass_time(1)
    assert model.read_bytes("config.json") == CONFIG
    assert vault.releases() == 2
    vault.pass_time(HOUR)
    with pytest.raises(LeaseEnded, match="no live grant"):
        model.read_bytes("config.json")
    assert vault.releases() == 2


def test_whoever_logs_in_again_reads_on(vault: Vault) -> None:
    vault.pass_time(HOUR - 600)
    model = vault.open()
    vault.pass_time(601)
    profile = vault.world.profiles["Dan"]
    login(profile, vault.world.connect("Dan"), profile.security_key(), clock=vault.world.clock)
    assert model.read_bytes("config.json") == CONFIG
    assert vault.releases() == 2


def test_a_session_that_has_ended_ends_the_lease(vault: Vault) -> None:
    vault.pass_time(HOUR - 600)
    model = vault.open()
    vault.pass_time(601)
    with pytest.raises(LeaseEnded, match="not logged in, or your session has ended"):
        model.read_bytes("config.json")


@dataclass
class Dripping:
    """Carries questions to the keep, gives entries one by one, and takes eight seconds for each answer."""

    to: Asking
    vault: Vault
    deadline: float = float("inf")

    @property
    def where(self) -> str:
        return self.to.where

    def within(self, seconds: float) -> Dripping:
        return replace(self, deadline=self.vault.ticks + seconds)

    def ask(self, what: str, /, *, since: int | None = None, **fields: Any) -> Answer:
        if self.vault.ticks + 8 > self.deadline:
            raise KeepUnavailable("not in time")
        self.vault.ticks += 8
        return self.to.ask(what, since=since, **(fields | {"count": 1} if what == "entries" else fields))


def test_a_gateway_that_answers_slowly_page_by_page_does_not_stretch_a_lease_past_its_end(
    vault: Vault, tmp_path: Path
) -> None:
    world = vault.world

    def again() -> Speaker:
        speaker = speak_again(vault.dan)
        replica = Replica(tmp_path / "anew", world.deployment, clock=world.clock)
        speaker.deployment = Deployment(Dripping(speaker.deployment.connection, vault), replica, Names())
        return speaker

    vault.pass_time(HOUR - 600)
    sealed = vault.sealed(again=again)
    assert sealed.lease is not None
    vault.pass_time(601)
    profile = world.profiles["Dan"]
    login(profile, world.connect("Dan"), profile.security_key(), clock=world.clock)
    vault.pass_time(HOUR - 601)
    began = vault.ticks
    with pytest.raises(LeaseEnded, match="not in time"):
        sealed.lease.check()
    assert vault.ticks - began <= ANEW_SECONDS


# --- revocation ------------------------------------------------------------------------------------


def frozen(vault: Vault) -> None:
    freeze(vault.world.session("Ada"), vault.model, "odd reads")


def revoked(vault: Vault) -> None:
    ada = vault.world.session("Ada")
    (grant,) = ada.directory.grants
    revoke_grant(ada, grant, "no longer needed")


def logged_out(vault: Vault) -> None:
    vault.world.sessions["Dan"].logout()


def session_closed_by_a_responder(vault: Vault) -> None:
    ada = vault.world.session("Ada")
    (session,) = (one.session for one in ada.directory.sessions.values() if one.person == vault.dan.subject)
    ada.say(act_named("session.close"), SessionClose(session=session))


def device_frozen(vault: Vault) -> None:
    freeze(vault.world.session("Ada"), str(vault.dan.device), "left in a train")


def device_removed(vault: Vault) -> None:
    vault.world.govern("device.remove", DeviceRemove(device=str(vault.dan.device)))


@pytest.mark.parametrize(
    "end", [frozen, revoked, logged_out, session_closed_by_a_responder, device_frozen, device_removed]
)
def test_what_is_taken_away_is_refused_within_five_seconds_and_the_keys_are_gone(
    vault: Vault, end: Callable[[Vault], None]
) -> None:
    sealed = vault.sealed()
    model = opened(sealed)
    assert model.read_bytes("config.json") == CONFIG
    end(vault)
    vault.pass_time(int(FRESH_SECONDS))
    with pytest.raises(LeaseEnded):
        model.read_bytes("config.json")
    assert sealed.contents.released == ()
    asked = vault.relay.asked
    with pytest.raises(LeaseEnded):
        model.read_bytes("config.json")
    assert (vault.relay.asked, vault.releases()) == (asked, 1)


def test_what_was_read_stays_and_no_way_of_reading_goes_on(vault: Vault, tmp_path: Path) -> None:
    sealed = vault.sealed()
    model = opened(sealed)
    files = SealedFileSystem(model)
    handle = model.open("config.json")
    with model.as_folder() as folder:
        frozen(vault)
        vault.pass_time(int(FRESH_SECONDS))
        ways: list[Callable[[], object]] = [
            lambda: model.read_bytes("weights.bin"),
            handle.read,
            lambda: files.cat_file("config.json"),
            lambda: model.as_path("config.json"),
            model.as_folder,
            lambda: extract_version(sealed, tmp_path / "out"),
        ]
        for way in ways:
            with pytest.raises(LeaseEnded):
                way()
        assert Path(folder, "config.json").read_bytes() == CONFIG
    assert not (tmp_path / "out").exists()


# --- a keep that cannot be asked -------------------------------------------------------------------


def test_reading_pauses_while_the_keep_is_away_and_goes_on_when_it_is_back(vault: Vault) -> None:
    model = vault.open()
    vault.pass_time(60)
    vault.relay.before = down
    thread, found = in_thread(lambda: model.read_bytes("config.json"))
    wait_for(lambda: vault.relay.asked > 3)
    assert found == []
    vault.relay.before = lambda: None
    thread.join(60)
    assert found == [CONFIG]


def test_a_pause_lasts_until_the_lease_ends(vault: Vault) -> None:
    model = vault.open(again=lambda: vault.dan)
    vault.pass_time(60)
    vault.relay.before = down
    thread, found = in_thread(lambda: model.read_bytes("config.json"))
    wait_for(lambda: vault.relay.asked > 3)
    vault.ticks += HOUR
    thread.join(60)
    assert isinstance(found[0], LeaseEnded)
    assert "could not be renewed in time" in found[0].message


def test_closing_ends_a_pause(vault: Vault) -> None:
    model = vault.open()
    vault.pass_time(60)
    vault.relay.before = down
    thread, found = in_thread(lambda: model.read_bytes("config.json"))
    wait_for(lambda: vault.relay.asked > 3)
    model.close()
    thread.join(60)
    assert isinstance(found[0], LeaseEnded)


def test_work_that_is_given_up_does_not_wait_for_a_keep(vault: Vault) -> None:
    """One job of many fails, or somebody interrupts: what pauses in the others stops, at any depth."""
    sealed = vault.sealed()
    vault.pass_time(60)
    vault.relay.before = down

    def work(job: int, buffers: Buffers) -> None:
        if job:
            run_jobs([0], lambda _, inner: sealed.lease.check(inner.stopped), threads=1, stopped=buffers.stopped)  # type: ignore[union-attr]
        wait_for(lambda: vault.relay.asked > 3)
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        run_jobs([0, 1], work, threads=2)


# --- somebody between ------------------------------------------------------------------------------


def test_an_older_renewal_that_is_played_back_opens_nothing(vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    model = vault.open()
    vault.pass_time(6)
    model.read_bytes("config.json")
    frozen(vault)
    vault.relay.before = lambda: vault.relay.releases.append(vault.relay.releases[-1])
    old = vault.relay.releases[-1]
    vault.relay.to = Always(old)
    vault.pass_time(6)
    with caplog.at_level(logging.WARNING, logger="strongroom"), pytest.raises(LeaseEnded, match="thawed"):
        model.read_bytes("config.json")
    assert "played back" in caplog.text
    assert vault.releases() == 1


def test_holding_the_first_answer_back_makes_no_later_one_look_younger(vault: Vault) -> None:
    """A wide gap between question and first answer would, if the answer's arrival were what is counted from."""

    def held(answer: Answer) -> Answer:
        vault.pass_time(50)  # longer, and the time in its checkpoint would be refused
        return answer

    vault.relay.after = held
    model = vault.open()
    vault.relay.after = lambda answer: answer
    model.read_bytes("config.json")
    frozen(vault)
    vault.relay.to = Always(vault.relay.releases[-1])
    vault.pass_time(40)
    with pytest.raises(LeaseEnded, match="thawed"):
        model.read_bytes("config.json")


def test_the_same_answer_for_ever_keeps_nothing_open(vault: Vault) -> None:
    model = vault.open()
    vault.relay.to = Always(vault.relay.releases[0])
    frozen(vault)
    for _ in range(5):
        vault.pass_time(1)
    with pytest.raises(LeaseEnded):
        model.read_bytes("config.json")


def test_a_keep_whose_clock_was_set_back_is_asked_anew(vault: Vault) -> None:
    model = vault.open(again=lambda: vault.dan)
    vault.ticks += 30  # the keep's own clock stands still
    assert model.read_bytes("config.json") == CONFIG
    assert vault.releases() == 2


def resigned(answer: Answer, **body: Any) -> Answer:
    """Return the answer under somebody else's signature."""
    told: Any = answer.ok["answer"]
    envelope = parse_envelope(told["envelope"])
    forged = Envelope(payload=envelope.payload, signatures=())
    signature = Signature(keyid=KEEP, sig=sign_ed25519(Ed25519PrivateKey.generate(), forged.message))
    forged = Envelope(payload=forged.payload, signatures=(signature,))
    return Answer(ok={**answer.ok, "answer": {"envelope": forged.json()}}, checkpoint=answer.checkpoint)


def test_a_renewal_that_the_keep_did_not_sign_is_named_and_opens_nothing(vault: Vault) -> None:
    model = vault.open()
    vault.pass_time(6)
    vault.relay.after = resigned
    with pytest.raises(BadSignature):
        model.read_bytes("config.json")
    vault.relay.after = lambda answer: answer
    assert model.read_bytes("config.json") == CONFIG


def test_a_renewal_of_another_release_is_none(vault: Vault) -> None:
    model = vault.open()
    vault.open()
    vault.relay.to = Always(vault.relay.releases[-1])
    vault.pass_time(6)
    with pytest.raises(BadAnswer, match="something else"):
        model.read_bytes("config.json")


def test_a_refusal_in_the_keeps_name_only_withholds(vault: Vault) -> None:
    model = vault.open()
    vault.pass_time(6)

    def refuse() -> None:
        raise Denied("no")

    vault.relay.before = refuse
    with pytest.raises(LeaseEnded, match="does not renew it: no"):
        model.read_bytes("config.json")


@dataclass
class Always:
    """Answers whatever it is asked with one and the same answer."""

    answer: Answer
    where: str = "nowhere"

    def within(self, seconds: float) -> Always:
        return self

    def ask(self, what: str, /, *, since: int | None = None, **fields: Any) -> Answer:
        return self.answer


def test_a_check_costs_next_to_nothing_while_it_is_fresh(vault: Vault) -> None:
    lease = vault.sealed().lease
    assert isinstance(lease, Lease)
    vault.relay.before = down
    began = time.process_time()
    for _ in range(100_000):
        lease.check()
    assert time.process_time() - began < 20
    assert vault.relay.asked == 1

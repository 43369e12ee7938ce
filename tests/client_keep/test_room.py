"""The room: three lines that open a model, and what they do when somebody is not logged in, or may not, or not yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import strongroom
from strongroom.client.joining import connect as connect_profile
from strongroom.client.lease import FRESH_SECONDS
from strongroom.client.profile import HOME, SOFTWARE, USB
from strongroom.client.released import Registered, seal_through_keep
from strongroom.client.requests import approve, freeze
from strongroom.client.review import review
from strongroom.client.room import Room
from strongroom.client.session import Session, resume
from strongroom.client.transfer.stores import STORE
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import BadRequest, Denied, NotAllowed, NotFound, StoreUnavailable, UnknownSigner
from strongroom.terms.outer_errors import AccessPending, LeaseEnded
from tests.attacks.versions import MODEL, write_model
from tests.client_keep.between import between
from tests.client_keep.logs import World
from tests.client_keep.trials import Trial, running_trial
from tests.keep.world import founded_keep

CONFIG = MODEL["config.json"]


@dataclass
class Lab:
    world: World
    store: ObjectStore
    made: Registered
    dan: Room


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with founded_keep(tmp_path) as world:
        store = open_store((tmp_path / "store").as_uri())
        model = world.model()
        job = world.workload("trainer", "writer")
        made = seal_through_keep(job, [write_model(tmp_path / "model")], model, store)
        world.session("Dan")
        yield Lab(world, store, made, Room(world.profiles["Dan"], store=store, clock=world.clock))


# --- what it asks ----------------------------------------------------------------------------------


def test_where_version_and_grant_are_known_a_release_is_the_only_question(lab: Lab) -> None:
    lab.world.grant("acme/atlas@1")
    with between(lab.world, lab.dan.profile) as socket:
        with lab.dan.open_version("acme/atlas@1") as model:
            assert model.read_bytes("config.json") == CONFIG
        assert socket.since()["release/1"] == 1
        for name in ("acme/atlas@1", lab.made.version):
            lab.dan.open_version(name)
            # At a keep's own socket, the entries that are new come along; a gateway proves that it goes on without.
            assert dict(socket.since()) == {"release/1": 1, "entries": 1}


def test_what_is_not_known_yet_or_refused_is_looked_up_and_then_said(lab: Lab) -> None:
    with pytest.raises(NotAllowed, match="no live grant"):
        lab.dan.open_version("acme/atlas@1")
    lab.world.grant("acme/atlas@1")
    assert lab.dan.open_version("acme/atlas@1").read_bytes("config.json") == CONFIG
    freeze(lab.world.session("Ada"), "deployment", "a drill")
    with pytest.raises(Denied):
        lab.dan.open_version("acme/atlas@1")
    with pytest.raises(NotFound):
        lab.dan.open_version("acme/atlas@2")


def test_named_files_are_released_alone(lab: Lab) -> None:
    lab.world.grant("acme/atlas@1")
    model = lab.dan.open_version("acme/atlas@1", files=["config.json"])
    assert model.files() == ["config.json"]


def test_a_keep_that_is_away_is_not_asked_twice(lab: Lab) -> None:
    lab.world.grant("acme/atlas@1")
    with between(lab.world, lab.dan.profile) as socket:
        lab.dan.open_version("acme/atlas@1")
        socket.since()
        socket.lost["release/1"] = 9
        with pytest.raises(StoreUnavailable):
            lab.dan.open_version("acme/atlas@1")
        assert dict(socket.since()) == {"release/1": 1}


# --- who may not, or not yet -----------------------------------------------------------------------


def test_with_a_purpose_access_is_asked_for_once_and_whoever_may_approve_is_named(lab: Lab) -> None:
    pending = []
    for _ in range(2):
        with pytest.raises(AccessPending) as raised:
            lab.dan.open_version("acme/atlas@1", purpose="to look at it")
        pending.append(raised.value)
    (proposal,) = lab.world.session("Ada").directory.proposals
    for error in pending:
        assert proposal in error.message
        assert f"`strongroom approve {proposal}`" in error.hint
        assert error.hint.startswith("ask Ada or Ben or Cleo ")
        assert "Dan" not in error.hint
    for name in ("Ada", "Ben"):
        session = lab.world.session(name)
        key = lab.world.profiles[name].security_key()
        approve(session, review(session, proposal), key, role="approver", team="core")
    assert lab.dan.open_version("acme/atlas@1", purpose="to look at it").read_bytes("config.json") == CONFIG


def test_a_request_says_what_it_still_takes(lab: Lab) -> None:
    asked = lab.dan.request("acme/atlas@1", "to look at it", hours=2)
    assert not asked.enacted
    assert {"Ada", "Ben", "Cleo"} <= set(asked.approvers)
    assert asked.missing


def test_a_program_asks_nobody(lab: Lab) -> None:
    job = Room(lab.world.profiles["trainer"], store=lab.store, clock=lab.world.clock)
    with pytest.raises(NotAllowed, match="is a program"):
        job.open_version(lab.made.version, purpose="to look at it")
    with pytest.raises(NotAllowed, match="is a program"):
        job.request(lab.made.version, "to look at it")


@pytest.mark.parametrize("key", [SOFTWARE, USB])
def test_outside_a_trial_nobody_is_logged_in_by_a_program(lab: Lab, key: str) -> None:
    lab.dan.profile.who = replace(lab.dan.profile.who, security_key=key)
    lab.dan.profile.keep_session(None)
    with pytest.raises(UnknownSigner) as raised:
        lab.dan.open_version("acme/atlas@1")
    assert "strongroom login" in raised.value.hint


def test_a_session_that_was_ended_is_forgotten(lab: Lab) -> None:
    lab.dan.whoami()
    kept = lab.dan.profile.session()
    lab.world.sessions["Dan"].logout()
    lab.dan.profile.keep_session(kept)
    with pytest.raises(UnknownSigner):
        lab.dan.open_version("acme/atlas@1")
    assert lab.dan.profile.session() is None


# --- a trial ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with running_trial(tmp_path_factory.mktemp("trial")) as trial:
        trial.model("acme/atlas")
        room = trial.room()
        room.seal(write_model(trial.folder / "model"), "acme/atlas")
        yield trial


@pytest.fixture
def at_home(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv(HOME, str(trial.home))
    monkeypatch.delenv(STORE, raising=False)
    return trial


def test_three_lines_open_a_model_through_a_gateway(at_home: Trial) -> None:
    room = strongroom.connect()
    model = room.open_version("acme/atlas@1", purpose="to look at it")
    assert {path: model.read_bytes(path) for path in model.files()} == MODEL


def test_in_a_trial_a_software_key_logs_in_by_itself(at_home: Trial) -> None:
    profile = at_home.room().profile
    profile.keep_session(None)
    room = strongroom.connect()
    room.open_version("acme/atlas@1", purpose="to look at it")
    first = profile.session()
    assert first is not None
    # Also where the log has ended a session that this room still holds.
    resume(profile, connect_profile(profile)).logout()
    profile.keep_session(first)
    assert room.open_version("acme/atlas@1", purpose="again").files() == sorted(MODEL)
    second = profile.session()
    assert second is not None
    assert second.session != first.session


def test_a_real_key_is_never_asked_without_somebody_who_touches_it(at_home: Trial) -> None:
    room = strongroom.connect()
    room.profile.who = replace(room.profile.who, security_key=USB)
    kept = room.profile.session()
    room.profile.keep_session(None)
    try:
        with pytest.raises(UnknownSigner) as raised:
            room.whoami()
    finally:
        room.profile.keep_session(kept)
    assert "strongroom login" in raised.value.hint


def test_an_alias_is_never_opened_by_what_it_meant_before(at_home: Trial, tmp_path: Path) -> None:
    ours, theirs = strongroom.connect(), strongroom.connect()
    ours.alias("acme/atlas@prod", "acme/atlas@1")
    assert ours.open_version("acme/atlas@prod", purpose="to serve").read_bytes("config.json") == CONFIG
    made = theirs.seal([write_model(tmp_path / "second", {"config.json": b"{}"})], "acme/atlas", notes="smaller")
    theirs.alias("acme/atlas@prod", made.name)
    assert ours.open_version("acme/atlas@prod", purpose="to serve").read_bytes("config.json") == b"{}"


def test_every_release_is_a_known_copy(at_home: Trial) -> None:
    room = strongroom.connect()
    before = room.copies("acme/atlas@1")
    room.open_version("acme/atlas@1", purpose="to look at it")
    after = room.copies("acme/atlas@1")
    assert len(after) == len(before) + 1
    assert set(after) <= set(room.copies("acme/atlas"))
    assert after[-1].subject == room.whoami().subject


def test_a_freeze_ends_what_is_open_through_a_gateway_within_seconds(at_home: Trial) -> None:
    at_home.model("acme/frozen")
    room = strongroom.connect()
    made = room.seal(at_home.folder / "model", "acme/frozen")
    model = room.open_version(made.name, purpose="to look at it")
    session = room.speaker()
    assert isinstance(session, Session)
    session.deployment.sync()
    freeze(session, made.sealed.model, "odd reads")
    frozen_at = time.monotonic()

    def read_on() -> None:
        """Read until it is refused. However slow a machine is, what begins later than that is not read."""
        is_over = False
        while not is_over:
            is_over = time.monotonic() > frozen_at + FRESH_SECONDS
            assert model.read_bytes("config.json") == CONFIG
            time.sleep(0.05)

    with pytest.raises(LeaseEnded, match="thawed"):
        read_on()


def test_a_room_knows_who_it_speaks_for(at_home: Trial) -> None:
    me = strongroom.connect().whoami()
    assert (me.name, me.device is not None, me.session_until is not None) == ("Ada", True, True)
    assert "researcher@self" in me.roles


def test_a_connection_string_is_joined_by_the_default_profile_and_by_no_other(
    at_home: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert strongroom.connect(at_home.place).whoami().name == "Ada"
    other = at_home.place.replace("#sr1:", "#sr1:" + "0" * 8, 1)
    other = other[: other.index("#sr1:") + 5 + 64] + at_home.place[at_home.place.index("&ca=") :]
    with pytest.raises(BadRequest, match="another deployment"):
        strongroom.connect(other)
    monkeypatch.setenv(HOME, str(tmp_path / "nobody"))
    with pytest.raises(NotFound):
        strongroom.connect()
    assert strongroom.connect(at_home.home).whoami().name == "Ada"


def test_where_nothing_says_where_the_bytes_rest_nothing_is_guessed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STORE, raising=False)
    lab.world.grant("acme/atlas@1")
    bare = Room(lab.dan.profile, clock=lab.world.clock)
    with pytest.raises(BadRequest, match="where sealed bytes rest"):
        bare.open_version("acme/atlas@1")
    assert bare.open_version("acme/atlas@1", store=lab.store).files() == sorted(MODEL)
    monkeypatch.setenv(STORE, lab.store.url)
    assert bare.open_version("acme/atlas@1").files() == sorted(MODEL)
    with pytest.raises(Denied):
        bare.seal(lab.world.folder / "model", "acme/atlas")

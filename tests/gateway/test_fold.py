"""What the gateway reads from: as new as what it told anybody, and nothing at all once in doubt."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.session_close import SessionClose
from strongroom.acts.table import act_named
from strongroom.client.connection import Answer, Connection
from strongroom.client.deployment import Deployment
from strongroom.client.https import HttpsConnection
from strongroom.client.names import new_detail
from strongroom.client.replica import Replica
from strongroom.client.requests import propose
from strongroom.client.session import login
from strongroom.gateway.fold import AGAIN_SECONDS, POLL_SECONDS, Fold, View
from strongroom.gateway.keep import Keep, socket_dial
from strongroom.terms import canonical
from strongroom.terms.errors import KeepSealed, UnknownSigner
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import KeepUnavailable, LogDoubted
from strongroom.tlog.tree import Tree
from tests.client_keep.logs import World, founded
from tests.gateway.world import RealGateway, found_trial, real_gateway

READ = "/v1/log/entries?start=1&count=1"


def test_a_session_that_ended_reads_nothing_from_the_next_request_on(real: RealGateway) -> None:
    for _ in range(5):
        session, key = real.session(), real.ada.session()
        assert key is not None
        reader = real.https(real.ada)
        assert reader.get(READ)
        session.say(act_named("session.close"), SessionClose(session=key.session), alone=True)
        with pytest.raises(UnknownSigner):
            reader.get(READ)
        real.ada.keep_session(None)


def test_a_log_that_is_put_back_to_yesterday_makes_the_gateway_say_nothing_more(real: RealGateway) -> None:
    session = real.session()
    real.keep.stop()
    for name in ("journal", "high"):
        shutil.copytree(real.folder / name, real.folder / f"{name}.yesterday")
    real.keep.start()
    real.until(real.is_ready)
    login(real.ada, session.deployment, real.ada.security_key())
    real.keep.stop()
    for name in ("journal", "high"):
        (real.folder / name).rename(real.folder / f"{name}.today")
        (real.folder / f"{name}.yesterday").rename(real.folder / name)
    real.keep.start()
    assert_silent(real)
    real.keep.stop()
    for name in ("journal", "high"):
        (real.folder / name).rename(real.folder / f"{name}.yesterday")
        (real.folder / f"{name}.today").rename(real.folder / name)
    real.keep.start()
    time.sleep(1)  # two looks: whatever comes of them, what was seen stays seen
    assert_silent(real)
    real.gateway.stop()
    real.start_gateway()
    assert real.https(real.ada).get(READ)


def test_another_deployment_behind_the_same_socket_makes_the_gateway_say_nothing_more(real: RealGateway) -> None:
    real.session()
    real.keep.stop()
    for name in ("journal", "high"):
        (real.folder / name).rename(real.folder / f"{name}.ours")
    (real.folder / "high").mkdir(mode=0o700)
    real.keep.start()
    assert real.https().ask("status").ok["state"] == "unfounded"
    found_trial(real.folder / "somebody", real.socket)
    assert_silent(real)


def test_a_gateway_without_its_keep_says_nothing_after_a_while_and_comes_back_by_itself(tmp_path: Path) -> None:
    with real_gateway(tmp_path, flags=["--limit", "fresh_seconds=5"]) as real:
        real.session()
        reader = real.https(real.ada)
        assert reader.get(READ)
        real.keep.kill()
        with pytest.raises(KeepUnavailable):
            real.https().ask("status")
        real.until(lambda: not real.is_ready())
        with pytest.raises(LogDoubted):
            reader.get(READ)
        assert real.metrics()["strongroom_gateway_keep_open"] == 0
        assert real.get("/healthz").status == 200
        real.keep.start()
        real.until(real.is_ready)
        assert reader.get(READ)


def test_who_waits_for_the_log_to_grow_is_told_when_another_one_is_shown(tmp_path: Path) -> None:
    async def client(world: World, fold: Fold) -> None:
        view = await fold.reach(1)
        assert (await fold.newer(view)).size == view.size
        other = Tree(hashlib.sha256(leaf).digest() for leaf in world.keeper.leaves)
        forked = world.keeper.note(tree=other).decode("utf-8")
        world.keeper.lie = lambda request, answer: {**answer, "checkpoint": forked}
        with pytest.raises(LogDoubted):
            await grown(fold, view)

    follow(tmp_path, client)


def test_who_looks_again_sees_what_the_keep_did_before_and_not_what_was_on_its_way(tmp_path: Path) -> None:
    async def client(world: World, fold: Fold) -> None:
        asked, held = threading.Event(), threading.Event()

        def wait(request: Any, answer: Any) -> Any:
            asked.set()
            assert held.wait(60)
            return answer

        await fold.reach(1)
        world.keeper.lie = wait
        assert await asyncio.to_thread(asked.wait, 60)
        now = time.monotonic()
        asyncio.get_running_loop().call_later(0.05, held.set)
        assert (await fold.again()).asked_at >= now

    follow(tmp_path, client)


def test_strangers_do_not_have_the_keep_asked_without_end(tmp_path: Path) -> None:
    async def client(world: World, fold: Fold) -> None:
        questions: list[Any] = []

        def count(request: Any, answer: Any) -> Any:
            questions.append(request["ask"])
            return answer

        await fold.reach(1)
        world.keeper.lie = count
        began = time.monotonic()
        for _ in range(5):
            await asyncio.gather(*(fold.again() for _ in range(100)))
        took = time.monotonic() - began
        assert set(questions) == {"status"}
        assert len(questions) <= took / AGAIN_SECONDS + took / POLL_SECONDS + 2
        asked, began = len(questions), time.monotonic()
        await asyncio.sleep(2 * POLL_SECONDS)
        quiet = time.monotonic() - began
        assert len(questions) - asked <= quiet / POLL_SECONDS + 2

    follow(tmp_path, client)


def test_whoever_logs_in_at_the_keep_s_own_socket_reads_at_the_next_moment(real: RealGateway) -> None:
    socket = Deployment(Connection(real.socket), Replica(real.folder / "socket", real.deployment))
    for _ in range(5):
        login(real.ada, socket, real.ada.security_key())
        assert real.https(real.ada).get(READ)


def test_an_entry_that_came_by_the_keep_s_own_socket_is_shown_at_the_next_moment(real: RealGateway) -> None:
    socket = Deployment(Connection(real.socket), Replica(real.folder / "socket", real.deployment))
    reader = real.https(real.ada)
    session = login(real.ada, socket, real.ada.security_key())
    assert reader.get(READ)
    for _ in range(5):
        detail = new_detail("acme/atlas", os.urandom)
        change = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=0)
        propose(session, "model.enrol", change, "to have one more", details=[detail])
        size = socket.sync().size
        assert len(entries_of(reader.ask("entries", start=size - 1, count=1))) == 1


def test_a_session_that_ended_at_the_keep_s_own_socket_reads_nothing_from_the_next_look_on(real: RealGateway) -> None:
    """Nobody tells the gateway, and whom it knows it does not look up again: it sees by itself, twice a second."""
    socket = Deployment(Connection(real.socket), Replica(real.folder / "socket", real.deployment))
    session = login(real.ada, socket, real.ada.security_key())
    reader, key = real.https(real.ada), real.ada.session()
    assert key is not None
    assert reader.get(READ)
    session.say(act_named("session.close"), SessionClose(session=key.session), alone=True)
    assert POLL_SECONDS <= 0.5
    real.until(lambda: is_refused(reader))


def test_a_gateway_stops_though_its_keep_is_silent(real: RealGateway) -> None:
    with silent(real):
        real.until(lambda: age_seconds(real) > 2 * POLL_SECONDS)  # by then it has asked
        assert real.gateway.stop() == 0


def test_a_sealed_keep_shows_its_log_and_is_unsealed_through_the_gateway(tmp_path: Path) -> None:
    with real_gateway(tmp_path, house=True) as real:
        dan = real.world.profiles["Dan"]
        real.session(dan)
        real.keep.stop()
        real.keep.start()
        real.until(lambda: b'"sealed"' in real.get("/readyz").body)
        assert real.get("/readyz").status == 503
        assert real.https(dan).get(READ)
        with pytest.raises(KeepSealed):
            real.session(dan)
        real.unseal(real.https())
        real.until(real.is_ready)
        assert real.session(dan).directory.sessions


def test_a_share_is_for_its_own_custodian(tmp_path: Path) -> None:
    with real_gateway(tmp_path, house=True) as real:
        ada, ben = (real.world.profiles[name] for name in ("Ada", "Ben"))
        assert real.https(ada).ask("share", person=ada.who.subject).ok["share"]
        asked = canonical.encode({"person": ben.who.subject})
        answer = real.https(ada).request("POST", "/v1/share", asked, is_signed=True)
        assert answer.status == 403
        assert b'"not-allowed"' in answer.body


def follow(folder: Path, client: Callable[[World, Fold], Awaitable[None]]) -> None:
    """Run a client, given a deployment in memory and a fold that follows its log."""

    async def run(world: World) -> None:
        keep = Keep(socket_dial(world.socket))
        fold = Fold(keep, folder / "copy", world.deployment, clock=world.clock)
        following = asyncio.create_task(fold.run())
        try:
            await asyncio.wait_for(client(world, fold), 60)
        finally:
            following.cancel()
            await asyncio.wait({following})
            keep.close()
            await asyncio.sleep(0)  # for what was closed to go

    with founded(folder) as world:
        asyncio.run(run(world))


def entries_of(answer: Answer) -> list[Any]:
    """Return the entries of an answer."""
    found: Any = answer.ok["entries"]
    return list(found)


async def grown(fold: Fold, view: View) -> None:
    """Wait for a longer log."""
    size = view.size
    while view.size == size:
        view = await fold.newer(view)


def assert_silent(real: RealGateway) -> None:
    """See that the gateway noticed, shows no metadata, and says so to whoever watches it."""
    real.until(lambda: real.metrics()["strongroom_gateway_log_tampered"] == 1)
    answer = real.get("/readyz")
    assert answer.status == 503
    assert b"is not the one that it has to be" in answer.body
    with pytest.raises(LogDoubted):
        real.https(real.ada).get(READ)
    assert real.get("/v1/status").status == 200


def is_refused(reader: HttpsConnection) -> bool:
    """Whether this reader is shown nothing more."""
    try:
        reader.get(READ)
    except UnknownSigner:
        return True
    return False


def age_seconds(real: RealGateway) -> float:
    """Return how old the gateway's copy of the log is."""
    return real.metrics()["strongroom_gateway_fold_age_seconds"]


@contextmanager
def silent(real: RealGateway) -> Iterator[None]:
    """Have the keep answer nothing, and yet be there."""
    real.keep.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        real.keep.signal(signal.SIGCONT)

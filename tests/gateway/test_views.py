"""What is read from a gateway is what the log says, whole, once, and only by whoever is enrolled."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.freeze import Freeze
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.client.copies import copies_of
from strongroom.client.looks import Viewer
from strongroom.client.names import new_detail
from strongroom.client.requests import approve, proposal_id, propose, request_access, revoke_grant
from strongroom.client.review import review
from strongroom.gateway.etags import is_known
from strongroom.gateway.paging import Cursor, encode_cursor, page, parse_cursor
from strongroom.gateway.views import COLLECTIONS, who_is
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.ids import new_id
from strongroom.terms.records import record_json
from tests.acts.world import LAB, a_house, text
from tests.gateway.furnished import Furnished, furnished, problem, shown
from tests.gateway.world import real_gateway


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with furnished(tmp_path_factory.mktemp("views", numbered=True)) as trial:
        yield trial


def whole(trial: Furnished, target: str, limit: int) -> list[Any]:
    """Return all pages of a list, one after another."""
    found, cursor = [], ""
    while True:
        read = trial.get(f"{target}?limit={limit}{cursor}")
        assert 0 < len(read["items"]) <= limit or read["next"] is None
        found += read["items"]
        if read["next"] is None:
            return found
        cursor = f"&cursor={read['next']}"


# --- collections -------------------------------------------------------------------------------


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda one: one.name)
def test_every_collection_is_what_a_clients_own_fold_says(trial: Furnished, collection: Any) -> None:
    directory = trial.session.deployment.sync()
    mine = {key: record_json(one) for key, one in sorted(collection.items(directory).items())}
    assert whole(trial, f"/v1/{collection.name}", 1) == list(mine.values())
    assert whole(trial, f"/v1/{collection.name}", 1000) == list(mine.values())
    for key, one in mine.items():
        assert one[collection.key] == key
        assert trial.get(f"/v1/{collection.name}/{key}") == one


def test_what_a_trial_has_is_in_its_collections(trial: Furnished) -> None:
    sizes = {one.name: len(trial.get(f"/v1/{one.name}")["items"]) for one in COLLECTIONS}
    some = {"people", "credentials", "devices", "zones", "models", "versions", "sessions", "grants"}
    assert {name for name, size in sizes.items() if size} == some


def test_what_was_never_there_is_not_found(trial: Furnished) -> None:
    for target in ("/v1/people/nobody", f"/v1/models/{new_id('model', os.urandom)}", f"/v1/people/{trial.model}"):
        told = problem(trial.ask(target))
        assert (told["status"], told["code"]) == (404, "not-found")


def test_a_proposal_that_has_ended_is_not_found_and_how_it_ended_is_said(trial: Furnished) -> None:
    (proposal, how), *_ = trial.session.directory.closed.items()
    assert how == "enacted"
    with pytest.raises(NotFound, match="it is enacted"):
        trial.get(f"/v1/proposals/{proposal}")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=01", "limit=1e1", "limit=-1", "limit=", "limit=1&limit=1", "after=x", "limit=%31"],
)
def test_a_list_is_asked_for_in_one_form_only(trial: Furnished, query: str) -> None:
    assert problem(trial.ask(f"/v1/people?{query}"))["code"] == "bad-request"


# --- cursors -----------------------------------------------------------------------------------


def test_what_comes_and_goes_between_pages_hides_nothing_and_doubles_nothing() -> None:
    there = {f"{number:03d}" for number in range(0, 100, 2)}
    stay, found, cursor, number = set(there), [], None, 0
    while True:
        read = page("people", there, limit=7, cursor=cursor)
        found += read.keys
        if (cursor := read.next) is None:
            break
        gone = read.keys[-1]  # the very one that the cursor names
        there.discard(gone)
        stay.discard(gone) if gone not in found else None
        there |= {f"{number:03d}x", f"{number + 90:03d}x"}
        number += 1
    assert len(found) == len(set(found))
    assert stay <= set(found)


def test_a_page_that_is_just_full_has_no_next() -> None:
    assert page("people", ["b", "a"], limit=2, cursor=None).next is None
    assert page("people", ["b", "a"], limit=1, cursor=None).next is not None


def raw_cursor(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "=",
        "é",
        raw_cursor(b"{}"),
        raw_cursor(b'{"after":"a", "of":"people"}'),
        raw_cursor(b'{"after":"a","of":"models"}'),
        raw_cursor(b'{"after":"A","of":"people"}'),
        raw_cursor(b'{"after":"a","of":"people"}') + "=",
        raw_cursor(b'{"after":"a","of":"people"}').replace("Q", "R", 1) + "A",
        "A" * 300,
    ],
)
def test_a_cursor_that_was_not_given_here_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        parse_cursor("people", cursor)


def test_a_cursor_with_loose_bits_is_refused() -> None:
    given = encode_cursor(Cursor(of="people", after="ab"))
    assert parse_cursor("people", given) == "ab"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(given) % 4  # its last character has bits that stand for nothing
    loose = given[:-1] + alphabet[alphabet.index(given[-1]) + 1]
    with pytest.raises(BadRequest):
        parse_cursor("people", loose)


# --- entity tags -------------------------------------------------------------------------------


def test_what_a_reader_has_is_not_sent_again_until_it_changes(trial: Furnished) -> None:
    first = trial.ask("/v1/models")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    again = trial.ask("/v1/models", {"If-None-Match": tag})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    detail = new_detail("acme/other", os.urandom)
    model = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=0)
    propose(trial.session, "model.enrol", model, "another", details=[detail])
    changed = trial.ask("/v1/models", {"If-None-Match": tag})
    assert (changed.status, changed.body.count(b'"model":')) == (200, 2)
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        ("*", True),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b","a"', True),
        ('"b"', False),
        ('"aa"', False),
    ],
)
def test_tags_are_compared_weakly(header: str | None, known: bool) -> None:
    assert is_known('"a"', header) is known


@pytest.mark.parametrize("header", ["", "a", '"a', '"a" "b"', '"a",', '*, "a"', 'w/"a"', '"a"\n', '"' * 5000])
def test_a_header_that_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        is_known('"a"', header)


# --- who reads ---------------------------------------------------------------------------------


def targets() -> list[str]:
    lists = [f"/v1/{one.name}" for one in COLLECTIONS]
    return ["/v1/inbox", "/v1/whoami", "/v1/copies", *lists, *(f"{one}/x" for one in lists)]


def test_nothing_is_read_by_nobody(trial: Furnished) -> None:
    for target in targets():
        told = problem(trial.real.get(target))
        assert (told["status"], told["code"]) == (403, "unknown-signer"), target


def test_who_i_am_is_whoever_signed(trial: Furnished) -> None:
    told = trial.get("/v1/whoami")
    directory = trial.session.deployment.sync()
    session = directory.sessions[told["session"]]
    assert told == {
        "deployment": directory.deployment,
        "device": trial.session.device,
        "era": 1,
        "frozen": False,
        "roles": [record_json(one) for one in directory.people[trial.session.subject].roles],
        "session": session.session,
        "subject": trial.session.subject,
        "trial": True,
        "until": session.until,
        "zone": next(iter(directory.zones)),
    }


def test_a_device_a_workload_and_an_attester_are_somebody_too() -> None:
    house = a_house()
    directory, dan = house.directory, house.person("Dan")
    device = directory.devices[house.people["Dan"].device.subject]
    by_device = who_is(directory, Viewer(subject=dan, until=0, device=device))
    assert (by_device.subject, by_device.device, by_device.zone, by_device.session) == (dan, device.device, LAB, None)
    job = who_is(directory, Viewer(subject=house.job.subject, until=0))
    assert (job.device, job.zone, [one.role for one in job.roles]) == (None, LAB, ["writer"])
    attester = who_is(directory, Viewer(subject=house.attester.subject, until=0))
    assert (attester.roles, attester.frozen, attester.zone) == ((), False, None)
    house.do("Ada", Freeze(target=dan, reason=text("odd")))
    assert who_is(house.directory, Viewer(subject=dan, until=0)).frozen


def test_what_waits_for_me_is_in_my_inbox_and_in_nobody_elses(tmp_path: Path) -> None:
    with real_gateway(tmp_path, house=True) as real:
        world = real.world
        sessions = {name: real.session(world.profiles[name]) for name in ("Ada", "Cleo", "Dan")}
        inbox = {name: real.https(world.profiles[name]) for name in sessions}
        change = ModelEnrol(model=new_id("model", os.urandom), details=new_detail("a/b", os.urandom).digest, label=1)
        detail = new_detail("a/b", os.urandom)
        asked = propose(sessions["Ada"], "model.enrol", replace(change, details=detail.digest), "new", details=[detail])
        proposal = proposal_id(asked)
        (waits,) = shown(inbox["Cleo"], "/v1/inbox")["items"]
        open_one = sessions["Cleo"].deployment.sync().proposals[proposal]
        assert waits == {
            "about": "deployment",
            "act": "model.enrol",
            "at": open_one.at,
            "by": sessions["Ada"].subject,
            "digest": open_one.digest,
            "proposal": proposal,
            "until": open_one.until,
            "voices": ["governor@core", "approver@core"],
        }
        assert inbox["Ada"].get("/v1/inbox") == inbox["Dan"].get("/v1/inbox") == {"items": []}
        cleo = sessions["Cleo"]
        approve(cleo, review(cleo, proposal), world.profiles["Cleo"].security_key(), role="governor", team="core")
        assert inbox["Cleo"].get("/v1/inbox") == {"items": []}


# --- copies ------------------------------------------------------------------------------------


def test_every_release_is_a_known_copy_until_its_grant_is_revoked(trial: Furnished) -> None:
    session = trial.session
    given = request_access(session, "acme/atlas@1", 1, "once more")
    assert given.enacted is not None
    trial.grant = f"grant-{proposal_id(given).removeprefix('statement-')}"
    trial.open()
    session.deployment.sync()
    mine = [record_json(one) for one in copies_of(session.deployment.replica, at=session.now())]
    assert len(mine) == 2
    assert {one["state"] for one in mine} == {"live"}
    assert whole(trial, "/v1/copies", 1) == whole(trial, "/v1/copies", 1000) == mine
    assert trial.get(f"/v1/copies?version={trial.version}&model={trial.model}")["items"] == mine
    revoke_grant(session, trial.grant, "enough")
    assert [one["state"] for one in trial.get("/v1/copies")["items"]] == ["live", "revoked"]


def test_copies_of_what_does_not_exist_are_not_found(trial: Furnished) -> None:
    for query in (f"model={trial.version}", f"version={trial.model}", "version=x"):
        assert problem(trial.ask(f"/v1/copies?{query}"))["code"] == "not-found"

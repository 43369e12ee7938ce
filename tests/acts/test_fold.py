"""The fold: one log gives one directory, whole, in pieces or from a snapshot; and what is no log of ours stops it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.acts.fold import EVENTS, fold, genesis
from strongroom.acts.freeze import Freeze
from strongroom.acts.read import Read
from strongroom.acts.reject import Reject
from strongroom.acts.table import act_of_entry, schema
from strongroom.acts.withdraw import Withdraw
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import Directory, parse_directory, record_digest
from strongroom.terms import canonical
from strongroom.terms.errors import BadRecord, LogTampered, NotCanonical
from tests.acts.world import HOUR, House, a_critical_house, a_house, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


@cache
def log() -> tuple[bytes, ...]:
    """Return a log in which something of every sort happened."""
    house = a_critical_house()
    grant = house.grant()
    house.release(grant)
    asked = house.ask("Dan", house.grant_body())
    house.reject("Ada", asked, "approver")
    house.do("Dan", Withdraw(proposal=house.ask("Dan", house.grant_body())))
    house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    house.at += HOUR
    for kind in EVENTS:
        house.append(Entry(at=house.at, kind=kind, data={}))
    house.at += 2 * HOUR
    house.session("Dan")
    return tuple(house.leaves)


def folded(leaves: tuple[bytes, ...]) -> Directory:
    directory = genesis(leaves[0])
    for leaf in leaves[1:]:
        fold(directory, leaf)
    return directory


def test_the_log_has_something_of_every_sort() -> None:
    kinds = {parse_entry(leaf).kind for leaf in log()}
    assert len(log()) == 38
    assert {"deployment.founded", "key.released", "rejected", "withdrawn", "frozen", *EVENTS} <= kinds


@given(st.integers(1, len(log())), st.integers(0, 10_000))
def test_any_prefix_folds_to_the_same_bytes_whole_in_pieces_or_from_a_snapshot(size: int, cut: int) -> None:
    whole = folded(log()[:size])
    at = 1 + cut % size
    resumed = parse_directory(folded(log()[:at]).encode())
    for leaf in log()[at:size]:
        fold(resumed, leaf)
    assert resumed.encode() == whole.encode()
    assert (resumed.digest(), resumed.size) == (whole.digest(), size)


def test_folding_a_copy_leaves_the_first_alone() -> None:
    directory = folded(log()[:20])
    before = directory.encode()
    copied = directory.copy()
    for leaf in log()[20:]:
        fold(copied, leaf)
    assert directory.encode() == before


@given(st.integers(1, len(log()) - 1), st.data())
def test_an_entry_at_another_place_never_breaks_the_fold_but_by_our_error(at: int, data: st.DataObject) -> None:
    directory = folded(log()[:at])
    leaf = data.draw(st.sampled_from(log()))
    try:
        fold(directory, leaf)
    except LogTampered:
        return
    assert directory.size == at + 1


@given(st.binary(max_size=200) | st.sampled_from(log()).map(lambda leaf: leaf[:-1]))
def test_no_bytes_break_the_fold_but_by_our_error(leaf: bytes) -> None:
    with pytest.raises(LogTampered):
        fold(genesis(log()[0]), leaf)


@pytest.mark.parametrize(
    "data",
    [None, {}, {"proposal": "statement-1"}, {"proposal": ["x"]}, {"proposal": {}}, [], "x", 1],
    ids=str,
)
def test_an_enactment_of_nothing_that_is_open_is_tampered(house: House, data: canonical.Json) -> None:
    with refused(LogTampered):
        fold(house.directory, Entry(at=house.at, kind="grant.given", data=data).encode())


def test_an_enactment_of_another_act_than_was_proposed_is_tampered(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    for kind in ("role.given", "thawed"):
        with refused(LogTampered, why="for a proposal of"):
            fold(house.directory, Entry(at=house.at, kind=kind, data={"proposal": asked}).encode())


def test_an_entry_of_an_unknown_kind_is_tampered(house: House) -> None:
    with refused(LogTampered, why="unknown kind"):
        fold(house.directory, Entry(at=house.at, kind="everything.opened").encode())


def test_an_entry_for_a_statement_of_another_kind_is_tampered(house: House) -> None:
    said = house.say("Dan", Read(digests=()))
    with refused(LogTampered, why="for a statement of kind"):
        fold(house.directory, Entry(at=house.at, kind="frozen", data={}, statement=said.json()).encode())


def test_an_entry_without_its_statement_is_tampered(house: House) -> None:
    with refused(LogTampered):
        fold(house.directory, Entry(at=house.at, kind="frozen", data={}).encode())


def test_a_second_genesis_is_tampered(house: House) -> None:
    with refused(LogTampered):
        fold(house.directory, house.leaves[0])


def test_a_touch_by_nobody_s_key_is_tampered(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    said = house.say("Ada", house.voice(Reject, asked, "approver", "core", reason=text("no")))
    data: canonical.Json = {"credential": house.new("credential"), "counter": 1, "path": "cli", "ends": False}
    with refused(LogTampered):
        fold(house.directory, Entry(at=house.at, kind="rejected", data=data, statement=said.json()).encode())


def test_an_entry_is_its_one_encoding() -> None:
    entry = parse_entry(log()[1])
    assert entry.encode() == log()[1]
    with refused(NotCanonical):
        parse_entry(b" " + log()[1])
    with refused(BadRecord):
        Entry(at=1, kind="frozen").envelope()


def test_every_act_that_writes_has_its_own_entry() -> None:
    kinds = [act for act in schema().rows if act != "read"]
    entries = {parse_entry(leaf).kind for leaf in log()} - set(EVENTS)
    assert all(act_of_entry(kind) is not None for kind in entries)
    assert not set(EVENTS) & {act.entry for act in map(act_of_entry, entries) if act is not None}
    assert len(kinds) == 34


def test_the_digest_of_a_record_is_that_of_its_canonical_bytes(house: House) -> None:
    model = house.directory.models[house.model]
    assert record_digest(model) == record_digest(house.directory.copy().models[house.model])
    assert record_digest(model) != record_digest(house.directory)

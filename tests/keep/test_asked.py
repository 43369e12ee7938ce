"""What the keep can be asked: records of a known form; whatever else comes ends in one of our errors."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.keep.asked import REQUESTS, parse_request
from strongroom.terms.errors import BadRecord, BadRequest, Malformed
from tests.acts.world import name, refused
from tests.keep.house import machine_in

SHARE = base64.b64encode(b"share").decode()
GOOD: dict[str, dict[str, Any]] = {
    "status": {},
    "act": {"statement": {}, "details": [{"salt": "00" * 16, "text": "Ada"}]},
    "entries": {"start": 0, "count": 1},
    "prepare": {},
    "found": {"statement": {}},
    "share": {"person": name("person", 1)},
    "unseal": {"person": name("person", 1), "share": SHARE},
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_request_is_parsed_by_what_it_asks(kind: str) -> None:
    assert type(parse_request({"ask": kind, **GOOD[kind]})) is REQUESTS[kind]
    assert GOOD.keys() == REQUESTS.keys()


@pytest.mark.parametrize(
    "value", [None, [], "status", 1, {}, {"ask": 1}, {"ask": "everything"}, {"ask": ["status"]}], ids=str
)
def test_what_is_no_request_is_refused(value: Any) -> None:
    with refused(BadRequest, why="nothing that the keep can be asked"):
        parse_request(value)


@pytest.mark.parametrize(
    "value",
    [
        {"ask": "status", "more": 1},
        {"ask": "act"},
        {"ask": "act", "statement": {}, "details": [{"salt": "00", "text": "x"}]},
        {"ask": "act", "statement": {}, "details": [{"salt": "00" * 16, "text": "x" * 4097}]},
        {"ask": "entries", "start": -1, "count": 1},
        {"ask": "entries", "start": 0, "count": 0},
        {"ask": "entries", "start": True, "count": 1},
        {"ask": "share", "person": "Ada"},
        {"ask": "unseal", "person": name("person", 1), "share": "%"},
    ],
    ids=str,
)
def test_a_request_with_a_wrong_field_is_refused(value: Any) -> None:
    with refused(BadRecord):
        parse_request(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from([*REQUESTS, "ask", "statement"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.just("ask"), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=4))
@settings(max_examples=50)
def test_whatever_comes_is_answered_one_by_one(tmp_path_factory: pytest.TempPathFactory, batch: list[Any]) -> None:
    with machine_in(tmp_path_factory.mktemp("keep")) as machine:
        answers = machine.keep.handle(batch)
        assert len(answers) == len(batch)
        assert all(isinstance(answer, dict) and answer.keys() <= {"ok", "error"} for answer in answers)


@given(JSON)
def test_any_request_is_parsed_or_refused(value: Any) -> None:
    try:
        parse_request(value)
    except Malformed:
        return
    assert value["ask"] in REQUESTS


def test_one_bad_request_leaves_the_others_of_its_batch_alone(tmp_path: Path) -> None:
    with machine_in(tmp_path) as machine:
        answers = machine.answers({"ask": "status"}, {"ask": "everything"}, {"ask": "status"})
        assert [("ok" in answer) for answer in answers] == [True, False, True]

"""Records: every field is there, of its type and within its bounds; whatever else comes is named and refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRecord
from strongroom.terms.records import MOST_ITEMS, Ascending, Bytes, Count, Label, Word, parse_record, record_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    flag: bool
    label: Label
    count: Count
    data: Annotated[bytes, Bytes(2)]
    words: tuple[Word, ...]
    sorted: Annotated[tuple[Count, ...], Ascending()]
    parts: dict[Word, Part]
    any: Json
    perhaps: Word | None = None


GOOD: dict[str, Any] = {
    "flag": True,
    "label": 4,
    "count": 0,
    "data": "AAE=",
    "words": ["b", "a", "a"],
    "sorted": [1, 2, 10],
    "parts": {"a": {"word": "b"}},
    "any": {"x": [1]},
}


def test_a_record_comes_back_as_it_was() -> None:
    for record in (GOOD, {**GOOD, "perhaps": "x"}):
        parsed = parse_record(Whole, record)
        assert record_json(parsed) == record
    assert parse_record(Whole, GOOD).perhaps is None


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(BadRecord, match=f"no `{field}`"):
        parse_record(Whole, {name: value for name, value in GOOD.items() if name != field})


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(BadRecord, match="unknown field `more`"):
        parse_record(Whole, {**GOOD, "more": 1})


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(BadRecord, match="`Whole` is not an object"):
        parse_record(Whole, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flag", 1),
        ("flag", "true"),
        ("flag", None),
        ("label", 5),
        ("label", -1),
        ("label", True),
        ("label", "4"),
        ("count", 1 << 53),
        ("data", "AAE"),
        ("data", "AAF="),
        ("data", "AA=="),
        ("data", "AAECAw=="),
        ("data", 1),
        ("words", "abc"),
        ("words", {"a": 1}),
        ("words", ["A"]),
        ("words", ["a\n"]),
        ("words", ["a"] * (MOST_ITEMS + 1)),
        ("sorted", [2, 1]),
        ("sorted", [1, 1]),
        ("parts", ["a"]),
        ("parts", {"A": {"word": "b"}}),
        ("parts", {"a": {}}),
        ("any", None),
        ("perhaps", None),
        ("perhaps", 1),
    ],
)
def test_a_value_out_of_bounds_is_named(field: str, value: Any) -> None:
    with pytest.raises(BadRecord, match=f"`{field}"):
        parse_record(Whole, {**GOOD, field: value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "perhaps", "more"]), JSON), st.booleans())
def test_any_json_is_a_record_or_refused(value: dict[str, Any], with_the_rest: bool) -> None:
    try:
        parse_record(Whole, {**GOOD, **value} if with_the_rest else value)
    except BadRecord:
        return
    assert with_the_rest or GOOD.keys() <= value.keys()

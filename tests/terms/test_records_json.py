"""A field that holds any JSON."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRecord
from strongroom.terms.records import parse_record, record_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    body: Json
    more: Json | None = None


@pytest.mark.parametrize("value", [True, 7, "text", [1, "2"], {"a": {"b": []}}])
def test_any_json_comes_back_as_it_was(value: Json) -> None:
    for record in ({"body": value}, {"body": value, "more": value}):
        assert record_json(parse_record(Holder, record)) == record


@pytest.mark.parametrize("record", [{"body": None}, {"body": 1, "more": None}])
def test_null_is_not_how_nothing_is_written(record: Json) -> None:
    with pytest.raises(BadRecord):
        parse_record(Holder, record)

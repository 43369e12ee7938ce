"""Canonical JSON: one value, one text; whatever is not that text is refused, and nothing else ever happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotCanonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=15,
)


def test_keys_are_sorted_by_utf_16_as_rfc_8785_shows() -> None:
    """RFC 8785 §3.2.3: its own example, whose order by code point would be another."""
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical.encode(value))) == order
    assert order != sorted(order)
    by_code_point = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(NotCanonical):
        canonical.parse(by_code_point)


def test_text_is_escaped_as_rfc_8785_shows() -> None:
    """RFC 8785 §3.2.2: the text of its example, without its numbers."""
    value = {"string": '\u20ac$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    expected = '{"literals":[null,true,false],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical.encode(value) == expected.encode()
    assert canonical.parse(expected.encode()) == value


def test_every_control_has_its_one_escape() -> None:
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    for number in range(32):
        escape = short.get(chr(number), f"\\u{number:04x}")
        assert canonical.encode(chr(number)) == f'"{escape}"'.encode()
    assert canonical.encode("\x7f\u2028/") == '"\x7f\u2028/"'.encode()


@given(value=VALUES)
def test_parsing_gives_back_what_was_encoded(value: Any) -> None:
    data = canonical.encode(value)
    assert canonical.parse(data) == value == canonical.parse_any(data)
    assert json.loads(data) == value


@given(data=st.binary(max_size=40) | st.text("{}[]\",:0123456789-+.eE \\utrnfalsé\ud83d\U0001f511", max_size=30).map(
    lambda text: text.encode(errors="surrogatepass")))  # fmt: skip
def test_any_bytes_are_the_one_encoding_of_a_value_or_refused(data: bytes) -> None:
    try:
        value = canonical.parse(data)
    except NotCanonical:
        return
    assert canonical.encode(value) == data


@given(
    value=VALUES, at=st.integers(0, 200), insert=st.sampled_from([b" ", b"\n", b"0", b"\\", b'"', b",", b"[", b"e1"])
)
def test_no_value_has_a_second_text(value: Any, at: int, insert: bytes) -> None:
    data = canonical.encode(value)
    changed = data[: at % (len(data) + 1)] + insert + data[at % (len(data) + 1) :]
    try:
        assert canonical.parse(changed) != value
    except NotCanonical:
        return


REFUSED: dict[str, bytes] = {
    "empty": b"",
    "space before": b" 1",
    "space after": b"1 ",
    "newline after": b"1\n",
    "space inside": b'{"a": 1}',
    "tab inside": b"[1,\t2]",
    "key order": b'{"b":1,"a":2}',
    "duplicate key": b'{"a":1,"a":1}',
    "duplicate key inside": b'[{"a":{"b":1,"b":2}}]',
    "duplicate key by escape": b'{"a":1,"\\u0061":2}',
    "trailing comma": b"[1,]",
    "comment": b"[1/**/]",
    "single quotes": b"['a']",
    "two values": b"1 2",
    "escaped letter": b'"\\u0061"',
    "escaped slash": b'"\\/"',
    "upper case escape": b'"\\u001F"',
    "long escape of a newline": b'"\\u000a"',
    "escaped astral character": b'"\\ud83d\\ude00"',
    "raw control": b'"\n"',
    "lone high surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udfff"',
    "lone surrogate as key": b'{"\\ud800":1}',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "not UTF-8": b'"\xff"',
    "UTF-16": '"a"'.encode("utf-16"),
    "UTF-16 without a mark": '"a"'.encode("utf-16-le"),
    "byte order mark": b"\xef\xbb\xbf1",
    "float": b"1.5",
    "whole float": b"1.0",
    "exponent": b"1e2",
    "minus zero": b"-0",
    "minus zero as a float": b"-0.0",
    "plus": b"+1",
    "leading zero": b"01",
    "underscore": b"1_000",
    "hexadecimal": b"0x10",
    "other digits": "\u0661".encode(),
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "1E400": b"1E400",
    "2^53": b"9007199254740992",
    "minus 2^53": b"-9007199254740992",
    "17 digits": b"12345678901234567",
    "a million digits": b"1" * 10**6,
    "a million digits of a float": b"1." + b"1" * 10**6,
    "33 levels": b"[" * 33 + b"]" * 33,
    "33 levels of objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "100,000 levels never closed": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "true by another name": b"True",
    "nothing quoted": b"a",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_canonical_is_refused(name: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical.parse(REFUSED[name])
    assert len(caught.value.message) < 200


MENDED = {
    "space before", "space after", "newline after", "space inside", "tab inside", "key order", "escaped letter",
    "escaped slash", "upper case escape", "long escape of a newline", "escaped astral character", "minus zero",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_others_write_is_read_only_where_its_meaning_is_beyond_doubt(name: str) -> None:
    if name in MENDED:
        canonical.encode(canonical.parse_any(REFUSED[name]))
    else:
        with pytest.raises(NotCanonical):
            canonical.parse_any(REFUSED[name])


@given(data=st.binary(max_size=40) | st.text(max_size=20).map(lambda text: json.dumps(text).encode()))
def test_what_parse_any_returns_has_a_canonical_form(data: bytes) -> None:
    try:
        value = canonical.parse_any(data)
    except NotCanonical:
        return
    canonical.encode(value)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
        b"bytes",
        bytearray(b"bytes"),
        {1, 2},
        object(),
        ["a", 1j],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_not_written(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical.encode(value)


def test_the_edges_are_accepted() -> None:
    for data in (b"9007199254740991", b"-9007199254740991", b"0", b'""', b"[]", b"{}", b'{"":0}'):
        assert canonical.encode(canonical.parse(data)) == data
    deep = b"[" * 32 + b"]" * 32
    assert canonical.encode(canonical.parse(deep)) == deep
    with pytest.raises(NotCanonical):
        canonical.encode([canonical.parse(deep)])


@pytest.mark.parametrize("parse", [canonical.parse, canonical.parse_any])
def test_so_many_values_that_memory_would_run_out_are_refused_before_they_are_parsed(
    parse: Callable[[bytes], Json],
) -> None:
    for many in (b"[" + b"0," * canonical.MOST_VALUES + b"0]", b"[" * canonical.MOST_VALUES + b"{"):
        with pytest.raises(NotCanonical, match="more than 4000000 values"):
            parse(many)

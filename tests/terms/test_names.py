"""Names and digests: one spelling each, and none that a store could take for another or for a path."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.digests import parse_digest, sha256
from strongroom.terms.errors import BadRequest
from strongroom.terms.names import AliasName, VersionName, check_model, is_alias, parse_alias, parse_version
from strongroom.terms.outer_errors import BadName

PART = st.from_regex(r"\A[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?\Z").filter(lambda part: ".." not in part)


@given(org=PART, name=PART, number=st.integers(1, 999_999_999))
def test_a_version_is_read_as_it_is_written(org: str, name: str, number: int) -> None:
    version = VersionName(model=f"{org}/{name}", number=number)
    assert parse_version(str(version)) == version
    check_model(version.model)


@given(text=st.text(max_size=30) | st.text("a/@1.-_ \nA0", max_size=12))
def test_any_text_is_the_one_spelling_of_a_version_or_refused(text: str) -> None:
    try:
        version = parse_version(text)
    except BadName:
        return
    assert str(version) == text


@pytest.mark.parametrize(
    "text",
    ["", "@", "/", "a", "a@1", "a/b", "a/b@", "@1", "a/b@0", "a/b@01", "a/b@-1", "a/b@+1", "a/b@1.0", "a/b@1_0",
     "a/b@1000000000", "a/b@1\n", "a/b\n@1", "a\n/b@1",
     "a/b@1 ", " a/b@1", "a/b@@1", "a/b@1@2", "a@1/b", "a/b/c@1", "/a/b@1", "a//b@1",
     "A/b@1", "a/B@1", "../b@1", "a/..@1", "./b@1", "a/.@1", ".a/b@1", "a./b@1", "a/b.@1", "-a/b@1", "a/b-@1", "_a/b@1",
     "a..b/c@1", "a/b c@1", "a/b\0@1", "a\\b/c@1", "a/ö@1", "a/b@\u0661", "a/b@\uff11", "a/b@¹",
     f"{'a' * 97}/b@1", f"a/{'b' * 97}@1", "a%2fb/c@1", "a:b/c@1", "a/b@latest"],
)  # fmt: skip
def test_what_is_no_version_name_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        parse_version(text)


@given(org=PART, name=PART, alias=st.from_regex(r"\A[a-z][a-z0-9-]{0,31}\Z"))
def test_an_alias_is_read_as_it_is_written(org: str, name: str, alias: str) -> None:
    named = AliasName(model=f"{org}/{name}", alias=alias)
    assert parse_alias(str(named)) == named
    assert is_alias(str(named))


@given(text=st.text(max_size=30) | st.text("a/@1.-_ \nA0", max_size=12))
def test_no_text_is_both_a_version_and_an_alias(text: str) -> None:
    for parse, wanted in ((parse_version, False), (parse_alias, True)):
        with contextlib.suppress(BadName):
            assert str(parse(text)) == text
            assert is_alias(text) is wanted


@pytest.mark.parametrize(
    "text",
    ["", "prod", "a/b", "a/b@", "@prod", "a@prod", "a/b@1", "a/b@1a", "a/b@-a", "a/b@A", "a/b@Prod", "a/b@prod\n",
     "a/b@pr_od", "a/b@pr.od", "a/b@prod@1", "a/b@prod@prod", "a/b@ prod", "a/b/c@prod", "A/b@prod", "a/b@ä",
     "a/b@рrod", f"a/b@{'a' * 33}"],
)  # fmt: skip
def test_what_is_no_name_of_an_alias_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        parse_alias(text)


def test_the_edges_are_accepted() -> None:
    for text in ("a/b@1", f"{'a' * 96}/{'b' * 96}@999999999", "0/1@2", "a.b-c_d/e@10", "a--b/c__d@1"):
        assert str(parse_version(text)) == text


def test_versions_are_ordered_by_number_not_by_digits() -> None:
    assert [str(version) for version in sorted(map(parse_version, ["b/a@1", "a/b@10", "a/b@9"]))] == [
        "a/b@9",
        "a/b@10",
        "b/a@1",
    ]


@given(data=st.binary(max_size=100))
def test_a_digest_is_read_as_it_is_written(data: bytes) -> None:
    assert parse_digest(sha256(data)) == sha256(data) == sha256(memoryview(data)) == sha256(bytearray(data))


def test_the_digest_of_nothing_is_the_known_one() -> None:
    assert sha256(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "0" * 64, "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "A" * 64, "SHA256:" + "0" * 64,
     "sha256:" + "0" * 64 + "\n", " sha256:" + "0" * 64, "sha512:" + "0" * 64, "sha256:" + "\u0660" * 64,
     "sha256:" + "g" * 64],
)  # fmt: skip
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_digest(text)

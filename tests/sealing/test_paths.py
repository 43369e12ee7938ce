"""Paths: none leaves its folder, none stands for two files, none shows as something else."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.sealing.paths import check_path, check_paths
from strongroom.terms.outer_errors import BadPath

PATHS = st.text(st.sampled_from("aAbßẞsSöÖé/.\\ \u0301\u200b\ud800\0模\u212a\u0130iıKk"), max_size=12) | st.text(
    max_size=30
)


def accepted(path: str) -> bool:
    try:
        check_path(path)
    except BadPath:
        return False
    return True


def accepted_together(*paths: str) -> bool:
    try:
        check_paths(paths)
    except BadPath:
        return False
    return True


@pytest.mark.parametrize(
    "path",
    ["a", "a/b/c.bin", ".gitattributes", "..a", "a..", "...", "a b", "größe/模型", "\U0001f511", "x" * 255, "-rf",
     "/".join(["x" * 203] * 5) + "/xxxx"],
)  # fmt: skip
def test_ordinary_paths_are_accepted(path: str) -> None:
    assert accepted(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", ".", "..", "/a", "a/", "a//b", "./a", "a/.", "a/./b", "../a", "a/..", "a/../b", "a\\b", "..\\a", "a\0",
     "a\n", "a\r", "a\t", "\x1b[2J", "\x7f", "\x85", "\x9b", "\u200b", "\u200e", "\u202a", "\u202e", "\u2066", "\u2069",
     "\ufeff", "\u00ad", "\u2028", "\u2029", "\ud800", "\ue000", "\U000e0041", "\U0010ffff", "\u0378", "e\u0301",
     "\u212b", "\uf900", "x" * 256, "é" * 128, "/".join(["x" * 204] * 5) + "x", "a/" * 512 + "a"],
)  # fmt: skip
def test_paths_that_could_mislead_are_refused(path: str) -> None:
    with pytest.raises(BadPath) as caught:
        check_path(path)
    assert caught.value.message.replace("…", "").isascii()
    assert caught.value.message.isprintable()


@given(path=PATHS)
def test_an_accepted_path_stays_below_its_folder_on_any_system(path: str) -> None:
    if accepted(path):
        assert not PurePosixPath(path).is_absolute()
        assert not PureWindowsPath(path).root
        for pure in (PurePosixPath(path), PureWindowsPath(path)):
            assert not {"..", ".", ""} & set(pure.parts)
        assert str(PurePosixPath(path)) == path
        assert unicodedata.normalize("NFC", path) == path
        assert path.isprintable() or any(unicodedata.category(char) == "Zs" for char in path)
        assert path.encode().decode() == path


@given(path=PATHS)
def test_any_text_is_accepted_or_refused_and_nothing_else_happens(path: str) -> None:
    accepted(path)
    accepted_together(path, path.upper(), path.lower())


@given(path=PATHS.filter(accepted))
def test_no_path_stands_beside_itself_in_another_case_or_form(path: str) -> None:
    others = {path, path.upper(), path.lower(), path.title(), path.swapcase(), path.casefold()}
    for other in {unicodedata.normalize("NFC", other) for other in others}:
        if other.casefold() != path.casefold():  # dotless i: one letter with `I` in Turkish, in no file system
            continue
        assert not accepted_together(path, other)
        assert not accepted_together(path, f"{other}/file")
        assert not accepted_together(f"{other}/file", path)


@given(paths=st.lists(PATHS.filter(accepted), unique=True, max_size=6))
def test_the_verdict_does_not_depend_on_the_order(paths: list[str]) -> None:
    assert accepted_together(*paths) == accepted_together(*reversed(paths))


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "a"), ("a", "A"), ("A/b", "a/c"), ("A/b/c", "a/d"), ("a", "a/b"), ("A", "a/b"), ("a/B", "a/b/c"),
     ("straße", "STRASSE"), ("ﬁle", "FILE"), ("K", "k"), ("ς", "Σ"), ("ß\u0301", "sś")],
)  # fmt: skip
def test_two_paths_that_are_one_file_on_some_systems_are_refused(one: str, other: str) -> None:
    assert accepted_together(one)
    assert accepted_together(other)
    assert not accepted_together(one, other)
    assert not accepted_together(other, one)


def test_neighbours_are_accepted() -> None:
    assert accepted_together()
    assert accepted_together("a/b", "a/c", "a.b", "ab/c", "a-b")

"""Errors: each has one code, one family and a hint, and says what is wrong in the same manner."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.terms import errors, outer_errors
from strongroom.terms.errors import StrongroomError, families
from strongroom.terms.outer_errors import codes

CLASSES = list(codes())
SOURCES = Path(errors.__file__).parents[1]


def test_there_are_five_families_with_exit_codes_and_statuses_of_their_own() -> None:
    assert [family.__name__ for family in families()] == ["Malformed", "Refused", "Conflict", "Tampered", "Unavailable"]
    assert len({family.exit_code for family in families()}) == 5
    assert len({family.http_status for family in families()}) == 5
    # 0 is success, 1 what nobody foresaw, 2 a command line that click refuses
    assert not {0, 1, 2} & {family.exit_code for family in families()}


def test_every_code_is_one_class_of_one_family() -> None:
    assert len(CLASSES) >= 25
    assert len({error.code for error in CLASSES}) == len(CLASSES)
    everything = {
        value
        for value in (*vars(errors).values(), *vars(outer_errors).values())
        if isinstance(value, type) and issubclass(value, StrongroomError)
    }
    assert everything == {*CLASSES, *families(), StrongroomError}


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_a_code_a_family_a_hint_and_a_description(error: type[StrongroomError]) -> None:
    assert error.family in {family.__name__ for family in families()}
    family = next(family for family in families() if family.__name__ == error.family)
    assert error.__bases__ == (family,)
    assert error.exit_code == family.exit_code
    assert error.code == error.code.lower().strip("-")
    assert error.code.replace("-", "").isalpha()
    assert error.default_hint
    assert not error.default_hint[0].isupper()
    assert not error.default_hint.endswith(".")
    assert error.__doc__
    assert error.move
    assert 400 <= error.http_status < 600


def test_a_hint_is_the_default_one_unless_a_better_is_known() -> None:
    assert outer_errors.BadPath("x").hint == outer_errors.BadPath.default_hint
    assert outer_errors.BadPath("x", hint="do y").hint == "do y"
    assert outer_errors.BadPath("x", hint="").hint == ""
    assert str(outer_errors.BadPath("x")) == outer_errors.BadPath("x").message == "x"


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the first literal piece and the last of every message that is raised, joined by `…`."""
    names = {error.__name__ for error in CLASSES} | {"_tampered"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
            options = [node.args[0]]
            while any(isinstance(option, ast.IfExp) for option in options):
                options = [
                    piece
                    for option in options
                    for piece in ([option.body, option.orelse] if isinstance(option, ast.IfExp) else [option])
                ]
            for message in options:
                pieces = message.values if isinstance(message, ast.JoinedStr) else [message]
                text = [piece.value if isinstance(piece, ast.Constant) else "…" for piece in pieces]
                yield node.lineno, "".join(map(str, text))


def test_messages_are_lower_case_and_end_without_a_full_stop() -> None:
    found = [
        (path.name, line, message)
        for room in ("terms", "sealing")
        for path in sorted((SOURCES / room).glob("*.py"))
        for line, message in messages(ast.parse(path.read_text()))
    ]
    assert len(found) > 50
    proper = ("FLOE ",)
    assert [
        place
        for place in found
        if (place[2][0].isupper() and not place[2].startswith(proper)) or place[2].endswith(".") or "\n" in place[2]
    ] == []


def test_the_rule_of_messages_sees_a_breach() -> None:
    planted = 'raise BadPath("Bad." if x else f"`{path}` Is bad")'
    assert list(messages(ast.parse(planted))) == [(1, "Bad."), (1, "`…` Is bad")]

"""The tool that deletes guards finds them all, and what it switches off does not refuse any more."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).parents[2]
TOOL: dict[str, Any] = runpy.run_path(str(HOUSE / "tools" / "guards.py"))

SOURCE = """
def check_positive(number):
    if number < 0:
        raise ValueError("negative")

def verify_small(number):
    check_positive(number)
    if (large := number > 9) and number != 99:
        large = True
        raise ValueError("large")
    elif number == 7:
        _refuse("seven")
    match number:
        case 5:
            raise ValueError("five")
        case 6 if not large:
            raise ValueError("six")
        case _:
            return number

def _refuse(why):
    raise ValueError(why)

def rewrap(number):
    try:
        return verify_small(number)
    except ValueError:
        raise
"""
GUARDS = {
    "check_positive | number < 0": -1,
    "verify_small | check_positive(number)": -1,
    "verify_small | (large := (number > 9)) and number != 99": 10,
    "verify_small | number == 7": 7,
    "verify_small | case 5": 5,
    "verify_small | case 6 if not large": 6,
}


def planted() -> tuple[dict[str, int], Callable[[set[int]], Any]]:
    """Return the guards of the source by name, and what runs it with some of them off."""
    switches = TOOL["Switches"]("a.py", 0)
    code = compile(ast.fix_missing_locations(switches.visit(ast.parse(SOURCE))), "a.py", "exec", dont_inherit=True)

    def load(off: set[int]) -> Any:
        module: dict[str, Any] = {"__guard__": lambda number: number not in off}
        exec(code, module)  # noqa: S102 (what the tool does to a module, done to this one)
        return module["rewrap"]

    return {guard.name.removeprefix("a.py | "): guard.number for guard in switches.guards}, load


def test_every_guard_is_found_and_nothing_else() -> None:
    found, _ = planted()
    assert found.keys() == GUARDS.keys()


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_refuses_while_it_is_on_and_not_while_it_is_off(name: str) -> None:
    found, load = planted()
    with pytest.raises(ValueError, match=r"negative|large|five|six|seven"):
        load(set())(GUARDS[name])
    load({found[name]})(GUARDS[name])
    load(set())(1)


def test_what_is_allowed_to_survive_is_a_guard_and_has_a_reason() -> None:
    core = TOOL["Core"].read(list(runpy.run_path(str(HOUSE / "tools" / "tcb.py"))["count"]().files))
    names = [guard.name for guard in core.guards]
    allowed = TOOL["allowed"]()
    assert len(names) > 300
    assert allowed.keys() <= set(names)
    assert len(allowed) <= 10
    assert all(reason for reason in allowed.values())

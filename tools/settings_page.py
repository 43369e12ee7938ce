#!/usr/bin/env python3
"""Write `docs/settings.md` from `strongroom.service.settings`, or with `--print` show it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from inspect import getsource
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE / "src"))

from strongroom.service.settings import SECTIONS  # noqa: E402  (found where this file lies, installed or not)

INTRODUCTION = """\
# Settings

*Written by `tools/settings_page.py` from `strongroom.service.settings`; a test compares them.*

One file, `strongroom.toml`, in TOML: `strongroom up --config strongroom.toml` runs the keep and the gateway that it has
sections for, `strongroom relay --config strongroom.toml` the relay. A relative path starts from the file's folder. What
is not on this page is refused. No setting is a secret, and none decides who may do what: that is in the log. An object
store's credential comes from the environment ([stores](stores.md)).
"""


def page() -> Iterator[str]:
    yield INTRODUCTION
    for name, section in SECTIONS.items():
        yield f"## [{name}]\n\n{section.__doc__}\n"
        yield "| setting | without it | |\n|---|---|---|"
        helps = _helps(section)
        for one in fields(section):
            yield f"| `{one.name}` | {_default(one)} | {helps[one.name]} |"
        yield ""


def _helps(section: type[Any]) -> dict[str, str]:
    """Return the text under each field."""
    (found,) = ast.parse(dedent(getsource(section))).body
    body = found.body if isinstance(found, ast.ClassDef) else []
    helps = {}
    for pair in pairwise(body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                helps[name] = " ".join(said.split())
    return helps


def _default(one: Field[Any]) -> str:
    match one.default:
        case default if default is MISSING:
            return "refused"
        case None | ():
            return ""
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case str() as text:
            return f'`"{text}"`'
        case other:
            return f"`{other}`"


def main() -> None:
    text = "\n".join(page())
    if "--print" in sys.argv[1:]:
        sys.stdout.write(text)
    else:
        (HOUSE / "docs" / "settings.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

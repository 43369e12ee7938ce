#!/usr/bin/env python3
"""Write `docs/errors.md` from `strongroom.terms.errors`, or with `--print` show it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE / "src"))

from strongroom.terms import outer_errors as _all  # noqa: E402, F401  (its classes are errors too)
from strongroom.terms.errors import families  # noqa: E402  (found where this file lies, installed or not)

INTRODUCTION = """\
# Errors

*Written by `tools/errors_page.py` from `strongroom.terms.errors`; a test compares them.*

Every error belongs to one of five families, named by whose move is next. The family gives the exit code of the command
line; the code is stable and is what a script may look at (`--json` prints it). In Python each is a class, with `code`,
`family`, `message` and `hint`.
"""


def page() -> Iterator[str]:
    yield INTRODUCTION
    yield "| family | next move | exit code | HTTP status |\n|---|---|---|---|"
    for family in families():
        yield f"| {family.__name__} | {family.move} | {family.exit_code} | {family.http_status} |"
    for family in families():
        yield f"\n## {family.__name__}\n\n{family.__doc__}\n"
        yield "| code | what it is | what to do |\n|---|---|---|"
        for error in family.__subclasses__():
            status = f" (HTTP {error.http_status})" if error.http_status != family.http_status else ""
            yield f"| `{error.code}` | {error.__doc__}{status} | {error.default_hint} |"


def main() -> None:
    text = "\n".join(page()) + "\n"
    if "--print" in sys.argv[1:]:
        sys.stdout.write(text)
    else:
        (HOUSE / "docs" / "errors.md").write_text(text)


if __name__ == "__main__":
    main()

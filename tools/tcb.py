#!/usr/bin/env python3
"""Count the trusted computing base: our own code that the keep's process can import, and whose packages it builds on.

    tools/tcb.py           one line for each file, then the sums
    tools/tcb.py --sums    the sums only

What is counted is found by importing it, in a fresh interpreter, imports inside functions followed as well. A line of
code is one that is neither blank nor comment nor docstring; with docstrings counted, the figure stands in brackets.
"""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "src"
KEEP = "strongroom.keep.__main__"
OURS = "strongroom"
MOST_LINES, MOST_PACKAGES = 6_000, 6
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}

_IMPORT = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The files by path below `src`, with their lines of code and of docstrings; the packages; every module loaded."""

    files: dict[str, tuple[int, int]]
    packages: tuple[str, ...]
    modules: frozenset[str]

    @property
    def lines(self) -> int:
        return sum(code for code, _ in self.files.values())


def count(start: str = KEEP) -> Core:
    """Return what a process that runs `start` consists of."""
    wanted = {start}
    while True:
        loaded = _import(wanted)
        ours = {name: Path(file) for name, file in loaded.items() if _is_ours(name) and file}
        # The package's own front door fetches the client for whoever asks for it by name, which nothing in here does.
        named = {
            name
            for module, path in ours.items()
            if module != OURS
            for name in _imports(ast.parse(path.read_text("utf-8")))
        }
        # Imported by a function only: loaded sooner or later.
        later = {name for name in named if _is_ours(name) and _is_module(name)} - loaded.keys()
        if not later:
            break
        wanted |= later
    outside = {name.partition(".")[0] for name in named} - {OURS} - sys.stdlib_module_names
    files = {str(path.relative_to(SOURCES)): lines(path.read_text("utf-8")) for path in sorted(set(ours.values()))}
    return Core(files=files, packages=tuple(sorted(outside)), modules=frozenset(loaded))


def lines(source: str) -> tuple[int, int]:
    """Return how many lines of `source` are code, and how many are docstrings."""
    rows: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE and token.string:
            rows.update(range(token.start[0], token.end[0] + 1))
    strings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                strings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(rows - strings), len(rows & strings)


def _import(names: set[str]) -> dict[str, str | None]:
    run = [sys.executable, "-c", _IMPORT, *sorted(names)]
    done = subprocess.run(run, env={"PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, check=True)
    loaded: dict[str, str | None] = json.loads(done.stdout)
    return loaded


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield every module that may be imported below `node`, wherever that stands, and what only looks like one."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=other):
            for child in other:
                yield from _imports(child)
            return
        case ast.Import(names=names):
            yield from (one.name for one in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield module
            yield from (f"{module}.{one.name}" for one in names)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child)


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith(f"{OURS}.")


def _is_module(name: str) -> bool:
    path = SOURCES / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def main() -> None:
    core = count()
    if "--sums" not in sys.argv[1:]:
        for file, (code, _) in core.files.items():
            sys.stdout.write(f"{code:6,}  {file}\n")
    with_docstrings = core.lines + sum(strings for _, strings in core.files.values())
    sums = (
        f"trusted core: {core.lines:,} lines in {len(core.files)} files ({with_docstrings:,} with docstrings), "
        f"of at most {MOST_LINES:,}; {len(core.packages)} packages, of at most {MOST_PACKAGES}: "
        f"{', '.join(core.packages)}"
    )
    sys.stdout.write(f"{sums}\n")
    sys.exit(core.lines > MOST_LINES or len(core.packages) > MOST_PACKAGES)


if __name__ == "__main__":
    main()

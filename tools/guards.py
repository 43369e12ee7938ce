#!/usr/bin/env python3
"""Delete each guard of the trusted core once, and demand that some test fails.

    tools/guards.py              all of them
    tools/guards.py acts/admit   those in files whose path contains this
    tools/guards.py --list       only name them

A guard is an `if` that ends in `raise` (or in a call of `_refuse`), a `case` that ends so, and a call of a function
named `check_…` or `verify_…` whose result nobody uses. What runs in the keep's process is read by `tools/tcb.py`.

1. Every guard gets a switch when its module is imported; nothing is written to disk.
2. All tests of the rooms run once, with every guard on: what is noted is in which tests a guard refuses anything. A
   guard that refuses nothing in a test is not missed by it either, so that no other test has to run for it.
3. For each guard a child process, forked after everything was imported, switches it off and runs those tests, the
   quickest first, until one fails. If none does, the guard survives.

Survivors have to be named in `tools/guards.allowed`, each with its reason; a line there that nothing needs is a fault.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import json
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[1]
SOURCES = HOUSE / "src" / "strongroom"
ALLOWED = HOUSE / "tools" / "guards.allowed"
ROOMS = ("acts", "attacks", "directory", "journal", "keep", "keyring", "places", "policy", "sealing", "statements",
         "terms", "tlog")  # fmt: skip
# In another process a guard has no switch; other code is not asked; or it takes long and nothing else needs it.
LEFT_OUT = (
    "tests/attacks/test_client.py",
    "tests/attacks/test_flipped_bits.py",
    "tests/attacks/test_manifests.py",
    "tests/attacks/test_objects.py",
    "tests/attacks/test_verif*.py",
    "tests/journal/test_disks.py",
    "tests/journal/test_faults.py",
    "tests/journal/test_kills.py",
    "tests/sealing/test_manifest.py",
    "tests/sealing/test_tensors.py",
)
PROCESSES = 2
LONGEST_SECONDS = 60
MOST_TESTS = 40
SWITCH = "__guard__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guard: where it stands, and what it says."""

    number: int
    file: str
    line: int
    function: str
    text: str

    @property
    def name(self) -> str:
        """What `guards.allowed` calls it: without line numbers, so that an edit elsewhere moves nothing."""
        return f"{self.file} | {self.function} | {self.text}"


# --- 1. switches -------------------------------------------------------------------------------


class Switches(ast.NodeTransformer):
    """Puts a switch on every guard of one module."""

    def __init__(self, file: str, first: int) -> None:
        self.file, self.guards, self._first = file, [], first
        self._functions: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if _refuses(node.body):
            switch = self._switch(node, ast.unparse(node.test))
            node.test = ast.BoolOp(op=ast.And(), values=[node.test, switch])
        return ast.fix_missing_locations(node)

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        self.generic_visit(node)
        if _refuses(node.body):
            text = f"case {ast.unparse(node.pattern)}" + (f" if {ast.unparse(node.guard)}" if node.guard else "")
            switch = self._switch(node.body[-1], text)
            node.guard = switch if node.guard is None else ast.BoolOp(op=ast.And(), values=[node.guard, switch])
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        match node.value:
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if _is_check(called):
                reraise = ast.If(test=self._switch(node, ast.unparse(node)), body=[ast.Raise()], orelse=[])
                handler = ast.ExceptHandler(type=ast.Name(id="Exception", ctx=ast.Load()), body=[reraise])
                guarded = ast.Try(body=[node], handlers=[handler], orelse=[], finalbody=[])
                return ast.fix_missing_locations(ast.copy_location(guarded, node))
        return node

    def _switch(self, node: ast.stmt, text: str) -> ast.Call:
        function = self._functions[-1] if self._functions else "(module)"
        number = self._first + len(self.guards)
        self.guards.append(Guard(number=number, file=self.file, line=node.lineno, function=function, text=text))
        call = ast.Call(func=ast.Name(id=SWITCH, ctx=ast.Load()), args=[ast.Constant(number)], keywords=[])
        return ast.copy_location(call, node)


def _install(switch: Callable[[int], bool]) -> None:
    """Let every guard ask `switch` whether it is on; it asks only when it is about to refuse."""
    vars(builtins)[SWITCH] = switch


def _refuses(body: list[ast.stmt]) -> bool:
    match body[-1]:
        case ast.Raise(exc=exc):
            return exc is not None
        case ast.Expr(value=ast.Call(func=ast.Name(id="_refuse"))):
            return True
    return False


def _is_check(name: str) -> bool:
    return name.lstrip("_").startswith(("check_", "verify_"))


@dataclass
class Core(MetaPathFinder):
    """The modules of the trusted core, with their switches; takes over when one of them is imported."""

    code: dict[str, CodeType] = field(default_factory=dict)
    guards: list[Guard] = field(default_factory=list)

    @classmethod
    def read(cls, files: Sequence[str]) -> Core:
        core = cls()
        for file in files:
            path = SOURCES.parent / file
            switches = Switches(file.removeprefix("strongroom/"), len(core.guards))
            tree = switches.visit(ast.parse(path.read_text("utf-8")))
            core.guards += switches.guards
            core.code[str(path)] = compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)
        return core

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("strongroom"):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin in self.code:
            spec.loader = _Loader(name, str(spec.origin), self.code)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: dict[str, CodeType]) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code[self.path]


# --- 2. and 3. running tests -------------------------------------------------------------------


class Runner:
    """Collects the tests like any run of pytest, then runs them in children of its own."""

    def __init__(self, guards: list[Guard], chosen: set[int]) -> None:
        self.guards, self.chosen = guards, chosen
        self.fired: dict[int, set[int]] = {}
        self.seconds: dict[int, float] = {}
        self.failed: list[str] = []
        self.survivors: list[tuple[Guard, int]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = session.items
        self._look(items)
        jobs = [number for number in sorted(self.chosen) if self.fired.get(number)]
        survived = {number for number, found in _parallel(jobs, lambda number: self._without(number, items)) if found}
        for guard in self.guards:
            if guard.number in self.chosen and (guard.number in survived or guard.number not in jobs):
                self.survivors.append((guard, len(self.fired.get(guard.number, ()))))
        return True

    def _look(self, items: list[pytest.Item]) -> None:
        """Run everything once, each process its own part, and see where guards refuse."""
        # In blocks of a file, so that what a file sets up once is set up once.
        files = sorted({str(item.path) for item in items})
        parts = [[n for n, item in enumerate(items) if files.index(str(item.path)) % 16 == part] for part in range(16)]

        def run(part: list[int]) -> Any:
            fired: dict[int, set[int]] = {}
            seconds, failed, current = {}, [], -1

            def note(number: int) -> bool:
                fired.setdefault(number, set()).add(current)
                return True

            _install(note)
            for current in part:
                began = time.monotonic()
                if _fails(items[current]):
                    failed.append(items[current].nodeid)
                seconds[current] = time.monotonic() - began
            return {
                "fired": {number: sorted(seen) for number, seen in fired.items()},
                "seconds": seconds,
                "failed": failed,
            }

        for _, seen in _parallel(parts, run, longest_seconds=600):
            if seen is None:
                self.failed.append("a process that ran tests died, with every guard on")
                continue
            self.failed += seen["failed"]
            self.seconds |= {int(item): took for item, took in seen["seconds"].items()}
            for number, where in seen["fired"].items():
                self.fired.setdefault(int(number), set()).update(where)
        broken = set(self.failed)
        for where in self.fired.values():
            where -= {item for item in where if item < 0 or items[item].nodeid in broken}

    def _without(self, number: int, items: list[pytest.Item]) -> bool:
        """Tell whether the guard survives: no test that saw it refuse misses it."""
        _install(lambda asked: asked != number)
        tests = sorted(self.fired[number], key=lambda item: self.seconds[item])
        return not any(_fails(items[item]) for item in tests[:MOST_TESTS])


def _fails(item: pytest.Item) -> bool:
    from _pytest.runner import runtestprotocol

    item._initrequest()
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def _parallel(
    jobs: Sequence[Any], run: Callable[[Any], Any], longest_seconds: int = LONGEST_SECONDS
) -> Iterator[tuple[Any, Any]]:
    """Yield what each job comes to, run in a forked child; None for one that died or hung."""
    waiting, running = list(reversed(jobs)), {}
    while waiting or running:
        while waiting and len(running) < PROCESSES:
            job = waiting.pop()
            reading, writing = os.pipe()
            if (child := os.fork()) == 0:
                os.close(reading)
                _child(writing, run, job, longest_seconds)
            os.close(writing)
            running[child] = (job, reading)
        # What is written is read before the child is waited for: a pipe holds little.
        child, (job, reading) = next(iter(running.items()))
        with os.fdopen(reading, "rb") as answer:
            text = answer.read()
        os.waitpid(child, 0)
        del running[child]
        yield job, json.loads(text) if text else None


def _child(writing: int, run: Callable[[Any], Any], job: Any, longest_seconds: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(longest_seconds)
    try:
        with os.fdopen(writing, "wb") as answer:
            answer.write(json.dumps(run(job)).encode())
    finally:
        os._exit(0)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- the verdict -------------------------------------------------------------------------------


def allowed() -> dict[str, str]:
    """Return the guards that may survive, each with its reason."""
    lines = [line for line in ALLOWED.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return {name: reason for name, _, reason in (line.rpartition(" | ") for line in lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Delete each guard of the trusted core once.")
    parser.add_argument("only", nargs="*", help="only files whose path contains one of these")
    parser.add_argument("--list", action="store_true", help="name the guards, run nothing")
    arguments = parser.parse_args()
    began = time.monotonic()
    core = Core.read(list(runpy.run_path(str(HOUSE / "tools" / "tcb.py"))["count"]().files))
    chosen = {
        guard.number
        for guard in core.guards
        if not arguments.only or any(part in guard.file for part in arguments.only)
    }
    if arguments.list:
        for guard in core.guards:
            if guard.number in chosen:
                _say(f"{guard.line:5}  {guard.name}")
        return
    sys.exit(_judge(core, chosen, began))


def _judge(core: Core, chosen: set[int], began: float) -> int:
    _install(lambda number: True)
    sys.meta_path.insert(0, core)
    runner = Runner(core.guards, chosen)
    os.chdir(HOUSE)
    folders = [f"tests/{room}" for room in ROOMS if (HOUSE / "tests" / room).exists()]
    left_out = [f"--ignore-glob={HOUSE / pattern}" for pattern in LEFT_OUT]
    status = pytest.main(
        ["-q", "-p", "no:cacheprovider", "-m", "not soak and not s3 and not torch",
         *left_out, *folders],
        plugins=[runner],
    )  # fmt: skip
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} or not runner.seconds:
        _say(f"the tests cannot be collected: pytest ends with {status!r}")
        return 2
    return _report(runner, time.monotonic() - began)


def _report(runner: Runner, seconds: float) -> int:
    for nodeid in runner.failed:
        _say(f"fails with every guard on: {nodeid}")
    reasons = allowed()
    survivors = {guard.name: (guard, tests) for guard, tests in runner.survivors}
    bad = [survivors[name] for name in survivors if name not in reasons]
    for guard, tests in bad:
        seen = f"refuses in {tests} tests, none of which needs it" if tests else "refuses in no test"
        _say(f"survives: src/strongroom/{guard.file}:{guard.line}: {guard.function}: {guard.text}\n          {seen}")
    looked_at = {guard.name for guard in runner.guards if guard.number in runner.chosen}
    everything = len(runner.chosen) == len(runner.guards)
    stale = [name for name in reasons if name not in survivors and (name in looked_at or everything)]
    for name in stale:
        _say(f"needs no allowance: {name}")
    _say(
        f"guards: {len(runner.chosen)} deleted one by one, {len(runner.chosen) - len(runner.survivors)} noticed, "
        f"{len(survivors) - len(bad)} allowed, {len(bad)} survive; {len(runner.seconds)} tests; {seconds:.0f} s"
    )
    return int(bool(bad or stale or runner.failed))


if __name__ == "__main__":
    main()

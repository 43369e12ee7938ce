"""The command's own work: arguments in, report out. Imports the rooms, so that `__main__` can say what is missing."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from strongroom.directory.entries import Entry
from strongroom.statements.statement import parse_statement
from strongroom.terms.errors import NotFound, StrongroomError
from strongroom.terms.records import record_json
from strongroom.verify.copy import read_leaves, read_note
from strongroom.verify.log import Checked, EntryForged, LogVerifier
from strongroom.verify.report import NOT_RECHECKED, Story, report_json, report_lines

EXIT_NOT_RECHECKED = 8
PROGRESS_SECONDS = 1.0

_EPILOG = (
    "Exit codes: 0 valid, everything was re-checked; 2 wrong usage; 3 no copy there; 6 tampered: the entry and the "
    "reason are named; 7 a library is missing; 8 nothing wrong was found, but not everything could be re-checked."
)


def run(arguments: Sequence[str] | None) -> int:
    """Verify, report, and return the exit code."""
    asked = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        told, shown = _verified(asked)
    except StrongroomError as error:
        return _show_error(error, as_json=asked.json)
    seconds = max(time.monotonic() - started, 1e-3)
    told["seconds"] = round(seconds, 3)
    if asked.json:
        _say(json.dumps({**told, **shown}, indent=2))
    else:
        _say(*report_lines(told), *_shown_lines(shown))
        rechecked, size = told["size"] - len(told["not_rechecked"]), told["size"]
        _say(f"re-checked  {rechecked} of {size} entries in {seconds:.1f} s, {size / seconds:.0f} a second")
        _say(*_verdict_lines(told))
    return EXIT_NOT_RECHECKED if told["verdict"] == NOT_RECHECKED else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="strongroom-verify",
        description="Check a copy of a deployment's log offline: every signature, every quorum, every proof.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, help="what `strongroom log export` wrote")
    parser.add_argument("deployment", type=_name, help="the deployment's name, `sr1:…`, from somebody you trust")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--entry", type=int, metavar="N", help="show entry N too")
    parser.add_argument(
        "--policies-of", type=int, metavar="N", help="show the policies under which entry N was decided"
    )
    return parser


def _name(text: str) -> str:
    if not re.fullmatch("sr1:[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("a deployment is named `sr1:` and 64 hexadecimal digits")
    return text


def _verified(asked: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the report, and what was asked to be shown besides."""
    verifier = LogVerifier(partial(read_leaves, asked.folder), read_note(asked.folder), asked.deployment)
    size = verifier.checkpoint.size
    for wanted in (asked.entry, asked.policies_of):
        if wanted is not None and not 0 < wanted < size:
            raise NotFound(f"no entry {wanted} between the founding and the end, {size}", hint="count from 1")
    story, progress = Story(), _progress(size)
    shown: dict[str, Any] = {}
    for checked in verifier.entries():
        story.note(checked)
        shown |= _shown(checked, asked)
        progress(checked.index)
    return report_json(verifier, story, verifier.finish()), shown


def _shown(checked: Checked, asked: argparse.Namespace) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if checked.index == asked.entry:
        shown["entry"] = _readable(checked.entry)
    if checked.index == asked.policies_of:
        shown["policies"] = {one.name: one.text for one in checked.before.policies}
    return shown


def _readable(entry: Entry) -> dict[str, Any]:
    """Return an entry with its statement as it was signed, not as it was packed."""
    told = record_json(entry)
    if entry.statement is not None:
        envelope = entry.envelope()
        signers = [one.keyid for one in envelope.signatures]
        told["statement"] = {**record_json(parse_statement(envelope)), "signed_by": signers}
    return told


def _progress(size: int) -> Callable[[int], None]:
    """Return what tells, on a terminal and once a second, how far it is."""
    started = last = time.monotonic()

    def tell(index: int) -> None:
        nonlocal last
        now = time.monotonic()
        if sys.stderr.isatty() and (now - last > PROGRESS_SECONDS or (index + 1 == size and last > started)):
            last = now
            end = "\n" if index + 1 == size else ""
            sys.stderr.write(f"\r{index + 1} of {size} entries, {index / (now - started):.0f} a second{end}")
            sys.stderr.flush()

    return tell


def _shown_lines(shown: dict[str, Any]) -> list[str]:
    lines = [json.dumps(shown["entry"], indent=2)] if "entry" in shown else []
    return lines + [f"// {name}\n{text}" for name, text in shown.get("policies", {}).items()]


def _verdict_lines(told: dict[str, Any]) -> list[str]:
    if not (unchecked := told["not_rechecked"]):
        return [told["verdict"]]
    named = ", ".join(map(str, unchecked[:10])) + (", …" if len(unchecked) > 10 else "")
    return [
        f"{NOT_RECHECKED}: {len(unchecked)} entries were decided under another floor, or by another Cedar: {named}",
        "use the `strongroom-verify` of the release that wrote them",
    ]


def _show_error(error: StrongroomError, *, as_json: bool) -> int:
    entry = error.entry if isinstance(error, EntryForged) else None
    if as_json:
        fields = {"code": error.code, "entry": entry, "family": error.family, "hint": error.hint}
        _say(json.dumps({"error": {**fields, "message": error.message}, "verdict": error.family.lower()}, indent=2))
    sys.stderr.write(_plain(f"strongroom-verify: {error.family.lower()}: {error.message}\n  hint: {error.hint}\n"))
    return error.exit_code


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{_plain(line)}\n")


def _plain(text: str) -> str:
    """Return `text` with everything escaped that could move a cursor or look like something else."""
    return "".join(
        char if char == "\n" or (char.isascii() and char.isprintable()) else ascii(char)[1:-1] for char in text
    )

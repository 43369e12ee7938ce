#!/usr/bin/env python3
"""Write `docs/acts.md` from `strongroom.acts.table`, or with `--print` show it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE / "src"))

from strongroom.acts.act import Act, Effect, Signer  # noqa: E402  (found where this file lies, installed or not)
from strongroom.acts.fold import EVENTS  # noqa: E402
from strongroom.acts.table import ACTS, ANYTHING, FREEZABLE  # noqa: E402

INTRODUCTION = """\
# Acts

*Written by `tools/acts_page.py` from `strongroom.acts.table`; a test compares them.*

Everything that the keep can be asked to do is one row here and one file in `src/strongroom/acts`. The name is the
action in the policies, `<name>/1` is the kind of the statement that asks for it, *entry* the kind of what it leaves in
the log.
"""

EFFECTS = {
    Effect.OPENS: "gives somebody something to open. Outside a trial, the floor asks for two people from label 1 on",
    Effect.GOVERNS: "changes who may do what. Outside a trial, the floor asks for two people",
    Effect.CLOSES: "takes away. One person is enough, and part of the disk is kept free for it",
    Effect.EVERYDAY: "neither: what it changes by itself opens nothing",
}

EVENT_HELP = {
    "keep.unsealed": "the keep went into service: who gave shares, and the digest of the code that runs",
    "refused": "somebody's statement, well signed, was refused: whose, for which act, with which error",
    "refusals.counted": "how many more refusals of somebody a minute had than the ten that are entries",
    "snapshot.taken": "the digest of the directory as it was before this entry; a start may begin from there",
    "clock.doubted": "the clock leapt, ran behind the log, or a day had no entry: nothing opens until confirmed",
}

TITLES = {ANYTHING: "anything", FREEZABLE: "whatever can be frozen"}


def page() -> Iterator[str]:
    """Yield the lines of the page."""
    yield INTRODUCTION
    yield "| effect | what it does |\n|---|---|"
    for effect, text in EFFECTS.items():
        yield f"| {effect.value} | {text} |"
    yield "\n## Said and done\n\nThe statement itself is the act. Who must sign it, `acts/admit.py` checks.\n"
    yield from _table([act for act in ACTS if not act.is_proposed])
    yield "\n## Proposed, then approved\n"
    yield (
        "These are said by nobody: they stand inside the statement of a `propose`, and happen when approvals and\n"
        "policy suffice. Their entry carries no statement but the name of the proposal. Those marked * change who\n"
        "decides: they are decided once more under the state that they lead to, and refused if then, with any one\n"
        "person absent, policy could no longer be changed.\n"
    )
    yield from _table([act for act in ACTS if act.is_proposed])
    yield (
        "\n## What the keep itself saw\n\nEntries without anybody's statement: the keep's word, which\n"
        "`strongroom-verify` can only hold against the rest of the log.\n"
    )
    yield "| entry | what it says |\n|---|---|"
    for kind in EVENTS:
        yield f"| `{kind}` | {EVENT_HELP[kind]} |"


def _table(acts: list[Act[Any]]) -> Iterator[str]:
    proposed = acts[0].is_proposed
    yield f"| act |{'' if proposed else ' signed by |'} on | effect | entry | what it is |"
    yield f"|---|{'' if proposed else '---|'}---|---|---|---|"
    for act in acts:
        name = f"`{act.name}`{' *' if act.is_sensitive else ''}"
        signer = "" if proposed else f" {_signer(act)} |"
        entry = f"`{act.entry}`" if act.entry else "none"
        yield f"| {name} |{signer} {_resources(act)} | {act.effect.value} | {entry} | {act.help} |"


def _signer(act: Act[Any]) -> str:
    if act.signer in {Signer.SESSION, Signer.SESSION_AND_DEVICE} and "Workload" not in act.principals:
        return str(act.signer.value).removesuffix(", or a workload")
    paths = f" ({' or '.join(act.paths)})" if act.paths else ""
    return f"{act.signer.value}{paths}"


def _resources(act: Act[Any]) -> str:
    title: str | None = TITLES.get(act.resources)
    return title or ", ".join(name.lower() for name in act.resources)


def main() -> None:
    text = "\n".join(page()) + "\n"
    if "--print" in sys.argv[1:]:
        sys.stdout.write(text)
    else:
        (HOUSE / "docs" / "acts.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

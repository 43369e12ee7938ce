"""What becomes of a keep on a disk that fills up. `test_keep_writes` runs this in a process that has a small disk."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

import pytest

from strongroom.directory.entries import parse_entry
from strongroom.journal.port import Space
from strongroom.terms.errors import JournalBroken
from tests.journal.full_disk import leave
from tests.model.crew import Crew, prepared
from tests.model.lab import NOTE, Lab
from tests.vectors.statements.writer import b64

DISK_BYTES = 48 << 20
RESERVE_BYTES = 8 << 20


def closing_down_goes_on_and_then_the_keep_stops(disk: Path) -> None:
    made = prepared(disk / "prepared")
    made.stop()
    made.storage["reserve_bytes"] = RESERVE_BYTES
    lab = made.copy(disk / "lab")
    crew, who = Crew(lab), lab.known.people
    sessions = {name: crew.session(who[name]) for name in ("Ada", "Eve", "Finn")}
    models = list(lab.all("model"))
    opening = _opening(lab, sessions["Finn"])
    assert "ok" in _ask(lab, opening), "there is room"
    leave(disk, 2 << 20)
    assert lab.keep._book is not None
    assert lab.keep._book.space() is Space.RESERVED
    size = lab.journal.inner.size
    refused = [_opening(lab, sessions["Finn"]), crew.proposed(who["Ada"], "thaw", _about(models[0]))]
    assert [_ask(lab, one)["error"]["code"] for one in refused] == ["no-space", "no-space"]
    assert lab.journal.inner.size == size, "nor is the refusal written"
    freeze = lab.words("freeze", who["Ada"], _about(models[0]), session=sessions["Ada"][0])
    assert "ok" in _ask(lab, freeze)
    assert lab.directory.models[models[0]].frozen
    assert not (lab.paths[0] / "ballast").exists()
    assert _ask(lab, _opening(lab, sessions["Finn"]))["error"]["code"] == "no-space"
    leave(disk, 2 << 20)
    late = lab.words("freeze", who["Eve"], _about(models[1]), session=sessions["Eve"][0])
    with pytest.raises(JournalBroken, match="no room"):
        _ask(lab, late)
    lab.stop()
    (disk / "filler").unlink()
    lab.start()
    lab.give_shares()
    leaves = list(lab.journal.inner.read(0, lab.journal.inner.size))
    assert [parse_entry(leaf).kind for leaf in leaves[size:]] == ["frozen", "keep.unsealed"]
    assert "ok" in _ask(lab, late), "room again: the same freeze is heard"
    assert lab.directory.models[models[1]].frozen
    lab.stop()


def _about(target: str) -> dict[str, str]:
    return {"reason": NOTE, "target": target}


def _ask(lab: Lab, said: Thing) -> Any:
    (answer,) = lab.ask({"ask": "act", "statement": said.envelope})
    return answer


def _opening(lab: Lab, session: tuple[str, str]) -> Thing:
    who = lab.known.people["Finn"]
    name, grant = next((name, one) for name, one in lab.all("grant").items() if one.subject == who)
    body = {
        "grant": name,
        "manifest": grant.manifest,
        "recipient": b64(lab.recipients[0].public_key().raw),
        "version": grant.version,
    }
    return lab.words("release", who, body, session=session[0], device=session[1])


if __name__ == "__main__":
    closing_down_goes_on_and_then_the_keep_stops(Path(sys.argv[1]))

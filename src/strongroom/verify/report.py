"""Report: what a log that was verified says. Who is in it by identifier only: names are not in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from strongroom.acts.release import Release
from strongroom.directory.state import Approval, Directory, Role
from strongroom.statements.statement import parse_statement
from strongroom.terms.canonical import Json
from strongroom.terms.records import parse_record, record_json
from strongroom.tlog.text import encode_base64
from strongroom.verify.log import Checked, Cosigned, LogVerifier

VALID, NOT_RECHECKED = "valid", "not re-checked"


@dataclass(slots=True)
class Story:
    """What happened, gathered entry by entry."""

    releases: list[dict[str, Any]] = field(default_factory=list)
    unsealed: list[dict[str, Any]] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    not_rechecked: list[int] = field(default_factory=list)

    def note(self, checked: Checked) -> None:
        """Take one entry in."""
        if not checked.is_rechecked:
            self.not_rechecked.append(checked.index)
        data = checked.entry.data if isinstance(checked.entry.data, Mapping) else {}
        match checked.entry.kind:
            case "key.released":
                self.releases.append(_release(checked))
            case "keep.unsealed":
                self.unsealed.append({"at": checked.entry.at, "entry": checked.index, **data})
            case "refused":
                self.refusals[str(data["code"])] += 1
            case "refusals.counted":
                self.refusals["counted only"] += int(str(data["count"]))
            case _:
                pass

    @property
    def verdict(self) -> str:
        """The last word on a log in which nothing is wrong."""
        return NOT_RECHECKED if self.not_rechecked else VALID


def _release(checked: Checked) -> dict[str, Any]:
    statement = parse_statement(checked.entry.envelope())
    body = parse_record(Release, statement.body)
    grant = checked.before.grants[body.grant]
    return {
        "approvals": [_approval(given) for given in grant.approvals],
        "at": checked.entry.at,
        "by": statement.by,
        "device": grant.device,
        "entry": checked.index,
        "files": None if body.files is None else list(body.files),
        "grant": body.grant,
        "manifest": body.manifest,
        "proposed_by": grant.proposer,
        "version": body.version,
        "zone": grant.zone,
    }


def _approval(given: Approval) -> dict[str, str]:
    return {"path": given.path, "person": given.person, "role": given.role, "team": given.team}


def frozen(directory: Directory) -> list[str]:
    """Return what is frozen at the end of the log."""
    things: list[Mapping[str, Any]] = [
        directory.people, directory.devices, directory.workloads, directory.zones, directory.models
    ]  # fmt: skip
    found = [name for kind in things for name, one in sorted(kind.items()) if one.frozen]
    return (["deployment"] if directory.frozen else []) + found


def report_json(verifier: LogVerifier, story: Story, cosigned: tuple[Cosigned, ...]) -> dict[str, Any]:
    """Return the report for machines."""
    directory = verifier.directory
    return {
        "cosigned": [{"at": one.at, "name": one.name} for one in cosigned],
        "deployment": directory.deployment,
        "era": directory.era,
        "frozen": frozen(directory),
        "models": [{"label": one.label, "model": name} for name, one in sorted(directory.models.items())],
        "newest_entry_at": directory.at,
        "not_rechecked": story.not_rechecked,
        "people": [
            {"person": name, "removed": one.removed, "roles": [_role(held) for held in one.roles]}
            for name, one in sorted(directory.people.items())
        ],
        "refusals": dict(sorted(story.refusals.items())),
        "releases": story.releases,
        "root": encode_base64(verifier.checkpoint.root),
        "size": directory.size,
        "trial": directory.trial,
        "unsealed": story.unsealed,
        "verdict": story.verdict,
        "versions": [
            {
                "by": one.by,
                "label": directory.label_of(one),
                "manifest": one.manifest,
                "model": one.model,
                "number": one.number,
                "version": name,
            }
            for name, one in sorted(directory.versions.items())
        ],
    }


def _role(held: Role) -> Json:
    return record_json(held)


def report_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report for people, from what `report_json` gave."""
    yield f"deployment  {told['deployment']}" + (", a TRIAL: one person's word" if told["trial"] else "")
    yield f"log         {told['size']} entries, the newest of {_moment(told['newest_entry_at'])}, root {told['root']}"
    for one in told["cosigned"]:
        yield f"cosigned    by {one['name']} at {_moment(one['at'])}"
    for one in told["unsealed"]:
        who = _several(one["by"]) or "nobody: the root key was at hand"
        yield f"unsealed    entry {one['entry']}, {_moment(one['at'])}, by {who}; code {one['code']}"
    for one in told["people"]:
        roles = _several(f"{held['role']} ({held['team']})" for held in one["roles"]) or "no role"
        yield f"person      {one['person']}: {'removed' if one['removed'] else roles}"
    for one in told["versions"]:
        yield f"version     {one['version']}: number {one['number']} of {one['model']}, label {one['label']}"
    for one in told["releases"]:
        files = "" if one["files"] is None else f" ({len(one['files'])} files)"
        yield f"released    entry {one['entry']}, {_moment(one['at'])}: {one['version']}{files} to {one['by']}"
        for given in one["approvals"]:
            yield f"            approved by {given['person']} as {given['role']} ({given['team']}), {given['path']}"
    yield f"frozen      {_several(told['frozen']) or 'nothing'}"
    yield f"refusals    {_several(f'{count} {code}' for code, count in told['refusals'].items()) or 'none'}"


def _several(words: Any) -> str:
    return ", ".join(words)


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {seconds}"

"""Schema: every entity, attribute and action that a policy can name. The actions come in as a table.

INVARIANT: nothing is optional. What is absent stands there with `exists` false, 0, "" or an empty set, so that no
policy can err on an attribute that is missing, and an erring `forbid` is one that Cedar skips.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cedarpy

OPENING, GOVERNANCE, CLOSING, EVERYDAY = "opening", "governance", "closing", "everyday"
GROUPS = (OPENING, GOVERNANCE, CLOSING, EVERYDAY)

_ENTITIES = """\
// Roles and teams are those that apply to the resource of the request. Tags of people, workloads, devices and zones
// are facts: kind -> the worst live value. Tags of the tally count people by role.
entity Person { frozen: Bool, roles: Set<String>, teams: Set<String>, software: Bool } tags Long;
entity Workload { frozen: Bool, roles: Set<String>, teams: Set<String> } tags Long;
entity Attester { frozen: Bool };
entity Device { exists: Bool, frozen: Bool, software: Bool } tags Long;
entity Zone { exists: Bool, frozen: Bool, ceiling: Long, egress_bytes_per_day: Long } tags Long;
entity Deployment { frozen: Bool, trial: Bool, time_doubted: Bool, quorum: Long, people: Long };
entity Model { label: Long, frozen: Bool };
entity Version in [Model] { label: Long, frozen: Bool, tensor_bytes: Long };
entity Tally { people: Long, teams: Long, cli: Long } tags Long;

type Context = {
  deployment: Deployment,
  device: Device,
  zone: Zone,
  session: { exists: Bool, age: Long },
  quorum: Tally,
  grant: { exists: Bool },
  change: { act: String, role: String, roles: Set<String>, label: Long },
  own: Bool,
  claimed: { address: String, agent: String },
};
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """One action: who may be its principal, what its resource, and the group that it belongs to."""

    name: str
    principals: tuple[str, ...]
    resources: tuple[str, ...]
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The schema, parsed once, and the rows it was made from, by name."""

    rows: Mapping[str, ActionRow]
    handle: cedarpy.Schema


def make_schema(rows: Sequence[ActionRow]) -> Schema:
    """Return the schema with the actions of `rows`.

    Raises:
        ValueError: a row that names a type or group that there is not, or a name that stands twice.
    """
    return Schema(rows={row.name: row for row in rows}, handle=cedarpy.Schema.from_str(schema_text(rows)))


def schema_text(rows: Sequence[ActionRow]) -> str:
    """Return the Cedar schema with the actions of `rows`."""
    groups = "".join(f"action {_quoted(group)};\n" for group in GROUPS)
    return f"{_ENTITIES}\n{groups}\n" + "".join(
        f"action {_quoted(row.name)} in [Action::{_quoted(row.group)}] appliesTo {{\n"
        f"  principal: [{', '.join(row.principals)}],\n"
        f"  resource: [{', '.join(row.resources)}],\n"
        f"  context: Context,\n}};\n"
        for row in rows
    )


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=True)

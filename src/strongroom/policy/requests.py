"""Requests: the facts of one decision as values, and what Cedar gets of them: only the slice that the request needs.

TRUST: everything here is what the keep verified or what the directory says, but for `Context.address` and
`Context.agent`, which a gateway claims; policies see those under `claimed` and may use them in a `forbid` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strongroom.terms.canonical import LARGEST_INTEGER
from strongroom.terms.errors import Denied

Value = bool | int | str | frozenset[str]
ABSENT = "none"
"""The id of a device or zone that there is not; no identifier of ours looks like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts: a `Person`, a `Workload` or an `Attester`.

    Roles and teams are those that apply to the resource. `software` says that the credential used is a software key.
    """

    type: str
    id: str
    frozen: bool
    roles: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    software: bool = False
    facts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSlice:
    """The device that signed, or none."""

    id: str = ABSENT
    exists: bool = False
    frozen: bool = False
    software: bool = False
    facts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneSlice:
    """The zone, or none: the highest label it may hold, and the bytes a day that it lets out."""

    id: str = ABSENT
    exists: bool = False
    frozen: bool = False
    ceiling: int = 0
    egress_bytes_per_day: int = 0
    facts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSlice:
    """The deployment: the quorum its governance needs, and how many people it has."""

    id: str
    frozen: bool
    trial: bool
    time_doubted: bool
    quorum: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is acted on, with every attribute that its type has in the schema, and the model that a version is of.

    Of a resource that is also the principal, device, zone or deployment, only type and id are looked at.
    """

    type: str
    id: str
    attributes: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)
    parent: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What has been approved so far, as the keep counts it: distinct people, their teams, those by CLI, and by role."""

    people: int = 0
    teams: int = 0
    cli: int = 0
    roles: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What would change: the act, the role approved in, the roles the subject would hold afterwards, the new label."""

    act: str = ""
    role: str = ""
    roles: frozenset[str] = frozenset()
    label: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances. No `session_age_seconds` means no session; `own`: the resource is the principal or theirs."""

    deployment: DeploymentSlice
    device: DeviceSlice = DeviceSlice()
    zone: ZoneSlice = ZoneSlice()
    session_age_seconds: int | None = None
    quorum: Tally = Tally()
    grant: bool = False
    change: Change = Change()
    own: bool = False
    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question: may this principal take this action on this resource in this context?"""

    principal: Principal
    action: str
    resource: Resource
    context: Context


def cedar_request(request: Request) -> dict[str, Any]:
    """Return the request as Cedar takes it, its context as JSON.

    Raises:
        Denied: a number that is none, or beyond 2^53 - 1.
    """
    context = request.context
    age, change = context.session_age_seconds, context.change
    return {
        "principal": _uid(request.principal.type, request.principal.id),
        "action": _uid("Action", request.action),
        "resource": _uid(request.resource.type, request.resource.id),
        "context": json.dumps(
            {
                "deployment": {"__entity": _uid("Deployment", context.deployment.id)},
                "device": {"__entity": _uid("Device", context.device.id)},
                "zone": {"__entity": _uid("Zone", context.zone.id)},
                "session": _values({"exists": age is not None, "age": 0 if age is None else age}),
                "quorum": {"__entity": _uid("Tally", "quorum")},
                "grant": {"exists": context.grant},
                "change": _values(
                    {"act": change.act, "role": change.role, "roles": change.roles, "label": change.label}
                ),
                "own": context.own,
                "claimed": {"address": context.address, "agent": context.agent},
            }
        ),
    }


def cedar_entities(request: Request) -> str:
    """Return the entities of the request as the JSON that Cedar takes.

    Raises:
        Denied: a number that is none, or beyond 2^53 - 1.
    """
    context, resource = request.context, request.resource
    entities = [
        _principal(request.principal),
        _slice("Device", context.device, "exists", "frozen", "software"),
        _slice("Zone", context.zone, "exists", "frozen", "ceiling", "egress_bytes_per_day"),
        _slice("Deployment", context.deployment, "frozen", "trial", "time_doubted", "quorum", "people"),
        _entity(
            "Tally",
            "quorum",
            {"people": context.quorum.people, "teams": context.quorum.teams, "cli": context.quorum.cli},
            context.quorum.roles,
        ),
    ]
    # One thing is one entity. What the slice holds of it stands: it is what was verified, such as the credential used.
    if _uid(resource.type, resource.id) not in [entity["uid"] for entity in entities]:
        entities += _resource(resource)
    return json.dumps(entities)


def _principal(principal: Principal) -> dict[str, Any]:
    attributes: dict[str, Value] = {"frozen": principal.frozen}
    if principal.type != "Attester":
        attributes |= {"roles": principal.roles, "teams": principal.teams}
    if principal.type == "Person":
        attributes["software"] = principal.software
    return _entity(principal.type, principal.id, attributes, principal.facts)


def _resource(resource: Resource) -> list[dict[str, Any]]:
    """Return the resource and its parent. No policy can read a parent, so what freezes a model freezes its versions."""
    attributes = resource.attributes
    if resource.parent is None:
        return [_entity(resource.type, resource.id, attributes, resource.facts)]
    if resource.parent.attributes.get("frozen"):
        attributes = {**attributes, "frozen": True}
    entity = _entity(resource.type, resource.id, attributes, resource.facts)
    entity["parents"] = [_uid(resource.parent.type, resource.parent.id)]
    return [entity, *_resource(resource.parent)]


def _slice(kind: str, part: DeviceSlice | ZoneSlice | DeploymentSlice, *names: str) -> dict[str, Any]:
    facts = {} if isinstance(part, DeploymentSlice) else part.facts
    return _entity(kind, part.id, {name: getattr(part, name) for name in names}, facts)


def _entity(kind: str, name: str, attributes: Mapping[str, Value], tags: Mapping[str, int]) -> dict[str, Any]:
    return {"uid": _uid(kind, name), "attrs": _values(attributes), "parents": [], "tags": _values(tags)}


def _values(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Value) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, int) and not 0 <= value <= LARGEST_INTEGER:
        raise Denied(f"`{name}` is {value}, not a number from 0 to 2^53 - 1")
    return value


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}

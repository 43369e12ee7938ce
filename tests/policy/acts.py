"""The actions that the tests decide about, and the parts of a request, each with the least it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from strongroom.policy.beginning import default_bundle
from strongroom.policy.bundle import Bundle, parse_bundle
from strongroom.policy.requests import (
    Context,
    DeploymentSlice,
    DeviceSlice,
    Principal,
    Request,
    Resource,
    Tally,
    ZoneSlice,
)
from strongroom.policy.schema import ActionRow, make_schema
from strongroom.policy.source import PolicyFile

PERSON, BOTH, ATTESTER = ("Person",), ("Person", "Workload"), ("Attester",)
FREEZABLE = ("Deployment", "Model", "Person", "Device", "Zone", "Workload")
ANY = ("Deployment", "Person", "Device", "Workload", "Attester", "Zone", "Model", "Version")


def _row(name: str, principals: Sequence[str], resources: Sequence[str] | str, group: str) -> ActionRow:
    kinds = (resources,) if isinstance(resources, str) else tuple(resources)
    return ActionRow(name=name, principals=tuple(principals), resources=kinds, group=group)


ROWS = (
    _row("session.open", PERSON, "Deployment", "everyday"),
    _row("session.close", PERSON, "Person", "closing"),
    _row("propose", PERSON, ANY, "everyday"),
    _row("approve", PERSON, ANY, "everyday"),
    _row("reject", PERSON, ANY, "everyday"),
    _row("withdraw", PERSON, ANY, "everyday"),
    _row("read", PERSON, "Deployment", "everyday"),
    _row("freeze", PERSON, FREEZABLE, "closing"),
    _row("credential.report", PERSON, "Person", "closing"),
    _row("attester.revoke", PERSON, "Attester", "closing"),
    _row("grant.revoke", PERSON, "Version", "closing"),
    _row("label.raise", PERSON, ("Model", "Version"), "closing"),
    _row("version.register", BOTH, "Model", "everyday"),
    _row("alias.set", PERSON, "Version", "everyday"),
    _row("fact.attest", ATTESTER, ANY, "everyday"),
    _row("release", BOTH, "Version", "opening"),
    _row("grant.give", PERSON, "Version", "opening"),
    _row("thaw", PERSON, FREEZABLE, "governance"),
    _row("label.lower", PERSON, ("Model", "Version"), "governance"),
    _row("role.give", PERSON, BOTH, "governance"),
    _row("role.take", PERSON, BOTH, "governance"),
    *(
        _row(name, PERSON, "Deployment", "governance")
        for name in (
            "model.enrol",
            "person.enrol",
            "workload.enrol",
            "attester.enrol",
            "zone.define",
            "policy.change",
            "acceptance.change",
            "clock.confirm",
        )
    ),
    *(
        _row(name, PERSON, "Person", "governance")
        for name in ("person.remove", "credential.add", "credential.remove", "device.enrol")
    ),
    _row("device.remove", PERSON, "Device", "governance"),
    _row("workload.remove", PERSON, "Workload", "governance"),
)
SCHEMA = make_schema(ROWS)
DEFAULTS = default_bundle()
BUNDLE = parse_bundle(DEFAULTS, SCHEMA)

NAME = "sr1:" + "d" * 64
ADA, BEN = "person-ada", "person-ben"
DAILY_BYTES = 200_000_000
HUGE = 9000 * DAILY_BYTES
"""So large that 200 MB a day need 90 days for it, compressed 100 to 1."""


def bundle_of(text: str, *, name: str = "own.cedar") -> Bundle:
    return parse_bundle([PolicyFile(name=name, text=text)], SCHEMA)


def person(*roles: str, name: str = ADA, **more: Any) -> Principal:
    return Principal(type="Person", id=name, **{"frozen": False, "roles": frozenset(roles), **more})


def workload(*roles: str, **more: Any) -> Principal:
    return Principal(type="Workload", id="workload-1", **{"frozen": False, "roles": frozenset(roles), **more})


def attester(**more: Any) -> Principal:
    return Principal(type="Attester", id="attester-mdm", **{"frozen": False, **more})


def deployment(**more: Any) -> DeploymentSlice:
    usual: dict[str, Any] = {"frozen": False, "trial": False, "time_doubted": False, "quorum": 2, "people": 5}
    return DeploymentSlice(id=NAME, **{**usual, **more})


def device(**more: Any) -> DeviceSlice:
    return DeviceSlice(**{"id": "device-laptop", "exists": True, "facts": {"disk-encrypted": 1}, **more})


def zone(**more: Any) -> ZoneSlice:
    usual: dict[str, Any] = {
        "id": "zone-lab",
        "exists": True,
        "ceiling": 4,
        "egress_bytes_per_day": DAILY_BYTES,
        "facts": {"egress-bytes-per-day": DAILY_BYTES},
    }
    return ZoneSlice(**{**usual, **more})


def model(label: int = 2, **more: Any) -> Resource:
    return Resource(type="Model", id="model-atlas", attributes={"label": label, "frozen": False, **more})


def version(label: int = 2, *, tensor_bytes: int = HUGE, parent: Resource | None = None, **more: Any) -> Resource:
    return Resource(
        type="Version",
        id="version-atlas-7",
        attributes={"label": label, "frozen": False, "tensor_bytes": tensor_bytes, **more},
        parent=parent or model(label),
    )


def somebody(**more: Any) -> Resource:
    attributes: dict[str, Any] = {"frozen": False, "software": False, "roles": frozenset(), "teams": frozenset()}
    return Resource(type="Person", id=BEN, attributes={**attributes, **more})


def some_workload() -> Resource:
    attributes: dict[str, Any] = {"frozen": False, "roles": frozenset(), "teams": frozenset()}
    return Resource(type="Workload", id="workload-2", attributes=attributes)


HOUSE = Resource(type="Deployment", id=NAME)
HERSELF = Resource(type="Person", id=ADA)


def approvers(people: int, *, teams: int = 2, cli: int = 1) -> Tally:
    return Tally(people=people, teams=min(teams, people), cli=min(cli, people), roles={"approver": people})


def governors(people: int, *, teams: int = 1, cli: int = 1) -> Tally:
    return Tally(people=people, teams=teams, cli=min(cli, people), roles={"governor": people})


def context(**more: Any) -> Context:
    """Return a context in which nothing stands in the way but the quorum."""
    usual: dict[str, Any] = {
        "deployment": deployment(),
        "device": device(),
        "zone": zone(),
        "session_age_seconds": 600,
        "grant": True,
    }
    return Context(**{**usual, **more})


def request(principal: Principal, action: str, resource: Resource, **more: Any) -> Request:
    return Request(principal=principal, action=action, resource=resource, context=context(**more))

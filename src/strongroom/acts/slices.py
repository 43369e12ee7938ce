"""Slices: what policy gets to see of a directory for one decision, and not more."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from strongroom.acts.act import DEPLOYMENT, Said
from strongroom.acts.fact_attest import live_facts
from strongroom.directory import find
from strongroom.directory.state import Device, Directory, Person, Workload, made
from strongroom.policy import requests
from strongroom.terms.ids import kind_of

NO_FACTS: Mapping[str, int] = MappingProxyType({})


def model_of(directory: Directory, target: str) -> str | None:
    """Return the model that `target` is, or is a version of: roles may be held for one model only."""
    if target.startswith("version-"):
        return find.version(directory, target).model
    return target if target.startswith("model-") else None


def label_of(directory: Directory, target: str) -> int:
    """Return the label that holds for `target`; 0 for what has none."""
    if target.startswith("version-"):
        return directory.label_of(find.version(directory, target))
    return find.model(directory, target).label if target.startswith("model-") else 0


def principal(directory: Directory, subject: str, target: str, *, software: bool, at: int) -> requests.Principal:
    """Return who acts: a person, a workload or an attester, with the roles that apply to `target`."""
    if subject.startswith("attester-"):
        return requests.Principal(type="Attester", id=subject, frozen=find.attester(directory, subject).revoked)
    found: Person | Workload
    if subject.startswith("workload-"):
        kind, found = "Workload", find.workload(directory, subject)
        frozen = found.frozen or directory.people[found.sponsor].frozen
    else:
        kind, found = "Person", find.person(directory, subject)
        frozen = found.frozen
    model = model_of(directory, target)
    roles = [held for held in found.roles if held.model in {None, model}]
    return requests.Principal(
        type=kind,
        id=subject,
        frozen=frozen,
        roles=frozenset(held.role for held in roles),
        teams=frozenset(held.team for held in roles),
        software=software and kind == "Person",
        facts=live_facts(directory, subject, at),
    )


def resource(directory: Directory, target: str, at: int) -> requests.Resource:
    """Return what is acted on."""
    if target == DEPLOYMENT:
        return requests.Resource(type="Deployment", id=directory.deployment)
    match kind_of(target):
        case "model":
            return _seen("Model", target, find.model(directory, target), "label frozen")
        case "version":
            version = find.version(directory, target)
            parent = resource(directory, version.model, at)
            seen = {"label": directory.label_of(version), "frozen": False, "tensor_bytes": version.tensor_bytes}
            return requests.Resource(type="Version", id=target, attributes=seen, parent=parent)
        case "attester":
            revoked = find.attester(directory, target).revoked
            return requests.Resource(type="Attester", id=target, attributes={"frozen": revoked})
        case "device":
            device = device_slice(directory, find.device(directory, target), at)
            return _seen("Device", target, device, "exists frozen software", device.facts)
        case "zone":
            zone = zone_slice(directory, target, at)
            return _seen("Zone", target, zone, "exists frozen ceiling egress_bytes_per_day", zone.facts)
        case kind:
            who = principal(directory, target, target, software=False, at=at)
            names = "frozen roles teams software" if kind == "person" else "frozen roles teams"
            return _seen(who.type, target, who, names, who.facts)


def _seen(kind: str, target: str, thing: object, names: str, facts: Mapping[str, int] = NO_FACTS) -> requests.Resource:
    attributes = {name: getattr(thing, name) for name in names.split()}
    return requests.Resource(type=kind, id=target, attributes=attributes, facts=facts)


def device_slice(directory: Directory, device: Device | None, at: int) -> requests.DeviceSlice:
    """Return the device, or that there is none."""
    if device is None:
        return requests.DeviceSlice()
    facts = live_facts(directory, device.device, at)
    return made(requests.DeviceSlice, device, id=device.device, exists=True, facts=facts)


def zone_slice(directory: Directory, name: str | None, at: int) -> requests.ZoneSlice:
    """Return the zone, or that there is none."""
    if name is None:
        return requests.ZoneSlice()
    facts = live_facts(directory, name, at)
    return made(requests.ZoneSlice, find.zone(directory, name), id=name, exists=True, facts=facts)


def context(
    directory: Directory, *, at: int, device: Device | None = None, zone: str | None = None, **known: Any
) -> requests.Context:
    """Return the circumstances of one decision; `known` is what else of a context there is to say."""
    return requests.Context(
        deployment=made(requests.DeploymentSlice, directory, id=directory.deployment, people=len(directory.people)),
        device=device_slice(directory, device, at),
        zone=zone_slice(directory, zone, at),
        **known,
    )


def said_age(said: Said[object], at: int) -> int | None:
    """Return how long ago the security key behind a statement was touched; none for a workload or an attester."""
    if said.credential is not None:
        return 0
    return max(0, at - said.session.opened_at) if said.session is not None else None

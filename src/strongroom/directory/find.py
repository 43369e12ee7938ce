"""Finding things in a directory, and refusing what is not there, is gone, or was there before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from strongroom.directory.state import (
    Attester,
    Credential,
    Device,
    Directory,
    Grant,
    Model,
    Person,
    Proposal,
    Version,
    Workload,
    Zone,
)
from strongroom.terms.digests import sha256
from strongroom.terms.errors import AlreadyDone, NotFound
from strongroom.terms.ids import kind_of

T = TypeVar("T")


def _find(things: Mapping[str, T], identifier: str, what: str) -> T:
    if (found := things.get(identifier)) is None:
        raise NotFound(f"no {what} `{identifier}`", hint="list what there is with `strongroom show`")
    return found


def person(directory: Directory, identifier: str) -> Person:
    """Return a person who is enrolled.

    Raises:
        NotFound: there is none, or not any more.
    """
    found = _find(directory.people, identifier, "person")
    if found.removed:
        raise NotFound(f"person `{identifier}` was removed")
    return found


def credential(directory: Directory, identifier: str) -> Credential:
    """Return a credential that is in use."""
    found = _find(directory.credentials, identifier, "credential")
    if found.removed or found.compromised:
        raise NotFound(f"credential `{identifier}` was removed, or reported compromised")
    return found


def device(directory: Directory, identifier: str) -> Device:
    """Return a device that is enrolled."""
    found = _find(directory.devices, identifier, "device")
    if found.removed:
        raise NotFound(f"device `{identifier}` was removed")
    return found


def workload(directory: Directory, identifier: str) -> Workload:
    """Return a workload that is enrolled."""
    found = _find(directory.workloads, identifier, "workload")
    if found.removed:
        raise NotFound(f"workload `{identifier}` was removed")
    return found


def attester(directory: Directory, identifier: str) -> Attester:
    """Return an attester that is trusted still."""
    found = _find(directory.attesters, identifier, "attester")
    if found.revoked:
        raise NotFound(f"attester `{identifier}` was revoked")
    return found


def zone(directory: Directory, identifier: str) -> Zone:
    """Return a zone."""
    return _find(directory.zones, identifier, "zone")


def model(directory: Directory, identifier: str) -> Model:
    """Return a model."""
    return _find(directory.models, identifier, "model")


def version(directory: Directory, identifier: str) -> Version:
    """Return a version."""
    return _find(directory.versions, identifier, "version")


def grant(directory: Directory, identifier: str) -> Grant:
    """Return a grant that has not ended."""
    return _find(directory.grants, identifier, "grant in force")


def proposal(directory: Directory, identifier: str) -> Proposal:
    """Return a proposal that is open.

    Raises:
        AlreadyDone: it has ended, with how.
        NotFound: there never was one.
    """
    if (how := directory.closed.get(identifier)) is not None:
        raise AlreadyDone(f"proposal `{identifier}` has ended: {how}")
    return _find(directory.proposals, identifier, "proposal")


def check_subject(directory: Directory, identifier: str) -> None:
    """Refuse an identifier of nothing that is enrolled, whatever its kind."""
    match kind_of(identifier):
        case "person":
            person(directory, identifier)
        case "device":
            device(directory, identifier)
        case "workload":
            workload(directory, identifier)
        case "attester":
            attester(directory, identifier)
        case "zone":
            zone(directory, identifier)
        case "model":
            model(directory, identifier)
        case "version":
            version(directory, identifier)
        case other:
            raise NotFound(f"nothing is said of a {other}")


def check_new(things: Mapping[str, object], identifier: str) -> None:
    """Refuse an identifier that was used before, of what is gone as well."""
    if identifier in things:
        raise AlreadyDone(f"the identifier `{identifier}` was used before")


def check_new_key(directory: Directory, public_key: bytes) -> None:
    """Refuse a public key that somebody has, or had."""
    if sha256(public_key) in directory.key_owners:
        raise AlreadyDone("this public key belongs to somebody, for ever", hint="make a new key")

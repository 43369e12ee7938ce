"""Finding things in a directory, and refusing what is not there, is gone, or was there before."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from strongroom.directory import state
from strongroom.terms.digests import sha256
from strongroom.terms.errors import AlreadyDone, NotFound
from strongroom.terms.ids import kind_of

T = TypeVar("T")


def _find(things: Mapping[str, T], identifier: str, what: str) -> T:
    if (found := things.get(identifier)) is None:
        raise NotFound(f"no {what} `{identifier}`", hint="list what there is with `strongroom show`")
    return found


def _present(things: Mapping[str, T], identifier: str, what: str, *gone: str) -> T:
    found = _find(things, identifier, what)
    if any(getattr(found, mark) for mark in gone):
        raise NotFound(f"{what} `{identifier}` is gone: removed, revoked or reported")
    return found


def person(directory: state.Directory, identifier: str) -> state.Person:
    """Return a person who is enrolled.

    Raises:
        NotFound: there is none, or not any more; likewise below.
    """
    return _present(directory.people, identifier, "person", "removed")


def credential(directory: state.Directory, identifier: str) -> state.Credential:
    """Return a credential that is in use."""
    return _present(directory.credentials, identifier, "credential", "removed", "compromised")


def device(directory: state.Directory, identifier: str) -> state.Device:
    """Return a device that is enrolled."""
    return _present(directory.devices, identifier, "device", "removed")


def workload(directory: state.Directory, identifier: str) -> state.Workload:
    """Return a workload that is enrolled."""
    return _present(directory.workloads, identifier, "workload", "removed")


def attester(directory: state.Directory, identifier: str) -> state.Attester:
    """Return an attester that is trusted still."""
    return _present(directory.attesters, identifier, "attester", "revoked")


def zone(directory: state.Directory, identifier: str) -> state.Zone:
    """Return a zone."""
    return _find(directory.zones, identifier, "zone")


def model(directory: state.Directory, identifier: str) -> state.Model:
    """Return a model."""
    return _find(directory.models, identifier, "model")


def version(directory: state.Directory, identifier: str) -> state.Version:
    """Return a version."""
    return _find(directory.versions, identifier, "version")


def grant(directory: state.Directory, identifier: str) -> state.Grant:
    """Return a grant that has not ended."""
    return _find(directory.grants, identifier, "grant in force")


def proposal(directory: state.Directory, identifier: str) -> state.Proposal:
    """Return a proposal that is open.

    Raises:
        AlreadyDone: it has ended, with how.
        NotFound: there never was one.
    """
    if (how := directory.closed.get(identifier)) is not None:
        raise AlreadyDone(f"proposal `{identifier}` has ended: {how}")
    return _find(directory.proposals, identifier, "proposal")


def check_subject(directory: state.Directory, identifier: str) -> None:
    """Refuse an identifier of nothing that is enrolled, whatever its kind."""
    finder = FINDERS.get(kind_of(identifier))
    if finder is None:
        raise NotFound(f"nothing is said of `{identifier}`")
    finder(directory, identifier)


FINDERS: dict[str, Callable[[state.Directory, str], Any]] = {
    one.__name__: one for one in (attester, device, model, person, version, workload, zone)
}
"""By the kind of identifier."""


def check_new(things: Mapping[str, object], identifier: str) -> None:
    """Refuse an identifier that was used before, of what is gone as well."""
    if identifier in things:
        raise AlreadyDone(f"the identifier `{identifier}` was used before")


def check_new_key(directory: state.Directory, public_key: bytes) -> None:
    """Refuse a public key that somebody has, or had."""
    if sha256(public_key) in directory.key_owners:
        raise AlreadyDone("this public key belongs to somebody, for ever", hint="make a new key")

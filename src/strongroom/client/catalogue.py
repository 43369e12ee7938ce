"""The catalogue: which versions a store holds, and what can be known of one, without a key and with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.client.version import fetch_manifest
from strongroom.objects import ObjectInfo, ObjectStore
from strongroom.sealing.places import Name, SealName, parse_manifest_name
from strongroom.terms.errors import StrongroomError
from strongroom.terms.names import VersionName
from strongroom.terms.outer_errors import BadName


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One version as its store shows it. `problem` says why its manifest cannot be read; sizes are then zero."""

    name: Name
    objects: int
    size_bytes: int
    modified_at: float
    recipient: str
    manifest: str
    problem: str | None


def list_versions(store: ObjectStore) -> Iterator[tuple[Name, ObjectInfo]]:
    """Yield every version of the store, in the order of names and numbers; what is named otherwise is no version.

    Those of deployments follow, in the order of their ids. The store does not know which of them a log names.
    """
    found = []
    for info in store.list("m/"):
        try:
            found.append((parse_manifest_name(info.name), info))
        except BadName:
            continue
    yield from sorted(found, key=lambda entry: _order(entry[0]))


def _order(name: Name) -> tuple[bool, str, int, str]:
    match name:
        case VersionName(model=model, number=number):
            return False, model, number, ""
        case SealName(model=model, seal_id=seal_id):
            return True, model, 0, seal_id


def describe_versions(store: ObjectStore) -> Iterator[Listed]:
    """Yield every version with what its public part says."""
    for name, info in list_versions(store):
        try:
            manifest = fetch_manifest(store, name)
        except StrongroomError as error:
            yield Listed(
                name=name,
                objects=0,
                size_bytes=0,
                modified_at=info.modified_at,
                recipient="",
                manifest="",
                problem=error.message,
            )
            continue
        yield Listed(
            name=name,
            objects=len(manifest.public.objects),
            size_bytes=sum(stored.size_bytes for stored in manifest.public.objects),
            modified_at=info.modified_at,
            recipient=manifest.public.recipient,
            manifest=manifest.digest,
            problem=None,
        )

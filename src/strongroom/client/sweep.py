"""Sweep: find and remove what killed or failed seals left behind, and never what somebody may still be writing.

A seal's objects go only if no manifest names the seal, and its mark and all its objects have been still for longer
than the grace, by the store's own clock. Every manifest must be readable: one that is not could name anything.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.client.catalogue import list_versions
from strongroom.client.mark import DEFAULT_GRACE_SECONDS
from strongroom.client.version import fetch_manifest
from strongroom.objects import ObjectInfo, ObjectStore
from strongroom.sealing.places import SealName, manifest_name
from strongroom.terms.errors import NotFound, StoreUnavailable
from strongroom.terms.outer_errors import BadName


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What one seal left. `age_seconds` is since its last sign of life; `removed` whether it was taken away."""

    seal_id: str
    objects: int
    size_bytes: int
    age_seconds: float
    removed: bool


def sweep(
    store: ObjectStore, *, grace_seconds: float = DEFAULT_GRACE_SECONDS, remove: bool = True
) -> tuple[Leftover, ...]:
    """Return what seals left behind, oldest first, and remove what has been still for `grace_seconds`.

    Raises:
        BadName: something among the manifests has another name than they have; nothing was removed.
        ManifestTampered, NotCanonical, UnknownFormat: a manifest of this store cannot be read; nothing was removed.
    """
    # ORDER: leftovers are listed before manifests. A seal that commits in between is then seen to have a manifest.
    candidates = _by_seal(store)
    kept = _sealed(store)
    now = _store_now(store)
    leftovers = []
    for seal_id, infos in candidates.items():
        if seal_id in kept:
            # Committed: only its mark, or a partial file that was never part of it, can be left.
            infos = [info for info in infos if info.is_partial or info.name.startswith("w/")]
            if not infos:
                continue
        age = now - max(info.modified_at for info in infos)
        is_still = age >= grace_seconds
        if is_still and remove:
            # The mark goes last: as long as anything is left, something shows whose it was.
            store.delete(sorted(infos, key=lambda info: info.name.startswith("w/")))
        leftovers.append(
            Leftover(
                seal_id=seal_id,
                objects=len(infos),
                size_bytes=sum(info.size_bytes for info in infos),
                age_seconds=age,
                removed=is_still and remove,
            )
        )
    return tuple(sorted(leftovers, key=lambda leftover: -leftover.age_seconds))


def remove_seal(store: ObjectStore, model_id: str, seal_id: str) -> None:
    """Remove the bytes of one seal of a deployment's model. Its entry in the log stays, and opens nothing any more.

    Raises:
        AccessDenied: whoever this is may not remove from this store; nothing was.
    """
    # ORDER: the manifest first. What a crash then leaves is no version's, and the sweep's.
    name = manifest_name(SealName(model=model_id, seal_id=seal_id))
    store.delete([info for info in store.list(name) if info.name == name])
    store.delete(list(store.list(f"o/{seal_id}/")))


def _by_seal(store: ObjectStore) -> dict[str, list[ObjectInfo]]:
    found: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in _everything(store):
        kind, _, rest = info.name.partition("/")
        if kind in ("o", "w"):
            found[rest.partition("/")[0].partition(".")[0] or "-"].append(info)
        elif info.is_partial:
            found["-"].append(info)
    return found


def _everything(store: ObjectStore) -> Iterator[ObjectInfo]:
    yield from store.list("o/")
    yield from store.list("w/")
    yield from store.list_partial()


def _sealed(store: ObjectStore) -> set[str]:
    kept = set()
    versions = dict(list_versions(store))
    manifests = {info.name for info in versions.values()}
    for info in store.list("m/"):
        if info.name not in manifests:
            raise BadName(
                f"object `{info.name}` stands among the manifests and is none",
                hint="if it is one that somebody renamed, its objects would go: rename it back, or remove it",
            )
    for name in versions:
        try:
            kept.add(fetch_manifest(store, name).public.seal_id)
        except NotFound:
            continue
    return kept


def _store_now(store: ObjectStore) -> float:
    """Return the time by the store's own clock, the one that ages are counted by."""
    probe = f"w/{secrets.token_hex(16)}"
    store.put(probe, b"")
    infos = [info for info in store.list(probe) if info.name == probe]
    if not infos:
        raise StoreUnavailable(f"{store.url} does not show what was just written to it")
    store.delete(infos)
    return infos[0].modified_at

"""Scrub: every stored byte of a version, or of a whole store, held against its manifest. Needs no key.

What it shows is rot and clumsy hands. Somebody who can write to the store can make a manifest that fits what they
changed: only the manifest's digest, or opening it, tells the difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from strongroom.client.catalogue import list_versions
from strongroom.client.threads import Buffers, Progress, default_threads, no_progress, run_jobs
from strongroom.client.version import fetch_manifest
from strongroom.objects import ObjectInfo, ObjectStore
from strongroom.sealing.manifest import Manifest, Public
from strongroom.sealing.places import Name, manifest_name
from strongroom.terms.errors import Malformed, NotFound, Tampered

_STEP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Damage:
    """One damaged place: the object, where in it, how many bytes the check covers, and what is wrong."""

    version: str
    object: str
    offset: int
    length: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What a scrub saw. `stray` are objects that belong to no version: a sweep's business, not damage."""

    versions: int
    objects: int
    size_bytes: int
    damage: tuple[Damage, ...]
    stray: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    public: Public
    number: int
    part: int


def scrub(
    store: ObjectStore,
    names: Iterable[Name] | None = None,
    *,
    digest: str | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
    on_start: Callable[[int], None] = no_progress,
) -> ScrubReport:
    """Check every object of the versions `names`, or of every version in the store.

    With `digest`, the one version's manifest is also the very one that has it.
    """
    damage: list[Damage] = []
    whole_store = names is None
    chosen = [name for name, _ in list_versions(store)] if names is None else list(names)
    manifests = list(_manifests(store, chosen, digest, damage, tolerant=whole_store))
    found = {info.name: info.size_bytes for info in _objects(store, manifests, whole_store)}
    due = {
        manifest.public.object_name(number): (manifest, number, stored.size_bytes)
        for manifest in manifests
        for number, stored in enumerate(manifest.public.objects)
    }
    parts: list[_Part] = []
    for name, (manifest, number, size_bytes) in due.items():
        version = str(manifest.public.name)
        if name not in found:
            damage.append(Damage(version=version, object=name, offset=0, length=size_bytes, what="missing"))
            continue
        if found[name] != size_bytes:
            what = f"{found[name]} bytes where {size_bytes} are due"
            offset = min(found[name], size_bytes)
            damage.append(
                Damage(
                    version=version,
                    object=name,
                    offset=offset,
                    length=abs(found[name] - size_bytes),
                    what=what,
                )
            )
        parts.extend(
            _Part(public=manifest.public, number=number, part=part)
            for part in range(len(manifest.public.objects[number].parts))
        )
    seals = {manifest.public.seal_id: str(manifest.public.name) for manifest in manifests}
    extra = sorted(found.keys() - due.keys())
    for name in extra:
        if (owner := seals.get(name.split("/")[1])) is not None:
            damage.append(Damage(version=owner, object=name, offset=0, length=found[name], what="in no manifest"))
    on_start(sum(stored.size_bytes for manifest in manifests for stored in manifest.public.objects))
    run_jobs(
        parts,
        lambda part, buffers: _check_part(store, part, buffers, damage, progress),
        threads=threads or max(default_threads(), store.parallel_reads),
    )
    return ScrubReport(
        versions=len(chosen),
        objects=len(due),
        size_bytes=sum(size_bytes for _, _, size_bytes in due.values()),
        damage=tuple(sorted(set(damage))),
        stray=sum(name.split("/")[1] not in seals for name in extra),
    )


def _manifests(
    store: ObjectStore,
    names: Iterable[Name],
    digest: str | None,
    damage: list[Damage],
    *,
    tolerant: bool,
) -> Iterator[Manifest]:
    for name in names:
        try:
            yield fetch_manifest(store, name, digest=digest)
        except (Malformed, Tampered) as error:
            if isinstance(error, NotFound) and not tolerant:
                raise
            damage.append(Damage(version=str(name), object=manifest_name(name), offset=0, length=0, what=error.message))


def _objects(store: ObjectStore, manifests: list[Manifest], whole_store: bool) -> Iterator[ObjectInfo]:
    if whole_store:
        yield from store.list("o/")
    else:
        for manifest in manifests:
            yield from store.list(f"o/{manifest.public.seal_id}/")


def _check_part(store: ObjectStore, part: _Part, buffers: Buffers, damage: list[Damage], progress: Progress) -> None:
    name = part.public.object_name(part.number)
    offset, length = part.public.part_range(part.number, part.part)
    digest = hashlib.sha256()
    what = "its digest is wrong"
    try:
        for start in range(offset, offset + length, step := max(_STEP_BYTES, store.read_size_bytes)):
            view = buffers.get("part", min(step, offset + length - start))
            store.read_into(name, start, view)
            digest.update(view)
            progress(len(view))
        if digest.hexdigest() == part.public.objects[part.number].parts[part.part]:
            return
    except (Tampered, NotFound) as error:
        what = error.message
    damage.append(Damage(version=str(part.public.name), object=name, offset=offset, length=length, what=what))

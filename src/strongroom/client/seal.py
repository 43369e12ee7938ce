"""Seal: a folder of model files goes in, a sealed version comes to be in the store.

    find and check sources -> mark -> objects, in parallel -> manifest, if none is there -> done

ORDER: a version exists only when its manifest does, and the manifest is the last thing written. Whatever ends a
seal before that leaves nothing that lists or opens; what it could not take away itself is the sweep's.

Sealing for a deployment is the same, under opaque ids; no two seals of a model can then meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from strongroom.client.file_seal import FileSeal, jobs_of
from strongroom.client.mark import Clock, Mark, boot_seconds
from strongroom.client.sources import find_sources, read_tensor_index
from strongroom.client.threads import Progress, default_threads, no_progress, run_jobs
from strongroom.objects import ObjectStore
from strongroom.sealing import floe
from strongroom.sealing.floe import Random
from strongroom.sealing.keys import DATA_KEY_BYTES, SEAL_ID_BYTES, STANDALONE, Binding, PublicKey
from strongroom.sealing.manifest import (
    LARGEST_MANIFEST_BYTES,
    PART_SEGMENTS,
    Public,
    SealedFile,
    parse_manifest,
    seal_manifest,
)
from strongroom.sealing.places import Name, check_deployment, check_model_id, manifest_name, name_of
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NoSpace, NotFound, StoreUnavailable, StrongroomError
from strongroom.terms.names import VersionName
from strongroom.terms.outer_errors import OutcomeUnknown, VersionExists

_MANIFEST_SLACK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What `seal_version` made. `manifest` is the digest that `open` can insist on."""

    name: VersionName
    manifest: str
    seal_id: str
    files: int
    size_bytes: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedForDeployment:
    """What `seal_for_deployment` made, with all that its registration needs.

    `manifest` and `public_digest` are digests of the manifest and of its public part, `header` the 74 bytes that the
    keep holds the data key in `wrapped_key` against. `tensor_bytes` counts the data of tensors, or where there is no
    safetensors file all bytes.
    """

    deployment: str
    model: str
    generation: int
    seal_id: str
    manifest: str
    public_digest: str
    wrapped_key: bytes
    header: bytes
    files: int
    size_bytes: int
    tensor_bytes: int
    left_out: tuple[str, ...]


class SealOptions(TypedDict, total=False):
    """What both ways of sealing take as well.

    `on_start` is told how many bytes there are, `progress` how many more are done. `include` and `exclude` are
    patterns; `whole_file_digests` also keeps the SHA-256 of each whole file.
    """

    include: Sequence[str]
    exclude: Sequence[str]
    whole_file_digests: bool
    threads: int | None
    segment_bytes: int
    progress: Progress
    on_start: Callable[[int], None]
    random: Random
    now: Clock


def seal_version(
    paths: Sequence[Path], *, name: VersionName, to: PublicKey, store: ObjectStore, **options: Unpack[SealOptions]
) -> Sealed:
    """Seal the files at `paths` as version `name` to the public key `to`, outside any deployment.

    Raises:
        VersionExists: the version is there already, or another writer was faster.
        NoSpace: with how much was needed.
        BadSource, BadPath, SourceChanged, …: naming the file.
    """
    made = _seal(
        *(paths, to, store), deployment=STANDALONE, model=name.model, number=name.number, generation=1, **options
    )
    return Sealed(
        name=name,
        manifest=sha256(made.manifest),
        seal_id=made.seal_id,
        files=len(made.files),
        size_bytes=sum(file.size_bytes for file in made.files),
        left_out=made.left_out,
    )


def seal_for_deployment(
    paths: Sequence[Path],
    *,
    deployment: str,
    model_id: str,
    generation: int,
    to: PublicKey,
    store: ObjectStore,
    **options: Unpack[SealOptions],
) -> SealedForDeployment:
    """Seal the files at `paths` for a deployment's model to `to`, the public key of its `generation`.

    What is in the store then becomes a version when the deployment's log says so.

    Raises:
        BadName: no deployment or model id can be so named.
        NoSpace, BadSource, BadPath, SourceChanged, …: as `seal_version`.
    """
    check_deployment(deployment)
    check_model_id(model_id)
    made = _seal(
        *(paths, to, store), deployment=deployment, model=model_id, number=None, generation=generation, **options
    )
    manifest = parse_manifest(made.manifest)
    return SealedForDeployment(
        deployment=deployment,
        model=model_id,
        generation=generation,
        seal_id=made.seal_id,
        manifest=manifest.digest,
        public_digest=manifest.public.digest(),
        wrapped_key=manifest.public.wrapped_key,
        header=manifest.header,
        files=len(made.files),
        size_bytes=sum(file.size_bytes for file in made.files),
        tensor_bytes=_tensor_bytes(made.files),
        left_out=made.left_out,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    manifest: bytes
    seal_id: str
    files: tuple[SealedFile, ...]
    left_out: tuple[str, ...]


def _seal(
    paths: Sequence[Path],
    to: PublicKey,
    store: ObjectStore,
    *,
    deployment: str,
    model: str,
    number: int | None,
    generation: int,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    whole_file_digests: bool = False,
    threads: int | None = None,
    segment_bytes: int = floe.Parameters().segment_bytes,
    progress: Progress = no_progress,
    on_start: Callable[[int], None] = no_progress,
    random: Random = os.urandom,
    now: Clock = boot_seconds,
) -> _Made:
    found = find_sources(paths, include=include, exclude=exclude)
    indexes = [read_tensor_index(source) for source in found.sources]
    parameters = floe.Parameters(segment_bytes=segment_bytes)
    data_key, seal_id = random(DATA_KEY_BYTES), random(SEAL_ID_BYTES).hex()
    name = name_of(model, number, seal_id)
    seals = [
        FileSeal(store, source, index, position, seal_id, parameters, data_key, random)
        for position, (source, index) in enumerate(zip(found.sources, indexes, strict=True))
    ]
    _check_space(store, sum(parameters.sealed_bytes(source.size_bytes) for source in found.sources))
    width = threads or default_threads()
    is_committing = False
    with Mark(store, seal_id, name, now=now) as mark:
        _check_absent(store, name)
        on_start(sum(source.size_bytes for source in found.sources))
        try:
            run_jobs(
                jobs_of(seals, store.writes_in_any_order, whole_file_digests, width),
                lambda job, buffers: job(buffers, progress),
                threads=width,
            )
            binding = Binding(deployment=deployment, model=model, generation=generation, seal_id=seal_id)
            public = Public(
                deployment=deployment,
                model=model,
                number=number,
                generation=generation,
                seal_id=seal_id,
                recipient=to.digest(),
                wrapped_key=to.wrap(data_key, binding),
                segment_bytes=segment_bytes,
                part_segments=PART_SEGMENTS,
                objects=tuple(seal.stored() for seal in seals),
            )
            files = tuple(seal.sealed() for seal in seals)
            manifest = seal_manifest(public, files, data_key, random=random)
            mark.check()
            is_committing = True
            _commit(store, name, manifest)
        except BaseException as error:
            for seal in seals:
                seal.close()
            # ORDER: the manifest may be there. Taking its objects away could break a version that exists.
            if isinstance(error, OutcomeUnknown):
                raise
            if is_committing and not isinstance(error, StrongroomError):
                raise OutcomeUnknown(f"whether version {name} was made is not known: interrupted") from error
            _remove_objects(store, seal_id)
            raise
    return _Made(manifest=manifest, seal_id=seal_id, files=files, left_out=found.left_out)


def _tensor_bytes(files: Sequence[SealedFile]) -> int:
    """Tensors fill a safetensors file from where their data start to its end."""
    data = [file.size_bytes - file.tensors.data_start for file in files if file.tensors is not None]
    return sum(data or (file.size_bytes for file in files))


def _check_absent(store: ObjectStore, name: Name) -> None:
    """Say so before the work, not after it. The commit decides."""
    manifest = manifest_name(name)
    if any(info.name == manifest for info in store.list(manifest)):
        raise VersionExists(f"version {name} exists in {store.url}")


def _check_space(store: ObjectStore, size_bytes: int) -> None:
    free = store.free_bytes()
    if free is not None and free < size_bytes + _MANIFEST_SLACK_BYTES:
        raise NoSpace(f"the sealed version needs {size_bytes} bytes, {free} are free in {store.url}")


def _commit(store: ObjectStore, name: Name, manifest: bytes) -> None:
    """Make the version exist.

    ORDER: the write may fail, in any way, and have happened all the same, or still happen. What is there afterwards
    decides: another manifest won; ours is written once more, since a failure may have left it undurable; nothing, after
    a failure of the store, may yet become ours, so that nothing is taken away.
    """
    try:
        store.put_new(manifest_name(name), manifest)
        return
    except StrongroomError as error:
        failure = error
    try:
        present = store.read(manifest_name(name), most_bytes=LARGEST_MANIFEST_BYTES)
        if present == manifest:
            store.put(manifest_name(name), manifest)
            return
    except StrongroomError as error:
        if isinstance(error, NotFound) and not isinstance(failure, StoreUnavailable):
            raise failure from error
        raise OutcomeUnknown(f"whether version {name} was made is not known: {failure.message}") from failure
    raise VersionExists(f"version {name} was made by somebody else first") from failure


def _remove_objects(store: ObjectStore, seal_id: str) -> None:
    """Take away what this seal wrote, as far as the store still answers; the sweep does the rest."""
    with suppress(StrongroomError):
        store.delete(list(store.list(f"o/{seal_id}/")))

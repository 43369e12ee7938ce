"""A sealed version, opened for reading: any byte range of any file, straight into memory of the caller.

Reading touches only the segments that hold what is asked for, on several threads; a segment that is wanted
whole is decrypted into its destination without a copy.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from strongroom.client.lease import Lease
from strongroom.client.threads import Buffers, Progress, default_threads, no_progress, run_jobs
from strongroom.objects import ObjectStore
from strongroom.sealing import floe
from strongroom.sealing.keys import FileKeys, Identity, ReleasedKeys
from strongroom.sealing.manifest import (
    LARGEST_MANIFEST_BYTES,
    Contents,
    Manifest,
    SealedFile,
    open_manifest,
    open_with_keys,
    parse_manifest,
)
from strongroom.sealing.places import Name, SealName, manifest_name
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRequest, ManifestTampered, NotFound, NotReleased, ObjectTampered
from strongroom.terms.names import VersionName
from strongroom.terms.outer_errors import NoMemory, ObjectExtra, ObjectMissing, ObjectSize, WrongManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A range of a file and the memory that it goes to: the whole of `into`, from `offset`."""

    path: str
    offset: int
    into: memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Neighbouring segments of one file, fetched with one read; `pieces` are the ranges wanted of each."""

    number: int
    first: int
    pieces: tuple[tuple[Wanted, ...], ...]


class SealedVersion:
    """A version whose manifest is open. Reads from any number of threads at once.

    `files` are those that its keys open, `withheld` those that a release of named files does not include. What the keep
    released has a `lease`, and the `label` that it had then.
    """

    def __init__(
        self,
        store: ObjectStore,
        contents: Contents,
        *,
        threads: int | None = None,
        lease: Lease | None = None,
        label: int = 0,
    ) -> None:
        self.store, self.contents, self.lease, self.label = store, contents, lease, label
        self.manifest = contents.manifest
        self.files: Mapping[str, SealedFile] = {file.path: file for file in contents.released}
        self.withheld: Mapping[str, SealedFile] = {
            file.path: file for file in contents.files if file.path not in self.files
        }
        self.threads = threads or max(default_threads(), store.parallel_reads)
        self.numbers: Mapping[str, int] = {file.path: number for number, file in enumerate(contents.files)}
        self._decryptors: dict[int, floe.Decryptor] = {}
        self._parameters = contents.manifest.public.parameters
        if lease is not None:
            lease.when_ended(self._forget)

    @property
    def name(self) -> Name:
        """The version's name."""
        return self.manifest.public.name

    def file(self, path: str) -> SealedFile:
        """Return what the manifest says of the file at `path`.

        Raises:
            NotFound: the version has no such file.
            NotReleased: it has, and the release does not include it.
        """
        self.check_released([path])
        try:
            return self.files[path]
        except KeyError:
            raise NotFound(
                f"version {self.name} has no file `{path}`", hint="see its files with `strongroom inspect`"
            ) from None

    def close(self) -> None:
        """End the lease from this side, if there is one, and forget the keys with it."""
        if self.lease is not None:
            self.lease.close()

    def _forget(self) -> None:
        self.contents = replace(self.contents, keys=FileKeys(manifest=b"", files={}))
        self._decryptors.clear()

    def check_released(self, paths: Iterable[str]) -> None:
        """Refuse files that the version has and the release does not include.

        Raises:
            NotReleased: naming the first of `paths` that is one.
        """
        for path in paths:
            if path in self.withheld:
                raise NotReleased(f"the release of version {self.name} does not include the file `{path}`")

    def read(self, path: str, offset: int = 0, size_bytes: int | None = None) -> bytes:
        """Return `size_bytes` of the file at `path` from `offset`, or all from there on."""
        file = self.file(path)
        try:
            out = bytearray(file.size_bytes - offset if size_bytes is None else size_bytes)
        except (MemoryError, OverflowError) as error:
            raise NoMemory(f"no memory for `{path}`, which has {file.size_bytes} bytes") from error
        except ValueError as error:
            raise BadRequest(f"bytes from {offset} of `{path}`, which has {file.size_bytes}") from error
        self.read_into([Wanted(path=path, offset=offset, into=memoryview(out))])
        return bytes(out)

    def read_into(
        self,
        wanted: Iterable[Wanted],
        *,
        progress: Progress = no_progress,
        stopped: threading.Event | None = None,
    ) -> None:
        """Fill every range that is wanted. `stopped` as `run_jobs` has it.

        Raises:
            LeaseEnded: the keep lets nothing further be opened.
            ObjectMissing, ObjectSize, ObjectTampered: the store does not hold what was sealed. What was filled until
                then is authentic; the rest is untouched or zero.
        """
        ranges = sorted((self._checked(item) for item in wanted if len(item.into)), key=lambda one: one[:2])
        full = self._parameters.plaintext_bytes
        segments = sum((start + len(item.into) - 1) // full - start // full + 1 for _, start, item in ranges)
        run_jobs(
            self._plan(ranges, share=-(-segments // self.threads)),
            lambda batch, buffers: self._read_batch(batch, buffers, progress),
            threads=min(self.threads, segments),
            stopped=stopped,
        )

    def check_objects(self) -> None:
        """Hold the names and sizes of the stored objects against the manifest, without reading them.

        Raises:
            ObjectMissing, ObjectSize, ObjectExtra: naming the first object that differs.
        """
        public = self.manifest.public
        due = {public.object_name(number): stored.size_bytes for number, stored in enumerate(public.objects)}
        found = {info.name: info.size_bytes for info in self.store.list(f"o/{public.seal_id}/")}
        for name, size_bytes in due.items():
            if name not in found:
                raise ObjectMissing(f"object `{name}` of version {self.name} is missing from the store")
            if found[name] != size_bytes:
                raise ObjectSize(f"object `{name}` has {found[name]} bytes where {size_bytes} are due")
        for name in found.keys() - due.keys():
            raise ObjectExtra(f"object `{name}` is in the store and not in the manifest of version {self.name}")

    def check_header(self, number: int, stored: memoryview) -> None:
        """Hold the stored header of object `number` against the manifest's, which is the one that reads use."""
        if stored != self.contents.files[number].header:
            raise ObjectTampered(
                f"object `{self.manifest.public.object_name(number)}` of version {self.name} at byte 0: another header"
            )

    def decrypt_segment_into(self, number: int, segment: int, sealed: memoryview, out: memoryview) -> None:
        """Open one fetched segment of object `number` into `out`."""
        if (decryptor := self._decryptors.get(number)) is None:
            decryptor = self._decryptors[number] = self.contents.decryptor(number)
        # TRUST: which segment is the last comes from the sealed manifest, never from the size of what is stored.
        is_last = segment == self._parameters.segments(self.contents.files[number].size_bytes) - 1
        try:
            decryptor.decrypt_segment_into(segment, sealed, out, is_last=is_last)
        except ObjectTampered as error:
            raise ObjectTampered(
                f"object `{self.manifest.public.object_name(number)}` of version {self.name} "
                f"at byte {self._parameters.segment_offset(segment)}: {error.message}"
            ) from error

    def fetch(self, number: int, offset: int, into: memoryview) -> None:
        """Fill `into` with stored bytes of object `number`, not yet opened."""
        name = self.manifest.public.object_name(number)
        try:
            self.store.read_into(name, offset, into)
        except NotFound as error:
            raise ObjectMissing(f"object `{name}` of version {self.name} is missing from the store") from error

    def fetch_segments(
        self, number: int, first: int, count: int, buffers: Buffers, *, with_header: bool = False
    ) -> Iterator[tuple[int, memoryview]]:
        """Fetch `count` neighbouring segments of object `number` with one read; yield each with its number, sealed.

        With the header before the first segment, that is held against the manifest as well.
        """
        parameters, size = self._parameters, self.contents.files[number].size_bytes
        start = 0 if with_header else parameters.segment_offset(first)
        stop = min(parameters.segment_offset(first + count), parameters.sealed_bytes(size))
        sealed = buffers.get("sealed", stop - start)
        self.fetch(number, start, sealed)
        # ORDER: after the fetch, which may take long, and before the first byte of it is opened.
        if self.lease is not None:
            self.lease.check(buffers.stopped)
        if with_header:
            self.check_header(number, sealed[: floe.HEADER_BYTES])
            sealed = sealed[floe.HEADER_BYTES :]
        for index in range(count):
            yield first + index, sealed[index * parameters.segment_bytes : (index + 1) * parameters.segment_bytes]

    def _checked(self, item: Wanted) -> tuple[int, int, Wanted]:
        file, end = self.file(item.path), item.offset + len(item.into)
        if item.offset < 0 or end > file.size_bytes:
            raise BadRequest(f"bytes {item.offset} to {end} of `{item.path}`, which has {file.size_bytes}")
        return self.numbers[item.path], item.offset, item

    def _plan(self, ranges: Iterable[tuple[int, int, Wanted]], *, share: int) -> Iterator[Batch]:
        """Join neighbouring segments that hold what is wanted, up to the store's best read, and to a thread's share.

        INVARIANT: a plan is made as it is worked off and never whole, for segments may be as many as a file has bytes.
        """
        most = max(1, min(share, self.store.read_size_bytes // self._parameters.segment_bytes))
        run: list[tuple[Wanted, ...]] = []
        number = first = 0
        for touched in self._touched(ranges):
            if run and (touched[:2] != (number, first + len(run)) or len(run) == most):
                yield Batch(number=number, first=first, pieces=tuple(run))
                run = []
            if not run:
                number, first = touched[:2]
            run.append(touched[2])
        if run:
            yield Batch(number=number, first=first, pieces=tuple(run))

    def _touched(self, ranges: Iterable[tuple[int, int, Wanted]]) -> Iterator[tuple[int, int, tuple[Wanted, ...]]]:
        """Yield file, segment and what is wanted of it, for every segment that is touched, in order."""
        full = self._parameters.plaintext_bytes
        for number, group in groupby(ranges, key=lambda one: one[0]):
            waiting = deque(item for _, _, item in group)
            active: list[Wanted] = []
            segment = 0
            while waiting or active:
                if not active:
                    segment = waiting[0].offset // full
                start, stop = segment * full, (segment + 1) * full
                while waiting and waiting[0].offset < stop:
                    active.append(waiting.popleft())
                yield number, segment, tuple(_piece(item, start, stop) for item in active)
                active = [item for item in active if item.offset + len(item.into) > stop]
                segment += 1

    def _read_batch(self, batch: Batch, buffers: Buffers, progress: Progress) -> None:
        # ORDER: fresh memory is taken, and so cleared by the kernel, before the ciphertext is in the processor's cache.
        for pieces in batch.pieces:
            for piece in pieces:
                piece.into[:1] = b"\0"
        for segment, sealed in self.fetch_segments(batch.number, batch.first, len(batch.pieces), buffers):
            pieces = batch.pieces[segment - batch.first]
            plain_bytes = len(sealed) - floe.SEGMENT_OVERHEAD_BYTES
            if len(pieces) == 1 and len(pieces[0].into) == plain_bytes:
                self.decrypt_segment_into(batch.number, segment, sealed, pieces[0].into)
            else:
                plain = buffers.get("plain", plain_bytes)
                self.decrypt_segment_into(batch.number, segment, sealed, plain)
                for piece in pieces:
                    piece.into[:] = plain[piece.offset : piece.offset + len(piece.into)]
            progress(sum(len(piece.into) for piece in pieces))


def _piece(item: Wanted, start: int, stop: int) -> Wanted:
    """Return the part of `item` in the segment from `start` to `stop`, its offset counted from there."""
    first = max(item.offset, start)
    into = item.into[first - item.offset : min(stop, item.offset + len(item.into)) - item.offset]
    return Wanted(path=item.path, offset=first - start, into=into)


def fetch_manifest(store: ObjectStore, name: Name, *, digest: str | None = None) -> Manifest:
    """Return the manifest of version `name`, checked for form; with `digest`, the very one that has it.

    Raises:
        NotFound: no such version in this store.
        WrongManifest: it has another digest.
        NotCanonical, UnknownFormat, ManifestTampered: it is no manifest of that version.
    """
    try:
        data = store.read(manifest_name(name), most_bytes=LARGEST_MANIFEST_BYTES)
    except NotFound as error:
        raise NotFound(f"no version {name} in {store.url}") from error
    if digest is not None and sha256(data) != digest:
        raise WrongManifest(f"the manifest of version {name} is {sha256(data)}, not {digest}")
    manifest = parse_manifest(data)
    if manifest.public.name != name:
        raise ManifestTampered(f"what is stored as version {name} is the manifest of {manifest.public.name}")
    return manifest


def fetch_deployment_manifest(
    store: ObjectStore, model_id: str, seal_id: str, *, deployment: str, digest: str
) -> Manifest:
    """Return the manifest of one seal of a deployment's model: the very one whose `digest` the log holds.

    Raises:
        NotFound: no such seal in this store.
        WrongManifest: it has another digest.
        ManifestTampered: whoever registered that digest sealed for another deployment or model, or another seal.
        NotCanonical, UnknownFormat: it is no manifest.
    """
    manifest = fetch_manifest(store, SealName(model=model_id, seal_id=seal_id), digest=digest)
    if manifest.public.deployment != deployment:
        raise ManifestTampered(f"version {manifest.public.name} is of {manifest.public.deployment}, not {deployment}")
    return manifest


def open_sealed(
    store: ObjectStore,
    name: VersionName,
    identity: Identity,
    *,
    digest: str | None = None,
    threads: int | None = None,
) -> SealedVersion:
    """Return version `name`, its manifest opened by `identity` and its objects all there.

    Without `digest` the writer is not verified: whoever has the public key can make a version.
    """
    return _open(store, open_manifest(fetch_manifest(store, name, digest=digest), identity), threads)


def open_released(
    store: ObjectStore,
    manifest: Manifest,
    keys: ReleasedKeys,
    *,
    threads: int | None = None,
    lease: Lease | None = None,
    label: int = 0,
) -> SealedVersion:
    """Return the version of `manifest`, opened by keys that the keep released, and its objects all there.

    Its bytes are opened for as long as `lease` lasts.

    With keys of named files it has those files alone; all others are refused with `NotReleased`.

    TRUST: `manifest` comes from `fetch_deployment_manifest`, which has held it against the digest in the log.
    """
    return _open(store, open_with_keys(manifest, keys), threads, lease, label)


def _open(
    store: ObjectStore, contents: Contents, threads: int | None, lease: Lease | None = None, label: int = 0
) -> SealedVersion:
    version = SealedVersion(store, contents, threads=threads, lease=lease, label=label)
    version.check_objects()
    return version

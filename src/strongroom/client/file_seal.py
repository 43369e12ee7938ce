"""File seal: one file on its way to its object, part by part, and the jobs that a version's files make for threads.

Each part is read once: digested, encrypted, digested again and written, a segment at a time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from strongroom.client.sources import Source, SourceReader
from strongroom.client.threads import Buffers, Progress
from strongroom.objects import ObjectStore, ObjectWriter
from strongroom.sealing import floe
from strongroom.sealing.floe import Random
from strongroom.sealing.keys import file_key
from strongroom.sealing.manifest import PART_SEGMENTS, SealedFile, StoredObject
from strongroom.sealing.places import object_name
from strongroom.sealing.tensors import TensorIndex


class FileSeal:
    """One file on its way to its object, part by part, from any number of threads."""

    def __init__(
        self,
        store: ObjectStore,
        source: Source,
        index: TensorIndex | None,
        number: int,
        seal_id: str,
        parameters: floe.Parameters,
        data_key: bytes,
        random: Random,
    ) -> None:
        key = file_key(data_key, seal_id, source.path)
        self.source = source
        self._store = store
        self._index = index
        self._object = object_name(seal_id, number)
        self._parameters = parameters
        self._random = random
        self._encryptor = floe.Encryptor(parameters, key.key, key.aad, random(floe.IV_BYTES))
        self._segments = parameters.segments(source.size_bytes)
        self.parts = -(-self._segments // PART_SEGMENTS)
        self._plain_digests = [""] * self.parts
        self._sealed_digests = [""] * self.parts
        self._whole_digest: str | None = None
        self._left = self.parts
        self._lock = threading.Lock()
        self._reader: SourceReader | None = None
        self._writer: ObjectWriter | None = None

    def seal_part(self, part: int, buffers: Buffers, progress: Progress) -> None:
        """Encrypt one part, writing and digesting it segment by segment while it is in the processor's cache."""
        reader, writer = self._opened()
        plain_digest, sealed_digest = hashlib.sha256(), hashlib.sha256()
        parameters, size = self._parameters, self.source.size_bytes
        if part == 0:
            writer.write_at(0, memoryview(self._encryptor.header))
            sealed_digest.update(self._encryptor.header)
        for number in range(part * PART_SEGMENTS, min((part + 1) * PART_SEGMENTS, self._segments)):
            start = number * parameters.plaintext_bytes
            plain = buffers.get("plain", min(parameters.plaintext_bytes, size - start))
            reader.read_into(start, plain)
            plain_digest.update(plain)
            out = buffers.get("sealed", len(plain) + floe.SEGMENT_OVERHEAD_BYTES)
            self._encryptor.encrypt_segment_into(
                number,
                plain,
                out,
                iv=self._random(floe.SEGMENT_IV_BYTES),
                is_last=number == self._segments - 1,
            )
            sealed_digest.update(out)
            writer.write_at(parameters.segment_offset(number), out)
            progress(len(plain))
        self._plain_digests[part] = plain_digest.hexdigest()
        self._sealed_digests[part] = sealed_digest.hexdigest()
        self._part_done(reader, writer)

    def digest_whole(self, buffers: Buffers) -> None:
        """Digest the whole file once more, in one piece, for who wants the digest that others publish."""
        digest = hashlib.sha256()
        reader = SourceReader(self.source)
        try:
            step = self._parameters.segment_bytes
            for start in range(0, self.source.size_bytes, step):
                plain = buffers.get("plain", min(step, self.source.size_bytes - start))
                reader.read_into(start, plain)
                digest.update(plain)
            reader.check_unchanged()
        finally:
            reader.close()
        self._whole_digest = digest.hexdigest()

    def stored(self) -> StoredObject:
        """Return the object for the manifest's public part."""
        size_bytes = self._parameters.sealed_bytes(self.source.size_bytes)
        return StoredObject(size_bytes=size_bytes, parts=tuple(self._sealed_digests))

    def sealed(self) -> SealedFile:
        """Return the file for the manifest's sealed part."""
        return SealedFile(
            path=self.source.path,
            size_bytes=self.source.size_bytes,
            header=self._encryptor.header,
            parts=tuple(self._plain_digests),
            sha256=self._whole_digest,
            tensors=self._index,
        )

    def close(self) -> None:
        """Let go of the source, and of an object that was not finished."""
        with self._lock:
            reader, self._reader = self._reader, None
            writer, self._writer = self._writer, None
        if reader is not None:
            reader.close()
        if writer is not None:
            writer.abort()

    def _opened(self) -> tuple[SourceReader, ObjectWriter]:
        with self._lock:
            if self._reader is None:
                self._reader = SourceReader(self.source)
            if self._writer is None:
                size_bytes = self._parameters.sealed_bytes(self.source.size_bytes)
                self._writer = self._store.create(self._object, size_bytes=size_bytes)
            return self._reader, self._writer

    def _part_done(self, reader: SourceReader, writer: ObjectWriter) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        reader.check_unchanged()
        writer.finish()
        with self._lock:
            self._writer = None
        self.close()


Job = Callable[[Buffers, Progress], None]
"""A piece of the work, for one thread, with buffers of its own."""


def jobs_of(seals: Sequence[FileSeal], in_any_order: bool, whole_file_digests: bool, width: int) -> Iterator[Job]:
    """Yield the work, files side by side: two writers of one file would wait for each other in the kernel."""
    if whole_file_digests:
        for seal in seals:
            yield _whole_job(seal)
    for first in range(0, len(seals), width):
        group = seals[first : first + width]
        if in_any_order:
            for parts in zip_longest(*[range(seal.parts) for seal in group]):
                for seal, part in zip(group, parts, strict=True):
                    if part is not None:
                        yield _part_job(seal, [part])
        else:
            for seal in group:
                yield _part_job(seal, range(seal.parts))


def _part_job(seal: FileSeal, parts: Sequence[int]) -> Job:
    def job(buffers: Buffers, progress: Progress) -> None:
        for part in parts:
            seal.seal_part(part, buffers, progress)

    return job


def _whole_job(seal: FileSeal) -> Job:
    return lambda buffers, _: seal.digest_whole(buffers)

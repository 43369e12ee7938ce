"""A reader that takes segment after segment and looks at sizes only as it goes: it releases as much as any may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from strongroom.sealing.floe import HEADER_BYTES, SEGMENT_OVERHEAD_BYTES, Decryptor
from strongroom.sealing.manifest import Contents
from strongroom.terms.errors import ObjectTampered
from strongroom.terms.outer_errors import ObjectMissing, ObjectSize


def read_message(decryptor: Decryptor, stored: bytes, size_bytes: int, segments: int) -> Iterator[bytes]:
    """Yield the plaintext of each segment of a message that is known to hold `size_bytes` in `segments`."""
    full = decryptor.parameters.plaintext_bytes
    for number in range(segments):
        is_last = number == segments - 1
        plain = bytearray(size_bytes - full * number if is_last else full)
        start = decryptor.parameters.segment_offset(number)
        segment = stored[start : start + len(plain) + SEGMENT_OVERHEAD_BYTES]
        if len(segment) != len(plain) + SEGMENT_OVERHEAD_BYTES:
            raise ObjectSize(f"segment {number} has {len(segment)} bytes")
        try:
            decryptor.decrypt_segment_into(number, memoryview(segment), memoryview(plain), is_last=is_last)
        except ObjectTampered:
            assert not any(plain), "what did not authenticate stayed in memory"
            raise
        yield bytes(plain)
    if len(stored) != HEADER_BYTES + size_bytes + SEGMENT_OVERHEAD_BYTES * segments:
        raise ObjectSize("something follows the last segment")


def read_version(
    contents: Contents, objects: Mapping[str, bytes], paths: Sequence[str] | None = None
) -> Iterator[bytes]:
    """Yield the plaintext of each segment of each file of a version, in the order of the manifest or of `paths`."""
    public = contents.manifest.public
    numbers = {file.path: number for number, file in enumerate(contents.files)}
    for number in numbers.values() if paths is None else [numbers[path] for path in paths]:
        file = contents.files[number]
        if (stored := objects.get(public.object_name(number))) is None:
            raise ObjectMissing(f"object {number} is missing")
        if len(stored) < HEADER_BYTES:
            raise ObjectSize("no header")
        if stored[:HEADER_BYTES] != file.header:
            raise ObjectTampered("another header")
        segments = public.parameters.segments(file.size_bytes)
        yield from read_message(contents.decryptor(number), stored, file.size_bytes, segments)

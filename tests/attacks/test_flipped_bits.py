"""One bit is flipped in every byte that a version stores: it does not open, and a scrub says where."""

from __future__ import annotations

import pytest

from strongroom.client.scrub import scrub
from strongroom.objects import open_store
from strongroom.sealing.places import manifest_name
from strongroom.terms.errors import Malformed, ObjectTampered, Tampered
from tests.attacks.versions import ATLAS_1, Files, objects, opened, overwrite, seal, stored

# As small as can be, so that every byte can be tried: segments of 32 bytes of plaintext; an empty file, a full
# segment, and one that starts a third.
TINY: Files = {"empty": b"", "full": bytes(range(32)), "long": bytes(range(65))}
SEGMENT_BYTES = 64
SAMPLES_ON_S3 = 30


def bits(size_bytes: int, count: int | None) -> list[tuple[int, int]]:
    """Return a bit to flip in each byte, or in `count` of them."""
    step = 1 if count is None else max(1, size_bytes // count)
    return [(at, at * 5 % 8) for at in range(0, size_bytes, step)]


@pytest.fixture
def count(store_url: str) -> int | None:
    return None if store_url.startswith("file:") else SAMPLES_ON_S3


def test_a_flipped_bit_in_an_object_does_not_open_and_a_scrub_names_it(store_url: str, count: int | None) -> None:
    store = open_store(store_url)
    sealed = seal(store, TINY, segment_bytes=SEGMENT_BYTES)
    names = objects(store, sealed)
    assert len(names) == len(TINY)
    tried = 0
    for name, content in stored(store).items():
        if name not in names:
            continue
        for at, bit in bits(len(content), count and count // len(names)):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            overwrite(store, name, bytes(changed))
            with pytest.raises(ObjectTampered, match=f"object `{name}`"):
                opened(store)
            report = scrub(store, [ATLAS_1], threads=1)
            assert [(found.object, found.offset, found.length) for found in report.damage] == [(name, 0, len(content))]
            tried += 1
        overwrite(store, name, content)
    assert tried >= (count or 400) - 2
    assert opened(store) == TINY
    assert scrub(store).damage == ()


def test_a_flipped_bit_in_a_manifest_does_not_open_and_a_scrub_names_it(store_url: str, count: int | None) -> None:
    store = open_store(store_url)
    seal(store, {"full": TINY["full"]})
    name = manifest_name(ATLAS_1)
    content = stored(store)[name]
    flips = bits(len(content), count)
    for at, bit in flips:
        changed = bytearray(content)
        changed[at] ^= 1 << bit
        overwrite(store, name, bytes(changed))
        with pytest.raises((Tampered, Malformed)):
            opened(store)
        assert [found.object for found in scrub(store, [ATLAS_1], threads=1).damage] == [name]
    assert len(flips) >= (count or 2_000)
    overwrite(store, name, content)
    assert opened(store) == {"full": TINY["full"]}


def test_no_manifest_with_a_flipped_bit_is_the_one_that_was_pinned(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = open_store(tmp_path_factory.mktemp("store").as_uri())
    sealed = seal(store, TINY, segment_bytes=SEGMENT_BYTES)
    name = manifest_name(ATLAS_1)
    content = stored(store)[name]
    for at, bit in bits(len(content), 50):
        changed = bytearray(content)
        changed[at] ^= 1 << bit
        overwrite(store, name, bytes(changed))
        with pytest.raises(Tampered, match=sealed.manifest):
            opened(store, digest=sealed.manifest)


@pytest.mark.parametrize("change", [-1, 1, -40, 4096], ids="{:+d} bytes".format)
def test_a_manifest_of_another_length_does_not_open(store_url: str, change: int) -> None:
    store = open_store(store_url)
    seal(store, TINY, segment_bytes=SEGMENT_BYTES)
    name = manifest_name(ATLAS_1)
    content = stored(store)[name]
    overwrite(store, name, content[:change] if change < 0 else content + b"\n" * change)
    with pytest.raises((Tampered, Malformed)):
        opened(store)
    assert [found.object for found in scrub(store).damage] == [name]

"""Attacks on the objects of a version, by somebody who can write to the store: none of them opens.

Each is tried through the command, as a process, and through the library.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.client.scrub import Damage, scrub
from strongroom.client.seal import Sealed
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing import floe
from strongroom.terms.errors import NotFound, ObjectTampered, StoreUnavailable, StrongroomError, Tampered
from strongroom.terms.outer_errors import ObjectExtra, ObjectMissing, ObjectSize
from tests.attacks.versions import ATLAS_1, ATLAS_2, OWNER, objects, opened, overwrite, remove, seal, stored, write_key
from tests.cli.command import check_refused, done, run, run_inside

# Two files of one size, so that their objects can be swapped without a change of sizes.
FILES = {"a.bin": b"a" * 9_000, "b.bin": b"b" * 9_000}
SEGMENT = 4096
SIZE = floe.Parameters(segment_bytes=SEGMENT).sealed_bytes(9_000)

Attack = Callable[[ObjectStore, Sealed, Sealed], list[Damage]]


def damage(name: str, offset: int, length: int, what: str, version: str = str(ATLAS_1)) -> Damage:
    return Damage(version=version, object=name, offset=offset, length=length, what=what)


def missing(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = objects(store, first)[1]
    remove(store, name)
    return [damage(name, 0, SIZE, "missing")]


def all_missing(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    names = objects(store, first)
    remove(store, *names)
    return [damage(name, 0, SIZE, "missing") for name in names]


def extra(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = f"o/{first.seal_id}/2"
    overwrite(store, name, b"planted")
    return [damage(name, 0, 7, "in no manifest")]


def truncated(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = objects(store, first)[0]
    overwrite(store, name, stored(store)[name][:-5])
    return [
        damage(name, 0, SIZE, ""),
        damage(name, SIZE - 5, 5, f"{SIZE - 5} bytes where {SIZE} are due"),
    ]


def emptied(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = objects(store, first)[0]
    overwrite(store, name, b"")
    return [damage(name, 0, SIZE, ""), damage(name, 0, SIZE, "")]


def extended(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = objects(store, first)[0]
    overwrite(store, name, stored(store)[name] + b"tail")
    return [damage(name, SIZE, 4, f"{SIZE + 4} bytes where {SIZE} are due")]


def cut_at_a_segment(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = objects(store, first)[0]
    cut = floe.HEADER_BYTES + SEGMENT
    overwrite(store, name, stored(store)[name][:cut])
    return [
        damage(name, 0, SIZE, ""),
        damage(name, cut, SIZE - cut, f"{cut} bytes where {SIZE} are due"),
    ]


def swapped_within(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    one, other = objects(store, first)
    content = stored(store)
    overwrite(store, one, content[other])
    overwrite(store, other, content[one])
    return [damage(name, 0, SIZE, "its digest is wrong") for name in (one, other)]


def swapped_between(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    one, other = objects(store, first)[0], objects(store, second)[0]
    content = stored(store)
    overwrite(store, one, content[other])
    overwrite(store, other, content[one])
    return [
        damage(one, 0, SIZE, "its digest is wrong"),
        damage(other, 0, SIZE, "its digest is wrong", str(ATLAS_2)),
    ]


def old_ones_put_back(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    content = stored(store)
    for number in range(2):
        overwrite(store, f"o/{first.seal_id}/{number}", content[f"o/{second.seal_id}/{number}"])
    return [damage(f"o/{first.seal_id}/{number}", 0, SIZE, "its digest is wrong") for number in range(2)]


def segments_swapped(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    name = objects(store, first)[0]
    content = stored(store)[name]
    start = floe.HEADER_BYTES
    header, one, two, rest = (
        content[:start],
        content[start : start + SEGMENT],
        content[start + SEGMENT : start + 2 * SEGMENT],
        content[start + 2 * SEGMENT :],
    )
    overwrite(store, name, header + two + one + rest)
    return [damage(name, 0, SIZE, "its digest is wrong")]


def header_of_another(store: ObjectStore, first: Sealed, second: Sealed) -> list[Damage]:
    one, other = objects(store, first)
    content = stored(store)
    overwrite(store, one, content[other][: floe.HEADER_BYTES] + content[one][floe.HEADER_BYTES :])
    return [damage(one, 0, SIZE, "its digest is wrong")]


ATTACKS: list[tuple[Attack, type[Tampered]]] = [
    (missing, ObjectMissing),
    (all_missing, ObjectMissing),
    (extra, ObjectExtra),
    (truncated, ObjectSize),
    (emptied, ObjectSize),
    (extended, ObjectSize),
    (cut_at_a_segment, ObjectSize),
    (swapped_within, ObjectTampered),
    (swapped_between, ObjectTampered),
    (old_ones_put_back, ObjectTampered),
    (segments_swapped, ObjectTampered),
    (header_of_another, ObjectTampered),
]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "identity.key", OWNER)


@pytest.mark.parametrize(("attack", "error"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_a_version_with_attacked_objects_does_not_open(
    store_url: str, tmp_path: Path, key: Path, attack: Attack, error: type[StrongroomError]
) -> None:
    store = open_store(store_url)
    first = seal(store, FILES, segment_bytes=SEGMENT)
    second = seal(store, FILES, name=ATLAS_2, segment_bytes=SEGMENT)
    assert opened(store) == FILES
    assert scrub(store).damage == ()
    expected = attack(store, first, second)

    # whoever opens it is told, with or without the manifest pinned, and has nothing on disk
    with pytest.raises(error, match=f"`{expected[0].object}`"):
        opened(store)
    to = tmp_path / "place" / "opened"
    opening = ("open", ATLAS_1, "--identity", key, "--store", store_url, "--to", to, "--json")
    command = run if store_url.startswith("file:") else run_inside
    check_refused(command(*opening, "--manifest", first.manifest), error)
    assert list(to.parent.glob("*")) == []

    # a scrub names what is damaged, and where; of the version alone and of the whole store
    for names in ([ATLAS_1, ATLAS_2], None):
        found = scrub(store, names).damage
        for one, due in zip(found, sorted(expected), strict=True):
            assert (one.version, one.object, one.offset) == (due.version, due.object, due.offset)
            assert one.length == due.length
            assert due.what in one.what
    # what was not attacked opens as before
    if all(one.version == str(ATLAS_1) for one in expected):
        assert opened(store, name=ATLAS_2) == FILES
        assert scrub(store, [ATLAS_2]).damage == ()


def test_a_scrub_by_command_names_the_damage_and_fails(store_url: str) -> None:
    store = open_store(store_url)
    first = seal(store, FILES, segment_bytes=SEGMENT)
    done("scrub", "--store", store_url)
    missing_one = objects(store, first)[1]
    remove(store, missing_one)
    outcome = run("scrub", ATLAS_1, "--store", store_url, "--json")
    assert outcome.code == Tampered.exit_code
    (shown,) = outcome.json()["damage"]
    assert shown == {
        "version": str(ATLAS_1),
        "object": missing_one,
        "offset": 0,
        "length": SIZE,
        "what": "missing",
    }
    assert outcome.json()["error"]["family"] == "Tampered"
    in_words = run("scrub", "--store", store_url)
    assert in_words.code == Tampered.exit_code
    assert f"damaged: {ATLAS_1}: `{missing_one}` at byte 0, {SIZE} bytes: missing" in in_words.out
    line, hint = in_words.err.splitlines()
    assert line.startswith("strongroom: tampered: ")
    assert hint.startswith("  hint: ")


def test_damage_is_placed_to_the_part_of_an_object(store_url: str) -> None:
    """A part is 64 segments: a scrub says which, and an opening says which segment."""
    store = open_store(store_url)
    segment = 64
    sealed = seal(store, {"weights.bin": bytes(5_000)}, segment_bytes=segment)
    (name,) = objects(store, sealed)
    part = floe.HEADER_BYTES + 64 * segment
    content = bytearray(stored(store)[name])
    content[part + 3 * segment + 20] ^= 1
    overwrite(store, name, bytes(content))
    found = scrub(store).damage
    assert [(one.object, one.offset, one.length) for one in found] == [(name, part, 64 * segment)]
    with pytest.raises(ObjectTampered, match=f"`{name}` .* at byte {part + 3 * segment}:"):
        opened(store)


def test_the_wrong_store_is_told_from_a_damaged_one(store_url: str, tmp_path: Path, key: Path) -> None:
    seal(open_store(store_url))
    other = tmp_path / "other"
    other.mkdir()
    opening = ("open", ATLAS_1, "--identity", key, "--to", tmp_path / "opened", "--json")
    check_refused(run(*opening, "--store", other.as_uri()), NotFound)
    check_refused(run(*opening, "--store", (tmp_path / "none").as_uri()), StoreUnavailable)
    if store_url.startswith("s3:"):
        check_refused(run(*opening, "--store", f"{store_url}/elsewhere"), NotFound)
    assert not (tmp_path / "opened").exists()

"""Tiles lie where c2sp.org/tlog-tiles says, hold what it says, and a path has one form."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.errors import BadNote, BadRequest
from strongroom.tlog.tiles import TilePath, encode_bundle, parse_bundle, parse_tile_path, tile, tile_paths
from strongroom.tlog.tree import Tree, leaf_hash
from tests.tlog import reference

ENTRIES = [number.to_bytes(4, "big") for number in range(66_000)]
TREE = Tree(map(leaf_hash, ENTRIES))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tile/0/x001/x234/067", TilePath(level=0, number=1234067)),
        ("tile/0/000", TilePath(level=0, number=0)),
        ("tile/0/999", TilePath(level=0, number=999)),
        ("tile/0/x001/000", TilePath(level=0, number=1000)),
        ("tile/63/005.p/255", TilePath(level=63, number=5, width=255)),
        ("tile/entries/x123/456.p/1", TilePath(level=None, number=123456, width=1)),
    ],
)
def test_paths(text: str, path: TilePath) -> None:
    assert parse_tile_path(text) == path
    assert str(path) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "checkpoint",
        "tile/0/5",
        "tile/0/0005",
        "tile/00/005",
        "tile/-1/005",
        "tile/64/005",
        "tile/0/x000/005",
        "tile/0/x005",
        "tile/0/001/234",
        "tile/0/x1/234",
        "tile/0/005.p/0",
        "tile/0/005.p/01",
        "tile/0/005.p/256",
        "tile/0/005.p/999",
        "tile/0/005.p/",
        "tile/0/005\n",
        "tile/0/005/",
        "/tile/0/005",
        "tile/0/../005",
        "tile/0/٠٠٥",
        "tile/data/005",
        "tile/0/" + "x001/" * 7 + "005",
    ],
)
def test_this_is_no_tile_path(text: str) -> None:
    with pytest.raises(BadNote):
        parse_tile_path(text)


def test_the_tiles_of_the_specification_s_example() -> None:
    paths = list(tile_paths(70_000))
    hashes = [path for path in paths if path.level is not None]
    assert Counter((path.level, path.width) for path in hashes) == {
        (0, 256): 273,
        (0, 112): 1,
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
    }
    entries = [path for path in paths if path.level is None]
    assert [(path.number, path.width) for path in entries] == [(p.number, p.width) for p in hashes if p.level == 0]


@pytest.mark.parametrize(
    ("size", "texts"),
    [
        (0, []),
        (1, ["tile/0/000.p/1", "tile/entries/000.p/1"]),
        (256, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]),
    ],
)
def test_the_tiles_of_small_logs(size: int, texts: list[str]) -> None:
    assert list(map(str, tile_paths(size))) == texts


def test_tiles_hold_the_hashes_of_the_tree() -> None:
    width = len(ENTRIES) // 256 - 256
    assert tile(TREE, TilePath(level=0, number=7)) == b"".join(map(leaf_hash, ENTRIES[7 * 256 : 8 * 256]))
    assert tile(TREE, TilePath(level=1, number=1, width=width)) == b"".join(
        reference.mth(ENTRIES[number * 256 : number * 256 + 256]) for number in range(256, 256 + width)
    )
    assert tile(TREE, TilePath(level=2, number=0, width=1)) == reference.mth(ENTRIES[:65536])


def test_every_tile_of_a_log_is_there_and_whole() -> None:
    for path in tile_paths(TREE.size):
        if path.level is not None:
            assert len(tile(TREE, path)) == 32 * path.width


@pytest.mark.parametrize(
    "path",
    [
        TilePath(level=0, number=257),
        TilePath(level=0, number=257, width=209),
        TilePath(level=2, number=0, width=2),
        TilePath(level=63, number=0, width=1),
    ],
)
def test_a_tile_that_the_tree_does_not_have_yet(path: TilePath) -> None:
    with pytest.raises(BadRequest, match="no subtrees"):
        tile(TREE, path)


def test_a_tree_has_no_entries() -> None:
    with pytest.raises(BadRequest, match="does not hold"):
        tile(TREE, TilePath(level=None, number=0))


# --- bundles -----------------------------------------------------------------------------------


def test_a_bundle_is_entries_behind_their_lengths() -> None:
    entries = (b"", b"a", bytes(65535))
    data = encode_bundle(entries)
    assert data == b"\0\0" + b"\0\x01a" + b"\xff\xff" + bytes(65535)
    assert parse_bundle(data, 3) == entries


def test_an_entry_that_is_too_long_is_refused_with_its_length() -> None:
    with pytest.raises(BadRequest, match="65536 bytes: the log takes 65535"):
        encode_bundle([bytes(65536)])


@pytest.mark.parametrize("count", [0, 257])
def test_a_bundle_holds_1_to_256_entries(count: int) -> None:
    with pytest.raises(BadRequest, match="instead of 1 to 256"):
        encode_bundle([b"a"] * count)


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\0", 1),
        (b"\0\0\0", 1),
        (b"\0\0\0", 2),
        (b"\0\x01", 1),
        (b"\0\x02a", 1),
        (b"\0\x01a", 2),
        (b"\0\x01a", 0),
        (b"\0\x01a\0\x01b", 1),
        (b"\0\x01a\0\x01b", 3),
    ],
)
def test_this_is_no_bundle_of_that_width(data: bytes, width: int) -> None:
    with pytest.raises(BadNote):
        parse_bundle(data, width)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=256), st.data())
def test_a_bundle_has_one_form(entries: list[bytes], data: st.DataObject) -> None:
    encoded = encode_bundle(entries)
    assert list(parse_bundle(encoded, len(entries))) == entries
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(BadNote):
        parse_bundle(encoded[:cut], len(entries))


@given(st.binary(max_size=100), st.integers(1, 8))
def test_any_bytes_are_a_bundle_in_its_one_form_or_our_error(data: bytes, width: int) -> None:
    try:
        entries = parse_bundle(data, width)
    except BadNote:
        return
    assert encode_bundle(entries) == data


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(["tile/", "0", "12", "entries", "/", "x001", "x000/", "/067", "005", ".p/", "255", "256"]),
        max_size=8,
    ).map("".join)
)
def test_any_text_is_a_tile_path_in_its_one_form_or_our_error(text: str) -> None:
    try:
        path = parse_tile_path(text)
    except BadNote:
        return
    assert str(path) == text


@given(st.none() | st.integers(0, 63), st.integers(0, 10**18), st.integers(1, 256))
def test_every_path_is_read_back(level: int | None, number: int, width: int) -> None:
    path = TilePath(level=level, number=number, width=width)
    assert parse_tile_path(str(path)) == path

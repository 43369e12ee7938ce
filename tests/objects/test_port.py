"""What every store must do, held against each real one: the same tests, the same answers."""

from __future__ import annotations

import gc
import hashlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from strongroom.objects import ObjectInfo, ObjectStore, open_store
from strongroom.objects.port import LONGEST_NAME, check_prefix, is_name
from strongroom.terms.errors import BadRequest, NotFound, StrongroomError
from strongroom.terms.outer_errors import ObjectSize, VersionExists

MIB = 1 << 20
# More than two parts of a multipart upload, and no round number.
LARGE_BYTES = 20 * MIB + 12_345

NO_NAMES = [
    "",
    "/",
    "/x",
    "//x",
    "x/",
    "a//b",
    ".",
    "..",
    "../x",
    "a/..",
    "a/../x",
    "a/../../x",
    "./x",
    "a/./b",
    ".hidden",
    "a/.0123456789abcdef0123456789abcdef.partial",
    "x\0",
    "a\0/../x",
    "a\nb",
    "a\n",
    "a b",
    "a\\b",
    "a%2Fb",
    "a%2e%2e",
    "ü",
    "a\N{DIVISION SLASH}b",
    "\udcff",
    "x" * 201,
    "/".join(["x" * 100] * 8) + "y" * 100,
]

IN_ONE_STORE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def store(store_url: str) -> ObjectStore:
    return open_store(store_url)


def noise(size_bytes: int, *, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def write(store: ObjectStore, name: str, data: bytes, *, piece_bytes: int = MIB) -> None:
    """Write `data` from one buffer that is used again and again, in the wildest order that the store takes."""
    writer = store.create(name, size_bytes=len(data))
    offsets = list(range(0, len(data), piece_bytes))
    buffer = memoryview(bytearray(piece_bytes))

    def write_piece(offset: int, buffer: memoryview) -> None:
        piece = data[offset : offset + piece_bytes]
        buffer[: len(piece)] = piece
        writer.write_at(offset, buffer[: len(piece)])

    if store.writes_in_any_order:
        random.Random(2).shuffle(offsets)
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(write_piece, at, memoryview(bytearray(piece_bytes))) for at in offsets]:
                done.result()
    else:
        for offset in offsets:
            write_piece(offset, buffer)
    writer.finish()


def read(store: ObjectStore, name: str, offset: int, size_bytes: int) -> bytes:
    out = bytearray(size_bytes)
    store.read_into(name, offset, memoryview(out))
    return bytes(out)


def names(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.name for info in store.list(prefix)]


def assert_empty(store: ObjectStore) -> None:
    assert list(store.list("")) == []
    assert list(store.list_partial()) == []


# --- reading back ------------------------------------------------------------------------------


def test_a_large_object_comes_back_whole_though_its_pieces_shared_one_buffer(store: ObjectStore) -> None:
    data = noise(LARGE_BYTES)
    write(store, "o/large", data)
    back = bytearray(len(data))
    step = store.read_size_bytes

    def read_piece(offset: int) -> None:
        store.read_into("o/large", offset, memoryview(back)[offset : offset + step])

    with ThreadPoolExecutor(store.parallel_reads) as threads:
        list(threads.map(read_piece, range(0, len(data), step)))
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
    assert [(info.name, info.size_bytes) for info in store.list("o/")] == [("o/large", LARGE_BYTES)]


def test_any_range_reads_exactly_its_bytes(store: ObjectStore) -> None:
    data = noise(70_001)
    write(store, "o/x", data, piece_bytes=997)

    @IN_ONE_STORE
    @given(st.integers(0, 70_001), st.integers(0, 70_001))
    @example(0, 70_001)
    @example(70_000, 70_001)
    @example(70_001, 70_001)
    def check(one: int, other: int) -> None:
        start, stop = sorted((one, other))
        assert read(store, "o/x", start, stop - start) == data[start:stop]

    check()


def test_only_the_view_that_was_given_is_written_to(store: ObjectStore) -> None:
    store.put("x", b"0123456789")
    out = bytearray(b"." * 10)
    store.read_into("x", 2, memoryview(out)[3:6])
    assert out == b"...234...."


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, 11), (5, 6), (9, 2), (10, 1), (11, 1), (1 << 40, 5)])
def test_a_read_past_the_end_is_an_error_and_not_a_short_read(store: ObjectStore, offset: int, size_bytes: int) -> None:
    store.put("x", b"0123456789")
    with pytest.raises(ObjectSize) as caught:
        read(store, "x", offset, size_bytes)
    assert "`x`" in caught.value.message


def test_an_object_larger_than_allowed_is_not_read(store: ObjectStore) -> None:
    store.put("x", b"0123456789")
    assert store.read("x", most_bytes=10) == b"0123456789"
    with pytest.raises(ObjectSize, match="has 10 bytes where at most 9 are due"):
        store.read("x", most_bytes=9)


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("put", b"")
    store.put_new("put-new", b"")
    store.create("created", size_bytes=0).finish()
    assert [(info.name, info.size_bytes) for info in store.list("")] == [("created", 0), ("put", 0), ("put-new", 0)]
    assert store.read("created", most_bytes=0) == b""


@pytest.mark.parametrize("name", ["x", "o/x", "o/there/x", "o", "o/ther"])
def test_what_is_not_there_is_not_found(store: ObjectStore, name: str) -> None:
    store.put("o/there/y", b"y")
    with pytest.raises(NotFound):
        store.read(name, most_bytes=10)
    with pytest.raises(NotFound):
        read(store, name, 0, 1)


def test_many_threads_read_the_same_object(store: ObjectStore) -> None:
    data = noise(3 * MIB)
    write(store, "o/x", data)

    def reads(seed: int) -> int:
        chosen = random.Random(seed)
        for _ in range(20):
            start = chosen.randrange(len(data))
            stop = chosen.randrange(start, len(data)) + 1
            assert read(store, "o/x", start, stop - start) == data[start:stop]
        return 20

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(reads, range(16))) == 320


# --- writing -----------------------------------------------------------------------------------


def test_put_replaces(store: ObjectStore) -> None:
    store.put("w/x", b"old and longer")
    store.put("w/x", b"new")
    assert store.read("w/x", most_bytes=100) == b"new"


def test_put_new_never_replaces(store: ObjectStore) -> None:
    store.put_new("m/a/b/1", b"first")
    with pytest.raises(VersionExists, match="is there already"):
        store.put_new("m/a/b/1", b"second")
    assert store.read("m/a/b/1", most_bytes=100) == b"first"
    assert names(store) == ["m/a/b/1"]
    assert list(store.list_partial()) == []


def test_put_new_takes_a_name_again_once_it_is_free(store: ObjectStore) -> None:
    store.put_new("m/a/b/1", b"first")
    store.delete(list(store.list("m/")))
    store.put_new("m/a/b/1", b"second")
    assert store.read("m/a/b/1", most_bytes=100) == b"second"


def test_of_sixteen_racing_writers_exactly_one_wins(store: ObjectStore) -> None:
    # The test server queues them for seconds; a folder does not.
    for attempt in range(20 if store.url.startswith("file:") else 2):
        name = f"m/a/b/{attempt}"
        together = Barrier(16)

        def race(writer: int, name: str = name, together: Barrier = together) -> str:
            together.wait()
            try:
                store.put_new(name, f"writer {writer}".encode())
            except StrongroomError as error:
                return error.code
            return f"writer {writer}"

        with ThreadPoolExecutor(16) as threads:
            outcomes = list(threads.map(race, range(16)))
        [winner] = [outcome for outcome in outcomes if outcome.startswith("writer")]
        assert outcomes.count(VersionExists.code) == 15
        assert store.read(name, most_bytes=100).decode() == winner
    assert list(store.list_partial()) == []


def test_nothing_is_listed_before_it_is_finished(store: ObjectStore) -> None:
    data = noise(LARGE_BYTES)
    writer = store.create("o/x", size_bytes=len(data))
    for offset in range(0, len(data), MIB):
        writer.write_at(offset, memoryview(data)[offset : offset + MIB])
    assert names(store) == []
    with pytest.raises(NotFound):
        store.read("o/x", most_bytes=len(data))
    writer.finish()
    assert names(store) == ["o/x"]


@pytest.mark.parametrize("written", [0, 5, LARGE_BYTES])
def test_an_aborted_object_leaves_nothing(store: ObjectStore, written: int) -> None:
    writer = store.create("o/x/y", size_bytes=LARGE_BYTES)
    writer.write_at(0, memoryview(bytes(written)))
    writer.abort()
    writer.abort()
    assert_empty(store)
    with pytest.raises(BadRequest, match="no longer being written"):
        writer.finish()
    assert_empty(store)


@pytest.mark.parametrize("written", [0, 5, LARGE_BYTES])
def test_a_writer_that_is_dropped_leaves_nothing(store: ObjectStore, written: int) -> None:
    writer = store.create("o/x/y", size_bytes=LARGE_BYTES)
    writer.write_at(0, memoryview(bytes(written)))
    del writer
    gc.collect()
    assert_empty(store)


def test_an_object_with_bytes_missing_is_not_finished(store: ObjectStore) -> None:
    writer = store.create("o/x", size_bytes=10)
    writer.write_at(0, memoryview(b"123456789"))
    with pytest.raises(BadRequest, match="is to have 10 bytes and got 9"):
        writer.finish()
    writer.abort()
    assert_empty(store)


@pytest.mark.parametrize(("offset", "data"), [(0, b"1234"), (1, b"123"), (3, b"1"), (4, b""), (-1, b"1")])
def test_bytes_outside_of_an_object_are_refused(store: ObjectStore, offset: int, data: bytes) -> None:
    writer = store.create("o/x", size_bytes=3)
    with pytest.raises(BadRequest):
        writer.write_at(offset, memoryview(data))
    writer.abort()
    assert_empty(store)


def test_a_finished_object_stays_as_it_is(store: ObjectStore) -> None:
    writer = store.create("o/x", size_bytes=3)
    writer.write_at(0, memoryview(b"123"))
    writer.finish()
    writer.abort()
    with pytest.raises(BadRequest, match="no longer being written"):
        writer.write_at(0, memoryview(b"456"))
    with pytest.raises(BadRequest, match="no longer being written"):
        writer.finish()
    del writer
    gc.collect()
    assert store.read("o/x", most_bytes=3) == b"123"


# --- listing and deleting ----------------------------------------------------------------------


def test_a_listing_holds_exactly_the_names_with_that_prefix_in_their_order(store: ObjectStore) -> None:
    # `-` and `.` sort before `/`: where a store sorts folder by folder, the order is another one.
    made = ["o/ab/1", "o/ab/10", "o/ab/2", "o/ab-c", "o/ab.c", "o/ab-c-/1", "o/abc", "o/abcd/1", "o-/1", "x", "X"]
    for name in random.Random(3).sample(made, len(made)):
        store.put(name, name.encode())
    prefixes = {name[:length] for name in made for length in range(len(name) + 1)} | {"no", "o/ab/1x", "o/ab/1/"}
    assert len(prefixes) == 28
    for prefix in prefixes:
        assert names(store, prefix) == sorted(name for name in made if name.startswith(prefix)), prefix


def test_a_listing_tells_sizes_and_times(store: ObjectStore) -> None:
    store.put("o/x", b"12345")
    [info] = store.list("o/")
    assert info == ObjectInfo(name="o/x", size_bytes=5, modified_at=info.modified_at)
    assert abs(info.modified_at - time.time()) < 60


def test_more_objects_than_one_answer_holds(store: ObjectStore) -> None:
    made = [f"o/{number % 7}/{number}" for number in range(1_050)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: store.put(name, b""), made))
    assert names(store, "o/") == sorted(made)
    store.delete(store.list("o/"))
    assert_empty(store)


def test_delete_removes_what_is_named_and_nothing_beside_it(store: ObjectStore) -> None:
    for name in ("o/ab", "o/abc", "o/b/1", "o/b/2"):
        store.put(name, b"x")
    doomed = [info for info in store.list("o/") if info.name in ("o/ab", "o/b/1")]
    absent = [ObjectInfo(name=name, size_bytes=1, modified_at=0.0) for name in ("o/a", "o/b", "o/c/1")]
    if store.url.startswith("file:"):
        absent = [info for info in absent if info.name != "o/b"]  # a folder there
    assert len(doomed) == 2
    store.delete(absent + doomed)
    assert names(store) == ["o/abc", "o/b/2"]
    store.delete(absent + doomed)
    store.delete([])
    assert names(store) == ["o/abc", "o/b/2"]


# --- names -------------------------------------------------------------------------------------

TRIES: dict[str, Callable[[ObjectStore, str], object]] = {
    "read": lambda store, name: store.read(name, most_bytes=10),
    "read_into": lambda store, name: read(store, name, 0, 1),
    "create": lambda store, name: store.create(name, size_bytes=1),
    "put": lambda store, name: store.put(name, b"x"),
    "put_new": lambda store, name: store.put_new(name, b"x"),
    "delete": lambda store, name: store.delete([ObjectInfo(name=name, size_bytes=1, modified_at=0.0)]),
    "delete partial": lambda store, name: store.delete(
        [ObjectInfo(name=f"{name}/x", size_bytes=1, modified_at=0.0, is_partial=True)]
    ),
}


@pytest.mark.parametrize("attempt", TRIES)
def test_no_name_leads_out_of_the_store_or_to_what_it_hides(store: ObjectStore, attempt: str) -> None:
    assert len(NO_NAMES) == 29
    store.put("a/b", b"x")
    for name in NO_NAMES:
        with pytest.raises(BadRequest) as caught:
            TRIES[attempt](store, name)
        assert caught.value.message.isascii()
        assert caught.value.message.isprintable()
    assert names(store) == ["a/b"]


@pytest.mark.parametrize("prefix", ["/", "..", "../", "a//", "a/../", ".", "a/.", "ü", "a\0", "x" * 201])
def test_no_prefix_leads_out_of_the_store(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(BadRequest):
        store.list(prefix)


def test_a_negative_offset_is_refused(store: ObjectStore) -> None:
    store.put("x", b"0123456789")
    with pytest.raises(BadRequest):
        read(store, "x", -1, 1)


@given(st.text(alphabet="ab./\\-_%\0\n ü", max_size=12))
@example("a\n")
def test_a_name_has_one_form_and_stays_below(name: str) -> None:
    if is_name(name):
        assert len(name) <= LONGEST_NAME
        assert all(part and not part.startswith(".") for part in name.split("/"))
        assert name.isascii()
        assert name.isprintable()


@given(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}){0,3}", fullmatch=True))
def test_all_that_a_name_starts_with_is_a_prefix(name: str) -> None:
    assert is_name(name)
    for length in range(len(name)):
        check_prefix(name[:length])


def test_a_store_tells_its_own_url(store: ObjectStore, store_url: str) -> None:
    assert store.url == store_url
    assert open_store(store.url).url == store.url
    assert open_store(f"{store.url}/").url == store.url

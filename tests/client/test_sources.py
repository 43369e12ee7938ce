"""Finding and reading what is to be sealed, without being fooled about which file that is."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub.utils._paths import DEFAULT_IGNORE_PATTERNS, filter_repo_objects
from hypothesis import example, given
from hypothesis import strategies as st

from strongroom.client.seal import seal_version
from strongroom.client.sources import LEFT_OUT, Source, SourceReader, find_sources, read_tensor_index
from strongroom.objects import open_store
from strongroom.terms.errors import AccessDenied, NotFound, StrongroomError
from strongroom.terms.outer_errors import BadPath, BadSource, SourceChanged
from tests.attacks.versions import ATLAS_1, OWNER, opened, stored, write_model
from tests.faults.hooked import Call, HookedStore

REVISION = "0123456789abcdef0123456789abcdef01234567"


def found(*roots: Path, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    return [source.path for source in find_sources(roots, include=include, exclude=exclude).sources]


def hugging_face_cache(folder: Path) -> Path:
    """Return a snapshot as `huggingface_hub` lays it out: symlinks into the entry's blobs."""
    entry = folder / "hub" / "models--acme--atlas"
    snapshot = entry / "snapshots" / REVISION
    for path in ("config.json", "onnx/model.onnx", "weights.bin"):
        place = snapshot / path
        blob = entry / "blobs" / path.replace("/", "-")
        place.parent.mkdir(parents=True, exist_ok=True)
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(path.encode())
        place.symlink_to(os.path.relpath(blob, place.parent))
    return snapshot


def test_a_hugging_face_cache_is_sealed_as_it_is(tmp_path: Path) -> None:
    snapshot = hugging_face_cache(tmp_path)
    everything = {path: path.encode() for path in ("config.json", "onnx/model.onnx", "weights.bin")}
    for number, (roots, expected) in enumerate(
        [
            ([snapshot], everything),
            ([snapshot / "weights.bin"], {"weights.bin": b"weights.bin"}),
            ([snapshot / "onnx"], {"model.onnx": b"onnx/model.onnx"}),
            ([snapshot / "onnx" / "model.onnx"], {"model.onnx": b"onnx/model.onnx"}),
            (
                [snapshot / "config.json", snapshot / "onnx"],
                {"config.json": b"config.json", "model.onnx": b"onnx/model.onnx"},
            ),
        ]
    ):
        store = open_store((tmp_path / f"store{number}").as_uri())
        seal_version(roots, name=ATLAS_1, to=OWNER.public_key(), store=store)
        assert opened(store) == expected


def test_a_symlink_to_a_snapshot_is_sealed_as_the_snapshot(tmp_path: Path) -> None:
    snapshot = hugging_face_cache(tmp_path)
    (tmp_path / "latest").symlink_to(snapshot)
    assert found(tmp_path / "latest") == ["config.json", "onnx/model.onnx", "weights.bin"]


@pytest.mark.parametrize(
    "target", ["../../../../../secret", "../../../models--acme--other/blobs/secret", "../../secret"]
)
def test_a_symlink_out_of_a_cache_entrys_blobs_is_refused(tmp_path: Path, target: str) -> None:
    snapshot = hugging_face_cache(tmp_path)
    place = (snapshot / target).resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"secret")
    (snapshot / "evil.bin").symlink_to(target)
    with pytest.raises(BadSource, match=r"`evil\.bin` is a symlink that leads out of the model"):
        find_sources([snapshot])


def test_a_symlink_out_of_the_model_is_refused_and_inside_it_followed(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {"a/weights.bin": b"weights"})
    (model / "inside.bin").symlink_to("a/weights.bin")
    (model / "a" / "up.bin").symlink_to("../inside.bin")
    assert found(model) == ["a/up.bin", "a/weights.bin", "inside.bin"]
    write_model(tmp_path / "model-two", {"secret": b"secret"})  # its name starts like the model's
    for target in ("../model-two/secret", "/etc/passwd", str(tmp_path / "model-two" / "secret")):
        (model / "evil.bin").symlink_to(target)
        with pytest.raises(BadSource, match="leads out of the model"):
            find_sources([model])
        assert found(model, exclude=("evil.bin",)) == ["a/up.bin", "a/weights.bin", "inside.bin"]
        (model / "evil.bin").unlink()


def broken_symlink(place: Path) -> None:
    place.symlink_to("nowhere")


def symlink_to_itself(place: Path) -> None:
    place.symlink_to(place.name)


def symlink_to_a_folder(place: Path) -> None:
    place.parent.joinpath("folder").mkdir()
    place.symlink_to("folder")


def fifo(place: Path) -> None:
    os.mkfifo(place)


def socket_(place: Path) -> None:
    before = Path.cwd()
    os.chdir(place.parent)  # the path of a socket holds 108 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.name)
    finally:
        os.chdir(before)


def symlink_to_a_device(place: Path) -> None:
    place.symlink_to("/dev/zero")


def device(place: Path) -> None:
    try:
        os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "plant",
    [broken_symlink, symlink_to_itself, symlink_to_a_folder, fifo, socket_, symlink_to_a_device, device],
)
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    model = write_model(tmp_path / "model", {"weights.bin": b"weights"})
    plant(model / "evil.bin")
    store = open_store((tmp_path / "store").as_uri())
    for roots in ([model], [model / "evil.bin"]):
        if plant is symlink_to_a_folder and roots != [model]:
            continue  # a folder that is named itself is taken, as a symlink to a snapshot is
        with pytest.raises((BadSource, NotFound), match=r"evil\.bin"):
            seal_version(roots, name=ATLAS_1, to=OWNER.public_key(), store=store)
    assert not (tmp_path / "store").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("plant", [fifo, symlink_to_a_device, broken_symlink, device])
def test_a_file_that_becomes_something_else_before_it_is_read_is_refused(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    model = write_model(tmp_path / "model", {"evil.bin": b"weights"})
    (source,) = find_sources([model]).sources
    (model / "evil.bin").unlink()
    plant(model / "evil.bin")
    with pytest.raises((BadSource, SourceChanged)):
        SourceReader(source)


def test_a_file_that_is_swapped_for_another_between_finding_and_reading_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {"a/weights.bin": b"weights"})
    (source,) = find_sources([model]).sources

    # by another file of the same size and times
    twin = tmp_path / "twin"
    twin.write_bytes(b"WEIGHTS")
    shutil.copystat(source.real, twin)
    os.replace(twin, source.real)
    with pytest.raises(SourceChanged):
        SourceReader(source)

    # by a symlink in the place of the file, and of the folder around it, to the very same file
    (source,) = find_sources([model]).sources
    os.rename(source.real, tmp_path / "moved.bin")
    os.symlink(tmp_path / "moved.bin", source.real)
    with pytest.raises(BadSource, match="symlink"):
        SourceReader(source)
    os.unlink(source.real)
    os.rename(tmp_path / "moved.bin", source.real)
    (source,) = find_sources([model]).sources
    (model / "a").rename(tmp_path / "a")
    (model / "a").symlink_to(tmp_path / "a")
    with pytest.raises(SourceChanged, match="another file"):
        SourceReader(source)

    # by nothing
    (model / "a").unlink()
    with pytest.raises(NotFound):
        SourceReader(source)


def test_no_race_with_who_writes_to_the_folder_gets_a_file_from_outside_sealed(tmp_path: Path) -> None:
    """A folder becomes a symlink and a folder again, over and over: what is found is inside or refused."""
    model = write_model(tmp_path / "model", {"sub/weights.bin": b"inside"})
    outside = write_model(tmp_path / "outside", {"weights.bin": b"outside"})
    (tmp_path / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        sub, link, aside = model / "sub", tmp_path / "link", tmp_path / "aside"
        while not stop.is_set():
            os.rename(sub, aside)
            os.rename(link, sub)
            os.rename(sub, link)
            os.rename(aside, sub)

    thread = threading.Thread(target=swap)
    thread.start()
    ends = set()
    try:
        for _ in range(400):
            try:
                (source,) = find_sources([model]).sources
                reader = SourceReader(source)
            except StrongroomError as error:
                ends.add(type(error).__name__)
                continue
            content = bytearray(source.size_bytes)
            try:
                reader.read_into(0, memoryview(content))
            finally:
                reader.close()
            assert content == b"inside"
            ends.add("read")
    finally:
        stop.set()
        thread.join()
    assert ends


def grow(place: Path) -> None:
    with place.open("ab") as file:
        file.write(b"more")


def shrink(place: Path) -> None:
    os.truncate(place, 10)


def touch(place: Path) -> None:
    os.utime(place, (1, 1))


def rewrite(place: Path) -> None:
    place.write_bytes(bytes(len(place.read_bytes())))


def replace(place: Path) -> None:
    other = place.with_name("other")
    shutil.copy2(place, other)
    os.replace(other, place)


@pytest.mark.parametrize("change", [grow, shrink, touch, rewrite])
@pytest.mark.parametrize("threads", [1, 4])
def test_a_file_that_changes_while_it_is_sealed_is_refused_and_nothing_is_left(
    store_url: str, tmp_path: Path, change: Callable[[Path], None], threads: int
) -> None:
    model = write_model(tmp_path / "model", {"a.bin": bytes(1_000), "b.bin": bytes(400_000)})
    inner = open_store(store_url)
    writes = 0

    def disturb(call: Call) -> None:
        nonlocal writes
        if call.verb == "write_at" and call.name.endswith("/1"):
            writes += 1
            if writes == 3:
                change(model / "b.bin")

    with pytest.raises(SourceChanged, match=r"`b\.bin`"):
        seal_version(
            [model],
            name=ATLAS_1,
            to=OWNER.public_key(),
            store=HookedStore(inner, after=disturb),
            segment_bytes=4096,
            threads=threads,
        )
    assert stored(inner) == {}
    assert list(inner.list_partial()) == []


@pytest.mark.parametrize("change", [grow, shrink, touch, rewrite, replace])
def test_a_file_that_changes_after_it_was_found_is_refused(tmp_path: Path, change: Callable[[Path], None]) -> None:
    model = write_model(tmp_path / "model", {"b.bin": bytes(1_000)})
    inner = open_store((tmp_path / "store").as_uri())

    def disturb(call: Call) -> None:
        if call.verb == "put":
            change(model / "b.bin")

    with pytest.raises(SourceChanged, match=r"`b\.bin`"):
        seal_version([model], name=ATLAS_1, to=OWNER.public_key(), store=HookedStore(inner, before=disturb), threads=1)
    assert stored(inner) == {}


def test_a_reader_sees_that_its_file_became_shorter_or_changed(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {"b.bin": bytes(20_000)})
    reader = SourceReader(find_sources([model]).sources[0])
    try:
        shrink(model / "b.bin")
        with pytest.raises(SourceChanged, match="shorter"):
            reader.read_into(0, memoryview(bytearray(20_000)))
        with pytest.raises(SourceChanged, match="changed"):
            reader.check_unchanged()
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("gpj.\u202eexe",), "bidirectional"),
        (("a\x1bb",), "control"),
        (("a\nb",), "control"),
        (("a\u200bb",), "invisible"),
        (("e\u0301.bin",), "normal form"),
        (("a\\b",), "backslash"),
        (("a\udcff",), "control"),
        (("Weights.bin", "weights.bin"), "only by case"),
        (("Sub/a", "sub/b"), "only by case"),
        (("stra\u00dfe", "strasse"), "only by case"),
    ],
)
def test_a_path_that_could_fool_somebody_is_refused(tmp_path: Path, names: tuple[str, ...], why: str) -> None:
    model = write_model(tmp_path / "model", dict.fromkeys(names, b""))
    if len(list(model.iterdir())) < len(names):
        pytest.skip("this file system takes names that differ by case for one")
    with pytest.raises(BadPath, match=why) as raised:
        find_sources([model])
    assert raised.value.message.isprintable()


def test_two_files_that_would_get_one_path_are_refused(tmp_path: Path) -> None:
    one = write_model(tmp_path / "one", {"config.json": b"1"})
    two = write_model(tmp_path / "two", {"config.json": b"2"})
    with pytest.raises(BadPath, match="twice"):
        find_sources([one, two])
    with pytest.raises(BadPath, match="twice"):
        find_sources([one, one / "config.json"])


def test_empty_files_are_sealed_and_an_empty_selection_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {"empty.bin": b"", "deep/empty.bin": b""})
    store = open_store((tmp_path / "store").as_uri())
    seal_version([model], name=ATLAS_1, to=OWNER.public_key(), store=store)
    assert opened(store) == {"empty.bin": b"", "deep/empty.bin": b""}
    (tmp_path / "nothing" / "below").mkdir(parents=True)
    for root, include, exclude in (
        (tmp_path / "nothing", (), ()),
        (model, ("*.safetensors",), ()),
        (model, (), ("*",)),
    ):
        with pytest.raises(BadSource, match="nothing to seal"):
            find_sources([root], include=include, exclude=exclude)
    with pytest.raises(BadSource, match="nothing to seal"):
        find_sources([])


def test_what_is_not_there_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        find_sources([tmp_path / "nowhere"])
    model = write_model(tmp_path / "model", {"a": b"a", "sub/b": b"b"})
    if os.geteuid() == 0:
        return  # root reads everything
    (model / "sub").chmod(0)
    with pytest.raises(AccessDenied, match="sub"):
        find_sources([model])


def test_git_and_the_caches_notes_are_left_out_and_reported(tmp_path: Path) -> None:
    model = write_model(
        tmp_path / "model",
        {
            "weights.bin": b"weights",
            ".gitattributes": b"kept",
            ".git/config": b"",
            ".git/objects/00/11": b"",
            "sub/.git/HEAD": b"",
            ".cache/huggingface/download/weights.bin.metadata": b"",
            "sub/.cache/huggingface/trash": b"",
            "notes.txt": b"",
        },
    )
    seen = find_sources([model], exclude=["*.txt"])
    assert [source.path for source in seen.sources] == [".gitattributes", "weights.bin"]
    assert seen.left_out == (
        ".cache/huggingface/download/weights.bin.metadata",
        ".git/config",
        ".git/objects/00/11",
        "notes.txt",
        "sub/.cache/huggingface/trash",
        "sub/.git/HEAD",
    )
    assert sorted(LEFT_OUT) == sorted(DEFAULT_IGNORE_PATTERNS)


NAMES = st.lists(
    st.sampled_from([".git", "a", "b", "model.bin", "model.safetensors", "config.json", "[x]", "A", "onnx", "é"]),
    min_size=1,
    max_size=3,
).map("/".join)
PATTERNS = st.lists(
    st.one_of(
        st.sampled_from(["*", "*.bin", "a/", "a/*", "*/a", "**/a", "?", "[!a]*", "[x]", "[[]x]", "onnx\\*", ".*", "a"]),
        st.text(alphabet="ab*?[]!/.\\x", min_size=1, max_size=5),
    ),
    max_size=3,
)


def is_plain(paths: set[str]) -> bool:
    """Whether these files can stand side by side, in one folder of any file system."""
    folded = {path.casefold() for path in paths}
    return len(folded) == len(paths) and not any(
        "/".join(path.split("/")[:depth]) in folded for path in folded for depth in range(1, path.count("/") + 1)
    )


@given(paths=st.sets(NAMES, min_size=1, max_size=8).filter(is_plain), include=PATTERNS, exclude=PATTERNS)
@example(paths={"onnx/model.bin", "a/b"}, include=["onnx\\*"], exclude=[])
@example(paths={"onnx/model.bin", "a/b"}, include=["a/"], exclude=[])
def test_patterns_choose_as_huggingface_hub_does(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str], include: list[str], exclude: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "patterns"
    shutil.rmtree(folder, ignore_errors=True)
    model = write_model(folder, dict.fromkeys(paths, b""))
    expected = sorted(
        filter_repo_objects(paths, allow_patterns=include or None, ignore_patterns=[*exclude, *DEFAULT_IGNORE_PATTERNS])
    )
    try:
        chosen = found(model, include=tuple(include), exclude=tuple(exclude))
    except BadSource:
        chosen = []
    except BadPath:
        return  # two folders that differ by case
    assert chosen == expected


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.mark.parametrize(
    "content",
    [POINTER, b"", bytes(8), b"\xff" * 8 + b"{}", b"PK\x03\x04" + bytes(100), b"<!doctype html><html>"],
    ids=["pointer", "empty", "zeros", "length", "zip", "html"],
)
def test_a_safetensors_file_that_is_none_is_refused_with_a_hint(tmp_path: Path, content: bytes) -> None:
    """Most often a pointer that git-lfs left, sealed by mistake and noticed only by who opens it."""
    model = write_model(tmp_path / "model", {"sub/model.safetensors": content})
    store = open_store((tmp_path / "store").as_uri())
    with pytest.raises(BadSource, match=r"`sub/model\.safetensors`") as raised:
        seal_version([model], name=ATLAS_1, to=OWNER.public_key(), store=store)
    assert "git-lfs" in raised.value.hint
    assert not (tmp_path / "store").exists()


def test_only_the_name_makes_a_file_safetensors(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", {"model.safetensors.index.json": POINTER, "pointer": POINTER})
    sources: tuple[Source, ...] = find_sources([model]).sources
    assert [read_tensor_index(source) for source in sources] == [None, None]

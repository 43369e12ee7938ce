"""Filesystem: fsspec reads a sealed version, writes nothing, and never learns the identity."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import fsspec
import pytest

from strongroom.client import OpenVersion, SealedFileSystem
from strongroom.sealing.keys import Identity
from strongroom.terms.errors import BadRequest, Refused, WrongKey
from tests.client.sealed import IDENTITY, NAME, SealedForTest, seal

FILES = {
    "a/b/deep.txt": b"deep",
    "a/c.txt": b"c" * 9000,
    "ab.txt": b"not in a",
    "config.json": b'{"layers": 2}',
    "empty": b"",
}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), FILES)


@pytest.fixture
def model(sealed: SealedForTest) -> OpenVersion:
    return sealed.open()


@pytest.fixture
def fs(model: OpenVersion) -> SealedFileSystem:
    return SealedFileSystem(model)


@pytest.fixture
def options(sealed: SealedForTest, tmp_path: Path) -> dict[str, Any]:
    """What it takes to open the version by URL; the protocol is registered as an installation does it."""
    fsspec.register_implementation("strongroom", SealedFileSystem, clobber=True)
    identity = tmp_path / "identity.key"
    identity.write_text(IDENTITY.encode() + "\n")
    identity.chmod(0o600)
    return {"identity": str(identity), "store": sealed.store.url}


def test_listings_show_files_and_folders(fs: SealedFileSystem) -> None:
    for root in ("", "/", f"strongroom://{NAME}", f"strongroom://{NAME}/"):
        assert fs.ls(root, detail=False) == ["a", "ab.txt", "config.json", "empty"]
    assert fs.ls("a", detail=False) == fs.ls("/a/", detail=False) == ["a/b", "a/c.txt"]
    assert fs.ls("a") == [
        {"name": "a/b", "type": "directory", "size": 0},
        {"name": "a/c.txt", "type": "file", "size": 9000},
    ]
    assert fs.ls("a/c.txt", detail=False) == ["a/c.txt"]
    assert fs.find("") == sorted(FILES)
    assert fs.find("a", withdirs=True) == ["a", "a/b", "a/b/deep.txt", "a/c.txt"]
    assert fs.glob("**/*.txt") == ["a/b/deep.txt", "a/c.txt", "ab.txt"]
    assert fs.glob("*.txt") == ["ab.txt"]
    assert fs.du("") == sum(map(len, FILES.values()))
    assert [folder for folder, _, _ in fs.walk("")] == ["", "a", "a/b"]


def test_what_is_there_is_known(fs: SealedFileSystem) -> None:
    assert fs.exists("config.json")
    assert fs.exists("a/b")
    assert fs.isdir("a")
    assert fs.isfile("a/c.txt")
    assert not fs.isdir("a/c.txt")
    assert not fs.isfile("a")
    assert not fs.exists("a/b/c")
    assert fs.size("a/c.txt") == 9000
    assert fs.ukey("a/c.txt") != fs.ukey("ab.txt")


@pytest.mark.parametrize("verb", ["ls", "info", "open", "cat_file", "size"])
def test_what_is_not_there_is_not_found_as_fsspec_says_it(fs: SealedFileSystem, verb: str) -> None:
    for path in ("missing", "a/missing", "config.json/x"):
        with pytest.raises(FileNotFoundError):
            getattr(fs, verb)(path)
    with pytest.raises(FileNotFoundError):
        fs.open("a")


def test_reads_give_what_was_sealed(fs: SealedFileSystem) -> None:
    assert fs.cat("", recursive=True, on_error="omit") == FILES
    with fs.open("a/c.txt") as file:
        file.seek(-5, 2)
        assert file.read() == b"ccccc"
    with fs.open("config.json", "rt", encoding="utf-8") as text:
        assert json.load(text) == {"layers": 2}
    assert fs.cat_ranges(["ab.txt", "config.json"], [0, 1], [3, 3]) == [b"not", b'"l']


@pytest.mark.parametrize("start", [None, 0, 3, 4, 8, 20, -3, -20])
@pytest.mark.parametrize("end", [None, 0, 3, 4, 8, 20, -3, -20])
def test_ranges_are_those_of_a_slice(fs: SealedFileSystem, start: int | None, end: int | None) -> None:
    assert fs.cat_file("ab.txt", start, end) == FILES["ab.txt"][start:end]


WRITES: list[tuple[str, tuple[Any, ...]]] = [
    ("mkdir", ("x",)),
    ("makedir", ("x",)),
    ("makedirs", ("x",)),
    ("mkdirs", ("x",)),
    ("rmdir", ("a",)),
    ("rm", ("config.json",)),
    ("rm_file", ("config.json",)),
    ("delete", ("config.json",)),
    ("cp_file", ("config.json", "x")),
    ("cp", ("config.json", "x")),
    ("copy", ("config.json", "x")),
    ("mv", ("config.json", "x")),
    ("move", ("config.json", "x")),
    ("rename", ("config.json", "x")),
    ("touch", ("x",)),
    ("pipe", ("x", b"")),
    ("pipe_file", ("x", b"")),
    ("write_bytes", ("x", b"")),
    ("write_text", ("x", "")),
    ("put", (__file__, "x")),
    ("put_file", (__file__, "x")),
    ("upload", (__file__, "x")),
    ("start_transaction", ()),
    ("sign", ("config.json",)),
    *(("open", ("x", mode)) for mode in ("wb", "ab", "xb", "r+b", "w")),
]


@pytest.mark.parametrize(("verb", "arguments"), WRITES)
def test_every_way_to_write_is_refused(fs: SealedFileSystem, verb: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(Refused, match="is sealed") as caught:
        getattr(fs, verb)(*arguments)
    assert isinstance(caught.value, PermissionError)


def test_a_url_opens_its_version(options: dict[str, Any]) -> None:
    url = f"strongroom://{NAME}/config.json"
    with fsspec.open(url, **options) as file:
        assert json.load(file) == {"layers": 2}
    fs, path = fsspec.url_to_fs(url, **options)
    assert path == "config.json"
    assert fs.unstrip_protocol(path) == fs.unstrip_protocol(url) == url
    assert fs.cat(url) == FILES["config.json"]
    assert fs.get_mapper("a")["c.txt"] == FILES["a/c.txt"]


def test_a_url_of_another_version_is_refused(fs: SealedFileSystem) -> None:
    for url in ("strongroom://acme/atlas@2/config.json", "strongroom://config.json"):
        with pytest.raises(BadRequest, match=NAME):
            fs.cat_file(url)


def test_too_little_to_open_a_version_is_refused() -> None:
    with pytest.raises(BadRequest):
        SealedFileSystem(name=NAME)


def test_instances_are_never_shared_so_that_identities_do_not_mix(
    sealed: SealedForTest, options: dict[str, Any]
) -> None:
    """The texts of two identities are alike, and fsspec tells arguments apart by their texts."""
    arguments: dict[str, Any] = {"name": NAME, "store": sealed.store}
    mine = SealedFileSystem(identity=IDENTITY, **arguments)
    with pytest.raises(WrongKey):
        SealedFileSystem(identity=Identity(bytes(32)), **arguments)
    again = SealedFileSystem(identity=IDENTITY, **arguments)
    assert mine is not again
    assert mine != again
    assert len({mine, again}) == 2
    assert not SealedFileSystem._cache


def test_the_identity_is_in_nothing_that_fsspec_shows_or_hands_on(
    sealed: SealedForTest, options: dict[str, Any]
) -> None:
    by_path = fsspec.filesystem("strongroom", name=NAME, **options)
    by_value = SealedFileSystem(name=NAME, identity=IDENTITY, store=sealed.store)
    by_version = SealedFileSystem(sealed.open())
    for fs in (by_path, by_value, by_version):
        shown = [
            repr(fs),
            str(fs),
            fs.to_json(),
            json.dumps(fs.to_dict()),
            repr(fs.storage_options),
            repr(fs.storage_args),
        ]
        for text in shown:
            assert IDENTITY.encode() not in text
            assert "identity" not in text
            assert NAME in text or text == "()"
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(fs)


def test_a_closed_version_gives_nothing_through_fsspec(model: OpenVersion, fs: SealedFileSystem) -> None:
    model.close()
    for read in (fs.ls, fs.info, fs.cat_file, fs.open):
        with pytest.raises(BadRequest, match="is closed"):
            read("config.json")

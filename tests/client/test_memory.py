"""Memory: files under a path for those who insist, sealed against change, and on no disk."""

from __future__ import annotations

import fcntl
import gc
import mmap
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import strongroom
from strongroom.client import OpenVersion, memory
from strongroom.client.memory import MemoryFolder
from strongroom.terms.errors import BadRequest, NotFound, ObjectTampered
from strongroom.terms.outer_errors import NoMemory
from tests.client.sealed import SealedForTest, filled, real_model, safetensors, seal

PLAIN = safetensors({"a": filled("F32", 300, 50), "b": filled("BF16", 7, 9)})
FILES = {"config.json": b"{}", "empty": b"", "model.safetensors": PLAIN, "sub/folder/notes.txt": b"notes"}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedForTest:
    return seal(tmp_path_factory.mktemp("store"), FILES)


@pytest.fixture
def model(sealed: SealedForTest) -> OpenVersion:
    return sealed.open()


def descriptors() -> set[str]:
    """Return the descriptors of this process that are our memory."""
    gc.collect()
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "memfd:strongroom" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(name)
        except FileNotFoundError:
            continue  # the listing's own
    return found


def folders() -> set[Path]:
    return set(memory.IN_MEMORY.glob(f"strongroom-{os.getpid()}-*"))


def test_a_path_opens_as_a_file_and_is_gone_afterwards(model: OpenVersion) -> None:
    for path, data in FILES.items():
        with model.as_path(path) as place:
            assert Path(place).read_bytes() == data
            assert os.stat(place).st_size == len(data)
        assert not os.path.exists(place)
    handle = model.as_path("config.json")
    assert Path(handle).read_bytes() == b"{}"
    handle.close()
    handle.close()
    assert not descriptors()
    with pytest.raises(NotFound):
        model.as_path("missing")


def test_a_handle_that_is_forgotten_gives_its_memory_back(model: OpenVersion) -> None:
    handle = model.as_path("model.safetensors")
    assert len(descriptors()) == 1
    del handle
    assert not descriptors()


def test_nobody_can_change_it_any_more(model: OpenVersion) -> None:
    with model.as_path("model.safetensors") as place:
        descriptor = int(place.rpartition("/")[2])
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & seals == seals
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o400
        assert not os.get_inheritable(descriptor)
        for change in (
            lambda: os.pwrite(descriptor, b"x", 0),
            lambda: os.ftruncate(descriptor, 0),
            lambda: os.ftruncate(descriptor, 1 << 20),
            lambda: mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
            lambda: fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, 0),
        ):
            with pytest.raises(PermissionError):
                change()


def test_it_can_be_mapped_as_safetensors_does(model: OpenVersion) -> None:
    with model.as_path("model.safetensors") as place:
        with open(place, "rb") as file:
            assert mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[:] == PLAIN
            with mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE) as mine:
                mine[0] ^= 255  # a copy of this mapping's own
        with safe_open(place, "np") as theirs:
            assert theirs.get_tensor("a").tobytes() == model.get_tensor("a").tobytes()
        assert Path(place).read_bytes() == PLAIN


def test_what_is_mapped_stays_when_the_handle_is_closed(model: OpenVersion) -> None:
    with model.as_path("model.safetensors") as place:
        theirs: Any = safe_open(place, "np")
    assert theirs.get_tensor("a").tobytes() == filled("F32", 300, 50)[2]


def test_a_folder_holds_the_files_and_is_gone_afterwards(model: OpenVersion) -> None:
    before = folders()
    with model.as_folder() as folder:
        found = {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
        assert found == FILES
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert all(path.is_symlink() for path in Path(folder).rglob("*") if not path.is_dir())
        assert len(descriptors()) == len(FILES)
    assert not os.path.exists(folder)
    assert folders() == before
    assert not descriptors()


def test_a_folder_holds_only_what_is_asked_for(model: OpenVersion) -> None:
    with model.as_folder("*.json") as folder:
        assert os.listdir(folder) == ["config.json"]
    with model.as_folder(["sub/", "empty"]) as folder:
        assert sorted(os.listdir(folder)) == ["empty", "sub"]
    with pytest.raises(NotFound):
        model.as_folder("*.gguf")


def test_a_folder_is_gone_after_an_exception_too(model: OpenVersion) -> None:
    before = folders()
    with pytest.raises(ZeroDivisionError), model.as_folder():
        1 / 0  # noqa: B018
    assert folders() == before
    assert not descriptors()


def test_damage_leaves_neither_folder_nor_memory(tmp_path: Path) -> None:
    before = folders()
    sealed = seal(tmp_path, FILES)
    sealed.flip("model.safetensors", 9000)
    with sealed.open() as model:
        for hand_out in (lambda: model.as_path("model.safetensors"), model.as_folder):
            with pytest.raises(ObjectTampered):
                hand_out()
            assert not descriptors()
        with model.as_path("config.json") as place:
            assert Path(place).read_bytes() == b"{}"
    assert folders() == before


def test_a_place_on_disk_is_refused_and_left_empty(model: OpenVersion, sealed: SealedForTest) -> None:
    place = sealed.folder  # where the store is, which is a disk
    if memory.is_in_memory(place):
        pytest.skip("the tests' own folder is in memory")
    before = sorted(place.iterdir())
    with pytest.raises(NoMemory, match="not in memory"):
        MemoryFolder(model._sealed(), ["config.json"], place=place)
    assert sorted(place.iterdir()) == before
    assert not descriptors()


def test_too_few_descriptors_are_refused_and_none_is_left(tmp_path: Path) -> None:
    model = seal(tmp_path, {f"{number}.txt": b"text" for number in range(100)}).open()
    before, limits = folders(), resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 20, limits[1]))
    try:
        with pytest.raises(NoMemory, match="too many open files"):
            model.as_folder()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert folders() == before
    assert not descriptors()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # the child only reads
def test_a_forked_child_reads_it_and_leaves_it_to_its_parent(model: OpenVersion) -> None:
    with model.as_folder() as folder:
        config = Path(folder, "config.json")
        child = os.fork()
        if child == 0:
            try:
                readable = config.read_bytes() == b"{}"
                gc.collect()
                memory._close(os.getppid(), Path(folder), [])
            finally:
                os._exit(0 if readable else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert config.read_bytes() == b"{}"


def test_a_closed_version_hands_nothing_out(sealed: SealedForTest) -> None:
    with sealed.open() as model:
        handle = model.as_path("config.json")
    for hand_out in (lambda: model.as_path("config.json"), model.as_folder):
        with pytest.raises(BadRequest, match="is closed"):
            hand_out()
    with handle as place:
        assert Path(place).read_bytes() == b"{}"


def test_a_folder_that_is_never_closed_goes_with_the_interpreter(sealed: SealedForTest) -> None:
    script = """
import sys
from strongroom import open_version
from strongroom.sealing.keys import Identity
folder = open_version(sys.argv[1], identity=Identity(bytes(range(32))), store=sys.argv[2]).as_folder()
print(folder.path)
"""
    source = str(Path(strongroom.__file__).parents[1])
    command = [sys.executable, "-c", script, "acme/atlas@1", sealed.store.url]
    shown = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source}
    )
    assert shown.stdout.startswith(f"{memory.IN_MEMORY}/strongroom-")
    assert not os.path.exists(shown.stdout.strip())


@pytest.mark.torch
def test_transformers_load_a_real_model_from_memory(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    source = real_model()
    files = {str(path.relative_to(source)): path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()}
    files = {path: data for path, data in files.items() if not path.startswith(".")}
    with seal(tmp_path, files, segment_bytes=1 << 20).open("pt") as model, model.as_folder() as folder:
        bert = transformers.AutoModel.from_pretrained(folder, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        expected = transformers.AutoModel.from_pretrained(source, local_files_only=True)
        words = tokenizer(["weights in custody"], return_tensors="pt")
        with torch.no_grad():
            assert torch.equal(bert(**words).last_hidden_state, expected(**words).last_hidden_state)
        loaded = model.load_all()
        state = bert.state_dict()
        assert sum(torch.equal(state[name], loaded[name]) for name in state.keys() & loaded.keys()) > 100
    assert not os.path.exists(folder)

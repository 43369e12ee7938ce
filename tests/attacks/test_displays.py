"""What a store holds cannot lie to who reads a screen, nor keep anybody from reading it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strongroom.objects import open_store
from strongroom.objects.local import LocalStore
from strongroom.sealing.places import manifest_name
from strongroom.terms.errors import ManifestTampered, StoreUnavailable
from tests.attacks.test_manifests import forged, manifest_of
from tests.attacks.versions import ATLAS_1, ATLAS_2, OWNER, overwrite, seal
from tests.cli.command import check_refused, done, run, run_inside, start


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = open_store((tmp_path / "store").as_uri())
    assert isinstance(store, LocalStore)
    seal(store)
    return store


@pytest.mark.parametrize("seconds", [300_000_000_000, -62_200_000_000])
def test_a_planted_time_does_not_hide_the_other_versions(store: LocalStore, seconds: int) -> None:
    seal(store, name=ATLAS_2)
    try:
        os.utime(store.root / manifest_name(ATLAS_1), (seconds, seconds))
    except OverflowError:
        pytest.skip("this file system keeps no such time")
    out = done("ls", "--store", store.url).out
    assert str(ATLAS_1) in out
    assert str(ATLAS_2) in out


@pytest.mark.parametrize("field", ["deployment", "suite", "format", "recipient"])
def test_a_planted_manifest_cannot_write_lines_of_its_own(store: LocalStore, field: str) -> None:
    body = manifest_of(store)
    body["public"][field] = "standalone\nverified     yes\n\x1b[2Jdamaged: nothing"
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    for command in (["inspect", ATLAS_1], ["ls"], ["scrub"]):
        outcome = run_inside(*command, "--store", store.url)
        lines = (outcome.out + outcome.err).splitlines()
        assert not any(line.startswith(("verified", "damaged: nothing")) for line in lines)
        assert "\x1b" not in outcome.out + outcome.err


def test_file_and_tensor_names_cannot_move_the_cursor(store: LocalStore, tmp_path: Path) -> None:
    name = "weight\n\x1b[31m\u202e"
    header = b'{"' + name.encode("unicode_escape").replace(b"\\x1b", b"\\u001b") + b'":'
    header += b'{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    seal(store, {"m.safetensors": len(header).to_bytes(8, "little") + header + b"\0"}, name=ATLAS_2)
    (tmp_path / "key").write_text(OWNER.encode())
    (tmp_path / "key").chmod(0o600)
    outcome = run_inside("inspect", ATLAS_2, "--store", store.url, "--identity", tmp_path / "key")
    assert outcome.code == 0
    assert "\\n\\x1b[31m\\u202e" in outcome.out
    assert not set("\x1b\u202e") & set(outcome.out)


def test_a_result_that_cannot_be_written_is_told(store: LocalStore) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("ls", "--store", store.url, output=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == StoreUnavailable.exit_code
    assert "Traceback" not in err
    assert "cannot be written" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["seal", "", "--as", "acme/atlas@9", "--to", str(OWNER.public_key())],
        ["open", str(ATLAS_1), "--to", "", "--identity", "key"],
        ["keygen", "-o", ""],
    ],
)
def test_an_unset_variable_does_not_mean_the_working_folder(store: LocalStore, arguments: list[str]) -> None:
    outcome = run_inside(*arguments, *(["--store", store.url] if arguments[0] != "keygen" else []))
    assert outcome.code == 2
    assert "a path is empty" in outcome.err


def test_a_working_folder_that_is_gone_is_told(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(OWNER.encode())
    (tmp_path / "key").chmod(0o600)
    for command in (
        f"seal x --as acme/atlas@9 --to {OWNER.public_key()}",
        f"open {ATLAS_1} --identity {tmp_path}/key --to here",
    ):
        gone = tmp_path / "gone"
        gone.mkdir()
        process = start(*command.split(), "--store", store.url, folder=gone)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        assert process.returncode == 3, err


def test_python_takes_no_digest_that_is_none(store: LocalStore) -> None:
    from strongroom import open_version
    from strongroom.terms.errors import BadRequest

    with pytest.raises(BadRequest):
        open_version(str(ATLAS_1), identity=OWNER, store=store, manifest="abc")


def test_inspect_shows_a_stranger_s_list_as_not_verified(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(OWNER.encode())
    (tmp_path / "key").chmod(0o600)
    arguments = ("inspect", ATLAS_1, "--store", store.url, "--identity", tmp_path / "key")
    assert "writer not verified" in done(*arguments).err
    body = manifest_of(store)
    body["public"]["deployment"] = "sr1:0123"
    overwrite(store, manifest_name(ATLAS_1), forged(body))
    check_refused(run(*arguments), ManifestTampered)

"""Identity files: private from the first moment, never overwritten, and read only where nobody else could."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from strongroom.client.identity import create_identity, read_identity, read_public_key
from strongroom.terms.errors import BadKey, BadRequest, NotFound, OutputExists, StrongroomError
from tests.cli.command import check_refused, done, run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_an_identity_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    key = tmp_path / "identity.key"
    outcome = done("keygen", "-o", key, umask=umask)
    assert mode(key) == 0o600
    assert str(read_identity(key).public_key()) == outcome.out.strip()
    assert str(read_public_key(outcome.out.strip())) == outcome.out.strip()


def test_an_identity_is_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "identity.key"
    create_identity(key)
    before = key.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "folder").mkdir()
    for place in (key, tmp_path / "link", tmp_path / "folder"):
        with pytest.raises(OutputExists, match=place.name):
            create_identity(place)
    assert key.read_bytes() == before
    assert not (tmp_path / "target").exists()
    check_refused(run("keygen", "-o", key, "--json"), OutputExists)


def test_two_identities_differ(tmp_path: Path) -> None:
    one, two = create_identity(tmp_path / "1"), create_identity(tmp_path / "2")
    assert one.seed != two.seed
    assert read_identity(tmp_path / "1").seed == one.seed


def test_an_identity_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        create_identity(tmp_path / "nowhere" / "identity.key")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_no_half_of_an_identity(tmp_path: Path) -> None:
    class Interrupted(Path().__class__):  # type: ignore[misc]
        """A path whose folder cannot be had without an interrupt."""

        @property
        def parent(self) -> Path:
            raise KeyboardInterrupt

        def with_name(self, name: str) -> Path:
            return tmp_path / name

    with pytest.raises(KeyboardInterrupt):
        create_identity(Interrupted(tmp_path / "identity.key"))
    assert [file.name for file in tmp_path.iterdir()] in ([], ["identity.key"])
    assert all(read_identity(file) for file in tmp_path.iterdir())


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o610, 0o777, 0o644])
def test_an_identity_that_others_could_have_read_is_refused(tmp_path: Path, bits: int) -> None:
    key = tmp_path / "identity.key"
    create_identity(key)
    key.chmod(bits)
    with pytest.raises(BadKey, match=f"{bits:04o}") as raised:
        read_identity(key)
    assert raised.value.hint == f"run `chmod 600 {key}`"
    key.chmod(0o400)
    read_identity(key)


GARBAGE = [
    pytest.param(lambda line: b"", id="empty"),
    pytest.param(lambda line: b"\n", id="line-end"),
    pytest.param(lambda line: line[:-1], id="short"),
    pytest.param(lambda line: line + b"A", id="long"),
    pytest.param(lambda line: line + b"=", id="padded"),
    pytest.param(lambda line: line + b" ", id="blank"),
    pytest.param(lambda line: line + b"\r\n", id="line-end-of-another-system"),
    pytest.param(lambda line: b"\n" + line, id="line-before"),
    pytest.param(lambda line: line + b"\n" + line + b"\n", id="two-lines"),
    pytest.param(lambda line: b"\xef\xbb\xbf" + line, id="byte-order-mark"),
    pytest.param(lambda line: line.decode().encode("utf-16"), id="utf-16"),
    pytest.param(lambda line: line.lower(), id="lower-case"),
    pytest.param(lambda line: line.replace(b"-1:", b"-2:"), id="other-format"),
    pytest.param(lambda line: line.split(b":")[1], id="no-prefix"),
    pytest.param(lambda line: b"strongroom-public-1:" + line.split(b":")[1], id="public"),
    pytest.param(lambda line: b"-----BEGIN PRIVATE KEY-----\n", id="pem"),
    pytest.param(lambda line: bytes(100), id="zeros"),
    pytest.param(lambda line: b"A" * 100_000, id="large"),
]


@pytest.mark.parametrize("spoil", GARBAGE)
def test_a_file_that_holds_no_identity_is_refused_without_showing_it(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    key = tmp_path / "identity.key"
    create_identity(key)
    line = key.read_bytes().removesuffix(b"\n")
    key.write_bytes(spoil(line))
    with pytest.raises(BadKey) as raised:
        read_identity(key)
    secret = line.decode().rpartition(":")[2]
    shown = raised.value.message + raised.value.hint
    assert not [at for at in range(len(secret) - 8) if secret[at : at + 8] in shown]


def test_a_key_file_that_is_not_there_or_is_a_folder_is_told(tmp_path: Path) -> None:
    for read in (read_identity, lambda path: read_public_key(str(path))):
        with pytest.raises(NotFound, match="nowhere"):
            read(tmp_path / "nowhere")
        with pytest.raises(BadKey, match="cannot be read"):
            read(tmp_path)


def test_a_public_key_in_the_place_of_an_identity_is_told(tmp_path: Path) -> None:
    public = tmp_path / "identity.pub"
    public.write_text(str(create_identity(tmp_path / "identity.key").public_key()))
    with pytest.raises(BadKey, match="holds a public key"):
        read_identity(public)


@pytest.mark.parametrize("place", ["{}", "./{}", "folder/{}"])
def test_a_secret_given_in_the_place_of_its_file_is_not_shown(tmp_path: Path, place: str) -> None:
    """As a variable in somebody's build does, whose log everybody reads."""
    text = create_identity(tmp_path / "identity.key").encode()
    for read in (read_identity, read_public_key):
        with pytest.raises(StrongroomError) as raised:
            read(place.format(text))
        assert isinstance(raised.value, BadKey)
        assert text[30:40] not in raised.value.message + raised.value.hint


def test_a_public_key_is_taken_as_text_or_from_a_file(tmp_path: Path) -> None:
    public_key = create_identity(tmp_path / "identity.key").public_key()
    (tmp_path / "identity.pub").write_text(f"{public_key}\n")
    assert read_public_key(str(public_key)) == read_public_key(str(tmp_path / "identity.pub")) == public_key
    for text in (str(public_key)[:-1], str(public_key) + "A", "strongroom-public-2:AAAA", "strongroom-public-1:"):
        with pytest.raises(BadKey):
            read_public_key(text)
    with pytest.raises(BadKey):
        read_public_key(str(tmp_path / "identity.key"))

"""The profile: keys in a folder of one's own, never overwritten, never shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.client.place import Place
from strongroom.client.profile import SOFTWARE, SessionKey, create_profile, open_profile, profile_folder
from strongroom.client.security_keys.usb import UsbKey
from strongroom.statements.signing import point_of
from strongroom.terms.errors import BadKey, BadRecord, BadRequest, NotFound, OutputExists, UnsafePlace
from strongroom.terms.ids import new_id

PERSON = "person-" + "a1" * 16
DEPLOYMENT = "sr1:" + "0f" * 32


def test_a_profile_is_found_again_with_its_keys(tmp_path: Path) -> None:
    made = create_profile(PERSON, tmp_path / "home", security_key=SOFTWARE)
    made.set_device("device-" + "b2" * 16)
    made.add_credential("credential-" + "c3" * 16, b"raw")
    made.join(Place(name=DEPLOYMENT, socket=tmp_path / "socket"))
    custodian = made.custodian()
    again = open_profile(tmp_path / "home")
    assert again.who == made.who
    assert (again.deployment, again.where) == (DEPLOYMENT, str(tmp_path / "socket"))
    assert again.credentials == {b"raw": "credential-" + "c3" * 16}
    assert point_of(again.key()) == point_of(made.key())
    assert again.custodian() == custodian


def test_everything_in_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = create_profile(PERSON, tmp_path / "home", security_key=SOFTWARE)
        made.custodian()
        made.security_key()
        made.keep_share(b"wrapped")
        made.keep_session(SessionKey(session=new_id("session", os.urandom), until=1, private=bytes(31) + b"\1"))
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
    assert len(modes) == 6
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "profile.json", "key.pem", "session.json"])
def test_what_others_could_read_is_refused(tmp_path: Path, name: str) -> None:
    made = create_profile(PERSON, tmp_path / "home")
    made.keep_session(SessionKey(session=new_id("session", os.urandom), until=1, private=bytes(31) + b"\1"))
    (tmp_path / "home" / name).chmod(0o750 if not name else 0o640)

    def use() -> None:
        opened = open_profile(tmp_path / "home")
        opened.key()
        opened.session()

    with pytest.raises(UnsafePlace):
        use()


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    create_profile(PERSON, tmp_path / "home")
    (tmp_path / "elsewhere").write_bytes((tmp_path / "home" / "key.pem").read_bytes())
    (tmp_path / "home" / "key.pem").unlink()
    (tmp_path / "home" / "key.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePlace):
        open_profile(tmp_path / "home").key()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with pytest.raises(UnsafePlace, match="symlink"):
        open_profile(tmp_path / "link")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made = create_profile(PERSON, tmp_path / "home")
    key = (tmp_path / "home" / "key.pem").read_bytes()
    with pytest.raises(OutputExists):
        create_profile(PERSON, tmp_path / "home")
    with pytest.raises(OutputExists):
        made.make_key()
    assert (tmp_path / "home" / "key.pem").read_bytes() == key
    assert [path.name for path in (tmp_path / "home").iterdir() if path.name.startswith(".")] == []


def test_a_profile_belongs_to_one_deployment(tmp_path: Path) -> None:
    made = create_profile(PERSON, tmp_path / "home")
    asks: list[Callable[[], str]] = [lambda: made.deployment, lambda: made.where]
    for ask in asks:
        with pytest.raises(BadRequest):
            ask()
    made.join(Place(name=DEPLOYMENT, socket=tmp_path / "one"))
    made.join(Place(name=DEPLOYMENT, socket=tmp_path / "two"))
    with pytest.raises(BadRequest):
        made.join(Place(name="sr1:" + "1f" * 32, socket=tmp_path / "one"))


def test_a_folder_without_profile_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no profile"):
        open_profile(tmp_path / "home")
    with pytest.raises(BadRecord):
        create_profile("model-" + "a1" * 16, tmp_path / "home")


@pytest.mark.parametrize("kind", ["garbage", "rsa", "curve"])
def test_a_key_of_another_kind_is_none(tmp_path: Path, kind: str) -> None:
    made = create_profile(PERSON, tmp_path / "home")
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other = {
        "garbage": b"garbage",
        "rsa": rsa.generate_private_key(65537, 2048).private_bytes(*form),
        "curve": ec.generate_private_key(ec.SECP384R1()).private_bytes(*form),
    }[kind]
    (tmp_path / "home" / "key.pem").write_bytes(other)
    with pytest.raises(BadKey):
        made.key()


def test_the_folder_comes_from_the_environment_or_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STRONGROOM_HOME", raising=False)
    assert profile_folder() == tmp_path / ".strongroom"
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "there"))
    assert profile_folder() == tmp_path / "there"
    assert profile_folder(tmp_path / "given") == tmp_path / "given"


def test_a_real_security_key_needs_somebody_to_ask(tmp_path: Path) -> None:
    made = create_profile(PERSON, tmp_path / "home")
    with pytest.raises(BadRequest):
        made.security_key()
    assert isinstance(made.security_key(ask_pin=lambda: None, tell=lambda line: None), UsbKey)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    key = SessionKey(session=new_id("session", os.urandom), until=1, private=b"\7" * 32)
    assert "BwcH" not in repr(key)
    assert "\\x07" not in repr(key)
    made = create_profile(PERSON, tmp_path / "home")
    assert "private" not in repr(made)

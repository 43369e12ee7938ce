"""Settings: strict, whole, and with no place for a secret."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from strongroom.service.settings import LARGEST_BYTES, SECTIONS, parse_settings, read_settings, settings_in
from strongroom.terms.errors import AccessDenied, BadRecord, BadRequest, NotFound, StrongroomError

KEEP = '[keep]\nfolder = "journal"\nhigh_water = "/high/water"\nsocket = "/run/keep"\n'
GATEWAY = '[gateway]\nfolder = "gateway"\n'
NAMED = f'[deployment]\nname = "sr1:{"0" * 64}"\n'
RELAYED = NAMED + GATEWAY + 'keep = "tls://keep.example.org:8444"\n'
RELAY_KEYS = 'keep_ca = "ca.pem"\nkeep_certificate = "me.pem"\nkeep_key = "me.key"\n'
FOLDER = Path("/etc/strongroom")


def test_paths_start_from_the_folder_of_the_settings_and_defaults_are_filled_in() -> None:
    settings = parse_settings(KEEP + GATEWAY + 'names = ["weights.example.org"]\n', FOLDER)
    assert settings.keep is not None
    assert settings.gateway is not None
    assert (settings.keep.folder, settings.keep.high_water) == ("/etc/strongroom/journal", "/high/water")
    assert (settings.keep.trial, settings.keep.allow_users, settings.relay) == (False, (), None)
    assert (settings.gateway.host, settings.gateway.port) == ("127.0.0.1", 8443)
    assert settings.gateway.names == ("weights.example.org",)
    assert settings.deployment.name is None


def test_a_relay_is_an_address_and_no_path() -> None:
    gateway = parse_settings(RELAYED + RELAY_KEYS, FOLDER).gateway
    assert gateway is not None
    assert (gateway.keep, gateway.keep_key) == ("tls://keep.example.org:8444", "/etc/strongroom/me.key")


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        (KEEP + 'allow_users = "gateway"\n', BadRecord, ""),
        (KEEP + "trail = true\n", BadRequest, "did you mean `trial`"),
        ("[kepe]\n", BadRequest, "did you mean `keep`"),
        ("[nothing]\n", BadRequest, "docs/settings.md"),
        ("name = 'x'\n", BadRequest, "docs/settings.md"),
        ("keep = 1\n", BadRequest, "[keep]"),
        ("[keep\n", BadRequest, "docs/settings.md"),
        ("a = " + "[" * 5000 + "\n", BadRequest, "docs/settings.md"),
        ('[keep]\nfolder = "journal"\n', BadRecord, ""),
        (KEEP + "trial = 1\n", BadRecord, ""),
        (KEEP + 'allow_users = ["Ada; rm"]\n', BadRecord, ""),
        (KEEP + GATEWAY + "port = 65536\n", BadRecord, ""),
        (KEEP + GATEWAY + "port = true\n", BadRecord, ""),
        (KEEP + GATEWAY + 'store = "http://user:secret@host/"\n', BadRecord, ""),
        ('[deployment]\nname = "sr1:abc"\n', BadRecord, ""),
        (GATEWAY, BadRequest, ""),
        (NAMED + GATEWAY, BadRequest, ""),
        (GATEWAY + 'keep = "/run/keep"\n', BadRequest, ""),
        (KEEP + GATEWAY + 'key = "k.pem"\n', BadRequest, ""),
        (KEEP + GATEWAY + 'certificate = "c.pem"\n', BadRequest, ""),
        (RELAYED, BadRequest, ""),
        (RELAYED + 'keep_ca = "ca.pem"\n', BadRequest, ""),
        (KEEP + GATEWAY + RELAY_KEYS, BadRequest, ""),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_may_be(text: str, error: type[StrongroomError], told: str) -> None:
    with pytest.raises(error) as refused:
        parse_settings(text, FOLDER)
    assert told in refused.value.hint


def test_no_section_has_a_field_for_a_secret() -> None:
    names = {one.name for section in SECTIONS.values() for one in dataclasses.fields(section)}
    assert len(names) > 20
    assert not [name for name in names if any(word in name for word in ("secret", "password", "token", "share"))]


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "strongroom.toml"
    with pytest.raises(NotFound):
        read_settings(path)
    path.write_text(KEEP)
    keep = read_settings(path).keep
    assert keep is not None
    assert keep.folder == str(tmp_path / "journal")
    path.write_bytes(b"#" + b"x" * LARGEST_BYTES)
    with pytest.raises(BadRequest):
        read_settings(path)
    path.write_bytes(b"# \xff")
    with pytest.raises(BadRequest):
        read_settings(path)
    with pytest.raises(AccessDenied):
        read_settings(tmp_path)


def test_everything_below_one_folder_is_kept_apart(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, trial=True)
    assert settings.keep is not None
    assert settings.gateway is not None
    assert settings.gateway.keep == settings.keep.socket
    assert settings.gateway.store == (tmp_path / "store").as_uri()
    parents = {Path(one).parent for one in (settings.keep.folder, settings.keep.high_water, settings.keep.socket)}
    assert len(parents | {Path(settings.gateway.folder)}) == 4

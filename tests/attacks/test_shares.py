"""Attacks on the root key and on what rests under it: too few custodians, swapped keys, a file that others reach."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from shamir_mnemonic import Share as Slip39Share

from strongroom.keyring.model_keys import create_model_key, open_model_key, seal_model_key
from strongroom.keyring.provider import PlainFile
from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import combine, parse_share, split_root
from strongroom.terms import canonical
from strongroom.terms.errors import KeyringTampered, OutputExists, SharesMissing, UnsafePlace, WrongShare
from tests.keyring.drawn import drawn

ROOT = RootKey.generate(drawn("root"))
SHARES = split_root(ROOT, 3, 5)


# --- custodians --------------------------------------------------------------------------------


def test_one_custodian_too_few_opens_nothing() -> None:
    with pytest.raises(SharesMissing):
        combine(SHARES[:2])


def test_one_custodian_too_few_cannot_pretend_to_be_enough() -> None:
    """The attack: two of three write a threshold of two into their shares."""
    forged = []
    for share in SHARES[:2]:
        known = Slip39Share.from_mnemonic(share.text)
        fields = (known.identifier, False, 0, 0, 1, 1, known.index, 2, known.value)
        forged.append(parse_share(Slip39Share(*fields).mnemonic()))
    with pytest.raises(WrongShare):
        combine(forged)


def test_one_custodian_too_few_cannot_tell_a_guess_from_the_key() -> None:
    """Two shares of three go with every root key alike: whichever is guessed, some third share makes a key of it.

    SLIP-39 binds 32 bits of digest into the shares, so of third shares drawn at random one in 2^32 is taken at all;
    which key comes out then says nothing about the true one.
    """
    taken = 0
    for _ in range(200):
        known = Slip39Share.from_mnemonic(SHARES[2].text)
        fields = (known.identifier, False, 0, 0, 1, 1, known.index, 3, secrets.token_bytes(32))
        try:
            combine([*SHARES[:2], parse_share(Slip39Share(*fields).mnemonic())])
            taken += 1
        except WrongShare:
            continue
    assert taken == 0


def test_one_share_is_spread_alike_over_all_bytes_whatever_the_key() -> None:
    """A share of the key of zeros looks like a share of any other: no byte of it leans to a value."""
    seen: Counter[int] = Counter()
    for _ in range(40):
        share = Slip39Share.from_mnemonic(split_root(RootKey(bytes(32)), 2, 3)[1].text)
        seen.update(share.value)
    assert len(seen) > 230  # of 1,280 bytes drawn from 256 values, 254 to be expected
    assert max(seen.values()) < 25  # 5 to be expected


def test_a_share_of_another_deployment_does_not_help() -> None:
    foreign = split_root(RootKey.generate(drawn("elsewhere")), 3, 5)
    with pytest.raises(WrongShare, match="share 3"):
        combine([*SHARES[:2], foreign[2]])


def test_an_old_share_does_not_go_with_the_shares_after_resharing() -> None:
    again = split_root(ROOT, 3, 5)
    if again[0].split == SHARES[0].split:  # one time in 32,768
        again = split_root(ROOT, 3, 5)
    with pytest.raises(WrongShare):
        combine([*SHARES[:2], again[2]])


# --- the database of sealed model keys ---------------------------------------------------------

ATLAS, BOREAS = create_model_key(drawn("atlas")), create_model_key(drawn("boreas"))
Row = tuple[str, str, int]


def sealed(row: Row, *, root: RootKey = ROOT) -> bytes:
    deployment, model_id, generation = row
    return seal_model_key(
        root, ATLAS, deployment=deployment, model_id=model_id, generation=generation, random=secrets.token_bytes
    )


def opens(row: Row, blob: bytes, *, public_digest: str = ATLAS.public_key().digest()) -> None:
    deployment, model_id, generation = row
    open_model_key(
        ROOT, blob, deployment=deployment, model_id=model_id, generation=generation, public_digest=public_digest
    )


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(("here", "boreas", 2), id="swapped between models"),
        pytest.param(("here", "atlas", 3), id="an old generation in a new one's place"),
        pytest.param(("here", "atlas", 1), id="downgraded to an older generation"),
        pytest.param(("elsewhere", "atlas", 2), id="from another deployment"),
    ],
)
def test_a_sealed_model_key_opens_in_no_other_place(place: Row) -> None:
    blob = sealed(("here", "atlas", 2))
    opens(("here", "atlas", 2), blob)
    with pytest.raises(KeyringTampered):
        opens(place, blob)


def test_a_sealed_model_key_does_not_open_where_the_log_names_another_public_key() -> None:
    with pytest.raises(KeyringTampered):
        opens(("here", "atlas", 2), sealed(("here", "atlas", 2)), public_digest=BOREAS.public_key().digest())


def test_a_private_half_that_does_not_belong_to_the_public_key_is_refused() -> None:
    """Even if sealed with the right key and for the right place: writers seal to the public key of the log."""
    digest, nonce = BOREAS.public_key().digest(), bytes(12)
    aad = canonical.encode(
        {
            "deployment": "here",
            "format": "strongroom/model-key/1",
            "generation": 2,
            "model": "atlas",
            "public_key": digest,
        }
    )
    blob = nonce + AESGCM(ROOT.derive("wrap")).encrypt(nonce, ATLAS.seed, aad)
    with pytest.raises(KeyringTampered, match="not the one in the log"):
        opens(("here", "atlas", 2), blob, public_digest=digest)


def test_every_flipped_bit_of_a_sealed_model_key_is_seen() -> None:
    row = ("here", "atlas", 2)
    blob = sealed(row)
    for place in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(KeyringTampered):
            opens(row, bytes(changed))


def test_a_sealed_model_key_does_not_open_under_another_root_key() -> None:
    row = ("here", "atlas", 2)
    with pytest.raises(KeyringTampered):
        opens(row, sealed(row, root=RootKey.generate(drawn("elsewhere"))))


# --- the plain file of a trial -----------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "trial"
    folder.mkdir(mode=0o700)
    PlainFile(folder / "root.key").create(ROOT)
    assert PlainFile(folder / "root.key").root() == ROOT
    return folder / "root.key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o644, 0o610, 0o601])
def test_a_root_key_that_others_could_reach_is_not_used(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(UnsafePlace):
        PlainFile(path).root()


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o1777])
def test_a_root_key_that_others_could_replace_is_not_used(path: Path, mode: int) -> None:
    path.parent.chmod(mode)
    with pytest.raises(UnsafePlace):
        PlainFile(path).root()
    with pytest.raises(UnsafePlace):
        PlainFile(path.with_name("another.key")).create(ROOT)


def test_a_symlink_to_a_root_key_is_not_followed(path: Path) -> None:
    link = path.with_name("link.key")
    link.symlink_to(path)
    with pytest.raises(UnsafePlace):
        PlainFile(link).root()


def test_a_root_key_is_not_written_through_a_symlink(path: Path) -> None:
    link, planted = path.with_name("link.key"), path.with_name("planted")
    link.symlink_to(planted)
    with pytest.raises(OutputExists):
        PlainFile(link).create(ROOT)
    assert not planted.exists()


def test_a_fifo_in_the_place_of_a_root_key_does_not_hang_the_start(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(UnsafePlace):
        PlainFile(path).root()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_a_root_key_that_somebody_else_owns_is_not_used(path: Path) -> None:
    os.chown(path, 65534, 65534)
    with pytest.raises(UnsafePlace):
        PlainFile(path).root()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_a_root_key_in_somebody_elses_folder_is_not_used(path: Path) -> None:
    os.chown(path.parent, 65534, 65534)
    with pytest.raises(UnsafePlace):
        PlainFile(path).root()

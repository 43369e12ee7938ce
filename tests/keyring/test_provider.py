"""Providers: custodians one by one, and the plain file of a trial."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from strongroom.keyring.provider import CustodianShares, PlainFile, RootProvider
from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import parse_share, split_root
from strongroom.terms.errors import (
    BadKey,
    NotFound,
    OutputExists,
    SharesMissing,
    UnsafePlace,
    WrongShare,
)
from tests.keyring.drawn import drawn
from tests.keyring.test_shares import slip39

ROOT = RootKey.generate(drawn("root"))
SHARES = split_root(ROOT, 3, 5)
FORGOTTEN = "all shares were forgotten"


def test_custodians_make_the_root_key_together() -> None:
    custodians = CustodianShares(3, 5)
    provider: RootProvider = custodians
    assert [custodians.add(share) for share in (SHARES[4], SHARES[0])] == [2, 1]
    with pytest.raises(SharesMissing, match="1 more of 3"):
        provider.root()
    assert custodians.add(SHARES[2]) == 0
    assert provider.root() == ROOT


def test_shares_are_held_no_longer_than_needed() -> None:
    custodians = CustodianShares(3, 5)
    for share in SHARES[:3]:
        custodians.add(share)
    custodians.root()
    with pytest.raises(SharesMissing):
        custodians.root()
    assert custodians.add(SHARES[0]) == 2


def test_nobody_has_given_a_share_yet() -> None:
    with pytest.raises(SharesMissing):
        CustodianShares(3, 5).root()


def test_a_share_given_twice_is_left_out_and_the_others_are_kept() -> None:
    custodians = CustodianShares(3, 5)
    custodians.add(SHARES[0])
    with pytest.raises(WrongShare, match="share 1 was given already"):
        custodians.add(SHARES[0])
    assert custodians.add(SHARES[1]) == 1


def test_a_share_beyond_k_is_left_out() -> None:
    custodians = CustodianShares(3, 5)
    for share in SHARES[:3]:
        custodians.add(share)
    with pytest.raises(WrongShare, match="one too many"):
        custodians.add(SHARES[3])
    assert custodians.root() == ROOT


@pytest.mark.parametrize(("k", "n"), [(2, 5), (4, 5), (3, 4)])
def test_a_share_of_other_custodians_than_the_deployments_is_left_out(k: int, n: int) -> None:
    with pytest.raises(WrongShare, match=f"share 5 is not one of {k} of {n}"):
        CustodianShares(k, n).add(SHARES[4])


def test_a_share_of_another_splitting_empties_the_collection_and_says_so() -> None:
    custodians = CustodianShares(3, 5)
    custodians.add(SHARES[0])
    with pytest.raises(WrongShare, match=f"share 4 is of another splitting.*{FORGOTTEN}"):
        custodians.add(parse_share(slip39(index=3, identifier=SHARES[0].split ^ 1)))
    assert [custodians.add(share) for share in SHARES[:3]] == [2, 1, 0]
    assert custodians.root() == ROOT


def test_a_wrong_combination_empties_the_collection_and_says_so() -> None:
    custodians = CustodianShares(3, 5)
    for share in (SHARES[0], SHARES[1], parse_share(slip39(index=3, identifier=SHARES[0].split))):
        custodians.add(share)
    with pytest.raises(WrongShare, match=FORGOTTEN):
        custodians.root()
    assert [custodians.add(share) for share in SHARES[:3]] == [2, 1, 0]
    assert custodians.root() == ROOT


# --- a plain file ------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "trial"
    folder.mkdir(mode=0o700)
    return folder / "root.key"


def test_a_plain_file_holds_the_root_key_and_is_ours_alone(path: Path) -> None:
    earlier = os.umask(0)
    try:
        PlainFile(path).create(ROOT)
    finally:
        os.umask(earlier)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    provider: RootProvider = PlainFile(path)
    assert provider.root() == ROOT
    assert path.read_bytes() == b"STRONGROOM-ROOT-1:" + ROOT.secret.hex().encode() + b"\n"


def test_a_root_key_is_never_overwritten(path: Path) -> None:
    PlainFile(path).create(ROOT)
    with pytest.raises(OutputExists):
        PlainFile(path).create(RootKey.generate(drawn("other")))
    assert PlainFile(path).root() == ROOT


def test_nothing_stays_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    PlainFile(path).create(ROOT)
    PlainFile(path).root()
    path.chmod(0o644)
    with pytest.raises(UnsafePlace):
        PlainFile(path).root()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_is_not_there_is_not_found(path: Path) -> None:
    with pytest.raises(NotFound):
        PlainFile(path).root()


@pytest.mark.parametrize("name", ["missing/root.key", "file/root.key"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    for use in (PlainFile(tmp_path / name).root, lambda: PlainFile(tmp_path / name).create(ROOT)):
        with pytest.raises(UnsafePlace):
            use()


LINE = b"STRONGROOM-ROOT-1:" + b"ab" * 32 + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        LINE[:-1],
        LINE + b"\n",
        LINE + LINE,
        LINE.upper(),
        LINE.replace(b"ab", b"a", 1),
        LINE.replace(b"-1:", b"-2:"),
        LINE.removeprefix(b"STRONGROOM-ROOT-1:"),
        b" " + LINE,
        LINE.replace(b"ab", b"\xff\xfe", 1),
        bytes(1 << 20),
    ],
)
def test_a_file_that_holds_anything_else_is_refused_without_a_word_of_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BadKey) as caught:
        PlainFile(path).root()
    assert "abab" not in str(caught.value).lower()

"""Shares: any k of n make the root key; whatever else is put together is refused, and says why."""

from __future__ import annotations

import itertools
import time
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import Share as Slip39Share
from shamir_mnemonic import generate_mnemonics, rs1024
from shamir_mnemonic.wordlist import WORDLIST

from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import Share, combine, parse_share, split_root
from strongroom.terms.errors import BadKey, BadRequest, SharesMissing, StrongroomError, WrongShare
from tests.keyring.drawn import drawn

ROOT = RootKey.generate(drawn("root"))
SHARES = split_root(ROOT, 3, 5)
WORDS = SHARES[0].text.split(" ")
words = st.sampled_from(WORDLIST)


def slip39(*, index: int = 0, member_threshold: int = 3, group_index: int = 0, identifier: int = 7) -> str:
    """Return a share as another program would make it: well formed, whatever it means."""
    share = Slip39Share(identifier, False, 0, group_index, 1, 1, index, member_threshold, bytes(range(32)))
    text: str = share.mnemonic()
    return text


def test_any_three_of_five_make_the_root_key_in_any_order() -> None:
    tried = list(itertools.permutations(SHARES, 3))
    assert len(tried) == 60
    assert all(combine(shares) == ROOT for shares in tried)


@settings(max_examples=25, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), data=st.data())
def test_what_is_split_is_made_again_by_any_k_of_n(secret: bytes, data: st.DataObject) -> None:
    k = data.draw(st.integers(2, 16))
    n = data.draw(st.integers(k, 16))
    shares = split_root(RootKey(secret), k, n)
    assert [share.number for share in shares] == list(range(1, n + 1))
    assert {share.threshold for share in shares} == {k}
    chosen = data.draw(st.permutations(shares))[:k]
    assert combine([parse_share(share.text) for share in chosen]).secret == secret


@pytest.mark.parametrize(("k", "n"), [(0, 0), (1, 1), (1, 2), (0, 3), (3, 2), (2, 17), (17, 17), (-1, 5)])
def test_a_threshold_that_means_nothing_is_refused(k: int, n: int) -> None:
    """One share that is the key, no share at all, or more than SLIP-39 can count."""
    with pytest.raises(BadRequest, match=f"{k} of {n}"):
        split_root(ROOT, k, n)


def test_two_splittings_of_one_key_are_told_apart() -> None:
    splits = {split_root(ROOT, 2, 2)[0].split for _ in range(4)}
    assert len(splits) > 1


def test_a_share_is_33_words_and_in_no_repr() -> None:
    assert len(WORDS) == 33
    shown = f"{SHARES[0]!r} {SHARES}"
    assert not any(f" {word} " in shown for word in WORDS)
    assert "number=1" in shown


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [1, 2, 17, 33])
@pytest.mark.parametrize("wrong", ["zzz", "academı", "Academic", "", "academic\n", "academic,"])
def test_a_word_that_is_in_no_share_is_named_by_its_place_alone(position: int, wrong: str) -> None:
    text = " ".join([*WORDS[: position - 1], wrong, *WORDS[position:]])
    with pytest.raises(BadKey, match=rf"^word {position} ") as caught:
        parse_share(text)
    says_nothing_of(text, caught.value)


@settings(max_examples=60, deadline=None)
@given(changes=st.dictionaries(st.integers(0, 32), words, min_size=1, max_size=3))
def test_up_to_three_wrong_words_are_always_found(changes: dict[int, str]) -> None:
    text = " ".join(changes.get(place, word) for place, word in enumerate(WORDS))
    if text == SHARES[0].text:
        return
    with pytest.raises(BadKey, match="one or more are wrong") as caught:
        parse_share(text)
    says_nothing_of(text, caught.value)


def test_swapped_words_are_found() -> None:
    with pytest.raises(BadKey):
        parse_share(" ".join([*WORDS[:8], WORDS[9], WORDS[8], *WORDS[10:]]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        SHARES[0].text + " ",
        " " + SHARES[0].text,
        SHARES[0].text + "\n",
        SHARES[0].text.replace(" ", "  ", 1),
        SHARES[0].text.replace(" ", "\t", 1),
        SHARES[0].text.replace(" ", "\u00a0", 1),
        SHARES[0].text.upper(),
        SHARES[0].text.replace("k", "\u212a", 1) if "k" in SHARES[0].text else "\u212a",  # the Kelvin sign lowers to k
        " ".join(WORDS[:-1]),
        " ".join([*WORDS, WORDS[0]]),
        "\ud800",
    ],
    ids=range(13),
)
def test_a_share_that_is_written_otherwise_is_refused_not_mended(text: str) -> None:
    with pytest.raises(BadKey):
        parse_share(text)


FOREIGN = {
    "an extendable one": generate_mnemonics(1, [(2, 2)], ROOT.secret, extendable=True, iteration_exponent=0)[0][0],
    "one of a share alone": generate_mnemonics(1, [(1, 1)], ROOT.secret, extendable=False, iteration_exponent=0)[0][0],
    "one of two groups": generate_mnemonics(2, [(2, 2)] * 2, ROOT.secret, extendable=False, iteration_exponent=0)[0][0],
    "one of another iteration exponent": generate_mnemonics(1, [(2, 2)], ROOT.secret, extendable=False)[0][0],
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_share_of_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(BadKey, match="another kind"):
        parse_share(FOREIGN[kind])


@pytest.mark.parametrize("size", [16, 24, 30, 34, 64])
def test_a_share_of_a_secret_of_another_length_is_refused(size: int) -> None:
    (shares,) = generate_mnemonics(1, [(2, 2)], bytes(size), extendable=False, iteration_exponent=0)
    with pytest.raises(BadKey, match="33 words"):
        parse_share(shares[0])


@given(text=st.text(max_size=60) | st.lists(words, max_size=40).map(" ".join))
def test_reading_anything_raises_nothing_but_bad_key(text: str) -> None:
    with pytest.raises(BadKey):
        parse_share(text)


@settings(max_examples=300, deadline=None)
@given(indices=st.lists(st.integers(0, 1023), min_size=30, max_size=30), extendable=st.booleans())
def test_anything_with_a_right_checksum_is_a_share_or_a_bad_key(indices: list[int], extendable: bool) -> None:
    indices[1] = indices[1] & ~16 | extendable << 4
    checksum = rs1024.create_checksum(indices, b"shamir_extendable" if extendable else b"shamir")
    text = " ".join(WORDLIST[index] for index in [*indices, *checksum])
    try:
        share = parse_share(text)
    except BadKey as error:
        says_nothing_of(text, error)
    else:
        assert share.text == text
        with pytest.raises((SharesMissing, WrongShare)):
            combine([share] * share.threshold)


# --- combining ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("given_", "missing"), [(1, 2), (2, 1)])
def test_too_few_shares_say_how_many_are_missing(given_: int, missing: int) -> None:
    with pytest.raises(SharesMissing, match=f"^{missing} more of 3"):
        combine(SHARES[:given_])


def test_no_shares_make_no_key() -> None:
    with pytest.raises(SharesMissing):
        combine([])


def test_one_share_too_many_is_refused_and_not_ignored() -> None:
    """What is ignored is not checked: the library would take any three and never look at the fourth."""
    with pytest.raises(WrongShare, match="share 4 is one too many: 3 are enough"):
        combine(SHARES[:4])


def test_a_share_given_twice_is_named() -> None:
    with pytest.raises(WrongShare, match="share 2 was given already"):
        combine([SHARES[0], SHARES[1], SHARES[1]])


def test_a_share_of_another_splitting_is_named() -> None:
    other = parse_share(slip39(index=3, identifier=(SHARES[0].split + 1) % 2**15))
    with pytest.raises(WrongShare, match="share 4 is of another splitting than share 1"):
        combine([SHARES[0], SHARES[1], other])


def test_a_share_of_another_threshold_is_named() -> None:
    other = parse_share(slip39(index=3, member_threshold=2, identifier=SHARES[0].split))
    with pytest.raises(WrongShare, match="share 4 is of another splitting than share 1"):
        combine([SHARES[0], SHARES[1], other])


@pytest.mark.parametrize("group_index", [0, 5])
def test_a_share_that_only_claims_to_be_of_this_splitting_makes_no_key(group_index: int) -> None:
    other = parse_share(slip39(index=3, group_index=group_index, identifier=SHARES[0].split))
    with pytest.raises(WrongShare, match="at least one of the shares") as caught:
        combine([SHARES[0], SHARES[1], other])
    says_nothing_of(other.text, caught.value)


def test_no_share_can_make_combining_take_long() -> None:
    """Its iteration exponent would: at 15, more than 300 million rounds for whoever is asked to combine."""
    (texts,) = [[Slip39Share(7, False, 15, 0, 1, 1, index, 2, bytes(32)).mnemonic() for index in range(2)]]
    began = time.process_time()
    with pytest.raises(BadKey):
        combine([parse_share(text) for text in texts])
    assert time.process_time() - began < 30


def says_nothing_of(text: str, error: StrongroomError) -> None:
    """No word of a share is in what a person or a log sees of the error, but for those that any sentence may hold."""
    shown = "".join(traceback.format_exception(error, limit=0)) + error.hint
    told = [a for a in itertools.pairwise(text.split(" ")) if " ".join(a) in shown]
    assert told == []
    assert not any(f"`{word}`" in shown or f"'{word}'" in shown for word in text.split(" ") if word)


def test_shares_are_values() -> None:
    assert parse_share(SHARES[0].text) == SHARES[0]
    assert isinstance(SHARES[0], Share)

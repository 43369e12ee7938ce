"""Custodians' shares: the root key as k of n lines of 33 words (SLIP-39), fewer than k of which say nothing.

One group, no passphrase, and the lowest iteration exponent, 0: iterations slow down the guessing of a passphrase,
and the root key is 256 random bits. Not extendable: each splitting has a random identifier of its own, so that
shares of two splittings of one key are told apart. The identifier has 15 bits and SLIP-39's digest 32: they find
mistakes. That the right root key came out is for the caller to check against the log's public key.

TRUST: `shamir_mnemonic` draws the shares' randomness from `secrets`; it takes no source as an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics
from shamir_mnemonic import Share as Slip39Share
from shamir_mnemonic.wordlist import WORD_INDEX_MAP

from strongroom.keyring.root import RootKey
from strongroom.terms.errors import BadKey, BadRequest, SharesMissing, WrongShare

FEWEST, MOST = 2, 16
_WORDS = 33
_HINT = "type the share again, as it was handed out: 33 words in lower case, one space between them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One custodian's share. `text` is the secret, and `repr` leaves it out; the rest may be told to anybody."""

    text: str = field(repr=False)
    split: int
    """Which splitting it is from: a random number below 2^15."""
    threshold: int
    """How many shares make the root key."""
    number: int
    """Which of them it is, from 1 to 16."""


def split_root(root: RootKey, k: int, n: int) -> tuple[Share, ...]:
    """Return `n` shares, any `k` of which make `root` again.

    Raises:
        BadRequest: not 2 <= k <= n <= 16.
    """
    if not FEWEST <= k <= n <= MOST:
        raise BadRequest(
            f"{k} of {n} custodians cannot be", hint=f"at least {FEWEST}, and at most all of up to {MOST} custodians"
        )
    (texts,) = generate_mnemonics(1, [(k, n)], root.secret, extendable=False, iteration_exponent=0)
    return tuple(parse_share(text) for text in texts)


def parse_share(text: str) -> Share:
    """Return the share that `text` is; the message of an error holds none of its words.

    Raises:
        BadKey: a word that is in no share, a wrong checksum, or a share of another kind.
    """
    words = text.split(" ")
    for position, word in enumerate(words, 1):
        if word not in WORD_INDEX_MAP:
            raise BadKey(f"word {position} is not a word of any share", hint=_HINT)
    if len(words) != _WORDS:
        raise BadKey(f"a share has {_WORDS} words, not {len(words)}", hint=_HINT)
    try:
        share = Slip39Share.from_mnemonic(text)
    except MnemonicError:
        # Not chained: the library's message quotes the words.
        raise BadKey(
            "the words are not a share: one or more are wrong, or stand in the wrong place", hint=_HINT
        ) from None
    # The exponent also says how long combining takes: at 15, hours.
    if (share.group_count, share.extendable, share.iteration_exponent) != (
        1,
        False,
        0,
    ) or share.member_threshold < FEWEST:
        raise BadKey("a share of another kind than Strongroom makes", hint="give the share of this deployment")
    return Share(text=text, split=share.identifier, threshold=share.member_threshold, number=share.index + 1)


def combine(shares: Sequence[Share]) -> RootKey:
    """Return the root key that exactly as many shares as it takes make.

    Raises:
        SharesMissing: fewer.
        WrongShare: one is of another splitting, given twice, or one too many; or they do not go together.
    """
    if not shares:
        raise SharesMissing("no share was given")
    for position, share in enumerate(shares):
        check_fits(share, shares[:position])
    if missing := shares[0].threshold - len(shares):
        raise SharesMissing(f"{missing} more of {shares[0].threshold} shares are missing")
    try:
        secret: bytes = combine_mnemonics([share.text for share in shares])
    except MnemonicError:
        raise WrongShare("at least one of the shares is not of the same root key as the others") from None
    return RootKey.from_bytes(secret)


def check_fits(share: Share, others: Sequence[Share]) -> None:
    """Refuse a share that cannot go together with `others`, which do.

    Raises:
        WrongShare: it is of another splitting, or was given already, or they are enough without it.
    """
    for other in others:
        if (other.split, other.threshold) != (share.split, share.threshold):
            raise WrongShare(f"share {share.number} is of another splitting than share {other.number}, given before it")
        if other.number == share.number:
            raise WrongShare(f"share {share.number} was given already")
    if len(others) == share.threshold:
        raise WrongShare(f"share {share.number} is one too many: {share.threshold} are enough")

"""Words for a digest, so that two people, or two screens, can compare what is being signed: "amber-ferry-lotus-nine-…".

Six words of 2,048, 66 bits. Signatures cover the whole digest, so words prove nothing to a machine; they serve where
an honest screen meets another one across something that may lie. Whoever lies there looks for a statement, or a key to
unseal with, that has the words of another: by trying, at 10^10 hashes a second, 230 years on one machine. With the four
words that read better it would be half an hour, and what custodians compare before they give their shares can be tried
in advance. Somebody who makes both of the two needs 2^33 tries only: words say that two screens show the same, not that
nobody chose it. And a screen that is not honest shows whatever words it likes.
"""

from functools import cache
from importlib.resources import files

from strongroom.terms.digests import parse_digest

WORDS = 6
BITS = 11


def digest_words(digest: str) -> str:
    """Return the six words of `digest`, the first bits first.

    Raises:
        BadRequest: it is no digest.
    """
    bits = int(parse_digest(digest).removeprefix("sha256:"), 16) >> (256 - WORDS * BITS)
    return "-".join(_words()[bits >> BITS * place & (1 << BITS) - 1] for place in reversed(range(WORDS)))


@cache
def _words() -> list[str]:
    return files(__package__).joinpath("words.txt").read_text(encoding="ascii").split()

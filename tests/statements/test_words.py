"""The words: what two people read to each other."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from strongroom.statements.words import digest_words
from strongroom.terms.errors import BadRequest
from tests.statements.vectors import load
from tests.vectors.statements.writer import WORD_LIST

VECTORS = load("words")
LISTED = WORD_LIST.read_text(encoding="ascii").split()
SOUND_ALIKE = [
    "bear bare", "beach beech", "berry bury", "board bored", "brake break", "bread bred", "cellar seller", "cent scent",
    "cereal serial", "chord cord", "coarse course", "coral corral", "cruise crews", "cymbal symbol", "desert dessert",
    "dual duel", "fairy ferry", "flour flower", "gallon galleon", "gorilla guerrilla", "hangar hanger", "horse hoarse",
    "idle idol", "kernel colonel", "knight night", "lama llama", "links lynx", "mail male", "maize maze",
    "mantel mantle", "marshal martial", "medal metal", "miner minor", "moose mousse", "morning mourning",
    "muscle mussel", "mustard mustered", "naval navel", "orchard orchid", "pail pale", "palate palette", "pause paws",
    "peace piece", "peak peek", "pear pair", "pedal petal", "plain plane", "profit prophet", "racket racquet",
    "rain reign", "rhyme rime", "ring wring", "sail sale", "salmon salon", "saucer sorcerer",
    "stair stare", "stake steak", "steal steel", "suite sweet", "sun son", "tapir taper", "thyme time", "timber timbre",
    "titan tighten", "turban turbine", "vertex vortex", "waist waste", "wander wonder", "whale wail", "wood would",
]  # fmt: skip


def test_this_many_vectors_were_found() -> None:
    assert len(VECTORS) == 4


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    assert digest_words(VECTORS[name]["digest"]) == VECTORS[name]["words"]


def test_there_are_2048_plain_words_in_order() -> None:
    assert len(LISTED) == 2048
    assert all(first < second for first, second in pairwise(LISTED))
    assert all(re.fullmatch("[a-z]{3,7}", word) for word in LISTED)


def test_no_word_is_one_slip_from_another() -> None:
    """A letter changed, left out, added, or swapped with its neighbour."""
    listed = set(LISTED)
    for word in LISTED:
        left_out = {word[:at] + word[at + 1 :] for at in range(len(word))}
        changed = {
            word[:at] + letter + word[at + 1 :] for at in range(len(word)) for letter in "abcdefghijklmnopqrstuvwxyz"
        }
        swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
        assert (left_out | changed | swapped) & listed == {word}


def test_no_word_begins_another() -> None:
    long = [word for word in LISTED if len(word) > 3]
    assert [pair for pair in pairwise(long) if pair[1].startswith(pair[0])] == []


@pytest.mark.parametrize("pair", SOUND_ALIKE)
def test_no_two_words_sound_alike(pair: str) -> None:
    assert not set(pair.split()) <= set(LISTED)


def test_one_bit_of_the_first_66_changes_a_word() -> None:
    base = "5a" * 32
    for bit in range(66):
        other = f"{int(base, 16) ^ 1 << (255 - bit):064x}"
        one, two = (digest_words(f"sha256:{digest}").split("-") for digest in (base, other))
        assert [at for at in range(6) if one[at] != two[at]] == [bit // 11]


def test_what_is_no_digest_has_no_words() -> None:
    with pytest.raises(BadRequest):
        digest_words("5a" * 32)

"""Digests of details: what the log binds of a name, checked by whoever has name and salt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.terms.details import detail_digest
from strongroom.terms.errors import BadRequest, NotCanonical

SALT = bytes(range(16))
texts, salts = st.text(max_size=50), st.binary(min_size=16, max_size=16)


def test_the_digest_of_ada() -> None:
    assert detail_digest("Ada", SALT) == "sha256:0ea659e5a7e319aba512872ca7e185b47137a8b363b2c8c23c4ab7b71e411dde"


@given(one=st.tuples(texts, salts), two=st.tuples(texts, salts))
def test_another_text_or_another_salt_has_another_digest(one: tuple[str, bytes], two: tuple[str, bytes]) -> None:
    assert (detail_digest(*one) == detail_digest(*two)) == (one == two)


@pytest.mark.parametrize("size", [0, 1, 15, 17, 32])
def test_a_short_salt_lets_names_be_guessed_and_is_refused(size: int) -> None:
    with pytest.raises(BadRequest):
        detail_digest("Ada", bytes(size))


def test_a_text_without_canonical_form_is_refused() -> None:
    with pytest.raises(NotCanonical):
        detail_digest("\ud800", SALT)


def test_a_text_cannot_be_written_so_that_it_takes_anothers_digest() -> None:
    assert detail_digest('Ada","x":"', SALT) != detail_digest("Ada", SALT)

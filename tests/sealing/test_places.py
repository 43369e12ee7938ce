"""Places: what lies where in a store, and that no name means two things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.sealing.places import (
    Name,
    SealName,
    check_deployment,
    check_model_id,
    manifest_name,
    name_of,
    object_name,
    parse_manifest_name,
)
from strongroom.terms.names import VersionName
from strongroom.terms.outer_errors import BadName

SEAL_ID, MODEL_ID, DEPLOYMENT = "ab" * 16, "model-" + "cd" * 16, "sr1:" + "ef" * 32
INSIDE = SealName(model=MODEL_ID, seal_id=SEAL_ID)
OUTSIDE = VersionName(model="acme/atlas", number=7)


def test_names_in_the_store_say_nothing_of_the_content() -> None:
    assert manifest_name(OUTSIDE) == "m/acme/atlas/7"
    assert manifest_name(INSIDE) == f"m/{MODEL_ID}/{SEAL_ID}"
    assert str(INSIDE) == f"{MODEL_ID}/{SEAL_ID}"
    assert object_name(SEAL_ID, 3) == f"o/{SEAL_ID}/3"


def test_a_version_has_a_number_or_the_name_of_its_seal() -> None:
    assert name_of("acme/atlas", 7, SEAL_ID) == OUTSIDE
    assert name_of(MODEL_ID, None, SEAL_ID) == INSIDE


@pytest.mark.parametrize(
    "name",
    [
        OUTSIDE,
        INSIDE,
        # A model that somebody named like an id is still one outside any deployment.
        VersionName(model=f"{MODEL_ID}/{SEAL_ID}", number=1),
    ],
    ids=str,
)
def test_a_manifest_is_found_under_the_name_that_it_was_given(name: Name) -> None:
    assert parse_manifest_name(manifest_name(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "m",
        f"m/{MODEL_ID}",
        f"m/{MODEL_ID}/{SEAL_ID}.bak",
        f"m/{MODEL_ID}/{SEAL_ID}\n",
        f"m/{MODEL_ID}/{SEAL_ID.upper()}",
        f"m/{MODEL_ID}/1",
        f"m/{MODEL_ID.upper()}/{SEAL_ID}",
        f"m/person-{SEAL_ID}/{SEAL_ID}",
        f"m/acme/{SEAL_ID}",
        f"m/{MODEL_ID}/x/{SEAL_ID}",
        f"o/{MODEL_ID}/{SEAL_ID}",
        "o/acme/atlas/7",
        "m/acme/atlas/07",
        "m/acme/atlas@1/7",
        "m/acme/atlas/7/8",
    ],
)
def test_what_is_named_otherwise_is_no_manifest(name: str) -> None:
    with pytest.raises(BadName):
        parse_manifest_name(name)


@given(name=st.text(max_size=90) | st.from_regex(r"m/model-[0-9a-f]{31,33}/[0-9a-f]{31,33}", fullmatch=True))
def test_any_text_is_the_one_name_of_a_manifest_or_none(name: str) -> None:
    try:
        found = parse_manifest_name(name)
    except BadName:
        return
    assert manifest_name(found) == name


def test_deployments_and_models_have_one_form_each() -> None:
    check_deployment(DEPLOYMENT)
    check_model_id(MODEL_ID)
    for text in (
        "",
        "standalone",
        DEPLOYMENT[:-1],
        DEPLOYMENT + "0",
        DEPLOYMENT.upper(),
        DEPLOYMENT + "\n",
        DEPLOYMENT[4:],
    ):
        with pytest.raises(BadName, match="is not a deployment"):
            check_deployment(text)
    for text in ("", "acme/atlas", MODEL_ID[:-1], MODEL_ID + "0", MODEL_ID.upper(), MODEL_ID + "\n", MODEL_ID[6:]):
        with pytest.raises(BadName, match="is not a model id"):
            check_model_id(text)

"""The ceremony: files that are passed around, and what each step refuses to go on with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.acts.deployment_found import FoundingRole
from strongroom.acts.fold import deployment_name
from strongroom.client.cards import make_card, make_program_card, parse_card, parse_program_card
from strongroom.client.connection import Connection
from strongroom.client.founding import (
    Plan,
    PlannedZone,
    draft_genesis,
    encode_signature,
    fetch_share,
    found,
    parse_draft,
    parse_signature,
    prepare,
    sign_genesis,
    unseal,
    unseal_key,
    unseal_words,
)
from strongroom.client.place import Place
from strongroom.client.profile import SOFTWARE, create_profile
from strongroom.sealing.keys import PublicKey
from strongroom.statements.words import digest_words
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NotAllowed, NotCanonical, NotFound, WrongDeployment
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import BadAnswer
from tests.client_keep.logs import ROLES, RP_ID, START, ZONE, Clock, Keeper, World, acceptance, b64, drafted, served


def test_everything_goes_through_files(tmp_path: Path) -> None:
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        draft, people = drafted(tmp_path / "people", socket)
        draft = parse_draft(draft.encode())
        files = [encode_signature(sign_genesis(draft, one, one.security_key())) for one in people]
        assert found(Connection(socket), draft, map(parse_signature, files)).startswith("sr1:")


def test_the_name_of_a_deployment_is_computed_here(world: World) -> None:
    assert world.deployment == deployment_name(world.keeper.leaves[0])


def test_founders_read_all_that_they_sign(tmp_path: Path) -> None:
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        draft, people = drafted(tmp_path / "people", socket)
    text = "\n".join(draft.lines())
    for name, roles in ROLES.items():
        assert f"{name} (person-" in text
        assert all(role in text for role in roles)
    assert "unsealing takes 2 of 3 custodians" in text
    for founder in draft.body.founders:
        assert f"key of the device: {digest_words(sha256(founder.devices[0].key.public_key))}" in text
    assert text.count("key of the custodian: ") == len(draft.body.custodians) == 3
    for key in draft.body.custodians.values():
        assert f"key of the custodian: {digest_words(sha256(key))}" in text
    assert f"zone {ZONE}: labels up to 2, 1073741824 bytes a day" in text
    assert "software keys are accepted" in text
    assert draft.words.count("-") == 5
    other = replace(draft, statement=replace(draft.statement, until=draft.statement.until - 1))
    assert other.words != draft.words
    assert len(people) == 5


def test_a_card_comes_back_as_it_was_and_enrols_nobody_elsewhere(tmp_path: Path) -> None:
    profile = create_profile(new_id("person", os.urandom), tmp_path / "home", security_key=SOFTWARE)
    deployment = "sr1:" + "0f" * 32
    card = make_card(profile, profile.security_key(), "Fay", rp_id=RP_ID, random=os.urandom, deployment=deployment)
    assert parse_card(card.encode()) == card
    assert profile.credentials == {card.credentials[0].raw_id: card.credentials[0].credential}
    assert profile.who.device == card.device
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        keys = prepare(Connection(socket))
    plan = Plan(quorum=1, acceptance=acceptance(), roles={}, zones=[], trial=True)
    with pytest.raises(WrongDeployment):
        draft_genesis([card], plan, keys, at=START, random=os.urandom)
    with pytest.raises(NotCanonical):
        parse_card(card.encode() + b"\n")


def test_a_software_key_counts_as_software_whatever_makers_are_accepted(tmp_path: Path) -> None:
    profile = create_profile(new_id("person", os.urandom), tmp_path / "home", security_key=SOFTWARE)
    card = make_card(profile, profile.security_key(), "Fay", rp_id=RP_ID, random=os.urandom, roots=[b"a root"])
    assert card.credentials[0].software


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"quorum": 1}, NotAllowed),
        ({"quorum": 5}, NotAllowed),
        ({"custodians_needed": 4}, NotAllowed),
        ({"roles": {}}, NotAllowed),
        ({"places": {"everybody": "elsewhere"}}, NotFound),
    ],
)
def test_a_plan_that_breaks_a_rule_is_not_drafted(
    tmp_path: Path, change: dict[str, object], error: type[Exception]
) -> None:
    profiles = [
        create_profile(new_id("person", os.urandom), tmp_path / str(number), security_key=SOFTWARE)
        for number in range(5)
    ]
    cards = [
        make_card(one, one.security_key(), f"Person {number}", rp_id=RP_ID, random=os.urandom)
        for number, one in enumerate(profiles)
    ]
    everybody = [one.who.subject for one in profiles]
    plan = Plan(
        quorum=2,
        acceptance=acceptance(),
        roles={one: [FoundingRole(role="governor", team="core")] for one in everybody},
        zones=[PlannedZone(name=ZONE, ceiling=2, egress_bytes_per_day=1)],
        custodians=everybody[:3],
        custodians_needed=2,
    )
    if "places" in change:
        change = {"places": dict.fromkeys(everybody, "elsewhere")}
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        keys = prepare(Connection(socket))
    draft_genesis(cards, plan, keys, at=START, random=os.urandom)
    with pytest.raises(error):
        draft_genesis(cards, replace(plan, **change), keys, at=START, random=os.urandom)  # type: ignore[arg-type]


def test_one_person_founds_a_trial(tmp_path: Path) -> None:
    profile = create_profile(new_id("person", os.urandom), tmp_path / "home", security_key=SOFTWARE)
    card = make_card(profile, profile.security_key(), "Fay", rp_id=RP_ID, random=os.urandom)
    plan = Plan(
        quorum=1,
        acceptance=acceptance(),
        roles={card.person: [FoundingRole(role="governor", team="core")]},
        zones=[PlannedZone(name=ZONE, ceiling=2, egress_bytes_per_day=1)],
        trial=True,
    )
    keeper = Keeper(Clock())
    with served(keeper.handle, tmp_path / "keep" / "socket") as socket:
        connection = Connection(socket)
        draft = draft_genesis([card], plan, prepare(connection), at=START, random=os.urandom)
        found(connection, draft, [sign_genesis(draft, profile, profile.security_key())])
    assert keeper.directory.trial
    assert "a trial, for ever" in draft.lines()[0]


def test_custodians_unseal_with_shares_that_they_keep(world: World) -> None:
    connection = Connection(world.socket)
    key = unseal_key(connection)
    assert unseal_words(key) == digest_words(sha256(key.raw))
    missing = []
    for name in ("Ada", "Ben"):
        profile = world.profiles[name]
        share = fetch_share(profile, connection)
        assert share.encode() not in (profile.share() or b"")
        world.keeper.lie = lambda request, answer: {"error": {}} if request["ask"] == "share" else answer
        assert fetch_share(profile, connection) == share
        world.keeper.lie = lambda request, answer: answer
        missing.append(unseal(profile, connection, share, to=key))
    assert missing == [1, 0]
    assert isinstance(key, PublicKey)


@pytest.mark.parametrize("missing", [True, "1", None])
def test_how_many_shares_are_missing_is_a_number_or_nothing_is_known(world: World, missing: object) -> None:
    connection, ada = Connection(world.socket), world.profiles["Ada"]
    key, share = unseal_key(connection), fetch_share(ada, connection)
    world.keeper.lie = lambda request, answer: {**answer, "ok": {"missing": missing}}
    with pytest.raises(BadAnswer):
        unseal(ada, connection, share, to=key)


def test_a_key_of_another_length_unseals_nothing(world: World) -> None:
    world.keeper.lie = lambda request, answer: {**answer, "ok": {"unseal_key": b64(bytes(32))}}
    with pytest.raises(BadAnswer):
        unseal_key(Connection(world.socket))


def test_somebody_new_and_a_program_are_enrolled_from_their_cards(world: World, tmp_path: Path) -> None:
    profile = create_profile(new_id("person", os.urandom), tmp_path / "Fay", security_key=SOFTWARE)
    card = make_card(
        profile, profile.security_key(), "Fay", rp_id=RP_ID, random=os.urandom, deployment=world.deployment
    )
    assert world.govern("person.enrol", card.person_enrol(), card.detail).enacted
    assert world.govern("device.enrol", card.device_enrol(world.zone())).enacted
    profile.join(Place(name=world.deployment, socket=world.socket))
    world.profiles["Fay"] = profile
    assert world.session("Fay").directory.people[card.person].details == card.detail.digest

    meter = create_profile(new_id("attester", os.urandom), tmp_path / "meter")
    told = make_program_card(meter, "egress meter", deployment=world.deployment, random=os.urandom)
    assert parse_program_card(told.encode()) == told
    change = told.attester_enrol(kinds=["egress-bytes-per-day"], longest_seconds=3600)
    assert world.govern("attester.enrol", change, told.detail).enacted

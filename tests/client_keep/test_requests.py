"""What people ask for and how they decide, each act proven before it counts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.acts.act import DAY
from strongroom.acts.label_lower import LabelLower
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.client.cards import credential_add, make_credential, make_program_card
from strongroom.client.joining import connect
from strongroom.client.names import NOT_PROVEN, Names, new_detail
from strongroom.client.place import Place
from strongroom.client.profile import SOFTWARE, create_profile
from strongroom.client.requests import (
    approve,
    attest,
    freeze,
    lower_label,
    proposal_id,
    propose,
    raise_label,
    reject,
    report_credential,
    request_access,
    revoke_attester,
    revoke_grant,
    thaw,
    withdraw,
)
from strongroom.client.review import review, voices
from strongroom.client.security_keys.software import SoftwareKey
from strongroom.client.session import Program, login, resume
from strongroom.statements.statement import parse_statement
from strongroom.statements.words import digest_words
from strongroom.terms.errors import (
    AlreadyDone,
    BadRequest,
    NotFound,
    UnknownFormat,
    UnknownSigner,
)
from strongroom.terms.ids import new_id
from tests.client_keep.logs import RP_ID, World

# --- sessions ----------------------------------------------------------------------------------


def test_a_session_outlives_the_command_that_opened_it(world: World) -> None:
    first = world.session("Ada")
    profile = world.profiles["Ada"]
    again = resume(profile, world.connect("Ada"), clock=world.clock)
    assert again.until == first.until == world.clock.at + 3600
    again.deployment.sync()
    again.learn([world.person("Ben")])
    assert "(Ben)" in again.deployment.called(world.person("Ben"))


def test_logging_out_ends_the_session_in_the_log_and_forgets_its_key(world: World) -> None:
    session = world.session("Ada")
    assert len(world.keeper.directory.sessions) == 1
    session.logout()
    assert world.keeper.directory.sessions == {}
    assert world.profiles["Ada"].session() is None
    with pytest.raises(UnknownSigner):
        resume(world.profiles["Ada"], session.deployment, clock=world.clock)


def test_logging_out_forgets_the_key_even_if_the_keep_does_not_hear_of_it(world: World) -> None:
    session = world.session("Ada")
    world.keeper.lie = lambda request, answer: {"error": {}}
    with pytest.raises(Exception, match="no keep"):
        session.logout()
    assert world.profiles["Ada"].session() is None


def test_a_session_that_has_ended_signs_nothing_and_its_key_is_gone(world: World) -> None:
    session = world.session("Ada")
    world.clock.at = session.until + 1
    with pytest.raises(UnknownSigner, match="ended"):
        withdraw(session, "statement-" + "0" * 32)
    assert world.profiles["Ada"].session() is None


def test_an_ended_session_is_not_resumed(world: World) -> None:
    session = world.session("Ada")
    world.clock.at = session.until + 1
    with pytest.raises(UnknownSigner):
        resume(world.profiles["Ada"], session.deployment, clock=world.clock)
    assert world.profiles["Ada"].session() is None


@pytest.mark.parametrize("hours", [0.0, -1.0, 1.01])
def test_a_session_lasts_an_hour_at_most(world: World, hours: float) -> None:
    profile = world.profiles["Ada"]
    with pytest.raises(BadRequest):
        login(profile, world.connect("Ada"), profile.security_key(), hours=hours, clock=world.clock)


def test_a_refused_login_leaves_no_key(world: World, tmp_path: Path) -> None:
    profile = world.profiles["Ada"]
    stranger = create_profile(new_id("person", os.urandom), tmp_path / "stranger", security_key=SOFTWARE)
    stranger.join(Place(name=world.deployment, socket=world.socket))
    with pytest.raises(BadRequest):
        login(stranger, world.connect("Ada"), profile.security_key(), clock=world.clock)
    world.clock.at += 100
    with pytest.raises(Exception, match="from now"):
        login(profile, world.connect("Ada"), profile.security_key(), clock=lambda: world.clock.at - 100.0)
    assert profile.session() is None


# --- proposals ---------------------------------------------------------------------------------


def test_an_approver_reads_exactly_what_is_signed(world: World) -> None:
    ben = world.person("Ben")
    done = propose(
        world.session("Ada"),
        "role.give",
        RoleGive(subject=ben, role="responder", team="core"),
        "he is on call\nfrom Monday",
    )
    session = world.session("Cleo")
    read = review(session, proposal_id(done))
    assert read.payload == done.logged.entry.envelope().payload
    assert read.digest == done.logged.entry.envelope().digest
    assert read.words == digest_words(read.digest)
    text = "\n".join(read.lines)
    assert f"{world.person('Ada')} (Ada) proposes `role.give`" in text
    assert f"about: {ben} (Ben)" in text
    assert f"subject: {ben} (Ben)" in text
    assert "role: responder" in text
    assert "purpose: `he is on call\\nfrom Monday`" in text
    assert f"no voice, because they gain by it: {ben} (Ben)" in text
    assert world.deployment in text
    assert all(line.isprintable() for line in read.lines)
    assert voices(session.directory, world.person("Cleo"), read.proposal) == [
        ("governor", "core"),
        ("approver", "core"),
    ]
    given = approve(session, read, world.profiles["Cleo"].security_key(), role="governor", team="core")
    body = parse_statement(given.logged.entry.envelope()).body
    assert isinstance(body, dict)
    assert (body["digest"], body["proposal"]) == (read.digest, proposal_id(done))
    assert given.missing
    assert given.enacted is None
    last = world.agree(done, "Eve", role="governor")
    assert last.enacted is not None
    assert last.enacted.entry.kind == "role.given"
    assert last.enacted.data["proposal"] == proposal_id(done)


def test_a_purpose_that_is_not_to_be_had_is_said_to_be_not_proven(world: World) -> None:
    change = RoleGive(subject=world.person("Ben"), role="responder", team="core")
    done = propose(world.session("Ada"), "role.give", change, "why")
    world.keeper.details.clear()
    read = review(world.session("Cleo"), proposal_id(done))
    assert any(line.startswith("purpose: sha256:") and NOT_PROVEN in line for line in read.lines)


def test_what_changes_in_policies_is_read_line_by_line(world: World) -> None:
    session = world.session("Ada")
    policies = session.directory.policies
    first = policies[0]
    changed = type(first)(name=first.name, text=first.text.replace("two approvers", "two good approvers"))
    done = propose(session, "policy.change", PolicyChange(policies=(changed, *policies[1:])), "wording")
    read = review(world.session("Cleo"), proposal_id(done))
    new = {line for line in read.lines if line.startswith("+")}
    old = {line for line in read.lines if line.startswith("-")}
    assert len(new) == len(old) > 1
    assert sum("two good approvers" in line for line in new) == sum("two approvers" in line for line in old) > 0
    assert not any(len(line) > 400 for line in read.lines)


def test_a_proposal_that_is_not_open_cannot_be_read(world: World) -> None:
    session = world.session("Ada")
    with pytest.raises(NotFound):
        review(session, "statement-" + "0" * 32)
    done = propose(session, "role.give", RoleGive(subject=world.person("Ben"), role="responder", team="core"), "why")
    withdraw(session, proposal_id(done))
    with pytest.raises(AlreadyDone, match="withdrawn"):
        review(session, proposal_id(done))


def test_a_no_is_counted_and_ends_a_request_for_access(world: World) -> None:
    model = world.model()
    session = world.session("Ada")
    done = lower_label(session, model, 0, "it is public now")
    ben = world.session("Ben")
    said = reject(
        ben,
        review(ben, proposal_id(done)),
        world.profiles["Ben"].security_key(),
        role="governor",
        team="core",
        reason="it is not",
    )
    assert said.logged.entry.kind == "rejected"
    assert world.keeper.directory.proposals[proposal_id(done)].rejections == (world.person("Ben"),)
    assert world.agree(done, "Cleo", "Eve", role="governor").enacted
    assert world.keeper.directory.models[model].label == 0


def test_a_voice_lasts_as_long_as_the_proposal_that_it_is_about(world: World) -> None:
    model = world.model()
    ada = world.session("Ada")
    done = lower_label(ada, model, 0, "it is public now")
    until = parse_statement(done.logged.entry.envelope()).until
    world.agree(done, "Ben", role="governor")
    (voice,) = world.keeper.directory.proposals[proposal_id(done)].approvals
    assert voice.until == until == world.clock.at + 7 * DAY
    # The second one reads it in the evening.
    world.clock.at += 3000
    cleo = world.session("Cleo")
    read, key = review(cleo, proposal_id(done)), world.profiles["Cleo"].security_key()
    said = reject(cleo, read, key, role="governor", team="core", reason="it is not")
    assert parse_statement(said.logged.entry.envelope()).until == until
    assert world.agree(done, "Eve", role="governor").enacted


def test_a_voice_lasts_no_longer_than_its_kind_may(world: World) -> None:
    model = world.model()
    done = propose(world.session("Ada"), "label.lower", LabelLower(target=model, label=0), "why", seconds=30 * DAY)
    read = review(world.session("Ben"), proposal_id(done))
    longer = replace(read, proposal=replace(read.proposal, until=read.proposal.until + 1))
    key = world.profiles["Ben"].security_key()
    given = approve(world.session("Ben"), longer, key, role="governor", team="core")
    assert parse_statement(given.logged.entry.envelope()).until == world.clock.at + 30 * DAY


@pytest.mark.parametrize("act", ["freeze", "nonsense", "approve"])
def test_only_what_takes_a_quorum_is_proposed(world: World, act: str) -> None:
    with pytest.raises(UnknownFormat):
        propose(world.session("Ada"), act, LabelLower(target="model-" + "0" * 32, label=0), "why")


def test_a_change_is_of_its_own_kind(world: World) -> None:
    with pytest.raises(BadRequest):
        propose(
            world.session("Ada"),
            "role.give",
            RoleTake(subject=world.person("Ben"), role="governor", team="core"),
            "why",
        )


def test_a_second_key_is_added_with_a_touch_of_the_first(world: World, tmp_path: Path) -> None:
    profile = world.profiles["Ada"]
    (tmp_path / "second").mkdir(mode=0o700)
    second = SoftwareKey(tmp_path / "second" / "key.json")
    second.create()
    new = make_credential(
        second,
        person=profile.who.subject,
        name="Ada",
        rp_id=RP_ID,
        random=os.urandom,
        deployment=world.deployment,
    )
    change = credential_add(profile, profile.security_key(), new, rp_id=RP_ID)
    done = propose(world.session("Ada"), "credential.add", change, "a spare one")
    assert world.agree(done, "Ben", "Cleo", role="governor").enacted
    profile.add_credential(new.credential, new.raw_id)
    login(profile, world.connect("Ada"), second, clock=world.clock)


# --- closing down ------------------------------------------------------------------------------


def test_one_responder_freezes_and_a_quorum_thaws(world: World) -> None:
    model = world.model()
    session = world.session("Ada")
    assert freeze(session, model, "odd reads").logged.entry.kind == "frozen"
    assert session.directory.models[model].frozen
    done = thaw(session, model, "it was a test", "all is well")
    assert world.agree(done, "Ben", "Cleo", role="governor").enacted
    assert not world.keeper.directory.models[model].frozen


def test_labels_go_up_at_once(world: World) -> None:
    model = world.model()
    raise_label(world.session("Ada"), model, 2)
    assert world.keeper.directory.models[model].label == 2


def test_a_lost_key_is_reported_by_its_owner(world: World) -> None:
    dan = world.profiles["Dan"]
    lost = dan.who.credentials[0].credential
    report_credential(world.session("Dan"), lost, "left on a train")
    assert world.keeper.directory.credentials[lost].compromised


def test_another_session_is_ended_by_a_responder(world: World) -> None:
    world.session("Dan")
    (theirs,) = world.keeper.directory.sessions
    world.session("Ada").close_session(theirs)
    assert theirs not in world.keeper.directory.sessions


# --- facts -------------------------------------------------------------------------------------


def test_an_attester_says_something_and_is_no_longer_believed_once_revoked(world: World, tmp_path: Path) -> None:
    profile = create_profile(new_id("attester", os.urandom), tmp_path / "lms")
    profile.join(Place(name=world.deployment, socket=world.socket))
    card = make_program_card(profile, "learning", deployment=world.deployment, random=os.urandom)
    world.govern("attester.enrol", card.attester_enrol(kinds=["training"], longest_seconds=86400), card.detail)
    attester = Program(profile=profile, deployment=connect(profile, clock=world.clock), clock=world.clock)
    attester.deployment.sync()
    done = attest(attester, world.person("Dan"), "training", 1, seconds=7200)
    assert done is not None
    assert done.logged.entry.kind == "fact.attested"
    world.keeper.lie = lambda request, answer: {**answer, "ok": {}} if request["ask"] == "act" else answer
    assert attest(attester, world.person("Dan"), "training", 1, seconds=7200) is None
    world.keeper.lie = lambda request, answer: answer
    revoke_attester(world.session("Ada"), card.program, "it was wrong")
    with pytest.raises(UnknownSigner):
        attest(attester, world.person("Dan"), "training", 1, seconds=7200)


def test_what_does_not_exist_is_neither_asked_for_nor_revoked(world: World) -> None:
    with pytest.raises(NotFound):
        request_access(world.session("Dan"), "acme/atlas@1", 1, "to look")
    with pytest.raises(NotFound):
        revoke_grant(world.session("Ada"), "grant-" + "0" * 32, "why")


# --- names -------------------------------------------------------------------------------------


def test_a_name_that_two_have_names_neither(world: World) -> None:
    one, two = world.model("acme/atlas"), world.model("acme/atlas")
    session = world.session("Dan")
    session.learn([one, two])
    with pytest.raises(BadRequest) as raised:
        session.deployment.names.model(session.directory, "acme/atlas")
    assert one in raised.value.hint
    assert session.deployment.names.model(session.directory, two).model == two


def test_a_text_is_found_under_its_own_digest_alone() -> None:
    detail = new_detail("acme/atlas", os.urandom)
    other = new_detail("acme/atlas", os.urandom)
    assert detail.digest != other.digest
    names = Names([detail])
    assert names.text_of(detail.digest) == "acme/atlas"
    assert names.text_of(other.digest) is None
    assert names.missing([other.digest, detail.digest, other.digest]) == [other.digest]
    with pytest.raises(BadRequest):
        new_detail("x" * 20_000, os.urandom)

"""Forgeries by somebody who holds every key of the keep, and signs the log anew: each is found, and the entry named.

That is what the offline verifier is for. A keep in wrong hands can give away keys that it holds; it cannot make the log
say that anybody let it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts.approve import Approve
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.freeze import Freeze
from strongroom.acts.policy_change import Policies, PolicyChange
from strongroom.acts.propose import Propose
from strongroom.acts.release import LEASE_SECONDS, Release
from strongroom.acts.session_open import SessionOpen
from strongroom.acts.table import act_named
from strongroom.acts.thaw import Thaw
from strongroom.acts.version_register import VersionRegister
from strongroom.client.connection import Connection
from strongroom.client.founding import unseal, unseal_key
from strongroom.client.say import enveloped, sign_with_key
from strongroom.directory.entries import Entry, parse_entry
from strongroom.directory.state import record_digest
from strongroom.sealing.keys import SEED_BYTES, Identity
from strongroom.statements.envelope import Envelope
from strongroom.statements.signing import point_of
from strongroom.statements.statement import Statement, parse_statement
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadSignature, LogTampered, StrongroomError, WrongShare
from strongroom.terms.ids import new_id
from strongroom.terms.records import parse_record, record_json
from strongroom.verify.log import EntryForged, LogVerifier
from tests.client_keep.logs import World
from tests.keep.world import founded_keep, shares
from tests.verify.stories import Forger, Story, keys_of, leaves_of, told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(tmp_path_factory.mktemp("story")) as story:
        yield story


HONEST: set[bytes] = set()
"""Logs that were seen to be valid."""


def assert_found(forger: Forger, index: int, why: str) -> None:
    """See the forgery found at `index`, and nothing before it."""
    if index == len(forger.leaves) - 1 > 0 and (before := b"".join(forger.leaves[:index])) not in HONEST:
        forger.cut(index).verify()
        HONEST.add(before)
    with pytest.raises(EntryForged, match=why) as found:
        forger.verify()
    assert (found.value.entry, found.value.exit_code) == (index, 6)
    assert found.value.message.startswith(f"entry {index}")


def random_digest() -> str:
    return sha256(os.urandom(16))


# --- releases ------------------------------------------------------------------------------------


def before_the_freeze(story: Story) -> Forger:
    """Return the log as it was while Dan could open."""
    return story.forger.cut(story.forger.index("key.released") + 1)


def a_release(forger: Forger, **other: Any) -> Release:
    (grant,) = forger.directory.grants.values()
    said: dict[str, Any] = {
        "version": grant.version,
        "manifest": grant.manifest,
        "grant": grant.grant,
        "recipient": Identity(os.urandom(SEED_BYTES)).public_key().raw,
        **other,
    }
    return Release(**said)


def release_data(forger: Forger, envelope: Envelope, manifest: str, *, lasts: int = LEASE_SECONDS) -> dict[str, Any]:
    return forger.basis(expires_at=forger.world.clock.at + lasts, manifest=manifest, open=envelope.digest)


def release(forger: Forger, body: Release, *, by: str = "Dan", lasts: int = LEASE_SECONDS) -> int:
    envelope = forger.said(by, "release", body)
    return forger.write("key.released", release_data(forger, envelope, body.manifest, lasts=lasts), envelope)


def test_an_honest_release_is_none_of_these(story: Story) -> None:
    forger = before_the_freeze(story)
    release(forger, a_release(forger))
    forger.verify()


def test_a_release_without_a_grant(story: Story) -> None:
    forger = before_the_freeze(story)
    index = release(forger, a_release(forger, grant=new_id("grant", os.urandom)))
    assert_found(forger, index, "no grant in force")


def test_a_release_on_the_grant_of_somebody_else(story: Story) -> None:
    forger = before_the_freeze(story)
    assert_found(forger, release(forger, a_release(forger), by="Ben"), "somebody else's")


def test_a_release_that_lasts_longer_than_its_grant_lets_it(story: Story) -> None:
    forger = before_the_freeze(story)
    assert_found(forger, release(forger, a_release(forger), lasts=7 * 86400), "data is not what follows: `expires_at`")


def test_a_release_that_the_keep_signed_for_itself(story: Story) -> None:
    forger = before_the_freeze(story)
    body = a_release(forger)
    honest = forger.said("Dan", "release", body)
    made_up = ec.generate_private_key(ec.SECP256R1())
    statement = parse_statement(honest)
    envelope = enveloped(statement, *(sign_with_key(statement, one.keyid, made_up) for one in honest.signatures))
    index = forger.write("key.released", release_data(forger, envelope, body.manifest), envelope)
    assert_found(forger, index, "signature does not fit")


def test_a_release_of_what_is_frozen(story: Story) -> None:
    forger = story.forger.cut(len(story.forger.leaves))
    assert_found(forger, release(forger, a_release(forger)), "frozen")


def test_a_release_on_an_approval_by_a_key_that_was_reported_compromised(story: Story) -> None:
    forger = before_the_freeze(story)
    credential = next(
        name for name, one in forger.directory.credentials.items() if one.person == story.world.person("Ben")
    )
    body = CredentialReport(credential=credential, reason=random_digest())
    envelope = forger.said("Ada", "credential.report", body)
    forger.write("credential.reported", forger.basis(), envelope)
    assert_found(forger, release(forger, a_release(forger)), "two approvers")


def test_a_statement_that_is_used_twice(story: Story) -> None:
    forger = before_the_freeze(story)
    body = a_release(forger)
    envelope = forger.said("Dan", "release", body)
    for _ in range(2):
        index = forger.write("key.released", release_data(forger, envelope, body.manifest), envelope)
    assert_found(forger, index, "in the log before")


def test_a_statement_whose_identifier_was_another_ones(story: Story) -> None:
    forger = before_the_freeze(story)
    first = forger.said("Dan", "release", a_release(forger))
    forger.write("key.released", release_data(forger, first, a_release(forger).manifest), first)
    session = forger.world.session("Dan")
    statement = replace(session.statement(act_named("release"), a_release(forger)), id=parse_statement(first).id)
    second = session.sign(act_named("release"), statement)
    index = forger.write("key.released", release_data(forger, second, a_release(forger).manifest), second)
    assert_found(forger, index, "in the log before")


def test_a_statement_of_yesterday(story: Story) -> None:
    forger = before_the_freeze(story)
    body = a_release(forger)
    envelope = forger.said("Dan", "release", body)
    at = forger.world.clock.at + 61
    index = forger.write(
        "key.released", release_data(forger, envelope, body.manifest, lasts=61 + 3600), envelope, at=at
    )
    assert_found(forger, index, "61 s from now")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"note": "nothing to see here"}, "`note`"),
        ({"expires_at": 1 << 39}, "`expires_at`"),
        ({"manifest": f"sha256:{'0' * 64}"}, "`manifest`"),
        ({"policy": f"sha256:{'0' * 64}"}, "`policy`"),
        ({"floor": 7}, "`floor`"),
    ],
)
def test_an_entry_whose_data_does_not_follow(story: Story, change: dict[str, Any], why: str) -> None:
    forger = before_the_freeze(story)
    index = forger.edit(forger.index("key.released"), lambda data: data.update(change))
    assert_found(forger, index, f"not what follows: {why}")


def test_a_number_where_a_truth_belongs(story: Story) -> None:
    forger = story.forger.cut(story.forger.index("rejected") + 1)
    index = forger.edit(forger.index("rejected"), lambda data: data.update(ends=0))
    assert_found(forger, index, "a truth for a number")


# --- approvals and enactments ----------------------------------------------------------------------


def asked_for(story: Story) -> Forger:
    """Return the log as it was when Dan had asked, and nobody had answered."""
    proposal = granted(story)["proposal"]
    return story.forger.cut(story.forger.directory.statements[proposal].index + 1)


def granted(story: Story) -> dict[str, Any]:
    data = parse_entry(story.forger.leaves[story.forger.index("grant.given")]).data
    assert isinstance(data, dict)
    return data


def approval(forger: Forger, *, role: str = "approver", digest: str | None = None) -> Approve:
    (proposal,) = forger.directory.proposals.values()
    return Approve(proposal=proposal.proposal, digest=digest or proposal.digest, role=role, team="core")


def approve(forger: Forger, name: str, **other: Any) -> int:
    envelope = forger.touched(name, "approve", approval(forger, **other))
    return forger.write("approved", forger.touch_data(envelope), envelope)


def enact(forger: Forger, kind: str = "grant.given", **more: Any) -> int:
    (proposal,) = forger.directory.proposals.values()
    return forger.write(kind, forger.basis(proposal=proposal.proposal, **more))


def test_two_honest_approvals_are_none_of_these(story: Story) -> None:
    forger = asked_for(story)
    approve(forger, "Ada")
    approve(forger, "Cleo")
    enact(forger)
    forger.verify()


def test_a_quorum_of_one(story: Story) -> None:
    forger = asked_for(story)
    approve(forger, "Ada")
    assert_found(forger, enact(forger), "two approvers")


def test_a_grant_that_nobody_asked_for(story: Story) -> None:
    forger = before_the_freeze(story)
    index = forger.write("grant.given", forger.basis(proposal=new_id("statement", os.urandom)))
    assert_found(forger, index, "no proposal")


def test_a_grant_that_names_no_proposal(story: Story) -> None:
    forger = before_the_freeze(story)
    assert_found(forger, forger.write("grant.given", forger.basis()), "proposal")
    forger = before_the_freeze(story)
    assert_found(forger, forger.write("grant.given"), "proposal")


def test_a_grant_given_twice(story: Story) -> None:
    forger = before_the_freeze(story)
    index = forger.write("grant.given", forger.basis(proposal=granted(story)["proposal"]))
    assert_found(forger, index, "has ended: enacted")


def test_an_enactment_with_somebodys_statement_in_it(story: Story) -> None:
    forger = story.forger.cut(story.forger.index("grant.given") + 1)
    index = len(forger.leaves) - 1
    entry = parse_entry(forger.leaves[index])
    stray = parse_entry(forger.leaves[index - 1]).statement
    forger.leaves[index] = Entry(at=entry.at, kind=entry.kind, data=entry.data, statement=stray).encode()
    assert_found(forger, index, "a statement where none belongs")


def test_one_person_who_approves_twice(story: Story) -> None:
    forger = asked_for(story)
    approve(forger, "Ada")
    assert_found(forger, approve(forger, "Ada"), "a person counts once")


def test_an_approval_by_whoever_asked(story: Story) -> None:
    forger = asked_for(story)
    assert_found(forger, approve(forger, "Dan"), "proposed themselves")


def test_an_approval_in_a_role_that_is_not_held(story: Story) -> None:
    forger = asked_for(story)
    assert_found(forger, approve(forger, "Eve"), "have not held the role `approver`")


def test_an_approval_of_another_text(story: Story) -> None:
    forger = asked_for(story)
    assert_found(forger, approve(forger, "Ada", digest=random_digest()), "not the text")


def test_an_approval_with_a_forged_touch(story: Story) -> None:
    forger = asked_for(story)
    world = forger.world
    # Eve, who is with the forger, touches her own key; the name on it is Ben's.
    session = world.session("Ben")
    statement = session.statement(act_named("approve"), approval(forger))
    eve = forger.touch("Eve", world.session("Eve"), statement)
    (ben,) = world.profiles["Ben"].credentials.values()
    envelope = enveloped(statement, replace(eve, keyid=ben))
    assert_found(forger, forger.write("approved", forger.touch_data(envelope), envelope), "signature does not fit")


def test_an_approval_from_another_proposal(story: Story) -> None:
    """The touch is real, and was for something else: a replayed approval."""
    forger = asked_for(story)
    old = parse_entry(story.forger.leaves[story.forger.index("approved")])
    statement = parse_statement(old.envelope())
    edited = replace(statement, body={**_body(statement), **record_json(approval(forger))})
    envelope = Envelope(payload=edited.encode(), signatures=old.envelope().signatures)
    assert_found(forger, forger.write("approved", forger.touch_data(envelope), envelope), "for something else")


def _body(statement: Statement) -> dict[str, Any]:
    assert isinstance(statement.body, dict)
    return statement.body


def test_a_proposal_that_was_edited(story: Story) -> None:
    forger = asked_for(story)
    index = len(forger.leaves) - 1
    entry = parse_entry(forger.leaves[index])
    statement = parse_statement(entry.envelope())
    change = {**_body(statement)["change"], "seconds": 30 * 86400}
    edited = replace(statement, body={**_body(statement), "change": change})
    envelope = Envelope(payload=edited.encode(), signatures=entry.envelope().signatures)
    forger.leaves[index] = Entry(at=entry.at, kind=entry.kind, data=entry.data, statement=envelope.json()).encode()
    assert_found(forger, index, "signature does not fit")


def test_a_policy_that_no_quorum_changed(story: Story) -> None:
    forger = before_the_freeze(story)
    policies = forger.directory.policies
    body = Propose(
        act="policy.change",
        change=record_json(PolicyChange(policies=policies[:-1])),
        purpose=random_digest(),
        base=record_digest(Policies(policies=policies)),
    )
    envelope = forger.said("Ada", "propose", body)
    forger.write("proposed", forger.basis(), envelope)
    for name in ("", "Ben"):
        if name:
            approve(forger, name, role="governor")
        attempt = forger.cut(len(forger.leaves))
        assert_found(attempt, enact(attempt, "policy.changed"), "two people|quorum of people")


def test_a_policy_that_was_put_in_place_of_the_one_approved(story: Story) -> None:
    """What is enacted is what was proposed: the entry has no room for another text."""
    forger = story.forger.cut(story.forger.index("policy.changed") + 1)
    index = forger.edit(len(forger.leaves) - 1, lambda data: data.update(policies=[]))
    assert_found(forger, index, "`policies`")


def test_an_enactment_of_something_else_than_was_approved(story: Story) -> None:
    """To take a role has the same fields as to give one."""
    index = story.forger.index("role.given", -1)
    forger = story.forger.cut(index + 1)
    entry = parse_entry(forger.leaves[index])
    forger.leaves[index] = Entry(at=entry.at, kind="role.taken", data=entry.data).encode()
    assert_found(forger, index, "an entry `role.taken` for a proposal of `role.give`")


def test_a_model_whose_key_is_none(story: Story) -> None:
    for key in (None, "", "AAAA", 5):
        forger = story.forger.cut(story.forger.index("model.enrolled") + 1)
        change = {"public_key": key} if key is not None else {}

        def edit(data: dict[str, Any], change: dict[str, Any] = change) -> None:
            del data["public_key"]
            data.update(change)

        assert_found(forger, forger.edit(len(forger.leaves) - 1, edit), "public_key")


# --- people, sessions, versions --------------------------------------------------------------------


def test_a_session_key_that_the_keep_made_up(story: Story) -> None:
    forger = before_the_freeze(story)
    honest = parse_entry(forger.leaves[forger.index("session.opened")])
    private = ec.generate_private_key(ec.SECP256R1())
    old = parse_statement(honest.envelope())
    body = parse_record(SessionOpen, old.body)
    ours = replace(body, session=new_id("session", os.urandom), public_key=point_of(private))
    statement = replace(old, id=new_id("statement", os.urandom), body=record_json(ours))
    envelope = Envelope(payload=statement.encode(), signatures=honest.envelope().signatures)
    index = forger.write("session.opened", honest.data, envelope)
    assert_found(forger, index, "this touch was for something else")


def test_a_session_that_nobody_opened(story: Story) -> None:
    forger = before_the_freeze(story)
    session = forger.world.session("Dan")
    key = ec.generate_private_key(ec.SECP256R1())
    body = Freeze(target="deployment", reason=random_digest())
    statement = session.statement(act_named("freeze"), body)
    envelope = enveloped(statement, sign_with_key(statement, new_id("session", os.urandom), key))
    assert_found(forger, forger.write("frozen", forger.basis(), envelope), "session has ended, or never was")


def a_version(story: Story) -> VersionRegister:
    entry = parse_entry(story.forger.leaves[story.forger.index("version.registered")])
    body = parse_record(VersionRegister, parse_statement(entry.envelope()).body)
    return replace(body, version=new_id("version", os.urandom), seal_id=os.urandom(16).hex())


def test_a_version_by_somebody_who_is_no_writer(story: Story) -> None:
    forger = before_the_freeze(story)
    envelope = forger.said("Dan", "version.register", a_version(story))
    index = forger.write("version.registered", forger.basis(number=2), envelope)
    assert_found(forger, index, "writer")


def test_a_version_that_no_writer_registered(story: Story) -> None:
    forger = before_the_freeze(story)
    honest = parse_entry(forger.leaves[forger.index("version.registered")])
    old = parse_statement(honest.envelope())
    statement = replace(old, id=new_id("statement", os.urandom), body=record_json(a_version(story)))
    envelope = Envelope(payload=statement.encode(), signatures=honest.envelope().signatures)
    index = forger.write("version.registered", forger.basis(number=2), envelope)
    assert_found(forger, index, "signature does not fit")


def test_a_statement_in_an_entry_of_another_kind(story: Story) -> None:
    forger = before_the_freeze(story)
    body = Freeze(target="deployment", reason=random_digest())
    envelope = forger.said("Ada", "freeze", body)
    assert_found(forger, forger.write("label.raised", forger.basis(), envelope), "for a statement of kind `freeze/1`")


# --- what is said to have been decided by others' rules ------------------------------------------------


ELSEWHERE = {"cedar": "4.0.0"}


def rechecked(forger: Forger) -> list[bool]:
    return [one.is_rechecked for one in LogVerifier(lambda: forger.leaves, forger.note(), forger.name).entries()]


def test_another_cedar_excuses_no_forged_signature(story: Story) -> None:
    forger = before_the_freeze(story)
    honest = forger.said("Dan", "release", a_release(forger))
    envelope = Envelope(payload=honest.payload, signatures=forger.said("Dan", "release", a_release(forger)).signatures)
    index = forger.write("key.released", {**forger.basis(), **ELSEWHERE}, envelope)
    assert_found(forger, index, "signature does not fit")


def test_another_cedar_excuses_no_release_without_a_grant(story: Story) -> None:
    forger = before_the_freeze(story)
    envelope = forger.said("Dan", "release", a_release(forger, grant=new_id("grant", os.urandom)))
    assert_found(forger, forger.write("key.released", {**forger.basis(), **ELSEWHERE}, envelope), "no grant in force")


def test_another_cedar_excuses_no_enactment_of_nothing(story: Story) -> None:
    forger = before_the_freeze(story)
    data = {**forger.basis(proposal=granted(story)["proposal"]), **ELSEWHERE}
    assert_found(forger, forger.write("grant.given", data), "has ended: enacted")
    forger = asked_for(story)
    assert_found(forger, enact(forger, "thawed", **ELSEWHERE), "for a proposal of `grant.give`")


def test_another_cedar_excuses_no_thaw_of_what_is_not_frozen(story: Story) -> None:
    forger = before_the_freeze(story)
    change = record_json(Thaw(target="deployment", reason=random_digest()))
    envelope = forger.said("Ada", "propose", Propose(act="thaw", change=change, purpose=random_digest()))
    forger.write("proposed", {**forger.basis(), **ELSEWHERE}, envelope)
    index = enact(forger, "thawed", **ELSEWHERE)
    with pytest.raises(EntryForged, match="not frozen") as found:
        rechecked(forger)
    assert found.value.entry == index


def test_a_quorum_of_one_by_another_cedar_is_never_called_valid(story: Story) -> None:
    forger = asked_for(story)
    approve(forger, "Ada")
    index = enact(forger, **ELSEWHERE)
    assert [number for number, is_ours in enumerate(rechecked(forger), 1) if not is_ours] == [index]


def test_an_event_is_checked_whatever_cedar_it_names(story: Story) -> None:
    forger = before_the_freeze(story)
    data = {**forger.basis(), **ELSEWHERE, "by": [], "code": random_digest()}
    assert_found(forger, forger.write("keep.unsealed", data), "unknown field")


# --- the keep's own word ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("keep.locked", None, "nothing that a keep writes"),
        ("weights.given", None, "nothing that a keep writes"),
        ("clock.doubted", {"reason": "a\nb"}, "reason"),
        ("clock.doubted", None, "not an object"),
        ("refusals.counted", {"by": f"person-{'0' * 32}", "count": 3}, "whom nobody enrolled"),
        ("refusals.counted", {"by": f"person-{'0' * 32}", "count": 0}, "count"),
        (
            "refused",
            {"act": "release", "by": f"person-{'0' * 32}", "code": "denied", "statement": f"sha256:{'0' * 64}"},
            "whom nobody enrolled",
        ),
        ("refused", {"act": "release"}, "has no"),
        ("snapshot.taken", {"digest": f"sha256:{'0' * 64}"}, "not of the directory"),
        ("snapshot.taken", {}, "has no `digest`"),
        ("keep.unsealed", {"by": []}, "has no `code`"),
    ],
)
def test_an_event_that_cannot_be(story: Story, kind: str, data: Any, why: str) -> None:
    forger = before_the_freeze(story)
    assert_found(forger, forger.write(kind, data), why)


def test_events_that_can_be(story: Story) -> None:
    forger = before_the_freeze(story)
    forger.write("snapshot.taken", {"digest": forger.directory.digest()})
    forger.write("refusals.counted", {"by": story.world.person("Dan"), "count": 3})
    forger.write("clock.doubted", {"reason": "the clock leapt by 400 s"})
    forger.verify()


def test_an_event_with_somebodys_statement_in_it(story: Story) -> None:
    forger = before_the_freeze(story)
    envelope = forger.said("Ada", "freeze", Freeze(target="deployment", reason=random_digest()))
    index = forger.write("clock.doubted", {"reason": "none"}, envelope)
    assert_found(forger, index, "a statement where none belongs")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "by 0 custodians"),
        (["Ada"], "by 1 custodians"),
        (["Ada", "Ada"], "by 1 custodians"),
        (["Ada", "Dan"], "is no custodian"),
        (["Ada", "Ben", "Dan"], "is no custodian"),
    ],
)
def test_a_keep_that_too_few_unsealed(story: Story, names: list[str], why: str) -> None:
    forger = before_the_freeze(story)
    by: list[Any] = [story.world.person(name) for name in names]
    assert_found(forger, forger.write("keep.unsealed", {"by": by, "code": random_digest()}), why)


def test_one_custodian_with_the_shares_of_two_does_not_unseal_the_keep(tmp_path: Path) -> None:
    """Or else an honest keep would write an entry that is refused here."""
    with founded_keep(tmp_path) as world:
        words = shares(world)
        keeper: Any = world.keeper
        keeper.stop()
        keeper.start()
        connection, ada = Connection(world.socket), world.profiles["Ada"]
        to = unseal_key(connection)
        assert unseal(ada, connection, words["Ada"], to=to) == 1
        with pytest.raises(WrongShare, match="takes another custodian"):
            unseal(ada, connection, words["Ben"], to=to)
        assert unseal(world.profiles["Ben"], connection, words["Ben"], to=to) == 0
        Forger(world, *keys_of(world), leaves_of(world)).verify(world.deployment)


# --- order and time ----------------------------------------------------------------------------------


def test_time_that_runs_backwards(story: Story) -> None:
    forger = before_the_freeze(story)
    index = forger.write("clock.doubted", {"reason": "none"}, at=forger.directory.at - 1)
    assert_found(forger, index, "time runs backwards")


@pytest.mark.parametrize("kind", ["session.opened", "proposed", "approved", "model.enrolled", "grant.given"])
def test_an_entry_that_was_removed_from_the_middle(story: Story, kind: str) -> None:
    forger = before_the_freeze(story)
    removed = forger.index(kind)
    del forger.leaves[removed]
    with pytest.raises(EntryForged) as found:
        forger.verify()
    assert found.value.entry >= removed


def test_every_two_entries_that_depend_on_one_another_and_were_put_in_another_order(story: Story) -> None:
    forger = before_the_freeze(story)
    for first, second in (("proposed", "approved"), ("grant.given", "key.released"), ("approved", "grant.given")):
        attempt = forger.cut(len(forger.leaves))
        one, two = attempt.index(first), attempt.index(second, -1)
        attempt.leaves[one], attempt.leaves[two] = attempt.leaves[two], attempt.leaves[one]
        assert_found(attempt, one, "entry")


# --- the founding ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with founded_keep(tmp_path_factory.mktemp("others")) as world:
        yield world


def test_a_genesis_of_other_founders(story: Story, others: World) -> None:
    forger = Forger(others, *keys_of(others), leaves_of(others))
    forger.verify(others.deployment)
    with pytest.raises(EntryForged, match=f"not of `{story.world.deployment}`") as found:
        forger.verify(story.world.deployment)
    assert found.value.entry == 0


def test_a_genesis_of_other_founders_before_our_log(story: Story, others: World) -> None:
    forger = before_the_freeze(story)
    forger.leaves[0] = leaves_of(others)[0]
    with pytest.raises(EntryForged, match="this is the log of") as found:
        forger.verify(story.world.deployment)
    assert found.value.entry == 0


def test_a_genesis_that_one_founder_did_not_sign(story: Story) -> None:
    """Somebody gives out the name of a deployment that was never founded."""
    forger = story.forger.cut(1)
    entry = parse_entry(forger.leaves[0])
    envelope = entry.envelope()
    less = Envelope(payload=envelope.payload, signatures=envelope.signatures[:-1])
    forger.leaves[0] = Entry(at=entry.at, kind=entry.kind, statement=less.json()).encode()
    assert_found(forger, 0, "has not signed")


def test_a_genesis_with_something_beside_it(story: Story) -> None:
    entry = parse_entry(story.forger.leaves[0])
    forger = story.forger.cut(1)
    forger.leaves[0] = Entry(at=entry.at, kind=entry.kind, data={"a": 1}, statement=entry.statement).encode()
    assert_found(forger, 0, "more, or less, than a founding")


def test_a_second_founding_in_the_log(story: Story) -> None:
    forger = before_the_freeze(story)
    entry = parse_entry(forger.leaves[0])
    assert entry.statement is not None
    index = forger.write("deployment.founded", None, entry.envelope())
    assert_found(forger, index, "made for `founding`")


# --- the checkpoint ----------------------------------------------------------------------------------


def refused(forger: Forger, note: bytes) -> StrongroomError:
    with pytest.raises((LogTampered, BadSignature)) as found:
        forger.verify(note=note)
    assert found.value.exit_code == 6
    return found.value


def test_a_checkpoint_of_another_log_root_or_size(story: Story) -> None:
    forger = before_the_freeze(story)
    assert refused(forger, forger.note(root=bytes(32))).code == "log-tampered"
    assert refused(forger, forger.note(size=3)).code == "log-tampered"
    assert refused(forger, forger.note(forger.leaves[:-1])).code == "log-tampered"
    assert refused(forger, forger.note(origin=f"{forger.name}/2")).code == "bad-signature"


def test_a_checkpoint_by_another_key(story: Story, others: World) -> None:
    forger = before_the_freeze(story)
    log_key, time_key = keys_of(others)
    assert refused(forger, Forger(story.world, log_key, time_key, forger.leaves).note()).code == "bad-signature"
    # By the rules of notes, the line of a key that nobody knows says nothing: nor is it told as the clock's.
    stranger = Forger(story.world, forger.log_key, time_key, forger.leaves).note()
    assert [one.at for one in forger.verify(note=forger.note()).finish()] == [story.world.clock.at]
    assert forger.verify(note=stranger).finish() == ()


def test_a_cosignature_that_the_clock_did_not_give(story: Story) -> None:
    forger = before_the_freeze(story)
    note = forger.note().decode()
    line = note.splitlines()[-1]
    forged = line[:-8] + ("A" if line[-8] != "A" else "B") + line[-7:]
    assert refused(forger, note.replace(line, forged).encode()).code == "bad-signature"


def test_a_copy_that_changes_while_it_is_read(story: Story) -> None:
    honest, turns = story.forger.leaves, iter([2, 2, 1])

    def leaves() -> list[bytes]:
        return honest if next(turns) > 1 else [*honest[:5], honest[6]]

    verifier = LogVerifier(leaves, story.forger.note(), story.forger.name)
    with pytest.raises(LogTampered, match="entry 5 of the copy changed"):
        list(verifier.entries())

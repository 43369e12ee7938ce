"""Attacks on who says it: keys of others, keys that ended, and touches that were meant for something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.acts.admit import admit
from strongroom.acts.approve import Approve
from strongroom.acts.credential_remove import CredentialRemove
from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.fact_attest import FactAttest
from strongroom.acts.freeze import Freeze
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.read import Read
from strongroom.acts.session_close import SessionClose
from strongroom.acts.session_open import SessionOpen
from strongroom.acts.withdraw import Withdraw
from strongroom.acts.workload_remove import WorkloadRemove
from strongroom.statements.envelope import Envelope, Signature
from strongroom.statements.statement import FOUNDING
from strongroom.terms.errors import (
    AlreadyDone,
    BadAssertion,
    BadKey,
    BadRecord,
    BadSignature,
    ClonedKey,
    Denied,
    NotAllowed,
    NotFound,
    NotNow,
    UnknownFormat,
    UnknownSigner,
    WrongDeployment,
)
from tests.acts.world import APPROVALS, CLI, CONSOLE, HOUR, House, PlainKey, Sign, a_genesis, a_house, refused, text


@pytest.fixture
def house() -> House:
    return a_house()


def opened(house: House, who: str, **changes: Any) -> SessionOpen:
    """Return the body of a session, and remember nothing."""
    key = house.new_key(house.new("session"))
    fields: dict[str, Any] = {"session": key.subject, "public_key": key.point, **changes}
    return SessionOpen(**{"device": house.people[who].device.subject, **fields})


def as_keyid(sign: Sign, keyid: str) -> Sign:
    """Return what signs with one key under the name of another."""
    return lambda message: replace(sign(message), keyid=keyid)


# --- sessions ------------------------------------------------------------------------------------


def test_a_session_lasts_an_hour_and_not_a_second_longer(house: House) -> None:
    session = house.session("Dan")
    house.at += HOUR
    house.take(house.say("Dan", Withdraw(proposal=asked_before(house)), session))
    house.at += 1
    with refused(UnknownSigner, why="ended"):
        house.take(house.say("Dan", Read(digests=()), session))


def asked_before(house: House) -> str:
    """Return a proposal of Dan's, made at the very end of the session."""
    return house.ask("Dan", house.grant_body())


def test_a_session_of_more_than_an_hour_is_refused(house: House) -> None:
    with refused(NotNow, why="3600 s"):
        house.do("Dan", opened(house, "Dan"), until=house.at + HOUR + 1)


def test_a_session_that_was_closed_says_nothing_more(house: House) -> None:
    session = house.session("Dan")
    house.do("Dan", SessionClose(session=session.subject))
    with refused(UnknownSigner):
        house.take(house.say("Dan", Read(digests=()), session))


def test_a_session_that_ended_cannot_be_closed(house: House) -> None:
    session = house.session("Dan")
    house.do("Dan", SessionClose(session=session.subject))
    with refused(NotFound):
        house.do("Ada", SessionClose(session=session.subject))


def test_the_session_of_another_person_speaks_for_nobody_else(house: House) -> None:
    with refused(UnknownSigner, why="another person's"):
        house.take(house.say("Ada", Read(digests=()), house.session("Dan")))


def test_only_a_responder_closes_the_session_of_somebody_else(house: House) -> None:
    session = house.session("Ada").subject
    with refused(Denied):
        house.do("Dan", SessionClose(session=session))
    house.do("Ada", SessionClose(session=house.session("Dan").subject))


def test_a_session_takes_no_key_that_somebody_has(house: House) -> None:
    with refused(AlreadyDone, why="public key"):
        house.do("Dan", opened(house, "Dan", public_key=house.people["Dan"].device.point))


def test_a_session_takes_no_identifier_that_is_in_use(house: House) -> None:
    with refused(AlreadyDone, why="identifier"):
        house.do("Dan", opened(house, "Dan", session=house.session("Ada").subject))


def test_a_session_takes_no_key_that_is_none(house: House) -> None:
    with refused(BadKey):
        house.do("Dan", opened(house, "Dan", public_key=b"\x04" + bytes(64)))


def test_a_session_on_the_device_of_another_person_is_refused(house: House) -> None:
    other = house.people["Ada"].device
    body = opened(house, "Dan", device=other.subject)
    with refused(NotAllowed, why="another person's"):
        house.do("Dan", body, house.people["Dan"].keys[0].touch, other)


def test_a_session_of_the_command_line_names_its_device(house: House) -> None:
    body = opened(house, "Dan", device=None)
    with refused(NotAllowed, why="names its device"):
        house.do("Dan", body, house.people["Dan"].keys[0].touch)


def test_a_session_without_the_signature_of_its_device_is_refused(house: House) -> None:
    with refused(BadSignature):
        house.do("Dan", opened(house, "Dan"), house.people["Dan"].keys[0].touch)


def test_a_session_signed_by_the_key_of_another_device_is_refused(house: House) -> None:
    dan = house.people["Dan"]
    forged = as_keyid(house.people["Ada"].device, dan.device.subject)
    with refused(BadSignature):
        house.do("Dan", opened(house, "Dan"), dan.keys[0].touch, forged)


def test_a_session_on_a_device_that_was_removed_is_refused(house: House) -> None:
    house.govern(DeviceRemove(device=house.people["Dan"].device.subject))
    with refused(UnknownSigner, why="gone"):
        house.do("Dan", opened(house, "Dan"))


def test_a_session_on_a_device_that_never_was_is_refused(house: House) -> None:
    stray = house.new_key(house.new("device"))
    with refused(UnknownSigner, why="no device"):
        house.do("Dan", opened(house, "Dan", device=stray.subject), house.people["Dan"].keys[0].touch, stray)


def test_nobody_logs_in_at_the_approval_site(house: House) -> None:
    body = opened(house, "Dan", device=None)
    with refused(NotAllowed, why=APPROVALS):
        house.do("Dan", body, house.people["Dan"].keys[0].at(APPROVALS))


# --- browsers ------------------------------------------------------------------------------------


def test_a_browser_session_reads_and_proposes(house: House) -> None:
    browser = house.browser("Dan")
    house.do("Dan", Read(digests=(text("Ada"),)), browser)
    asked = house.ask("Dan", house.grant_body(), browser)
    house.do("Dan", Withdraw(proposal=asked), browser)


def test_a_browser_session_opens_nothing(house: House) -> None:
    body, browser = house.release_body(house.grant()), house.browser("Dan")
    with refused(NotAllowed, why="browser"):
        house.do("Dan", body, browser)
    with refused(NotAllowed, why="browser"):
        house.do("Dan", body, browser, house.people["Dan"].device)


def test_a_browser_session_seals_nothing(house: House) -> None:
    browser = house.browser("Dan")
    with refused(NotAllowed, why="browser"):
        house.do("Dan", house.version_body(), browser)


def test_a_browser_session_attests_nothing(house: House) -> None:
    body = FactAttest(subject=house.person("Dan"), fact="training", value=1)
    with refused(UnknownSigner):
        house.take(house.envelope(body, house.person("Dan"), [house.browser("Dan")]))


# --- opening takes session and device ------------------------------------------------------------


def test_opening_without_the_device_is_refused(house: House) -> None:
    body = house.release_body(house.grant())
    with refused(BadSignature):
        house.do("Dan", body, house.session("Dan"))


def test_opening_with_another_enrolled_device_is_refused(house: House) -> None:
    body = house.release_body(house.grant())
    with refused(BadSignature):
        house.do("Dan", body, house.session("Dan"), house.people["Ada"].device)
    forged = as_keyid(house.people["Ada"].device, house.people["Dan"].device.subject)
    with refused(BadSignature):
        house.do("Dan", body, house.session("Dan"), forged)


def test_opening_with_a_forged_session_is_refused(house: House) -> None:
    body, session = house.release_body(house.grant()), house.session("Dan")
    forged = as_keyid(house.people["Ada"].device, session.subject)
    with refused(BadSignature):
        house.do("Dan", body, forged, house.people["Dan"].device)
    with refused(BadSignature):
        house.do("Dan", Read(digests=()), forged)


# --- stray signatures ----------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["read", "release", "approve", "session.open", "workload", "attester"])
def test_a_stray_signature_beside_the_right_ones_is_refused(house: House, act: str) -> None:
    dan, ada, stray = house.people["Dan"], house.people["Ada"], house.people["Ben"].device
    grant, session = house.grant(), house.session("Dan")
    asked = house.ask("Dan", house.grant_body())
    said: dict[str, tuple[str, Any, tuple[Sign, ...]]] = {
        "read": ("Dan", Read(digests=()), (session, stray)),
        "release": ("Dan", house.release_body(grant), (session, dan.device, stray)),
        "approve": ("Ada", house.voice(Approve, asked, "approver", "core"), (ada.keys[0].touch, stray)),
        "session.open": ("Dan", opened(house, "Dan"), (dan.keys[0].touch, dan.device, stray)),
        "workload": ("job", house.version_body(), (house.job, stray)),
        "attester": ("attester", FactAttest(subject=dan.person, fact="training", value=1), (house.attester, stray)),
    }
    who, body, signers = said[act]
    house.take(house.say(who, body, *signers[:-1]))
    house.at += 1
    with refused(UnknownSigner, why="nothing to sign"):
        admit(house.directory, house.say(who, body, *signers), at=house.at)


# --- security keys -------------------------------------------------------------------------------


def test_the_security_key_of_another_person_is_refused(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(UnknownSigner, why="another person's"):
        house.approve("Ada", asked, "approver", house.people["Ben"].keys[0].touch, team="core")


def test_an_unknown_security_key_is_refused(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(UnknownSigner):
        house.approve("Ada", asked, "approver", house.new_security_key().touch)
    with refused(UnknownSigner):
        house.approve("Ada", asked, "approver", house.people["Ada"].device)


def test_a_security_key_in_the_name_of_another_is_refused(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    forged = as_keyid(house.people["Ben"].keys[0].touch, house.people["Ada"].keys[0].credential)
    with refused(BadSignature):
        house.approve("Ada", asked, "approver", forged)


def test_a_touch_for_a_login_is_no_approval(house: House) -> None:
    asked, ada = house.ask("Dan", house.grant_body()), house.people["Ada"]
    login = house.say("Ada", opened(house, "Ada"))
    with refused(BadAssertion):
        house.approve("Ada", asked, "approver", lambda message: login.signatures[0])
    house.take(login)
    assert ada.keys[0].credential == login.signatures[0].keyid


def test_a_signature_without_a_touch_is_no_approval(house: House) -> None:
    asked, ada = house.ask("Dan", house.grant_body()), house.people["Ada"].keys[0]
    with refused(BadSignature, why="security key"):
        house.approve("Ada", asked, "approver", PlainKey(ada.number, ada.credential))


def test_a_touch_in_the_place_of_a_session_is_refused(house: House) -> None:
    session = house.session("Dan")
    touched = as_keyid(house.people["Dan"].keys[0].touch, session.subject)
    with refused(UnknownSigner, why="no security key"):
        house.do("Dan", Read(digests=()), touched)


def test_a_touch_somewhere_else_is_no_approval(house: House) -> None:
    asked, key = house.ask("Dan", house.grant_body()), house.people["Ada"].keys[0]
    with refused(NotAllowed, why=CONSOLE):
        house.approve("Ada", asked, "approver", key.at(CONSOLE))
    with refused(BadAssertion):
        house.approve("Ada", asked, "approver", key.at("https://approve.strongroom.example.evil.example"))
    house.approve("Ada", asked, "approver", key.at(CLI))


def test_a_cloned_security_key_is_noticed(house: House) -> None:
    asked, key = house.ask("Dan", house.grant_body()), house.people["Ada"].keys[0]
    key.counter -= 1
    with refused(ClonedKey):
        house.approve("Ada", asked, "approver")


def test_the_counter_in_the_directory_rises_with_every_touch(house: House) -> None:
    key = house.people["Ada"].keys[0]
    before = house.directory.credentials[key.credential].counter
    house.session("Ada")
    asked = house.ask("Dan", house.grant_body())
    house.approve("Ada", asked, "approver")
    assert house.directory.credentials[key.credential].counter == key.counter > before


def test_a_key_that_was_removed_or_reported_signs_nothing_more(house: House) -> None:
    credential = house.people["Cleo"].keys[0].credential
    asked = house.ask("Dan", house.grant_body())
    known = house.directory.credentials[credential]
    for gone in (replace(known, removed=True), replace(known, compromised=True)):
        house.directory.credentials[credential] = gone
        with refused(UnknownSigner, why="gone"):
            house.approve("Cleo", asked, "approver")
        house.directory.credentials[credential] = known


def test_a_reported_key_takes_its_sessions_with_it(house: House) -> None:
    session, credential = house.session("Dan"), house.people["Dan"].keys[0].credential
    house.do("Dan", CredentialReport(credential=credential, reason=text("lost")))
    with refused(UnknownSigner):
        house.take(house.say("Dan", Read(digests=()), session))
    with refused(NotFound):
        house.do("Ada", CredentialReport(credential=credential, reason=text("lost")))


def test_nobody_but_a_responder_reports_the_key_of_somebody_else(house: House) -> None:
    credential = house.people["Ada"].keys[0].credential
    with refused(Denied):
        house.do("Dan", CredentialReport(credential=credential, reason=text("lost")))


def test_a_removed_key_takes_its_sessions_with_it_but_not_its_approvals(house: House) -> None:
    house.enrol("Fay", ("governor", "core"))
    grant = house.grant()
    key = house.people["Ada"].keys[0].credential
    house.govern(CredentialRemove(credential=key), by="Eve", yes=("Ben", "Cleo"))
    assert not any(one.credential == key for one in house.directory.sessions.values())
    house.release(grant)


# --- who is gone, or frozen -----------------------------------------------------------------------


def test_somebody_who_was_removed_says_nothing_more(house: House) -> None:
    touch, session = house.people["Dan"].keys[0].touch, house.session("Dan")
    known = house.directory.people[house.person("Dan")]
    house.use(people={**house.directory.people, known.person: replace(known, removed=True)})
    with refused(UnknownSigner, why="gone"):
        house.take(house.say("Dan", Read(digests=()), session))
    with refused(UnknownSigner, why="gone"):
        house.do("Dan", opened(house, "Dan"), touch, house.people["Dan"].device)


def test_a_workload_that_was_removed_seals_nothing_more(house: House) -> None:
    house.govern(WorkloadRemove(workload=house.job.subject))
    with refused(UnknownSigner, why="gone"):
        house.do("job", house.version_body())


def test_a_workload_s_sponsor_takes_it_along(house: House) -> None:
    house.govern(PersonRemove(person=house.person("Dan")))
    with refused(UnknownSigner, why="gone"):
        house.do("job", house.version_body())


def test_a_workload_signs_with_its_own_key(house: House) -> None:
    forged = as_keyid(house.attester, house.job.subject)
    with refused(BadSignature):
        house.do("job", house.version_body(), forged)
    with refused(BadSignature):
        house.do("job", house.version_body(), house.attester)


def test_a_workload_reads_with_its_own_key(house: House) -> None:
    house.do("job", Read(digests=(text("Ada"),)))


def test_a_workload_has_no_voice(house: House) -> None:
    asked = house.ask("Dan", house.grant_body())
    with refused(UnknownSigner):
        house.do("job", house.voice(Approve, asked, "approver", "core"))
    with refused(UnknownSigner):
        house.do("job", Freeze(target=house.model, reason=text("odd")))


def test_an_attester_signs_with_its_own_key(house: House) -> None:
    body = FactAttest(subject=house.person("Dan"), fact="training", value=1)
    with refused(BadSignature):
        house.do("attester", body, as_keyid(house.job, house.attester.subject))


def test_whoever_is_frozen_does_nothing_but_close_what_is_theirs(house: House) -> None:
    session, credential = house.session("Dan"), house.people["Dan"].keys[0].credential
    house.do("Ada", Freeze(target=house.person("Dan"), reason=text("odd")))
    with refused(Denied):
        house.ask("Dan", house.grant_body())
    with refused(Denied):
        house.do("Dan", opened(house, "Dan"))
    house.do("Dan", SessionClose(session=session.subject), session)
    house.session("Ada")
    house.do("Ada", CredentialReport(credential=credential, reason=text("lost")))


# --- other places, other kinds -------------------------------------------------------------------


@pytest.mark.parametrize(
    "elsewhere", [{"deployment": "sr1:" + "0" * 64}, {"deployment": FOUNDING}, {"era": 2}], ids=str
)
def test_a_statement_for_another_deployment_or_era_is_refused(house: House, elsewhere: dict[str, Any]) -> None:
    with refused(WrongDeployment):
        house.take(house.say("Dan", Read(digests=()), **elsewhere))


@pytest.mark.parametrize("kind", ["read/2", "grant.give/1", "open.everything/1"])
def test_a_statement_of_a_kind_that_nobody_says_is_refused(house: House, kind: str) -> None:
    with refused(UnknownFormat):
        house.take(house.say("Dan", Read(digests=()), kind=kind))


def test_a_change_that_takes_a_quorum_is_not_said_alone(house: House) -> None:
    body = house.grant_body()
    unsigned = house.envelope(Read(digests=()), house.person("Dan"), [], kind="grant.give/1")
    with refused(UnknownFormat, why="grant.give"):
        house.take(unsigned)
    assert body.subject == house.person("Dan")


def test_a_proposal_of_what_takes_no_quorum_is_refused(house: House) -> None:
    asked = house.say("Dan", Read(digests=()), kind="propose/1", body=propose_of("release"))
    with refused(UnknownFormat, why="no change"):
        house.take(asked)
    asked = house.say("Dan", Read(digests=()), kind="propose/1", body=propose_of("no.such.act"))
    with refused(UnknownFormat, why="no change"):
        house.take(asked)


def propose_of(act: str) -> dict[str, Any]:
    return {"act": act, "change": {}, "purpose": text("because")}


def test_a_deployment_is_founded_once(house: House) -> None:
    begun = a_genesis()
    again = begun.sign(deployment=house.directory.deployment)
    with refused(NotAllowed, why="not asked for"):
        house.take(again)


@pytest.mark.parametrize("body", [{}, {"digests": [], "more": 1}, {"digests": ["sha256:1"]}, []], ids=str)
def test_a_statement_with_another_body_than_its_kind_has_is_refused(house: House, body: Any) -> None:
    with refused(BadRecord):
        house.take(house.say("Dan", Read(digests=()), body=body))


def test_an_edited_payload_is_refused(house: House) -> None:
    said = house.say("Dan", Freeze(target=house.model, reason=text("odd")))
    edited = Envelope(payload=said.payload.replace(b"model", b"zone-"), signatures=said.signatures)
    with refused(BadSignature, BadRecord, NotFound):
        house.take(edited)


def test_a_signature_by_nobody_is_refused(house: House) -> None:
    said = house.say("Dan", Read(digests=()))
    with refused(UnknownSigner):
        house.take(Envelope(payload=said.payload, signatures=(Signature(keyid="keep", sig=b"0"),)))

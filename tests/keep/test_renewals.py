"""Leases: the same release once more is its renewal. It is decided again, and whatever ends a right ends the lease."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.credential_report import CredentialReport
from strongroom.acts.device_remove import DeviceRemove
from strongroom.acts.freeze import Freeze
from strongroom.acts.grant_revoke import GrantRevoke
from strongroom.acts.label_raise import LabelRaise
from strongroom.acts.person_remove import PersonRemove
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.role_give import RoleGive
from strongroom.acts.role_take import RoleTake
from strongroom.acts.session_close import SessionClose
from strongroom.directory.state import PolicySource
from strongroom.sealing.keys import Identity
from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.statements.signing import verify_ed25519
from strongroom.statements.statement import KEEP, Statement, parse_statement
from strongroom.terms import errors
from tests.acts.world import HOUR, LAB, MINUTE, default_policies, furnish, refused, text
from tests.keep.house import DATA_KEY, KeptHouse, kept_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KeptHouse]:
    with kept_house(tmp_path) as house:
        furnish(house)
        yield house


@pytest.fixture
def lease(house: KeptHouse) -> Envelope:
    """Return the release by which Dan has opened the version."""
    house.session("Ada")
    said = house.say("Dan", house.release_body(house.grant()))
    house.tell(said)
    return said


def answer_of(house: KeptHouse, said: Envelope) -> tuple[Any, Statement]:
    """Say it; return the answer, and the keep's statement in it once its signature holds."""
    answer = house.tell(said)
    envelope = parse_envelope(answer["answer"]["envelope"])
    verify_ed25519(house.directory.keys.answer, envelope.message, envelope.signature(KEEP).sig)
    return answer, parse_statement(envelope)


def releases(house: KeptHouse) -> int:
    return house.machine.kinds().count("key.released")


def test_a_renewal_is_the_keep_s_word_of_now_for_the_same_entry(house: KeptHouse, lease: Envelope) -> None:
    began, size = house.at, house.machine.journal.size
    for _ in range(3):
        house.pass_time(5 * MINUTE)
        answer, told = answer_of(house, lease)
        assert (told.kind, told.at, told.until) == ("released/1", house.at, began + HOUR)
        keys = house.opened(answer["answer"]["envelope"], answer)
        assert keys == {"data_key": base64.b64encode(DATA_KEY).decode()}
    assert house.machine.journal.size == size
    assert releases(house) == 1


def test_a_lease_is_renewed_to_the_last_second_of_its_statement_and_no_longer(house: KeptHouse) -> None:
    """A session may end first: a workload has none, and its statement may hold for the hour."""
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    grant = house.grant(subject=house.job.subject, device=None)
    said = house.say("job", house.release_body(grant))
    house.tell(said)
    house.pass_time(HOUR)
    assert answer_of(house, said)[1].at == house.at
    house.pass_time(1)
    with refused(errors.NotNow, why="lapsed"):
        house.tell(said)


def test_a_clock_that_runs_ahead_makes_no_lease_longer(house: KeptHouse) -> None:
    """The statement outlives the hour that the keep gave by as much as clocks may differ."""
    house.govern(RoleGive(subject=house.job.subject, role="researcher", team="core"))
    grant = house.grant(subject=house.job.subject, device=None)
    said = house.say("job", house.release_body(grant), at=house.at + MINUTE, until=house.at + MINUTE + HOUR)
    house.tell(said)
    house.pass_time(HOUR)
    house.tell(said)
    house.pass_time(1)
    with refused(errors.NotNow, why="lease has ended"):
        house.tell(said)


def test_a_lease_ends_with_its_grant(house: KeptHouse) -> None:
    said = house.say("Dan", house.release_body(house.grant(seconds=10 * MINUTE)))
    assert answer_of(house, said)[1].until == house.at + 10 * MINUTE
    house.pass_time(10 * MINUTE)
    house.tell(said)
    house.pass_time(1)
    with refused(errors.NotNow, why="grant has ended"):
        house.tell(said)


def test_an_edited_release_is_no_renewal(house: KeptHouse, lease: Envelope) -> None:
    """Another recipient in the place of the first, under the same identifier."""
    statement: Any = parse_statement(lease)
    stranger = Identity(b"s" * 32).public_key().raw
    with refused(errors.StatementReused):
        house.do("Dan", house.release_body(statement.body["grant"], recipient=stranger), id=statement.id)
    assert releases(house) == 1


def freezes(target: Callable[[KeptHouse], str]) -> Callable[[KeptHouse], object]:
    return lambda h: h.do("Ada", Freeze(target=target(h), reason=text("odd")))


def forbids_releases(h: KeptHouse) -> object:
    closed = PolicySource(
        name="own.cedar", text='@id("own") @requires("luck") forbid (principal, action == Action::"release", resource);'
    )
    return h.govern(PolicyChange(policies=(*default_policies(), closed)))


def dan_s_key(h: KeptHouse) -> str:
    return h.people["Dan"].keys[0].credential


ENDS: dict[str, tuple[Callable[[KeptHouse], object], type[errors.StrongroomError]]] = {
    "the deployment is frozen": (freezes(lambda h: "deployment"), errors.Denied),
    "the model is frozen": (freezes(lambda h: h.model), errors.Denied),
    "the person is frozen": (freezes(lambda h: h.person("Dan")), errors.Denied),
    "the device is frozen": (freezes(lambda h: h.people["Dan"].device.subject), errors.Denied),
    "the zone is frozen": (freezes(lambda h: LAB), errors.Denied),
    "an approver is frozen": (freezes(lambda h: h.person("Ben")), errors.Denied),
    "the label is raised": (lambda h: h.do("Ada", LabelRaise(target=h.version, label=3)), errors.Denied),
    "the role is taken": (
        lambda h: h.govern(RoleTake(subject=h.person("Dan"), role="researcher", team="core")),
        errors.Denied,
    ),
    "the policies change": (forbids_releases, errors.Denied),
    "the grant is revoked": (
        lambda h: h.do("Ada", GrantRevoke(grant=next(iter(h.directory.grants)), reason=text("over"))),
        errors.NotFound,
    ),
    "the session is closed": (
        lambda h: h.do("Ada", SessionClose(session=h.session("Dan").subject)),
        errors.UnknownSigner,
    ),
    "the security key is reported": (
        lambda h: h.do("Ada", CredentialReport(credential=dan_s_key(h), reason=text("lost"))),
        errors.UnknownSigner,
    ),
    "the device is removed": (
        lambda h: h.govern(DeviceRemove(device=h.people["Dan"].device.subject)),
        errors.UnknownSigner,
    ),
    "the person is removed": (lambda h: h.govern(PersonRemove(person=h.person("Dan"))), errors.UnknownSigner),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_lease_is_not_renewed_once(house: KeptHouse, lease: Envelope, what: str) -> None:
    house.tell(lease)
    end, error = ENDS[what]
    end(house)
    with refused(error):
        house.tell(lease)
    assert releases(house) == 1


def test_a_doubted_clock_renews_nothing(house: KeptHouse, lease: Envelope) -> None:
    house.machine.wall += 6 * MINUTE
    with refused(errors.Denied, why="time being confirmed"):
        house.tell(lease)


def test_a_freeze_in_the_same_batch_comes_before_the_renewal_behind_it(house: KeptHouse, lease: Envelope) -> None:
    frozen = house.request(house.say("Ada", Freeze(target=house.model, reason=text("odd"))))
    first, second = house.machine.answers(frozen, house.request(lease))
    assert "ok" in first
    assert second["error"]["code"] == "denied"


def test_a_renewal_that_is_refused_is_written_down(house: KeptHouse, lease: Envelope) -> None:
    house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    with refused(errors.Denied):
        house.tell(lease)
    entry = house.machine.entries()[-1]
    data: Any = entry.data
    assert (entry.kind, data["act"], data["by"]) == ("refused", "release", house.person("Dan"))
    assert (data["code"], data["statement"]) == ("denied", lease.digest)


def test_a_lease_outlives_a_new_start_of_the_keep(house: KeptHouse, lease: Envelope) -> None:
    """And not a second longer than before: what it may do is in the log, and nowhere else."""
    words = {who: house.share(who) for who in ("Ada", "Ben")}
    house.machine.stop()
    house.machine.start()
    with refused(errors.KeepSealed):
        house.tell(lease)
    for who, share in words.items():
        house.give(who, share)
    assert answer_of(house, lease)[1].until == house.at + HOUR
    assert releases(house) == 1

"""Looks: who may read at a gateway, and every way in which somebody may pretend to."""

from __future__ import annotations

import base64
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts.table import act_named
from strongroom.client.joining import looker_of
from strongroom.client.looks import LARGEST_HEADER_BYTES, LOOK, Look, say_look, verify_look
from strongroom.client.say import enveloped, say, sign_with_key
from strongroom.statements.envelope import Envelope
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import (
    BadRecord,
    BadRequest,
    BadSignature,
    NotCanonical,
    NotNow,
    StrongroomError,
    UnknownFormat,
    UnknownSigner,
    WrongDeployment,
)
from tests.client_keep.logs import World

TARGET = "/v1/models?limit=5"


def header_of(envelope: Envelope) -> str:
    return base64.b64encode(canonical.encode(envelope.json())).decode("ascii")


def by_session(world: World, name: str = "Dan", target: str = TARGET, body: bytes = b"", at: int | None = None) -> str:
    session = world.session(name)
    now = int(world.clock()) if at is None else at
    return say_look(
        target,
        body,
        by=session.subject,
        keyid=session._key.session,
        key=session._key.key(),
        deployment=world.deployment,
        era=1,
        at=now,
        random=os.urandom,
    )


def by_device(world: World, name: str = "Dan", *, by: str | None = None) -> str:
    profile = world.profiles[name]
    assert profile.who.device is not None
    return say_look(
        TARGET,
        by=by or profile.who.subject,
        keyid=profile.who.device,
        key=profile.key(),
        deployment=world.deployment,
        era=1,
        at=int(world.clock()),
        random=os.urandom,
    )


def look(world: World, header: str, *, target: str = TARGET, body: bytes = b"", at: int | None = None) -> str:
    now = int(world.clock()) if at is None else at
    return verify_look(world.keeper.directory, header, target=target, body=body, at=now).subject


def test_whoever_is_enrolled_may_look(world: World) -> None:
    dan = world.person("Dan")
    assert look(world, by_session(world)) == dan
    assert look(world, by_device(world)) == dan
    assert look(world, by_session(world, body=b"{}"), body=b"{}") == dan
    program = world.workload("trainer")
    signed = looker_of(program.profile, world.deployment, clock=world.clock)(TARGET, b"")
    assert look(world, signed) == program.subject


def test_a_profile_signs_by_its_session_while_there_is_one(world: World) -> None:
    session = world.session("Dan")
    sign = looker_of(session.profile, world.deployment, clock=world.clock)
    viewer = verify_look(world.keeper.directory, sign(TARGET, b""), target=TARGET, at=int(world.clock()))
    assert viewer.session is not None
    session.logout()
    viewer = verify_look(world.keeper.directory, sign(TARGET, b""), target=TARGET, at=int(world.clock()))
    assert viewer.session is None
    assert viewer.device is not None


def test_a_look_is_for_one_target_and_one_body(world: World) -> None:
    for target, body in ((TARGET + "0", b""), ("/v1/people", b""), (TARGET, b"{}")):
        with pytest.raises(BadRequest, match="another target or body"):
            look(world, by_session(world), target=target, body=body)
    with pytest.raises(BadRequest, match="another target or body"):
        look(world, by_session(world, body=b"{}"), body=b"[]")


def test_a_look_lasts_a_minute(world: World) -> None:
    header, now = by_session(world), int(world.clock())
    look(world, header, at=now + 60)
    for at in (now + 61, now - 61):
        with pytest.raises(NotNow):
            look(world, header, at=at)


def test_a_look_that_would_last_for_longer_is_none(world: World) -> None:
    session, now = world.session("Dan"), int(world.clock())
    statement = say(
        LOOK,
        Look(target=TARGET),
        by=session.subject,
        deployment=world.deployment,
        era=1,
        at=now,
        until=now + 61,
        random=os.urandom,
    )
    header = header_of(enveloped(statement, sign_with_key(statement, session._key.session, session._key.key())))
    with pytest.raises(NotNow):
        look(world, header)


def test_a_look_at_another_deployment_is_not_taken_here(world: World) -> None:
    directory = replace(world.keeper.directory, deployment="sr1:" + "0" * 64)
    with pytest.raises(WrongDeployment):
        verify_look(directory, by_session(world), target=TARGET, at=int(world.clock()))
    with pytest.raises(WrongDeployment):
        verify_look(replace(world.keeper.directory, era=2), by_session(world), target=TARGET, at=int(world.clock()))


def test_a_session_that_has_ended_looks_at_nothing(world: World) -> None:
    header = by_session(world)
    session = world.session("Dan")
    with pytest.raises(UnknownSigner, match="ended"):
        look(world, by_session(world, at=session.until + 1), at=session.until + 1)
    session.logout()
    with pytest.raises(UnknownSigner, match="ended"):
        look(world, header)


def test_a_key_speaks_for_its_owner_alone(world: World) -> None:
    with pytest.raises(UnknownSigner, match="somebody else's"):
        look(world, by_device(world, by=world.person("Ada")))


def test_a_removed_device_or_person_looks_at_nothing(world: World) -> None:
    directory, dan = world.keeper.directory.copy(), world.profiles["Dan"].who
    assert dan.device is not None
    header = by_device(world)
    directory.devices[dan.device] = replace(directory.devices[dan.device], removed=True)
    with pytest.raises(UnknownSigner):
        verify_look(directory, header, target=TARGET, at=int(world.clock()))
    directory = world.keeper.directory.copy()
    directory.people[dan.subject] = replace(directory.people[dan.subject], removed=True)
    for one in (header, by_session(world)):
        with pytest.raises(UnknownSigner):
            verify_look(directory, one, target=TARGET, at=int(world.clock()))


def test_a_signature_by_another_key_is_none(world: World) -> None:
    session, stranger = world.session("Dan"), ec.generate_private_key(ec.SECP256R1())
    header = say_look(
        TARGET,
        by=session.subject,
        keyid=session._key.session,
        key=stranger,
        deployment=world.deployment,
        era=1,
        at=int(world.clock()),
        random=os.urandom,
    )
    with pytest.raises(BadSignature):
        look(world, header)


def test_a_statement_of_another_kind_is_no_look_and_a_look_is_no_act(world: World) -> None:
    session = world.session("Dan")
    act = act_named("read")
    envelope = session.sign(act, session.statement(act, act.body(digests=())))
    with pytest.raises(BadRequest, match="one `look/1` statement"):
        look(world, header_of(envelope))
    taken = world.connect("Dan").connection
    header = canonical.parse(base64.b64decode(by_session(world)))
    with pytest.raises(UnknownFormat):
        taken.ask("act", statement=header)


def test_two_signatures_are_one_too_many(world: World) -> None:
    session, profile = world.session("Dan"), world.profiles["Dan"]
    assert profile.who.device is not None
    now = int(world.clock())
    statement = say(
        LOOK,
        Look(target=TARGET),
        by=session.subject,
        deployment=world.deployment,
        era=1,
        at=now,
        until=now + 60,
        random=os.urandom,
    )
    both = enveloped(
        statement,
        sign_with_key(statement, session._key.session, session._key.key()),
        sign_with_key(statement, profile.who.device, profile.key()),
    )
    with pytest.raises(BadRequest):
        look(world, header_of(both))


def test_a_security_key_and_an_identifier_without_a_key_sign_no_looks(world: World) -> None:
    session, profile = world.session("Ada"), world.profiles["Ada"]
    act = act_named("read")
    statement = replace(session.statement(act, act.body(digests=())), kind=LOOK.kind)
    statement = replace(statement, until=statement.at + 60, body={"target": TARGET})
    touched = enveloped(statement, session.touch(statement, profile.security_key()))
    with pytest.raises(UnknownSigner):
        look(world, header_of(touched))
    by_name = enveloped(statement, sign_with_key(statement, session.subject, profile.key()))
    with pytest.raises(UnknownSigner):
        look(world, header_of(by_name))


@pytest.mark.parametrize(
    "mangle",
    [
        lambda header: "",
        lambda header: "%%%",
        lambda header: header + "\n",
        lambda header: header.rstrip("=") + "=" * (3 - header.count("=")),
        lambda header: base64.b64encode(b" " + base64.b64decode(header)).decode(),
        lambda header: base64.b64encode(b"[]").decode(),
        lambda header: base64.b64encode(b"{}").decode(),
        lambda header: "A" * (LARGEST_HEADER_BYTES + 4),
        lambda header: header[: len(header) // 8 * 4],
    ],
)
def test_what_is_not_exactly_a_look_is_none(world: World, mangle: object) -> None:
    assert callable(mangle)
    with pytest.raises((NotCanonical, BadRecord, UnknownFormat, BadSignature)) as raised:
        look(world, mangle(by_session(world)))
    assert isinstance(raised.value, StrongroomError)


def test_the_digest_of_a_body_is_part_of_what_is_signed(world: World) -> None:
    header = by_session(world, body=b'{"objects":[]}')
    said = canonical.parse(base64.b64decode(header))
    assert isinstance(said, dict)
    payload = canonical.parse(base64.b64decode(str(said["payload"])))
    assert isinstance(payload, dict)
    assert payload["body"] == {"body": sha256(b'{"objects":[]}'), "target": TARGET}

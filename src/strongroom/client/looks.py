"""Looks: signed reads of what a gateway answers by itself. A look opens nothing: the keep takes none.

    Strongroom-Statement: base64(canonical JSON of an envelope over a `look/1` statement)

One enrolled key signs it: of a session, or where nobody is logged in of a device; of a workload; of an attester. It
names the exact target of the request, the digest of its body if there is one, and lasts a minute. Like every statement
it names its deployment, so that one gateway cannot show it at another deployment's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts.act import MINUTE, Act, Effect, Signer
from strongroom.client.say import enveloped, say, sign_with_key
from strongroom.directory import find
from strongroom.directory.state import Device, Directory, Session
from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.statements.signatures import verify_es256
from strongroom.statements.statement import Statement, parse_statement
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import (
    BadRecord,
    BadRequest,
    NotCanonical,
    NotFound,
    NotNow,
    UnknownSigner,
    WrongDeployment,
)
from strongroom.terms.ids import Random
from strongroom.terms.records import Digest, Matches, Record, parse_record

HEADER = "Strongroom-Statement"
LARGEST_HEADER_BYTES = 4096
TOLERANCE_SECONDS = 60


class Look(Record):
    """`target` is path and query as they are sent; `body` is the digest of what is sent with it."""

    target: Annotated[str, Matches("/[!-~]{0,4095}", "the target of a request")]
    body: Digest | None = None


LOOK: Act[Look] = Act(
    name="look",
    body=Look,
    resources=("Deployment",),
    effect=Effect.EVERYDAY,
    signer=Signer.SESSION,
    entry="",
    help="Read what a gateway shows",
    longest_seconds=MINUTE,
)
"""Its row, beside the table: it is no act of the keep's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: a person (by session or device), a workload or an attester. `until`: when this look lapses."""

    subject: str
    until: int
    session: Session | None = None
    device: Device | None = None


Looker = Callable[[str, bytes], str]
"""(target, body) -> the header's value, signed now."""


def say_look(
    target: str,
    body: bytes = b"",
    *,
    by: str,
    keyid: str,
    key: ec.EllipticCurvePrivateKey,
    deployment: str,
    era: int,
    at: int,
    random: Random,
) -> str:
    """Return the header with which `by` looks at `target`, signed by the key of `keyid`."""
    look = Look(target=target, body=sha256(body) if body else None)
    statement = say(LOOK, look, by=by, deployment=deployment, era=era, at=at, until=at + MINUTE, random=random)
    envelope = enveloped(statement, sign_with_key(statement, keyid, key))
    return base64.b64encode(canonical.encode(envelope.json())).decode("ascii")


def verify_look(directory: Directory, header: str, *, target: str, body: bytes = b"", at: int) -> Viewer:
    """Return who looks, if all of this holds:

    1. The header is one envelope with one signature, over a `look/1` statement for this deployment and era.
    2. It is its time, by the clock `at` of whoever answers.
    3. It names this target and this body.
    4. An enrolled key of the subject signed it: a live session, a device, a workload or an attester.

    Raises:
        NotCanonical, BadRecord, UnknownFormat, BadRequest: it is no look.
        WrongDeployment, NotNow, UnknownSigner, BadSignature: it does not count here and now.
    """
    # 1
    envelope = _envelope(header)
    statement = parse_statement(envelope)
    if statement.kind != LOOK.kind or len(envelope.signatures) != 1:
        raise BadRequest("a read is one `look/1` statement with one signature")
    if (statement.deployment, statement.era) != (directory.deployment, directory.era):
        raise WrongDeployment(f"made for `{statement.deployment}`, era {statement.era}")
    look = parse_record(Look, statement.body)
    # 2
    if at > statement.until or statement.until - statement.at > LOOK.longest_seconds:
        raise NotNow("this look has lapsed, or is made to last for too long")
    if abs(statement.at - at) > TOLERANCE_SECONDS:
        raise NotNow(f"made {abs(statement.at - at)} s from now", hint="set this machine's clock")
    # 3
    if look.target != target or look.body != (sha256(body) if body else None):
        raise BadRequest("this look is signed for another target or body")
    # 4
    try:
        return _signed(directory, statement, envelope, at)
    except NotFound as error:
        raise UnknownSigner(error.message) from error


def _envelope(header: str) -> Envelope:
    if len(header) > LARGEST_HEADER_BYTES:
        raise BadRecord(f"a look of {len(header)} characters")
    try:
        data = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotCanonical("a look that is not base64") from error
    if base64.b64encode(data).decode("ascii") != header:
        raise NotCanonical("a look in another base64 than the one")
    return parse_envelope(canonical.parse(data))


def _signed(directory: Directory, statement: Statement, envelope: Envelope, at: int) -> Viewer:
    (signature,) = envelope.signatures
    if signature.webauthn is not None:
        raise UnknownSigner("a security key signs no looks")
    by, keyid = statement.by, signature.keyid
    session, device = None, None
    match keyid.partition("-")[0]:
        case "session":
            session = directory.sessions.get(keyid)
            if session is None or at > session.until:
                raise UnknownSigner("the session has ended, or never was")
            person, key = session.person, session.public_key
            device = None if session.device is None else find.device(directory, session.device)
        case "device":
            device = find.device(directory, keyid)
            person, key = device.person, device.public_key
        case "workload":
            workload = find.workload(directory, keyid)
            person, key = workload.workload, workload.public_key
        case "attester":
            attester = find.attester(directory, keyid)
            person, key = attester.attester, attester.public_key
        case _:
            raise UnknownSigner(f"`{keyid}` signs no looks")
    if person != by:
        raise UnknownSigner("this key is somebody else's")
    if session is not None or device is not None:
        find.person(directory, by)
    verify_es256(key, envelope.message, signature.sig)
    return Viewer(subject=by, until=statement.until, session=session, device=device)

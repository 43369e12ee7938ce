"""Admit: from an envelope to what was said. Nothing that is not admitted is decided on.

1. The payload is one statement of a kind that the table of acts has, and its body is of that kind.
2. It was made for this deployment and this era.
3. It is its time: not past its `until`, valid no longer than its kind may be and, when it arrives first, made within
   the clock tolerance of now.
4. Whoever it is `by` is enrolled, and the keys that the act asks for signed it: those, and no others.
"""

from dataclasses import replace
from typing import Any

from strongroom.acts.act import Act, Said, Signer
from strongroom.acts.enrol import credential_key, touch_of
from strongroom.acts.table import act_of_kind
from strongroom.directory import find
from strongroom.directory.state import Device, Directory, Session
from strongroom.statements.envelope import Envelope, Signature
from strongroom.statements.signatures import verify_es256
from strongroom.statements.statement import Statement, parse_statement
from strongroom.statements.webauthn import verify_assertion
from strongroom.terms.errors import NotAllowed, NotFound, NotNow, UnknownSigner, WrongDeployment
from strongroom.terms.records import parse_record


def admit(directory: Directory, envelope: Envelope, *, at: int, is_first: bool = True) -> Said[Any]:
    """Return what `envelope` says. `at` is the keep's time; a statement that was taken before may come again later.

    Raises:
        NotCanonical, BadRecord, UnknownFormat: it is no statement of ours.
        WrongDeployment, NotNow, UnknownSigner, BadSignature, BadAssertion, …: it does not count here and now.
    """
    # 1
    statement = parse_statement(envelope)
    act = act_of_kind(statement.kind)
    body = parse_record(act.body, statement.body)
    # 2
    if (statement.deployment, statement.era) != (directory.deployment, directory.era):
        raise WrongDeployment(f"made for `{statement.deployment}`, era {statement.era}")
    # 3
    _check_time(directory, act, statement, at, is_first)
    # 4
    try:
        return _signed(directory, act, statement, body, envelope, at, is_first)
    except NotFound as error:
        raise UnknownSigner(error.message) from error


def _check_time(directory: Directory, act: Act[Any], statement: Statement, at: int, is_first: bool) -> None:
    if at > statement.until:
        raise NotNow("this statement has lapsed")
    if statement.until - statement.at > act.longest_seconds:
        raise NotNow(f"`{act.name}` may be valid for {act.longest_seconds} s, not for longer")
    if is_first and abs(statement.at - at) > directory.acceptance.clock_tolerance_seconds:
        raise NotNow(f"made {abs(statement.at - at)} s from now by the keep's clock")


def _signed(
    directory: Directory,
    act: Act[Any],
    statement: Statement,
    body: Any,
    envelope: Envelope,
    at: int,
    is_first: bool,
) -> Said[Any]:
    match act.signer:
        case Signer.SESSION | Signer.SESSION_AND_DEVICE if _is_workload(act, statement):
            workload = find.workload(directory, statement.by)
            _verify(envelope, workload.workload, workload.public_key)
            _check_signers(envelope, workload.workload)
            return _said(act, statement, body, envelope)
        case Signer.SESSION:
            session, _ = _session(directory, statement, envelope, at, with_device=False)
            return _said(act, statement, body, envelope, session=session)
        case Signer.SESSION_AND_DEVICE:
            session, device = _session(directory, statement, envelope, at, with_device=True)
            return _said(act, statement, body, envelope, session=session, device=device)
        case Signer.ATTESTER:
            attester = find.attester(directory, statement.by)
            _verify(envelope, attester.attester, attester.public_key)
            _check_signers(envelope, attester.attester)
            return _said(act, statement, body, envelope)
        case Signer.SECURITY_KEY | Signer.SECURITY_KEY_AND_DEVICE:
            return _touched(directory, act, statement, body, envelope, is_first)
        case Signer.QUORUM | Signer.FOUNDERS:
            raise NotAllowed(f"`{act.name}` is not asked for like this")


def _is_workload(act: Act[Any], statement: Statement) -> bool:
    return statement.by.startswith("workload-") and "Workload" in act.principals


def _session(
    directory: Directory, statement: Statement, envelope: Envelope, at: int, *, with_device: bool
) -> tuple[Session, Device | None]:
    name = next((one.keyid for one in envelope.signatures if one.keyid.startswith("session-")), "")
    session = directory.sessions.get(name)
    if session is None or at > session.until:
        raise UnknownSigner("the session has ended, or never was")
    if session.person != statement.by:
        raise UnknownSigner("the session is another person's")
    find.person(directory, statement.by)
    _verify(envelope, session.session, session.public_key)
    if not with_device:
        _check_signers(envelope, session.session)
        return session, None
    if session.device is None:
        raise NotAllowed("a browser session reads and proposes, nothing more", hint="use the command line")
    device = find.device(directory, session.device)
    _verify(envelope, device.device, device.public_key)
    _check_signers(envelope, session.session, device.device)
    return session, device


def _touched(
    directory: Directory, act: Act[Any], statement: Statement, body: Any, envelope: Envelope, is_first: bool
) -> Said[Any]:
    name = next((one.keyid for one in envelope.signatures if one.keyid.startswith("credential-")), "")
    credential = find.credential(directory, name)
    if credential.person != find.person(directory, statement.by).person:
        raise UnknownSigner("the security key is another person's")
    signature = envelope.signature(name)
    key = credential_key(credential)
    verified = verify_assertion(
        touch_of(signature),
        signature.sig,
        key=key if is_first else replace(key, counter=0),
        message=envelope.message,
        rp_id=directory.acceptance.rp_id,
        origins=directory.acceptance.origins,
    )
    if verified.path not in act.paths:
        raise NotAllowed(f"`{act.name}` is not signed at the origin `{verified.origin}`")
    signers, device = [name], None
    if act.signer is Signer.SECURITY_KEY_AND_DEVICE and body.device is not None:
        device = find.device(directory, body.device)
        _verify(envelope, device.device, device.public_key)
        signers.append(device.device)
    _check_signers(envelope, *signers)
    return _said(
        act,
        statement,
        body,
        envelope,
        path=verified.path,
        device=device,
        credential=credential,
        counter=verified.counter,
    )


def _said(act: Act[Any], statement: Statement, body: Any, envelope: Envelope, path: str = "", **who: Any) -> Said[Any]:
    return Said(act=act, statement=statement, body=body, digest=envelope.digest, path=path, **who)


def _verify(envelope: Envelope, keyid: str, public_key: bytes) -> None:
    signature: Signature = envelope.signature(keyid)
    if signature.webauthn is not None:
        raise UnknownSigner(f"`{keyid}` is no security key")
    verify_es256(public_key, envelope.message, signature.sig)


def _check_signers(envelope: Envelope, *allowed: str) -> None:
    if stray := {one.keyid for one in envelope.signatures} - set(allowed):
        raise UnknownSigner(f"`{min(stray)}` has nothing to sign here")

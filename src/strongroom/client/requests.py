"""Requests: what people and programs ask of the keep, one function each. The caller comes first.

Everything that takes a quorum is a proposal (`propose`, `request_access`, `thaw`, `lower_label`); what closes down
takes one person and is done at once. Nothing returns before its entry is proven to be in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from strongroom.acts import approve as approving
from strongroom.acts import (
    attester_revoke,
    credential_report,
    fact_attest,
    freezing,
    grant_give,
    grant_revoke,
    label_lower,
    label_raise,
)
from strongroom.acts import freeze as freeze_act
from strongroom.acts import propose as proposing
from strongroom.acts import reject as rejecting
from strongroom.acts import thaw as thaw_act
from strongroom.acts import withdraw as withdrawing
from strongroom.acts.act import DAY, DEPLOYMENT, HOUR, Act
from strongroom.acts.table import act_named, act_of_change
from strongroom.client.deployment import Done
from strongroom.client.names import Detail, new_detail
from strongroom.client.replica import OLDEST_SECONDS
from strongroom.client.review import Review
from strongroom.client.say import enveloped
from strongroom.client.security_keys.port import SecurityKey
from strongroom.client.session import Program, Session
from strongroom.directory import find
from strongroom.directory.state import record_digest
from strongroom.statements.statement import parse_statement
from strongroom.terms.errors import AlreadyDone, BadRequest, StrongroomError
from strongroom.terms.outer_errors import BadProof, NotFrozen
from strongroom.terms.records import record_json

FREEZE_SECONDS = 5.0
PROPOSAL_SECONDS = 7 * DAY


def propose(
    session: Session,
    act: str,
    change: object,
    purpose: str,
    *,
    details: Iterable[Detail] = (),
    seconds: int = PROPOSAL_SECONDS,
) -> Done:
    """Propose the `act` of that name with `change`, a record of its own kind, for others to approve.

    `details` are the texts whose digests the change names. The proposal's identifier is that of the statement:
    `proposal_id(done)`. Its `missing` says why it has not happened yet.

    Raises:
        UnknownFormat: no change has that name. Denied, NotAllowed, Stale, …: the keep refuses.
    """
    row = act_of_change(act)
    if not isinstance(change, row.body):
        raise BadRequest(f"the change of `{act}` is a {row.body.__name__}")
    why = new_detail(purpose, session.random)
    base = row.base(session.directory, change)
    body = proposing.Propose(
        act=act,
        change=record_json(change),
        purpose=why.digest,
        base=None if base is None else record_digest(base),
    )
    return session.say(act_named("propose"), body, details=[*details, why], seconds=seconds)


def proposal_id(done: Done) -> str:
    """Return the identifier of the proposal that was made."""
    return parse_statement(done.logged.entry.envelope()).id


def request_access(
    session: Session,
    version: str,
    hours: float,
    purpose: str,
    files: Sequence[str] | None = None,
    *,
    workload: str | None = None,
) -> Done:
    """Ask to open `version` (an identifier, or `org/name@7`) from this device, or on behalf of a `workload`.

    Raises:
        NotFound, BadName: no such version is proven. Denied, …: see `propose`.
    """
    directory = session.deployment.sync()
    session.learn([*directory.models, *directory.aliases])
    found = session.deployment.names.version(directory, version)
    if workload is None:
        subject, device = session.subject, session.device
        if device is None:
            raise BadRequest("this machine is not enrolled", hint="propose it with `strongroom propose device.enrol`")
        zone = find.device(directory, device).zone
    else:
        subject, device, zone = workload, None, find.workload(directory, workload).zone
    change = grant_give.GrantGive(
        subject=subject,
        zone=zone,
        version=found.version,
        manifest=found.manifest,
        seconds=int(hours * HOUR),
        device=device,
        files=None if files is None else tuple(sorted(set(files))),
    )
    return propose(session, "grant.give", change, purpose)


def approve(session: Session, read: Review, security_key: SecurityKey, *, role: str, team: str) -> Done:
    """Say yes to what was read, in one role, with a touch. `enacted` is there when that was enough."""
    body = approving.Approve(proposal=read.proposal.proposal, digest=read.digest, role=role, team=team)
    return _touch(session, read, act_named("approve"), body, security_key)


def reject(session: Session, read: Review, security_key: SecurityKey, *, role: str, team: str, reason: str) -> Done:
    """Say no to what was read, in one role, with a touch and a reason."""
    why = new_detail(reason, session.random)
    body = rejecting.Reject(
        proposal=read.proposal.proposal, digest=read.digest, role=role, team=team, reason=why.digest
    )
    return _touch(session, read, act_named("reject"), body, security_key, why)


def withdraw(session: Session, proposal: str) -> Done:
    """Take back one's own proposal."""
    return session.say(act_named("withdraw"), withdrawing.Withdraw(proposal=proposal))


def freeze(session: Session, target: str, reason: str) -> Done:
    """Freeze `target` (an identifier, or `deployment`) at once.

    Raises:
        NotFrozen: there was no proof within 5 s, whatever the keep says. The same call may be made again.
        AlreadyDone: the log itself, as the keep signed it within the last minute, says that it is frozen.
    """
    why = new_detail(reason, session.random)
    body = freeze_act.Freeze(target=target, reason=why.digest)
    envelope = session.sign(act_named("freeze"), session.statement(act_named("freeze"), body))
    try:
        return session.deployment.within(FREEZE_SECONDS).act(act_named("freeze"), envelope, [why])
    except StrongroomError as error:
        if isinstance(error, AlreadyDone) and _is_frozen(session, target):
            raise
        raise _not_frozen(session, target, error.message) from error


def thaw(session: Session, target: str, reason: str, purpose: str) -> Done:
    """Propose to let `target` go on."""
    why = new_detail(reason, session.random)
    return propose(session, "thaw", thaw_act.Thaw(target=target, reason=why.digest), purpose, details=[why])


def revoke_grant(session: Session, grant: str, reason: str) -> Done:
    """End a grant before its time."""
    why = new_detail(reason, session.random)
    return session.say(
        act_named("grant.revoke"), grant_revoke.GrantRevoke(grant=grant, reason=why.digest), details=[why]
    )


def revoke_attester(session: Session, attester: str, reason: str) -> Done:
    """Stop believing an attester."""
    why = new_detail(reason, session.random)
    body = attester_revoke.AttesterRevoke(attester=attester, reason=why.digest)
    return session.say(act_named("attester.revoke"), body, details=[why])


def report_credential(session: Session, credential: str, reason: str) -> Done:
    """Report a security key as lost or in wrong hands."""
    why = new_detail(reason, session.random)
    body = credential_report.CredentialReport(credential=credential, reason=why.digest)
    return session.say(act_named("credential.report"), body, details=[why])


def raise_label(session: Session, target: str, label: int) -> Done:
    """Say that a model or version is more sensitive."""
    return session.say(act_named("label.raise"), label_raise.LabelRaise(target=target, label=label))


def lower_label(session: Session, target: str, label: int, purpose: str) -> Done:
    """Propose that a model or version is less sensitive."""
    return propose(session, "label.lower", label_lower.LabelLower(target=target, label=label), purpose)


def attest(attester: Program, subject: str, fact: str, value: int, *, seconds: int) -> Done | None:
    """Say something of `subject`, for so many seconds; nothing is returned where it was said already, without entry.

    Raises:
        BadProof: neither is proven. Others as for `Deployment.act`.
    """
    body = fact_attest.FactAttest(subject=subject, fact=fact, value=value)
    envelope = attester.sign(
        act_named("fact.attest"), attester.statement(act_named("fact.attest"), body, seconds=seconds)
    )
    answer = attester.deployment.ask(envelope)
    if "leaf" in answer.ok:
        return attester.deployment.done(act_named("fact.attest"), envelope, answer)
    # TRUST: nobody's, that it was said already: whoever swallows what withholds would say just that. The log decides.
    attester.deployment.replica.follow(answer, attester.deployment.connection)
    said = attester.directory.facts.get(subject, {}).get(fact, {}).get(attester.subject)
    if said is None or said.value != value or said.until <= attester.now():
        raise BadProof(f"the keep says that `{fact}` of `{subject}` was said already, and the log does not")
    return None


def _touch(
    session: Session, read: Review, act: Act[Any], body: object, security_key: SecurityKey, *details: Detail
) -> Done:
    # A voice counts until its statement ends: it has to last until others speak, and no longer than what it is about.
    seconds = min(read.proposal.until - session.now(), act.longest_seconds)
    statement = session.statement(act, body, seconds=seconds)
    return session.deployment.act(act, enveloped(statement, session.touch(statement, security_key)), details)


def _is_frozen(session: Session, target: str) -> bool:
    """Tell whether the log says so now. The keep's word is no proof of it, nor is a log from before a thaw."""
    try:
        frozen = freezing.is_frozen(session.deployment.sync(), target)
    except StrongroomError:
        return False
    signed_at = session.deployment.replica.keep_time
    return frozen and signed_at is not None and abs(session.clock() - signed_at) <= OLDEST_SECONDS


def _not_frozen(session: Session, target: str, why: str) -> NotFrozen:
    what = "the deployment" if target == DEPLOYMENT else f"`{target}`"
    where = session.deployment.connection.where
    return NotFrozen(
        f"NOT FROZEN: {what}: {why}",
        hint=f"try again at once; or at the keep's own socket, on its host (`{where}` was used here); or another"
        " gateway; or have a second responder do it; or stop the keep, which then releases nothing",
    )

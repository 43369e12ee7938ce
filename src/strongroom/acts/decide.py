"""Decide: may they? From what was said to what is permitted; and whether what was approved so far is enough.

1. The act's own check: what no policy could allow.
2. A proposal names the digest of what it changes; a voice is given in a role that was held from the proposal on.
3. Policy, on the slice that the decision needs, with the quorum as it is counted.
4. What changes who decides is decided again under the state it leads to, and must leave it possible, with any one
   person absent, to change policy.
"""

from dataclasses import dataclass
from typing import Any

from strongroom.acts import approve, propose, reject, release, withdraw
from strongroom.acts.act import Act, Move, Said
from strongroom.acts.fold import Step, apply, moved, proposed_move
from strongroom.acts.possible import check_not_locked_out, check_possible
from strongroom.acts.quorum import people_behind, standing, tally
from strongroom.acts.slices import context, label_of, model_of, principal, resource, said_age
from strongroom.acts.table import act_of_change, schema
from strongroom.acts.voice import holds
from strongroom.directory import find
from strongroom.directory.entries import Entry
from strongroom.directory.state import Device, Directory, record_digest
from strongroom.policy.authorize import Permission, authorize
from strongroom.policy.bundle import Bundle, parse_bundle
from strongroom.policy.requests import Change, Request, Tally
from strongroom.policy.source import PolicyFile
from strongroom.terms.canonical import Json
from strongroom.terms.errors import NotAllowed, NotNow, Stale
from strongroom.terms.records import parse_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """An act that may happen now, made only here. `data` is what its entry says besides."""

    act: Act[Any]
    move: Move[Any]
    permission: Permission
    data: dict[str, Json]


def bundle_of(directory: Directory) -> Bundle:
    """Return the policies in force, parsed; keep it as long as the directory's `policies` are the same.

    Raises:
        BadPolicy: they cannot be used.
    """
    return parse_bundle([PolicyFile(name=one.name, text=one.text) for one in directory.policies], schema())


def decide(directory: Directory, bundle: Bundle, said: Said[Any], *, at: int) -> Permitted:
    """Return what was said as permitted.

    Raises:
        Denied: policy refuses, with which policies and what would satisfy them.
        NotAllowed, NotFound, Stale, AlreadyDone, …: no policy could allow it.
    """
    act, statement = said.act, said.statement
    move = moved(directory, statement, body=said.body, digest=said.digest, at=at, said=said)
    # 1
    act.check(directory, move)
    # 2
    change, change_body, about = _about(directory, act, move)
    if isinstance(move.body, propose.Propose):
        _check_proposed(directory, change, change_body, move)
    if isinstance(move.body, approve.Approve | reject.Reject):
        _check_role(directory, move, about)
    # 3
    permission = _permit(bundle, _request(directory, said, move, change, change_body, about))
    # 4
    if (still := act.keeps_possible(directory, move.by, move.body)) is not None:
        check_possible(_after(directory, act, move), bundle, *still, without=people_behind(directory, still[1]))
    touch = said.touch() if said.credential is not None else {}
    data = {**act.data(directory, move), **touch, **_basis(permission)}
    if isinstance(move.body, reject.Reject):
        data["ends"] = change.ends_on_rejection
    return Permitted(act=act, move=move, permission=permission, data=data)


def enact(directory: Directory, bundle: Bundle, name: str, *, at: int) -> Permitted:
    """Return an open proposal as permitted, on the approvals that it has.

    Raises:
        Denied: not enough, with what is missing.
        Stale, NotNow, NotAllowed, …: it cannot be enacted at all.
    """
    proposal = find.proposal(directory, name)
    if at > proposal.until:
        raise NotNow(f"proposal `{name}` has lapsed")
    act = act_of_change(proposal.act)
    move = proposed_move(directory, name, at=at, data={})
    # 1
    act.check(directory, move)
    # 2
    _check_base(directory, act, move.body, proposal.base)
    # 3
    permission = _permit(bundle, _enactment(directory, directory, act, move))
    # 4
    if act.is_sensitive:
        after = _after(directory, act, move)
        new_bundle = bundle if after.policies == directory.policies else bundle_of(after)
        _permit(new_bundle, _enactment(after, directory, act, move))
        if not after.trial:
            check_not_locked_out(after, new_bundle)
    data: dict[str, Json] = {**act.data(directory, move), **_basis(permission), "proposal": name}
    return Permitted(act=act, move=move, permission=permission, data=data)


def _about(directory: Directory, act: Act[Any], move: Move[Any]) -> tuple[Act[Any], Any, str]:
    """Return the act that a request comes down to, its body, and the identifier of what it is about."""
    if isinstance(move.body, propose.Propose):
        change = act_of_change(move.body.act)
        body = parse_record(change.body, move.body.change)
        return change, body, change.target(directory, move.by, body)
    if isinstance(move.body, approve.Approve | reject.Reject | withdraw.Withdraw):
        proposal = find.proposal(directory, move.body.proposal)
        change = act_of_change(proposal.act)
        body = parse_record(change.body, proposal.body)
        return change, body, change.target(directory, proposal.by, body)
    return act, move.body, act.target(directory, move.by, move.body)


def _check_proposed(directory: Directory, change: Act[Any], body: Any, move: Move[Any]) -> None:
    """Refuse a proposal that could not be enacted as things are."""
    change.check(directory, Move(by=move.by, id=move.id, body=body, digest="", at=move.at, until=move.until, index=0))
    _check_base(directory, change, body, move.body.base)


def _check_base(directory: Directory, change: Act[Any], body: Any, base: str | None) -> None:
    record = change.base(directory, body)
    if base != (None if record is None else record_digest(record)):
        raise Stale(f"`{change.name}` was proposed for another state than there is")


def _check_role(directory: Directory, move: Move[Any], about: str) -> None:
    body, proposal = move.body, find.proposal(directory, move.body.proposal)
    model = model_of(directory, about)
    if not holds(directory, move.by, body.role, body.team, model=model, since=proposal.index):
        raise NotAllowed(
            f"you have not held the role `{body.role}` in team `{body.team}` since before this was proposed",
            hint="approve in a role that you have held since before the proposal",
        )


def _request(
    directory: Directory, said: Said[Any], move: Move[Any], change: Act[Any], change_body: Any, about: str
) -> Request:
    """Return the question for policy about what was said."""
    at = move.at
    software = said.credential.software if said.credential is not None else _session_software(directory, said)
    device = said.device or _session_device(directory, said)
    zone = device.zone if device is not None else _workload_zone(directory, move.by)
    role = move.body.role if isinstance(move.body, approve.Approve | reject.Reject) else None
    quorum, grant = Tally(), False
    if isinstance(move.body, release.Release):
        quorum, grant = _standing(directory, move.body.grant, about), True
    return Request(
        principal=principal(directory, move.by, about, software=software, at=at),
        action=said.act.name,
        resource=resource(directory, about, at),
        context=context(
            directory,
            at=at,
            device=device,
            zone=zone,
            session_age_seconds=said_age(said, at),
            quorum=quorum,
            grant=grant,
            change=_change(directory, change, change_body, role),
            own=move.by in people_behind(directory, about) | change.gains(directory, move.by, change_body) | {about},
        ),
    )


def _enactment(rules: Directory, asked: Directory, act: Act[Any], move: Move[Any]) -> Request:
    """Return the question for policy whether the approvals of a proposal are enough.

    `asked` is the directory in which it is open; `rules` the one whose people, roles and labels count: the same, or the
    one that it leads to.
    """
    about = act.target(asked, move.by, move.body)
    device, zone = act.place(asked, move.body)
    proposal, gains = asked.proposals[move.id], act.gains(asked, move.by, move.body)
    approved = standing(
        rules,
        proposal.approvals,
        without=gains | {move.by},
        label=label_of(rules, about),
        model=model_of(rules, about),
        asked=proposal,
        at=move.at,
    )
    return Request(
        principal=principal(rules, move.by, about, software=False, at=move.at),
        action=act.name,
        resource=resource(asked, about, move.at),
        context=context(
            rules,
            at=move.at,
            device=find.device(asked, device) if device is not None else None,
            zone=zone,
            quorum=tally(approved),
            change=_change(asked, act, move.body, None),
            own=move.by in people_behind(asked, about) | gains | {about},
        ),
    )


def _standing(directory: Directory, name: str, about: str) -> Tally:
    """Return which of a grant's approvals stand today."""
    grant = find.grant(directory, name)
    without = people_behind(directory, grant.subject) | {grant.proposer}
    return tally(standing(directory, grant.approvals, without=without, label=label_of(directory, about)))


def _change(directory: Directory, change: Act[Any], body: Any, role: str | None) -> Change:
    return Change(
        act=change.name,
        role=role if role is not None else getattr(body, "role", ""),
        roles=frozenset(change.holder(directory, body) or ()),
        label=getattr(body, "label", 0),
    )


def _session_device(directory: Directory, said: Said[Any]) -> Device | None:
    if said.session is None or said.session.device is None:
        return None
    return find.device(directory, said.session.device)


def _session_software(directory: Directory, said: Said[Any]) -> bool:
    return said.session is not None and directory.credentials[said.session.credential].software


def _workload_zone(directory: Directory, by: str) -> str | None:
    return find.workload(directory, by).zone if by.startswith("workload-") else None


def _after(directory: Directory, act: Act[Any], move: Move[Any]) -> Directory:
    """Return the directory as it would be."""
    candidate = directory.copy()
    apply(candidate, Step(entry=Entry(at=max(move.at, directory.at), kind=act.entry), act=act, move=move))
    return candidate


def _permit(bundle: Bundle, request: Request) -> Permission:
    return authorize(bundle, request.principal, request.action, request.resource, request.context)


def _basis(permission: Permission) -> dict[str, Json]:
    return {"cedar": permission.cedar_version, "floor": permission.floor_version, "policy": permission.policy_digest}

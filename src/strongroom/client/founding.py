"""Founding: how several people make a deployment, in files that they pass around; and how custodians unseal its keep.

each        make_card              -> a card, public
one         prepare, draft_genesis -> a draft: who, by which rules, with which keys
each        read the draft, compare its words with the others', sign_genesis -> a signature
one         found                  -> the deployment's name, which everybody writes down
custodian   fetch_share; at every start of the keep: unseal
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from strongroom.acts.act import DAY
from strongroom.acts.deployment_found import DeploymentFound, Founder, FoundingRole, check_genesis
from strongroom.acts.fold import deployment_name
from strongroom.acts.table import act_named
from strongroom.acts.zone_define import ZoneDefine
from strongroom.client.cards import Card
from strongroom.client.connection import Asking
from strongroom.client.names import Detail, new_detail
from strongroom.client.profile import Profile
from strongroom.client.say import say, sign_with_security_key
from strongroom.client.security_keys.port import SecurityKey
from strongroom.directory.entries import parse_entry
from strongroom.directory.state import Acceptance, KeepKeys, PolicySource
from strongroom.policy.beginning import default_bundle
from strongroom.sealing.keys import PUBLIC_KEY_BYTES, PublicKey, unwrap_with, wrap_to
from strongroom.statements.envelope import Envelope, Signature, pae
from strongroom.statements.signing import point_of
from strongroom.statements.statement import FOUNDING, Statement
from strongroom.statements.words import digest_words
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NotAllowed, NotFound, WrongDeployment
from strongroom.terms.ids import Random, new_id
from strongroom.terms.outer_errors import BadAnswer
from strongroom.terms.records import Bytes, Count, Label, Matches, parse_record, record_json

DRAFT_FORMAT = "strongroom/genesis-draft/1"
_FORGED = "do not sign: tell the other founders, and have the draft made anew from the card that you made"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedZone:
    """A zone by its name; in `Plan.places` people's devices are put there by it."""

    name: Annotated[str, Matches("[^\x00-\x1f]{1,200}", "a name")]
    ceiling: Label
    egress_bytes_per_day: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the founders agreed on, by person's identifier. Devices of those who have no place are in the first zone.

    Without `policies`, those that a deployment begins with. A trial has one founder and no custodians.
    """

    quorum: int
    acceptance: Acceptance
    roles: Mapping[str, Sequence[FoundingRole]]
    zones: Sequence[PlannedZone]
    custodians: Sequence[str] = ()
    custodians_needed: int = 1
    trial: bool = False
    places: Mapping[str, str] | None = None
    policies: Sequence[PolicySource] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The genesis to be signed, and the texts whose digests it names. What is signed is `statement`, to the byte."""

    statement: Statement
    details: tuple[Detail, ...]
    format: Annotated[str, Matches(DRAFT_FORMAT, f"`{DRAFT_FORMAT}`")] = DRAFT_FORMAT

    def encode(self) -> bytes:
        """Return the file."""
        return canonical.encode(record_json(self))

    @property
    def body(self) -> DeploymentFound:
        """What the genesis says."""
        return parse_record(DeploymentFound, self.statement.body)

    @property
    def words(self) -> str:
        """The words that every founder has to see alike."""
        return digest_words(sha256(pae(self.statement.encode())))

    def lines(self) -> tuple[str, ...]:
        """Return what is signed, in words."""
        return tuple(_lines(self))


def prepare(connection: Asking) -> KeepKeys:
    """Have a keep that is not founded yet make its root key, and return the public keys that the genesis names."""
    return parse_record(KeepKeys, connection.ask("prepare").ok.get("keys"))


def draft_genesis(cards: Sequence[Card], plan: Plan, keys: KeepKeys, *, at: int, random: Random) -> Draft:
    """Return the genesis that these people are to sign, within seven days.

    Raises:
        WrongDeployment: a card was made for another deployment.
        NotAllowed, NotFound, BadSignature, …: the plan or a card breaks a rule of founding.
    """
    for card in cards:
        if card.deployment != FOUNDING:
            raise WrongDeployment(f"the card of `{card.person}` is for `{card.deployment}`, not for a founding")
    names = [new_detail(zone.name, random) for zone in plan.zones]
    zones = {zone.name: new_id("zone", random) for zone in plan.zones}
    cards = sorted(cards, key=lambda card: card.person)
    body = DeploymentFound(
        trial=plan.trial,
        quorum=plan.quorum,
        founders=tuple(_founder(card, plan, zones) for card in cards),
        custodians_needed=plan.custodians_needed,
        custodians={card.person: card.custodian for card in cards if card.person in plan.custodians},
        keys=keys,
        acceptance=plan.acceptance,
        policies=tuple(
            PolicySource(name=file.name, text=file.text)
            for file in (default_bundle() if plan.policies is None else plan.policies)
        ),
        zones=tuple(
            ZoneDefine(
                zone=zones[zone.name],
                details=detail.digest,
                ceiling=zone.ceiling,
                egress_bytes_per_day=zone.egress_bytes_per_day,
            )
            for zone, detail in zip(plan.zones, names, strict=True)
        ),
    )
    check_genesis(body)
    statement = say(
        act_named("deployment.found"),
        body,
        by=cards[0].person,
        deployment=FOUNDING,
        era=1,
        at=at,
        until=at + 7 * DAY,
        random=random,
    )
    return Draft(statement=statement, details=(*(card.detail for card in cards), *names))


def parse_draft(data: bytes) -> Draft:
    """Return the draft in a file.

    Raises:
        NotCanonical, BadRecord: it is none.
    """
    return parse_record(Draft, canonical.parse(data))


def sign_genesis(draft: Draft, profile: Profile, security_key: SecurityKey) -> Signature:
    """Return this founder's touch under the genesis.

    Raises:
        NotFound: this person, with these very credentials, is not a founder in it.
        NotAllowed: it has another device, or another custodian's key, for this person than this profile has.
        NotAllowed, BadSignature, …: it breaks a rule of founding.
    """
    body = draft.body
    check_genesis(body)
    for founder in body.founders:
        if founder.person == profile.who.subject:
            known = {new.raw_id: new.credential for new in founder.credentials}
            if known != dict(profile.credentials):
                raise NotFound("the draft has other credentials for you than you made")
            _check_own_keys(body, founder, profile)
            return sign_with_security_key(draft.statement, security_key, rp_id=body.acceptance.rp_id, credentials=known)
    raise NotFound("you are not a founder in this draft", hint="have your card put into it, and everybody sign anew")


def encode_signature(signature: Signature) -> bytes:
    """Return the file of a founder's signature."""
    return canonical.encode(record_json(signature))


def parse_signature(data: bytes) -> Signature:
    """Return the signature in a file; errors as for `parse_draft`."""
    return parse_record(Signature, canonical.parse(data))


def found(connection: Asking, draft: Draft, signatures: Iterable[Signature]) -> str:
    """Found the deployment and return its name, computed here from the entry that holds this very genesis.

    Raises:
        BadAnswer: the keep founded something else. Every refusal of the keep.
    """
    envelope = Envelope(payload=draft.statement.encode(), signatures=tuple(signatures))
    answer = connection.ask("found", statement=envelope.json(), details=[detail.json() for detail in draft.details])
    leaf = _bytes(answer.ok.get("leaf"))
    entry = parse_entry(leaf)
    if entry.kind != act_named("deployment.found").entry or entry.envelope().digest != envelope.digest:
        raise BadAnswer("the keep founded something else than was signed")
    return deployment_name(leaf)


# --- custodians --------------------------------------------------------------------------------


def fetch_share(profile: Profile, connection: Asking) -> str:
    """Return this custodian's share of the root key, as words: a secret. The profile keeps it wrapped.

    Raises:
        WrongKey: it is wrapped to somebody else. Every refusal of the keep.
    """
    wrapped = profile.share()
    if wrapped is None:
        wrapped = _bytes(connection.ask("share", person=profile.who.subject).ok.get("share"))
        share = _open_share(profile, wrapped)
        profile.keep_share(wrapped)
        return share
    return _open_share(profile, wrapped)


def unseal_key(connection: Asking) -> PublicKey:
    """Return the key that a sealed keep made at its start. Compare `unseal_words` with what the keep printed there."""
    key = PublicKey(_bytes(connection.ask("status").ok.get("unseal_key")))
    if len(key.raw) != PUBLIC_KEY_BYTES:
        raise BadAnswer("the keep shows no key to unseal it with")
    return key


def unseal_words(key: PublicKey) -> str:
    """Return the words of an unseal key, which the keep prints on its own console."""
    return digest_words(key.digest())


def unseal(profile: Profile, connection: Asking, share: str, *, to: PublicKey) -> int:
    """Give this custodian's share to the keep that holds `to`, and return how many are missing still.

    TRUST: a human compared the words of `to`. Whoever else stands at the socket gets bytes that he cannot open.
    """
    info = _info("unseal", profile.deployment, profile.who.subject)
    wrapped = wrap_to(to, share.encode("utf-8"), info)
    answer = connection.ask("unseal", person=profile.who.subject, share=_text(wrapped))
    missing = answer.ok.get("missing")
    if not isinstance(missing, int) or isinstance(missing, bool):
        raise BadAnswer("the keep does not say how many shares are missing")
    return missing


def _open_share(profile: Profile, wrapped: bytes) -> str:
    info = _info("share", profile.deployment, profile.who.subject)
    return unwrap_with(profile.custodian(), wrapped, info).decode("utf-8")


def _info(what: str, deployment: str, person: str) -> bytes:
    return canonical.encode({"deployment": deployment, "format": f"strongroom/{what}/1", "person": person})


def _founder(card: Card, plan: Plan, zones: Mapping[str, str]) -> Founder:
    place = (plan.places or {}).get(card.person, next(iter(zones), ""))
    if place not in zones:
        raise NotFound(f"no zone `{place}` in the plan for the device of `{card.person}`")
    if card.person not in plan.roles:
        raise NotAllowed(f"the plan gives founder `{card.person}` no role")
    return Founder(
        person=card.person,
        details=card.detail.digest,
        credentials=card.credentials,
        devices=(card.device_enrol(zones[place]),),
        roles=tuple(plan.roles[card.person]),
    )


def _check_own_keys(body: DeploymentFound, founder: Founder, profile: Profile) -> None:
    """Refuse a draft in which whoever made it put keys of another's in the places of this founder's own."""
    # INVARIANT: every founder compares their own keys with those in the draft, so that nobody has to compare another's.
    # Proofs do not help here: whoever drafts can prove keys of his own, and custodians' keys come with none.
    devices = [(one.device, one.key.public_key) for one in founder.devices]
    if devices != [(profile.who.device, point_of(profile.key()))]:
        raise NotAllowed("the draft has other devices for you than this one", hint=_FORGED)
    custodian = body.custodians.get(founder.person)
    if custodian is not None and custodian != profile.custodian().public_key().raw:
        raise NotAllowed("the draft has another custodian's key for you than you made", hint=_FORGED)


def _lines(draft: Draft) -> Iterable[str]:
    body = draft.body
    texts = {detail.digest: detail.text for detail in draft.details}
    kind = "a trial, for ever" if body.trial else "a deployment"
    yield f"founds {kind}: a quorum is {body.quorum} of {len(body.founders)} founders"
    for founder in body.founders:
        roles = ", ".join(f"{held.role} ({held.team})" for held in founder.roles) or "no role"
        keys = ", ".join("software key" if new.software else "security key" for new in founder.credentials)
        share = ", custodian" if founder.person in body.custodians else ""
        yield f"{texts.get(founder.details, 'name not proven')} ({founder.person}): {roles}; {keys}{share}"
        for device in founder.devices:
            yield f"  key of the device: {digest_words(sha256(device.key.public_key))}"
        if founder.person in body.custodians:
            yield f"  key of the custodian: {digest_words(sha256(body.custodians[founder.person]))}"
    if body.custodians:
        yield f"unsealing takes {body.custodians_needed} of {len(body.custodians)} custodians"
    for zone in body.zones:
        called = texts.get(zone.details, "name not proven")
        yield f"zone {called}: labels up to {zone.ceiling}, {zone.egress_bytes_per_day} bytes a day"
    accepted = body.acceptance
    yield f"security keys for `{accepted.rp_id}`, at {', '.join(sorted(accepted.origins))}"
    yield f"software keys are {'accepted' if accepted.software_keys else 'refused'}"
    yield f"policies: {', '.join(f'{one.name} {sha256(one.text.encode())}' for one in body.policies)}"
    keys_digest = hashlib.sha256(body.keys.log + body.keys.answer + body.keys.time).hexdigest()
    yield f"the keep's keys: {digest_words('sha256:' + keys_digest)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    value: Annotated[bytes, Bytes(most=1 << 20)]


def _bytes(value: Json) -> bytes:
    return parse_record(_Blob, {"value": value}).value


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

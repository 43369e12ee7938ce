"""`deployment.found`: the genesis. Every founder signs all of it, and the digest of its entry is the deployment's name.

A trial is one person's: it says so for ever, its labels stop at 2, and it never becomes a real deployment.
"""

from dataclasses import replace

from strongroom.acts import device_enrol, person_enrol, zone_define
from strongroom.acts.acceptance_change import check_acceptance
from strongroom.acts.act import B, Move
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.enrol import NewCredential, check_registration
from strongroom.acts.person_enrol import PersonEnrol
from strongroom.acts.zone_define import ZoneDefine
from strongroom.directory import state
from strongroom.statements.signatures import verify_possession
from strongroom.statements.statement import FOUNDING
from strongroom.terms.errors import NotAllowed, NotFound
from strongroom.terms.records import Digest, Natural, PersonId, Record, Word

FEWEST_FOUNDERS, MOST_FOUNDERS = 3, 16


class FoundingRole(Record):
    """A role that a founder begins with."""

    role: Word
    team: Word


class Founder(Record):
    """One of those who found it. Proofs of possession name the deployment `founding`."""

    person: PersonId
    details: Digest
    credentials: tuple[NewCredential, ...]
    devices: tuple[DeviceEnrol, ...]
    roles: tuple[FoundingRole, ...]


class DeploymentFound(Record):
    """Who, by which rules, and with which keys. `custodians` are the keys that shares of the root key travel to."""

    trial: bool
    quorum: Natural
    founders: tuple[Founder, ...]
    custodians_needed: Natural
    custodians: dict[PersonId, state.PublicKeyBytes]
    keys: state.KeepKeys
    acceptance: state.Acceptance
    policies: tuple[state.PolicySource, ...]
    zones: tuple[ZoneDefine, ...]


def check_genesis(body: DeploymentFound) -> None:
    """Refuse a founding by too few, or one that leaves everything to one person."""
    founders = {founder.person for founder in body.founders}
    if len(founders) != len(body.founders):
        raise NotAllowed("one person cannot be two founders")
    if body.trial:
        _check_trial(body)
    else:
        _check_numbers(body)
    if missing := body.custodians.keys() - founders:
        raise NotFound(f"custodian `{min(missing)}` is not a founder")
    if len(set(body.custodians.values())) != len(body.custodians):
        raise NotAllowed("two custodians have one key")
    check_acceptance(body.acceptance)
    _check_keys(body)


def _check_trial(body: DeploymentFound) -> None:
    if len(body.founders) != 1 or body.quorum != 1 or body.custodians:
        raise NotAllowed("a trial is one person's, without custodians")


def _check_numbers(body: DeploymentFound) -> None:
    if not FEWEST_FOUNDERS <= len(body.founders) <= MOST_FOUNDERS:
        raise NotAllowed(f"a deployment is founded by {FEWEST_FOUNDERS} to {MOST_FOUNDERS} people")
    if not 2 <= body.quorum <= len(body.founders) - 1:
        raise NotAllowed("the quorum is at least 2, and at least one founder may be missing")
    if not 2 <= body.custodians_needed <= len(body.custodians):
        raise NotAllowed("it takes 2 custodians at least to unseal the keep, and no more than there are")


def _check_keys(body: DeploymentFound) -> None:
    """Every key is proven, and belongs to one."""
    zones = {zone.zone for zone in body.zones}
    used: set[bytes] = set()
    names: set[str] = set()
    for founder in body.founders:
        if not founder.credentials:
            raise NotAllowed(f"founder `{founder.person}` has no security key")
        for new in founder.credentials:
            check_registration(body.acceptance, FOUNDING, founder.person, new)
        for device in founder.devices:
            if device.person != founder.person or device.zone not in zones:
                raise NotFound(f"device `{device.device}` is of nobody, or in no zone")
            verify_possession(FOUNDING, device.device, device.key.public_key, device.key.proof)
        keys = [new.public_key for new in founder.credentials] + [one.key.public_key for one in founder.devices]
        called = [new.credential for new in founder.credentials] + [one.device for one in founder.devices]
        if len(used | set(keys)) != len(used) + len(keys) or len(names | set(called)) != len(names) + len(called):
            raise NotAllowed("one key, or one identifier, stands twice")
        used |= set(keys)
        names |= set(called)


def found(body: DeploymentFound, *, name: str, era: int, at: int) -> state.Directory:
    """Return the directory that a deployment begins with."""
    directory = state.Directory(
        deployment=name,
        era=era,
        size=1,
        at=at,
        trial=body.trial,
        frozen=False,
        time_doubted=False,
        quorum=body.quorum,
        acceptance=body.acceptance,
        keys=body.keys,
        policies=body.policies,
        custodians_needed=body.custodians_needed,
        custodians=dict(body.custodians),
    )
    for zone in body.zones:
        zone_define.apply(directory, _first(zone, at))
    for founder in body.founders:
        enrolled = PersonEnrol(person=founder.person, details=founder.details, credentials=founder.credentials)
        person_enrol.apply(directory, _first(enrolled, at))
        roles = tuple(state.Role(role=held.role, team=held.team, since=0) for held in founder.roles)
        directory.people[founder.person] = replace(directory.people[founder.person], roles=roles)
        for device in founder.devices:
            device_enrol.apply(directory, _first(device, at))
    return directory


def _first(body: B, at: int) -> Move[B]:
    return Move(by="", id="", body=body, digest="", at=at, until=at, index=0)


def apply(directory: state.Directory, move: Move[DeploymentFound]) -> None:
    raise NotAllowed("a deployment is founded once")

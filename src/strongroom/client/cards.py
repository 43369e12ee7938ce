"""Cards: what somebody hands over to be enrolled: public keys, and the proofs that they hold the private halves.

A card is a file of canonical JSON without a secret in it, but for the salt of the name, which is a secret to everybody
outside the deployment. A person's has credentials and a device, a workload's or an attester's only its own key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from strongroom.acts.attester_enrol import AttesterEnrol
from strongroom.acts.credential_add import CredentialAdd
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.enrol import NewCredential, NewKey
from strongroom.acts.person_enrol import PersonEnrol
from strongroom.acts.workload_enrol import WorkloadEnrol
from strongroom.client.names import Detail, new_detail
from strongroom.client.profile import Profile
from strongroom.client.say import touched
from strongroom.client.security_keys.port import ORIGIN, SecurityKey
from strongroom.directory.state import PublicKeyBytes
from strongroom.statements.signatures import possession_message
from strongroom.statements.signing import point_of, prove_possession
from strongroom.statements.statement import FOUNDING, Where
from strongroom.statements.webauthn import registration_message, verify_registration
from strongroom.terms import canonical
from strongroom.terms.ids import Random, new_id
from strongroom.terms.records import DeviceId, Matches, PersonId, parse_record, record_json

PERSON_FORMAT, PROGRAM_FORMAT = "strongroom/card/1", "strongroom/program-card/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A person's card. `deployment` is what the proofs inside name: `founding`, or a deployment that there is."""

    deployment: Where
    person: PersonId
    detail: Detail
    credentials: tuple[NewCredential, ...]
    device: DeviceId
    key: NewKey
    custodian: PublicKeyBytes
    format: Annotated[str, Matches(PERSON_FORMAT, f"`{PERSON_FORMAT}`")] = PERSON_FORMAT

    def encode(self) -> bytes:
        """Return the file."""
        return canonical.encode(record_json(self))

    def person_enrol(self) -> PersonEnrol:
        """Return the change that enrols the person; `detail` goes with it."""
        return PersonEnrol(person=self.person, details=self.detail.digest, credentials=self.credentials)

    def device_enrol(self, zone: str) -> DeviceEnrol:
        """Return the change that enrols the device in a zone."""
        return DeviceEnrol(device=self.device, person=self.person, zone=zone, key=self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCard:
    """The card of a workload or an attester."""

    deployment: Where
    program: Annotated[str, Matches("(?:workload|attester)-[0-9a-f]{32}", "a workload or an attester")]
    detail: Detail
    key: NewKey
    format: Annotated[str, Matches(PROGRAM_FORMAT, f"`{PROGRAM_FORMAT}`")] = PROGRAM_FORMAT

    def encode(self) -> bytes:
        """Return the file."""
        return canonical.encode(record_json(self))

    def workload_enrol(self, *, sponsor: str, zone: str) -> WorkloadEnrol:
        """Return the change that enrols the workload, for which the person `sponsor` answers; `detail` goes with it."""
        return WorkloadEnrol(
            workload=self.program, sponsor=sponsor, zone=zone, key=self.key, details=self.detail.digest
        )

    def attester_enrol(self, *, kinds: Sequence[str], longest_seconds: int) -> AttesterEnrol:
        """Return the change that enrols the attester for facts of these kinds; `detail` goes with it."""
        return AttesterEnrol(
            attester=self.program,
            key=self.key,
            kinds=tuple(sorted(set(kinds))),
            longest_seconds=longest_seconds,
            details=self.detail.digest,
        )


def make_card(
    profile: Profile,
    security_key: SecurityKey,
    name: str,
    *,
    rp_id: str,
    random: Random,
    deployment: str = FOUNDING,
    roots: Sequence[bytes] = (),
) -> Card:
    """Return the card of a person, with one new credential of `security_key` and this machine as a device.

    `roots` are the makers' certificates that the deployment accepts; without them the key counts as software.

    Raises:
        NoSecurityKey, NotTouched: the key is not there, or was not touched; it is touched twice.
        BadAttestation: none of `roots` made it.
    """
    person, device = profile.who.subject, profile.who.device or new_id("device", random)
    credential = make_credential(
        security_key, person=person, name=name, rp_id=rp_id, random=random, deployment=deployment, roots=roots
    )
    profile.set_device(device)
    profile.add_credential(credential.credential, credential.raw_id)
    return Card(
        deployment=deployment,
        person=person,
        detail=new_detail(name, random),
        credentials=(credential,),
        device=device,
        key=_proven(profile, deployment, device),
        custodian=profile.custodian().public_key().raw,
    )


def make_program_card(profile: Profile, name: str, *, deployment: str, random: Random) -> ProgramCard:
    """Return the card of a workload or an attester."""
    return ProgramCard(
        deployment=deployment,
        program=profile.who.subject,
        detail=new_detail(name, random),
        key=_proven(profile, deployment, profile.who.subject),
    )


def make_credential(
    security_key: SecurityKey,
    *,
    person: str,
    name: str,
    rp_id: str,
    random: Random,
    deployment: str,
    roots: Sequence[bytes] = (),
) -> NewCredential:
    """Register a new credential of `person` on a security key, and have it sign that it wants to be it: two touches."""
    credential = new_id("credential", random)
    message = registration_message(deployment=deployment, person=person, credential=credential)
    made = security_key.register(
        rp_id=rp_id,
        person_handle=bytes.fromhex(person.partition("-")[2]),
        person_name=name,
        message=message,
        attested=bool(roots),
    )
    registered = verify_registration(
        made.attestation_object,
        made.client_data,
        challenge_message=message,
        rp_id=rp_id,
        origins={ORIGIN: "cli"},
        roots=roots,
    )
    possession = touched(
        possession_message(deployment, f"{person}/{credential}", registered.public_key),
        security_key,
        rp_id=rp_id,
        credentials={registered.raw_id: credential},
    )
    return NewCredential(
        credential=credential,
        raw_id=registered.raw_id,
        public_key=registered.public_key,
        backup_eligible=registered.backup_eligible,
        software=registered.software,
        counter=_counter(possession.webauthn.authenticator_data if possession.webauthn is not None else b""),
        attestation_object=made.attestation_object,
        client_data=made.client_data,
        possession=possession,
    )


def credential_add(profile: Profile, old_key: SecurityKey, new: NewCredential, *, rp_id: str) -> CredentialAdd:
    """Return the change that adds a credential to this person, with the touch of an old one that it takes."""
    person = profile.who.subject
    message = possession_message(profile.deployment, f"{person}/{new.credential}", new.public_key)
    touch = touched(message, old_key, rp_id=rp_id, credentials=profile.credentials)
    return CredentialAdd(person=person, new=new, touch=touch)


def parse_card(data: bytes) -> Card:
    """Return the card in a file; its proofs are verified when it is used.

    Raises:
        NotCanonical, BadRecord: it is none.
    """
    return parse_record(Card, canonical.parse(data))


def parse_program_card(data: bytes) -> ProgramCard:
    """Return the card of a workload or an attester in a file; errors as for `parse_card`."""
    return parse_record(ProgramCard, canonical.parse(data))


def _proven(profile: Profile, deployment: str, subject: str) -> NewKey:
    key = profile.key()
    return NewKey(public_key=point_of(key), proof=prove_possession(key, deployment, subject))


def _counter(authenticator_data: bytes) -> int:
    return int.from_bytes(authenticator_data[33:37])

"""Plans: the TOML file in which founders write down what they agreed on, and policies in a folder.

    quorum = 2
    rp_id = "keep.example.org"
    software_keys = false
    custodians = ["Ada", "Ben", "Cleo"]
    custodians_needed = 2

    [people.Ada]
    roles = ["governor@core", "approver@core"]      role@team
    zone = "lab"                                    of this person's device; without it, the first zone

    [[zones]]
    name = "lab"
    ceiling = 2
    egress_bytes_per_day = 200_000_000

Besides: `origins` (origin = "approval" or "console"), `attestation_roots` (PEM files beside the plan),
`clock_tolerance_seconds`, `witnesses`, and `policies`, a folder beside the plan.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from strongroom.acts.deployment_found import FoundingRole
from strongroom.cli.files import read_text
from strongroom.client.cards import Card
from strongroom.client.founding import Plan, PlannedZone
from strongroom.client.security_keys.port import ORIGIN
from strongroom.directory.state import Acceptance, Host, Origin, PolicySource, VerifierKeyText
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.records import Matches, Natural, Word, parse_record

T = TypeVar("T")

_CLOCK_TOLERANCE_SECONDS = 60
_WORD = "[a-z][a-z0-9]{0,31}(?:[-.][a-z0-9]{1,31}){0,3}"

Name = Annotated[str, Matches("[^\x00-\x1f]{1,200}", "a name")]
RoleInTeam = Annotated[str, Matches(f"{_WORD}@{_WORD}", "a role in a team, like `approver@core`")]
PathName = Annotated[str, Matches("[^\x00]{1,4000}", "a path")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepting:
    rp_id: Host
    software_keys: bool
    origins: dict[Origin, Word] | None = None
    attestation_roots: tuple[PathName, ...] | None = None
    clock_tolerance_seconds: Natural | None = None
    witnesses: tuple[VerifierKeyText, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    roles: tuple[RoleInTeam, ...]
    zone: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreed(_Accepting):
    quorum: Natural
    people: dict[Name, _Person]
    zones: tuple[PlannedZone, ...]
    custodians: tuple[Name, ...]
    custodians_needed: Natural
    policies: PathName | None = None


def read_plan(path: Path, cards: Sequence[Card]) -> Plan:
    """Return the plan in a file, its people found by the names on their cards.

    Raises:
        BadRequest, BadRecord: it is no plan; the message names what is wrong.
        NotFound: it names somebody who has no card.
    """
    agreed = _parse(_Agreed, path)
    people = _by_name(cards)
    if missing := people.keys() - agreed.people.keys():
        raise NotFound(
            f"the plan says nothing of `{min(missing)}`", hint="write `[people.…]` for everybody with a card"
        )

    def person(name: str) -> str:
        if name not in people:
            raise NotFound(f"nobody called `{name}` has given a card", hint="give their card, as it spells the name")
        return people[name]

    return Plan(
        quorum=agreed.quorum,
        acceptance=_acceptance(agreed, path.parent),
        roles={
            person(name): [_role(text) for text in dict.fromkeys(known.roles)] for name, known in agreed.people.items()
        },
        zones=agreed.zones,
        custodians=[person(name) for name in agreed.custodians],
        custodians_needed=agreed.custodians_needed,
        places={person(name): known.zone for name, known in agreed.people.items() if known.zone is not None},
        policies=None if agreed.policies is None else read_policies(path.parent / agreed.policies),
    )


def read_acceptance(path: Path) -> Acceptance:
    """Return what a keep is to accept, from a file with the fields that a plan has for it; errors as `read_plan`."""
    return _acceptance(_parse(_Accepting, path), path.parent)


def read_policies(folder: Path) -> tuple[PolicySource, ...]:
    """Return the `.cedar` files of a folder, by name.

    Raises:
        NotFound: there are none.
    """
    files = sorted(folder.glob("*.cedar"))
    if not files:
        raise NotFound(f"no policies in `{folder}`", hint="give a folder with `.cedar` files")
    return tuple(
        parse_record(PolicySource, {"name": file.name, "text": read_text(file)}) for file in files if file.is_file()
    )


def _parse(kind: type[T], path: Path) -> T:
    try:
        value: Mapping[str, Any] = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadRequest(f"`{path}` is not TOML: {error}", hint="see `strongroom deployment draft --help`") from error
    return parse_record(kind, value)


def _acceptance(given: _Accepting, folder: Path) -> Acceptance:
    return Acceptance(
        rp_id=given.rp_id,
        origins={ORIGIN: "cli", **(given.origins or {})},
        software_keys=given.software_keys,
        attestation_roots=tuple(_certificate(folder / name) for name in given.attestation_roots or ()),
        clock_tolerance_seconds=given.clock_tolerance_seconds or _CLOCK_TOLERANCE_SECONDS,
        witnesses=given.witnesses or (),
    )


def _certificate(path: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(read_text(path).encode("utf-8")).public_bytes(Encoding.DER)
    except ValueError as error:
        raise BadRequest(f"`{path}` is no certificate: {error}", hint="give the maker's root in PEM") from error


def _by_name(cards: Sequence[Card]) -> dict[str, str]:
    found = {card.detail.text: card.person for card in cards}
    if len(found) != len(cards):
        raise BadRequest("two cards have the same name", hint="give each card once; two people need two names")
    return found


def _role(text: str) -> FoundingRole:
    role, _, team = text.partition("@")
    return FoundingRole(role=role, team=team)

"""Changes: from the options of `strongroom propose ACT` to the change that the act takes. Options follow its fields.

A field's own annotation says what it takes: an identifier becomes an option that takes a name as well, a text's digest
one that takes the text, a number keeps its bounds. What stands on a card comes from the card; a few fields follow from
others, or from the machine. A field that none of this knows is a fault that a test finds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import click

from strongroom.acts.act import DEPLOYMENT, Act
from strongroom.acts.enrol import NewCredential, NewKey
from strongroom.acts.texts import TEXT_FIELDS
from strongroom.cli import here
from strongroom.cli.files import read_file
from strongroom.cli.known import Known
from strongroom.cli.options import Duration, PathText
from strongroom.cli.output import note
from strongroom.cli.things import find_thing, spoken
from strongroom.client.cards import Card, ProgramCard, credential_add, make_credential, parse_card, parse_program_card
from strongroom.client.names import Detail, new_detail
from strongroom.client.session import Session
from strongroom.directory import find
from strongroom.terms import canonical
from strongroom.terms.errors import BadRequest, WrongDeployment
from strongroom.terms.ids import KINDS, new_id
from strongroom.terms.names import check_model
from strongroom.terms.records import Matches, Within, parse_record, record_json

_ON_CARDS = frozenset({"person", "device", "workload", "attester", "key", "details", "credentials"})
_NAMES = {"details": "name", "files": "file", "kinds": "kind", "seconds": "for", "longest_seconds": "longest"}
_HELP = {
    "details": "What people call it: kept beside the log.",
    "reason": "Why: kept beside the log.",
    "role": "Such as `approver`, `governor`, `researcher`, `responder`, `writer`, `auditor`.",
    "team": "The team that it is held in: some quorums ask for several.",
    "files": "Only this file; may be repeated.",
    "kinds": "A kind of facts, such as `training`; may be repeated.",
    "seconds": "For how long.",
    "longest_seconds": "For how long it may say something at most.",
    "label": "0 public to 4 critical.",
    "ceiling": "The highest label that may be opened there: 0 public to 4 critical.",
    "egress_bytes_per_day": "What may leave it in a day at most.",
    "quorum": "How many people governance takes.",
    "device": "The device, by its identifier.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change, and the texts whose digests it names. `done` is called once it has been proposed."""

    body: Any
    details: tuple[Detail, ...]
    done: Callable[[], None] = lambda: None


@dataclass(kw_only=True)
class _Building:
    session: Session
    details: list[Detail] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    done: Callable[[], None] = lambda: None

    def text(self, text: str) -> str:
        detail = new_detail(text, self.session.random)
        self.details.append(detail)
        return detail.digest


Value = Callable[[_Building, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """How one field gets its value: from an option, or from what is known already."""

    value: Value
    option: click.Option | None = None
    late: bool = False
    """Follows from other fields."""


def options_of(act: Act[Any]) -> list[click.Parameter]:
    """Return the options that propose a change by `act`."""
    card = [_card_option(act)] if _has_card(act) else []
    return [*card, *(one.option for one in _inputs(act).values() if one.option is not None)]


def change_of(act: Act[Any], session: Session, given: dict[str, Any]) -> Change:
    """Return the change that the values of the options say.

    Raises:
        NotFound, BadRequest, BadRecord, …: it names nothing, or cannot be meant.
        NoSecurityKey, NotTouched: a new security key was not touched.
    """
    building = _Building(session=session)
    if _has_card(act):
        if (path := given.get("card")) is not None:
            _read_card(building, read_file(path), is_named="details" in get_type_hints(act.body))
        elif act.name == "credential.add":
            _make_credential(building)
    inputs = _inputs(act)
    for late in (False, True):
        for name, one in inputs.items():
            if one.late is late:
                building.values[name] = one.value(building, given.get(name))
    wanted = {one.name: building.values[one.name] for one in fields(act.body) if one.name in building.values}
    # Parsed as whoever reads it will: what is out of bounds is named here, before anybody signs it.
    body = parse_record(act.body, record_json(act.body(**wanted)))
    return Change(body=body, details=tuple(building.details), done=building.done)


# --- from a field's annotation to its option ---------------------------------------------------


def _inputs(act: Act[Any]) -> dict[str, _Input]:
    hints = get_type_hints(act.body, include_extras=True)
    return {
        name: _SPECIAL.get((act.name, name)) or _input(act, name, hint)
        for name, hint in hints.items()
        if not (_has_card(act) and name in _ON_CARDS) and act.name != "credential.add"
    }


def _input(act: Act[Any], name: str, hint: Any) -> _Input:
    optional = type(None) in get_args(hint) and get_origin(hint) in {Union, UnionType}
    if optional:
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    if act.name == f"{name}.enrol":
        return _Input(value=lambda building, given: new_id(name, building.session.random))
    option = partial(_option, name, required=not optional)
    if name in TEXT_FIELDS:
        value: Value = _model_name if act.name == "model.enrol" else lambda building, given: building.text(given)
        return _Input(value=value, option=option(metavar="TEXT"))
    if kinds := _kinds(hint):
        return _Input(
            value=partial(_thing, kinds),
            option=option(type=Known("THING", *kinds), metavar="THING", help=f"{spoken(kinds)}, by name or id"),
        )
    if _is_list(hint):
        return _Input(
            value=lambda building, given: tuple(sorted(set(given))) or (None if optional else ()),
            option=option(metavar="TEXT", multiple=True),
        )
    if (within := _marker(hint, Within)) is not None:
        kind = Duration() if name.endswith("seconds") else click.IntRange(within.least, within.most)
        return _Input(value=_as_given, option=option(type=kind, metavar=None if name.endswith("seconds") else "NUMBER"))
    if _marker(hint, Matches) is None:
        raise TypeError(f"no option is known for `{name}` of `{act.name}`")
    return _Input(value=_as_given, option=option(metavar="WORD"))


def _option(name: str, *, help: str = "", metavar: str | None = None, **more: Any) -> click.Option:  # noqa: A002 - click's
    text = _HELP.get(name, "") if not help else help[:1].upper() + help[1:] + "."
    return click.Option([f"--{_NAMES.get(name, name).replace('_', '-')}", name], help=text, metavar=metavar, **more)


def _kinds(hint: Any) -> tuple[str, ...]:
    """Return the kinds of things whose identifiers `hint` takes."""
    if (matches := _marker(hint, Matches)) is None:
        return ()
    kinds = [kind for kind in KINDS if matches.pattern.match(f"{kind}-{'0' * 32}")]
    return (*([DEPLOYMENT] if kinds and matches.pattern.match(DEPLOYMENT) else []), *kinds)


def _marker(hint: Any, kind: type[Any]) -> Any:
    return next((one for one in get_args(hint)[1:] if isinstance(one, kind)), None)


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is tuple or (get_origin(hint) is Annotated and get_origin(get_args(hint)[0]) is tuple)


def _thing(kinds: tuple[str, ...], building: _Building, given: Any) -> str | None:
    return None if given is None else find_thing(building.session, given, kinds)


def _as_given(building: _Building, given: Any) -> Any:
    return given


def _model_name(building: _Building, given: str) -> str:
    check_model(given)
    return building.text(given)


# --- cards -------------------------------------------------------------------------------------


def _has_card(act: Act[Any]) -> bool:
    return any(kind in {NewKey, NewCredential} for hint in get_type_hints(act.body).values() for kind in _flat(hint))


def _flat(hint: Any) -> Iterator[Any]:
    yield hint
    for part in get_args(hint):
        yield from _flat(part)


def _card_option(act: Act[Any]) -> click.Option:
    if act.name == "credential.add":
        text = "The card of somebody with no security key left; without it, your own new key is made here."
        return click.Option(["--card"], type=PathText(), metavar="FILE", help=text)
    text = "What they handed over: `strongroom deployment card --deployment …`."
    return click.Option(["--card"], type=PathText(), required=True, metavar="FILE", help=text)


def _read_card(building: _Building, data: bytes, *, is_named: bool) -> None:
    value = canonical.parse(data)
    card: Card | ProgramCard
    card = parse_program_card(data) if isinstance(value, dict) and "program" in value else parse_card(data)
    if card.deployment != building.session.deployment.name:
        raise WrongDeployment(
            f"this card was made for `{card.deployment}`", hint="have them make one for this deployment"
        )
    if is_named:
        building.details.append(card.detail)
        building.values["details"] = card.detail.digest
    building.values["key"] = card.key
    if isinstance(card, ProgramCard):
        building.values[card.program.partition("-")[0]] = card.program
        return
    building.values |= {"person": card.person, "device": card.device, "credentials": card.credentials}
    building.values |= {"new": card.credentials[0]} if card.credentials else {}


def _make_credential(building: _Building) -> None:
    """Register one more security key of the person's own, and have an old one agree."""
    session, own = building.session, building.session.profile
    acceptance = session.directory.acceptance
    session.learn([session.subject])
    note("first the NEW security key: plug in that one alone")
    new = make_credential(
        here.security_key(own),
        person=session.subject,
        name=session.deployment.called(session.subject),
        rp_id=acceptance.rp_id,
        random=os.urandom,
        deployment=session.deployment.name,
        roots=acceptance.attestation_roots,
    )
    note("now an OLD one, which agrees to it")
    change = credential_add(own, here.security_key(own), new, rp_id=acceptance.rp_id)
    building.values |= {"person": change.person, "new": new, "touch": change.touch}
    building.done = lambda: own.add_credential(new.credential, new.raw_id)


# --- fields that follow from others, or from the machine ---------------------------------------


def _zone_of_subject(building: _Building, given: Any) -> str:
    directory, values = building.session.directory, building.values
    if values["subject"].startswith("workload-"):
        return find.workload(directory, values["subject"]).zone
    if values.get("device") is None:
        raise BadRequest("a person opens on a device that is named", hint="give its identifier: `--device`")
    return find.device(directory, values["device"]).zone


def _manifest(building: _Building, given: Any) -> str:
    return find.version(building.session.directory, building.values["version"]).manifest


def _zone(building: _Building, given: Any) -> str:
    return find_thing(building.session, given, ("zone",)) if given else new_id("zone", building.session.random)


def _policies(building: _Building, given: Any) -> Any:
    from strongroom.cli.plans import read_policies

    return read_policies(given)


def _acceptance(building: _Building, given: Any) -> Any:
    from strongroom.cli.plans import read_acceptance

    return read_acceptance(given)


def _path_option(name: str, text: str, metavar: str) -> click.Option:
    return click.Option([f"--{name}"], type=PathText(), required=True, metavar=metavar, help=text)


_SPECIAL: dict[tuple[str, str], _Input] = {
    ("grant.give", "zone"): _Input(value=_zone_of_subject, late=True),
    ("grant.give", "manifest"): _Input(value=_manifest, late=True),
    ("clock.confirm", "seen_at"): _Input(value=lambda building, given: building.session.now()),
    ("zone.define", "zone"): _Input(
        value=_zone,
        option=click.Option(["--zone"], metavar="THING", help="The zone that this is about; else a new one."),
    ),
    ("policy.change", "policies"): _Input(
        value=_policies, option=_path_option("policies", "The whole bundle: a folder of `.cedar` files.", "DIR")
    ),
    ("acceptance.change", "acceptance"): _Input(
        value=_acceptance,
        option=_path_option("acceptance", "TOML with `rp_id`, `software_keys` and so on, as in a plan.", "FILE"),
    ),
}

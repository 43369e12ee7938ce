"""Entries as OCSF events: every kind of entry, with every attribute that its class requires."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.table import ACTS
from strongroom.client.ocsf import Event, Events
from strongroom.client.ocsf_table import CLASSES, KINDS
from strongroom.client.requests import freeze
from strongroom.directory.entries import Entry
from strongroom.statements.envelope import Envelope, Signature
from strongroom.statements.statement import Statement
from strongroom.terms.ids import new_id
from tests.client_keep.logs import World, founded

EVENTS = {"keep.unsealed", "refused", "refusals.counted", "clock.doubted", "snapshot.taken"}

# What the schema, release 1.3.0, requires of every event, and of each class; then the values of its activities.
BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
REQUIRED: dict[int, set[str]] = {
    0: set(),
    2004: {"finding_info"},
    3001: {"user"},
    3002: {"user"},
    3004: {"entity"},
    3005: {"user", "privileges"},
    6002: {"app"},
    6003: {"actor", "api", "src_endpoint"},
    6005: {"actor", "src_endpoint"},
}
AT_LEAST_ONE = {3002: {"service", "dst_endpoint"}, 6005: {"database", "databucket", "table"}}
ACTIVITIES = {
    2004: {1: "Create", 2: "Update", 3: "Close"},
    3001: {1: "Create", 2: "Enable", 5: "Disable", 6: "Delete", 10: "MFA Factor Enable", 11: "MFA Factor Disable"},
    3002: {1: "Logon", 2: "Logoff"},
    3004: {
        1: "Create",
        3: "Update",
        6: "Enroll",
        7: "Unenroll",
        12: "Suspend",
        13: "Resume",
    },
    3005: {1: "Assign Privileges", 2: "Revoke Privileges"},
    6002: {1: "Install", 2: "Remove", 3: "Start", 4: "Stop"},
    6003: {1: "Create", 2: "Read", 3: "Update", 4: "Delete"},
    6005: {1: "Read", 6: "Create", 9: "Encrypt", 10: "Decrypt"},
}
OTHER = 99
SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}


def offences(event: Event) -> list[str]:
    """Return what an event lacks of what the schema requires of it."""
    number = event.get("class_uid", -1)
    found = [f"no {name}" for name in BASE | REQUIRED.get(number, {"a known class"}) if name not in event]
    if found:
        return found
    activity = event["activity_id"]
    checks = {
        "type_uid": event["type_uid"] == number * 100 + activity,
        "category_uid": event["category_uid"] == number // 1000,
        "class_name": event["class_name"] == CLASSES[number],
        "activity": activity == OTHER or ACTIVITIES[number].get(activity) == event["activity_name"],
        "time": isinstance(event["time"], int) and event["time"] > 10**12,
        "severity": SEVERITIES[event["severity_id"]] == event["severity"],
        "metadata": event["metadata"]["version"] == "1.3.0"
        and {"name", "vendor_name"} <= set(event["metadata"]["product"]),
        "one of several": not (several := AT_LEAST_ONE.get(number)) or bool(several & set(event)),
        "user": all(one.get("uid") for one in (event.get("user"), event.get("actor", {"user": None})["user"]) if one),
        "entity": bool(event.get("entity", {"uid": "x"})["uid"]),
        "finding_info": bool(event.get("finding_info", {"uid": "x"})["uid"]),
        "app": {"name", "vendor_name"} <= set(event.get("app", {"name": 1, "vendor_name": 1})),
        "api": bool(event.get("api", {"operation": "x"})["operation"]),
        "src_endpoint": bool(event.get("src_endpoint", {"uid": "x"})["uid"]),
        "databucket": isinstance(event.get("databucket", {"type_id": 0})["type_id"], int),
        "no empty value": '""' not in json.dumps(event | {"unmapped": None}),
    }
    return [name for name, holds in checks.items() if not holds]


@dataclass
class Log:
    """A log that holds whatever entries it is given: what events look up is in it, or nowhere."""

    world: World
    entries: list[Entry] = field(default_factory=list)

    @property
    def directory(self) -> Any:
        return self.world.keeper.directory

    @property
    def deployment(self) -> str:
        return self.world.deployment

    def entry(self, index: int) -> Entry:
        return self.entries[index]


def said(kind: str, body: dict[str, Any], *, by: str, keyid: str, statement: str = "") -> dict[str, Any]:
    made = Statement(
        at=1_800_000_000,
        body=body,
        by=by,
        deployment=f"sr1:{'5a' * 32}",
        era=1,
        id=statement or new_id("statement", os.urandom),
        kind=kind,
        until=1_800_000_060,
    )
    envelope = Envelope(payload=made.encode(), signatures=(Signature(keyid=keyid, sig=b"\x30" * 70),))
    value: Any = envelope.json()
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with founded(tmp_path_factory.mktemp("ocsf")) as world:
        yield world


def test_every_kind_of_entry_has_a_row() -> None:
    assert {act.entry for act in ACTS if act.entry} | EVENTS == set(KINDS)


def body_of(act: Any, world: World) -> dict[str, Any]:
    """Return a body with an identifier, or a word, for each field of an act."""
    people = {
        "person": world.person("Dan"),
        "credential": next(iter(world.keeper.directory.credentials)),
        "subject": world.person("Dan"),
        "target": world.person("Dan") if act.name in {"freeze", "thaw"} else new_id("model", os.urandom),
        "proposal": new_id("statement", os.urandom),
    }
    kinds = {"device", "workload", "attester", "zone", "model", "version", "alias", "grant", "session"}
    found: dict[str, Any] = {}
    for name in act.body.__dataclass_fields__:
        found[name] = people.get(name) or (new_id(name, os.urandom) if name in kinds else f"some {name}")
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_event_of_every_kind_has_what_its_class_requires(world: World, kind: str) -> None:
    log = Log(world)
    events = Events(log)
    act = next((one for one in ACTS if one.entry == kind), None)
    if act is None:
        data: Any = {"act": "release", "by": world.person("Dan"), "code": "denied", "count": 7, "reason": "it leapt"}
        log.entries.append(Entry(at=1_800_000_000, kind=kind, data=data))
    elif act.is_proposed:
        proposal = new_id("statement", os.urandom)
        change = {"act": act.name, "change": body_of(act, world), "purpose": "sha256:…"}
        keys = {"by": world.person("Ada"), "keyid": new_id("session", os.urandom)}
        asked = said("propose/1", change, statement=proposal, **keys)
        log.entries.append(Entry(at=1_800_000_000, kind="proposed", statement=asked))
        log.entries.append(Entry(at=1_800_000_001, kind=kind, data={"proposal": proposal}))
    else:
        keys = {"by": world.person("Ada"), "keyid": new_id("session", os.urandom)}
        log.entries.append(Entry(at=1_800_000_000, kind=kind, statement=said(act.kind, body_of(act, world), **keys)))
    made = [events.event(index, entry) for index, entry in enumerate(log.entries)]
    assert [offences(event) for event in made] == [[] for _ in made]
    last = made[-1]
    assert last["metadata"]["event_code"] == kind
    assert last["metadata"]["uid"] == f"{world.deployment}/{len(log.entries) - 1}"
    assert last["unmapped"]["entry"]["kind"] == kind


def test_what_a_schema_would_refuse_is_seen(world: World) -> None:
    """The check itself: each of these breaks it."""
    log = Log(world, [Entry(at=1_800_000_000, kind="keep.unsealed", data={"by": []})])
    event = Events(log).event(0, log.entries[0])
    assert offences(event) == []
    for name, value in {
        "type_uid": 1,
        "time": 1_800_000_000,
        "category_uid": 3,
        "severity": "Odd",
        "class_uid": 3001,
        "app": {"name": "x"},
        "metadata": {"version": "1.3.0", "product": {}},
    }.items():
        assert offences(event | {name: value}), name
    for name in ("time", "metadata", "app", "type_uid"):
        assert offences({key: value for key, value in event.items() if key != name}) == [f"no {name}"]


def test_a_kind_that_nobody_knows_is_a_base_event_and_lost_to_nobody(world: World) -> None:
    log = Log(world, [Entry(at=1_800_000_000, kind="vault.moved", data={"where": "the moon"})])
    event = Events(log).event(0, log.entries[0])
    assert offences(event) == []
    assert (event["class_uid"], event["type_uid"]) == (0, OTHER)
    assert event["unmapped"]["entry"]["data"] == {"where": "the moon"}


def test_the_log_of_a_house_says_who_did_what_to_whom(tmp_path: Path) -> None:
    """Real entries: a session and its device, an enactment and its proposer, a freeze, a session that another ends."""
    with founded(tmp_path) as world:
        model = world.model()
        world.session("Dan")
        ada, key = world.session("Ada"), world.profiles["Dan"].session()
        assert key is not None
        freeze(ada, model, "odd reads")
        freeze(ada, world.person("Eve"), "gone away")
        ada.close_session(key.session)
        replica = ada.deployment.replica
        events = Events(replica, {model: "acme/atlas"}.get)
        made = [events.event(index, replica.entry(index)) for index in range(replica.directory.size)]
        assert [offences(event) for event in made] == [[] for _ in made]
        by_kind: dict[str, list[Event]] = {}
        for event in made:
            by_kind.setdefault(event["metadata"]["event_code"], []).append(event)

        (enrolled,) = by_kind["model.enrolled"]
        assert enrolled["entity"] == {"name": "acme/atlas", "type": "model", "uid": model}
        assert enrolled["actor"]["user"]["uid"] == world.person("Ada")
        asked = by_kind["proposed"][0]
        assert asked["src_endpoint"]["uid"] == ada.device
        assert asked["actor"]["session"]["uid"].startswith("session-")
        frozen, locked = by_kind["frozen"]
        assert (frozen["type_uid"], frozen["entity"]["uid"], frozen["severity"]) == (300412, model, "High")
        assert (locked["type_uid"], locked["user"]["uid"]) == (300105, world.person("Eve"))
        (ended,) = by_kind["session.closed"]
        assert (ended["user"]["uid"], ended["actor"]["user"]["uid"]) == (world.person("Dan"), world.person("Ada"))

        # Whoever begins in the middle is told the same, if what came before is remembered.
        late = Events(replica, {model: "acme/atlas"}.get)
        start = replica.directory.size - 3
        for index in range(start):
            late.remember(index, replica.leaf(index))
        assert [late.event(index, replica.entry(index)) for index in range(start, replica.directory.size)] == made[
            start:
        ]


def test_a_refusal_of_a_bad_signature_is_critical(world: World) -> None:
    def severity(code: str) -> str:
        data: Any = {"act": "release", "by": world.person("Dan"), "code": code, "statement": "sha256:…"}
        log = Log(world, [Entry(at=1_800_000_000, kind="refused", data=data)])
        found: str = Events(log).event(0, log.entries[0])["severity"]
        return found

    assert severity("denied") == "Medium"
    assert severity("cloned-key") == severity("bad-signature") == "Critical"

"""Founding and unsealing: which keys, whose shares, and what a keep says while it holds none."""

from __future__ import annotations

import base64
import hashlib
import runpy
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from strongroom.keep.keep import ROOMS, code_digest
from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import split_root
from strongroom.sealing.keys import PublicKey, unwrap_with, wrap_to
from strongroom.statements.words import digest_words
from strongroom.terms.errors import (
    BadKey,
    BadRequest,
    BadSignature,
    KeepSealed,
    KeyringTampered,
    NotAllowed,
    NotFound,
    OutputExists,
    WrongKey,
    WrongShare,
)
from tests.acts.world import SALT, a_genesis, a_trial, furnish, refused
from tests.keep.house import CUSTODIAN, KeptHouse, Machine, found, kept_house, kept_trial, machine_in, prepared


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as machine:
        yield machine


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KeptHouse]:
    with kept_house(tmp_path) as house:
        yield house


def restarted(house: KeptHouse) -> dict[str, str]:
    """Stop the keep and start it again; return what custodians know."""
    words = {who: house.share(who) for who in ("Ada", "Ben", "Cleo")}
    house.machine.stop()
    house.machine.start()
    return words


# --- founding ------------------------------------------------------------------------------------


def test_a_keep_that_founded_nothing_says_so_and_does_nothing_else(machine: Machine) -> None:
    status = machine.ask("status")
    assert (status["state"], status["size"]) == ("unfounded", 0)
    assert "deployment" not in status
    for request in ({"ask": "entries", "start": 0, "count": 1}, {"ask": "act", "statement": {}}):
        (answer,) = machine.answers(request)
        assert answer["error"]["code"] == KeepSealed.code
        assert "checkpoint" not in answer


def test_a_founding_needs_a_root_key_that_was_made_for_it(machine: Machine) -> None:
    with refused(NotAllowed, why="no root key"):
        found(machine, a_genesis())


def test_a_founding_with_keys_of_another_keep_is_refused(machine: Machine) -> None:
    prepared(machine)
    with refused(NotAllowed, why="other keys"):
        found(machine, a_genesis())
    first = prepared(machine)
    second = prepared(machine)
    for keys in (first, replace(second, time=first.time)):
        with refused(NotAllowed, why="other keys"):
            found(machine, a_genesis(keys=keys))
    found(machine, a_genesis(keys=second))


def test_a_founding_that_does_not_hold_founds_nothing(machine: Machine) -> None:
    begun = a_genesis(keys=prepared(machine))
    with refused(BadSignature):
        found(machine, begun, signers=[one.keys[0].touch for one in begun.people.values()][:-1])
    assert machine.ask("status")["state"] == "unfounded"
    assert machine.journal.size == 0


def test_a_founding_comes_with_the_names_that_it_binds(machine: Machine) -> None:
    begun = a_genesis(keys=prepared(machine))
    with refused(BadRequest, why="not here"):
        machine.ask("found", statement=begun.sign().json())
    stray = [{"salt": SALT.hex(), "text": "nobody"}]
    with refused(BadRequest, why="not named"):
        machine.ask("found", statement=begun.sign().json(), details=stray)
    assert machine.journal.size == 0


def test_a_deployment_is_founded_once(house: KeptHouse) -> None:
    with refused(BadRequest, why="open already"):
        house.machine.ask("prepare")
    with refused(BadRequest, why="open already"):
        found(house.machine, a_genesis())
    assert house.machine.kinds() == ["deployment.founded", "keep.unsealed"]


def test_the_first_entries_say_who_founded_and_which_code_runs(house: KeptHouse) -> None:
    unsealed: Any = house.machine.entries()[1].data
    assert unsealed == {"by": [], "code": code_digest()}
    status = house.machine.ask("status")
    assert status["deployment"] == house.directory.deployment
    assert (status["state"], status["era"], status["trial"]) == ("open", 1, False)
    assert status["shares"] == {"given": [], "needed": 2}


def test_the_digest_of_the_code_covers_every_room_that_the_keep_runs() -> None:

    tool = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "tcb.py"))
    assert {file.split("/")[1] for file in tool["count"]().files} - {"__init__.py"} == set(ROOMS)


# --- shares --------------------------------------------------------------------------------------


def test_a_share_is_its_custodian_s_and_nobody_else_has_one(house: KeptHouse) -> None:
    assert len({house.share(who) for who in ("Ada", "Ben", "Cleo")}) == 3
    for who in ("Dan", "Eve"):
        with refused(NotFound, why="no custodian"):
            house.share(who)
    wrapped = base64.b64decode(house.machine.ask("share", person=house.person("Ada"))["share"])
    with refused(WrongKey):
        unwrap_with(CUSTODIAN, wrapped, house.share_info("share", "Ben"))


def test_a_sealed_keep_answers_status_and_unseal_and_nothing_else(house: KeptHouse) -> None:
    furnish(house)
    house.session("Ada")
    requests = [
        house.request(house.say("Ada", house.propose_of(house.grant_body()))),
        {"ask": "entries", "start": 0, "count": 1},
        {"ask": "share", "person": house.person("Ada")},
        {"ask": "prepare"},
        {"ask": "found", "statement": {}},
    ]
    restarted(house)
    answers = house.machine.answers(*requests)
    assert {answer["error"]["code"] for answer in answers} == {KeepSealed.code}
    # Signed, but without the time: the key that says the time is not there.
    assert all(answer["checkpoint"].count("\u2014 ") == 1 for answer in answers)
    assert house.machine.ask("status")["state"] == "sealed"


def test_enough_shares_unseal_and_the_log_says_whose(house: KeptHouse) -> None:
    words = restarted(house)
    assert house.give("Ben", words["Ben"]) == {"missing": 1}
    assert house.machine.ask("status")["shares"] == {"given": [house.person("Ben")], "needed": 2}
    assert house.give("Cleo", words["Cleo"]) == {"missing": 0}
    assert house.machine.ask("status")["state"] == "open"
    unsealed: Any = house.machine.entries()[-1]
    assert unsealed.kind == "keep.unsealed"
    assert unsealed.data == {"by": [house.person("Ben"), house.person("Cleo")], "code": code_digest()}


def test_one_custodian_does_not_unseal_alone(house: KeptHouse) -> None:
    words = restarted(house)
    house.give("Ada", words["Ada"])
    with refused(WrongShare, why="already"):
        house.give("Ada", words["Ada"])
    with refused(WrongShare, why="already"):
        house.give("Ada", words["Ben"])
    with refused(WrongShare, why="not the share of"):
        house.give("Ada", words["Ada"], as_whom="Ben")
    assert house.machine.ask("status")["state"] == "sealed"
    house.give("Cleo", words["Cleo"])


def test_whoever_is_no_custodian_gives_no_share(house: KeptHouse) -> None:
    words = restarted(house)
    with refused(NotFound, why="no custodian"):
        house.give("Dan", words["Ada"])


def test_a_stranger_s_shares_keep_no_keep_sealed(house: KeptHouse) -> None:
    """Whoever reaches the keep may offer shares, also through a gateway; those of another key are well-formed too."""
    words = restarted(house)
    others = [share.text for share in split_root(RootKey.from_bytes(b"o" * 32), 2, 3)]
    for who, other in zip(("Ada", "Ben", "Cleo"), others, strict=True):
        with refused(WrongShare, why="not the share of"):
            house.give(who, other)
    house.give("Ada", words["Ada"])
    with refused(WrongShare, why="not the share of"):
        house.give("Ben", others[1])
    assert house.machine.ask("status")["shares"]["given"] == [house.person("Ada")]
    house.give("Ben", words["Ben"])
    assert house.machine.ask("status")["state"] == "open"


def test_the_root_key_of_another_deployment_does_not_unseal(house: KeptHouse) -> None:
    """Nor does it where somebody with the database has it believe that the shares of that key are the custodians'."""
    words = {who: house.share(who) for who in ("Ada", "Ben", "Cleo")}
    others = [share.text for share in split_root(RootKey.from_bytes(b"o" * 32), 2, 3)]
    house.machine.stop()
    with closing(apsw.Connection(str(house.machine.folder / "journal" / "journal.db"))) as database:
        for who, other in zip(("Ada", "Ben"), others[:2], strict=True):
            database.execute(
                "UPDATE kept SET data = ? WHERE kind = 'share-digest' AND name = ?",
                (hashlib.sha256(other.encode()).digest(), house.person(who)),
            )
    house.machine.start()
    house.give("Ada", others[0])
    with refused(KeyringTampered, why="not the root key"):
        house.give("Ben", others[1])
    status = house.machine.ask("status")
    assert (status["state"], status["shares"]["given"]) == ("sealed", [])
    with refused(WrongShare):
        house.give("Ada", words["Ada"])


def test_words_that_are_no_share_are_refused(house: KeptHouse) -> None:
    restarted(house)
    with refused(BadKey):
        house.give("Ada", "not a share at all")


def test_a_share_for_another_start_does_not_open(house: KeptHouse) -> None:
    """Each start has a key of its own, so that a share once sent is of no use to whoever kept it."""
    words = restarted(house)
    status = house.machine.ask("status")
    old_key = PublicKey(base64.b64decode(status["unseal_key"]))
    assert house.machine.keep.unseal_words() == digest_words(old_key.digest())
    sent = wrap_to(old_key, words["Ada"].encode(), house.share_info("unseal", "Ada"))
    house.machine.stop()
    house.machine.start()
    assert house.machine.ask("status")["unseal_key"] != status["unseal_key"]
    with refused(WrongKey):
        house.machine.ask("unseal", person=house.person("Ada"), share=base64.b64encode(sent).decode())


def test_a_share_sent_for_one_custodian_is_not_another_s(house: KeptHouse) -> None:
    words = restarted(house)
    key = PublicKey(base64.b64decode(house.machine.ask("status")["unseal_key"]))
    sent = wrap_to(key, words["Ada"].encode(), house.share_info("unseal", "Ada"))
    with refused(WrongKey):
        house.machine.ask("unseal", person=house.person("Ben"), share=base64.b64encode(sent).decode())


def test_an_open_keep_takes_no_shares(house: KeptHouse) -> None:
    with refused(BadRequest, why="open already"):
        house.give("Ada", house.share("Ada"))


# --- trials --------------------------------------------------------------------------------------


def test_a_trial_starts_by_itself_from_its_file(tmp_path: Path) -> None:
    with kept_trial(tmp_path) as house:
        house.machine.stop()
        house.machine.start()
        assert house.machine.ask("status")["state"] == "open"
        assert house.machine.kinds().count("keep.unsealed") == 2


def test_a_trial_is_founded_and_started_only_where_that_was_asked_for(tmp_path: Path) -> None:
    with machine_in(tmp_path) as machine:
        with refused(NotAllowed, why="not started for a trial"):
            found(machine, a_trial(keys=prepared(machine)))
        assert machine.journal.size == 0


def test_a_trial_s_journal_does_not_start_otherwise(tmp_path: Path) -> None:
    with kept_trial(tmp_path) as house:
        house.machine.stop()
        house.machine.is_trial = False
        with refused(BadRequest, why="trial"):
            house.machine.start()


def test_a_trial_overwrites_no_root_key(tmp_path: Path) -> None:
    with machine_in(tmp_path, is_trial=True) as machine:
        begun = a_trial(keys=prepared(machine))
        (tmp_path / "root.key").write_text("somebody's")
        with refused(OutputExists):
            found(machine, begun)
        assert machine.journal.size == 0


def test_a_trial_with_another_root_key_does_not_open(tmp_path: Path) -> None:
    with kept_trial(tmp_path) as house:
        house.machine.stop()
        (tmp_path / "root.key").write_text(f"STRONGROOM-ROOT-1:{'00' * 32}\n")
        with refused(KeyringTampered, why="not the root key"):
            house.machine.start()

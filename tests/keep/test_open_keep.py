"""The open keep: what is said again, what lies beside the log, what is released, what a full disk leaves possible."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.fact_attest import FactAttest
from strongroom.acts.freeze import Freeze
from strongroom.acts.model_enrol import ModelEnrol
from strongroom.acts.policy_change import PolicyChange
from strongroom.acts.read import Read
from strongroom.acts.session_close import SessionClose
from strongroom.directory.state import PolicySource
from strongroom.journal.port import Space
from strongroom.keep.book import LARGEST_ENTRY_BYTES
from strongroom.keep.open_keep import MOST_ENTRIES, MOST_ENTRIES_BYTES
from strongroom.sealing.keys import released_file_keys
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.signing import verify_ed25519
from strongroom.statements.statement import KEEP, parse_statement
from strongroom.terms.digests import sha256
from strongroom.terms.errors import (
    BadRequest,
    Denied,
    JournalBroken,
    KeyringTampered,
    ManifestTampered,
    NoSpace,
    NotNow,
    StatementReused,
    UnknownSigner,
    WrongKey,
)
from strongroom.tlog.checkpoints import verify_checkpoint
from strongroom.tlog.notes import COSIGNATURE, ED25519, VerifierKey
from strongroom.tlog.witnesses import verify_cosignature
from tests.acts.world import DAY, HOUR, MINUTE, SALT, default_policies, furnish, refused, text
from tests.keep.house import DATA_KEY, KeptHouse, folded, header, kept_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KeptHouse]:
    with kept_house(tmp_path) as house:
        furnish(house)
        yield house


# --- the same again ------------------------------------------------------------------------------


def test_the_same_statement_again_is_the_same_answer_and_no_second_entry(house: KeptHouse) -> None:
    asked = house.ask("Dan", house.grant_body())
    said = house.say("Ada", house.voice_of(asked))
    first = house.tell(said)
    size = house.machine.journal.size
    house.pass_time(2 * MINUTE)  # the minute of grace is for the first arrival only
    again = house.tell(said)
    assert (again["index"], again["leaf"]) == (first["index"], first["leaf"])
    assert house.machine.journal.size == size


def test_the_same_statement_twice_in_one_batch_is_one_entry(house: KeptHouse) -> None:
    house.session("Ada")
    request = house.request(house.say("Ada", Freeze(target=house.model, reason=text("odd"))))
    size = house.machine.journal.size
    first, second = house.machine.answers(request, request)
    assert first == second
    assert house.machine.journal.size == size + 1


def test_the_same_identifier_with_other_bytes_is_a_conflict(house: KeptHouse) -> None:
    said = house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    with refused(StatementReused):
        house.do("Ada", Freeze(target=house.job.subject, reason=text("odd")), id=said)
    assert not house.directory.workloads[house.job.subject].frozen


def test_the_identifier_of_somebody_else_s_statement_is_a_conflict(house: KeptHouse) -> None:
    said = house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    with refused(StatementReused):
        house.do("Ben", SessionClose(session=house.session("Ben").subject), id=said)


def test_a_statement_that_lapsed_is_not_said_again(house: KeptHouse) -> None:
    said = house.say("Ada", Freeze(target=house.model, reason=text("odd")))
    house.tell(said)
    house.pass_time(5 * MINUTE + 1)
    with refused(NotNow, why="lapsed"):
        house.tell(said)


def test_the_same_release_again_gives_the_same_key_to_the_same_recipient(house: KeptHouse) -> None:
    said = house.say("Dan", house.release_body(house.grant()))
    first, second = house.tell(said), house.tell(said)
    keys = [house.opened(answer["answer"]["envelope"], answer) for answer in (first, second)]
    assert keys[0] == keys[1] == {"data_key": base64.b64encode(DATA_KEY).decode()}
    assert house.machine.kinds().count("key.released") == 1


def test_a_release_said_again_after_a_freeze_is_refused(house: KeptHouse) -> None:
    said = house.say("Dan", house.release_body(house.grant()))
    house.tell(said)
    house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    with refused(Denied, why="thawed"):
        house.tell(said)


def test_a_release_said_again_after_its_session_was_closed_is_refused(house: KeptHouse) -> None:
    said = house.say("Dan", house.release_body(house.grant()))
    house.tell(said)
    house.do("Ada", SessionClose(session=house.session("Dan").subject))
    with refused(UnknownSigner):
        house.tell(said)


# --- releases ------------------------------------------------------------------------------------


def test_a_release_is_signed_by_the_keep_and_bound_to_its_entry(house: KeptHouse) -> None:
    answer = house.tell(house.say("Dan", house.release_body(house.grant())))
    envelope = parse_envelope(answer["answer"]["envelope"])
    verify_ed25519(house.directory.keys.answer, envelope.message, envelope.signature(KEEP).sig)
    statement = parse_statement(envelope)
    leaf = base64.b64decode(answer["leaf"])
    body: Any = statement.body
    assert (statement.by, statement.kind, statement.deployment) == (KEEP, "released/1", house.directory.deployment)
    assert (body["entry"], body["index"]) == (sha256(leaf), answer["index"])
    assert (body["version"], body["manifest"]) == (house.version, house.manifest)
    assert body["expires_at"] == house.at + HOUR == statement.until
    assert house.machine.leaves()[answer["index"]] == leaf


def test_a_release_of_named_files_carries_their_keys_only(house: KeptHouse) -> None:
    grant = house.grant(files=("a", "b"))
    released = house.open(house.release_body(grant, files=("a",)))
    keys = released_file_keys(DATA_KEY, house.directory.versions[house.version].seal_id, ["a"])
    expected = {path: base64.b64encode(key).decode() for path, key in keys.files.items()}
    assert released == {"files": expected, "manifest_key": base64.b64encode(keys.manifest).decode()}
    assert expected.keys() == {"a"}


def test_no_key_leaves_before_its_entry_is_durable(house: KeptHouse) -> None:
    """The journal breaks while the batch is written: there is no answer at all."""
    request = house.request(house.say("Dan", house.release_body(house.grant())))
    house.machine.journal.close()
    with pytest.raises(JournalBroken):
        house.machine.answers(request)
    house.machine.start()
    assert "key.released" not in house.machine.kinds()


def test_a_release_without_the_model_s_key_beside_the_log_is_tampered(house: KeptHouse) -> None:
    grant = house.grant()
    words = {who: house.share(who) for who in ("Ada", "Ben")}
    house.machine.journal.journal._database.execute("DELETE FROM kept WHERE kind = 'model-key'")
    house.machine.stop()
    house.machine.start()
    for who, share in words.items():
        house.give(who, share)
    with refused(KeyringTampered, why="missing"):
        house.open(house.release_body(grant))


# --- registering ---------------------------------------------------------------------------------


def test_a_version_that_the_keep_could_not_open_is_refused(house: KeptHouse) -> None:
    good = house.version_body()
    for body, errors in (
        (house.version_body(wrapped_key=bytes(1168)), (WrongKey,)),
        (house.version_body(wrapped_key=good.wrapped_key), (WrongKey,)),
        (house.version_body(header=bytes(74)), (WrongKey, ManifestTampered)),
        (replace(good, header=header(good.seal_id, b"e" * 32)), (WrongKey,)),
        (replace(good, header=header("0" * 32)), (WrongKey,)),
    ):
        with refused(*errors):
            house.do("job", body)
        assert house.machine.kinds()[-1] == "refused"
    house.do("job", good)


def test_the_number_of_a_version_is_in_its_entry(house: KeptHouse) -> None:
    house.do("job", house.version_body())
    data: Any = house.machine.entries()[-1].data
    assert data["number"] == 2


# --- proposals -----------------------------------------------------------------------------------


def test_the_last_approval_enacts_and_the_others_say_what_is_missing(house: KeptHouse) -> None:
    asked = house.new("statement")
    proposed = house.tell(house.say("Dan", house.propose_of(house.grant_body()), id=asked))
    assert "two people" in proposed["missing"]
    one = house.tell(house.say("Ada", house.voice_of(asked)))
    assert "approver" in one["missing"]
    two = house.tell(house.say("Ben", house.voice_of(asked, team="red")))
    assert "missing" not in two
    assert house.machine.leaves()[two["enacted"]["index"]] == base64.b64decode(two["enacted"]["leaf"])
    assert house.machine.kinds()[-2:] == ["approved", "grant.given"]


def test_an_enactment_says_by_which_rules(house: KeptHouse) -> None:
    house.grant()
    data: Any = house.machine.entries()[-1].data
    bundle = house.bundle()
    assert (data["policy"], data["floor"]) == (bundle.digest, bundle.floor_version)
    assert data["cedar"] == bundle.cedar_version


def test_policies_that_changed_decide_from_the_next_request_on(house: KeptHouse) -> None:
    closed = PolicySource(
        name="own.cedar", text='@id("own") @requires("luck") forbid (principal, action == Action::"release", resource);'
    )
    grant = house.grant()
    house.open(house.release_body(grant))
    house.govern(PolicyChange(policies=(*default_policies(), closed)))
    with refused(Denied, why="luck"):
        house.open(house.release_body(grant))


def test_a_model_s_public_key_is_in_the_log_and_its_private_half_is_not(house: KeptHouse) -> None:
    data: Any = next(entry for entry in house.machine.entries() if entry.kind == "model.enrolled").data
    assert base64.b64decode(data["public_key"]) == house.directory.models[house.model].public_key
    sealed = house.machine.journal.kept("model-key", f"{house.model}/1")
    assert sealed is not None
    assert not any(sealed in leaf for leaf in house.machine.leaves())


# --- facts ---------------------------------------------------------------------------------------


def test_a_repeated_fact_is_no_entry_until_an_hour_has_passed(house: KeptHouse) -> None:
    body = FactAttest(subject=house.person("Dan"), fact="training", value=1)
    house.do("attester", body, until=house.at + DAY)
    size = house.machine.journal.size
    house.pass_time(HOUR - 1)
    answer = house.tell(house.say("attester", body, until=house.at + DAY))
    assert answer == {"answer": {"repeated": True}}
    assert house.machine.journal.size == size
    house.pass_time(1)
    house.do("attester", body, until=house.at + DAY)
    assert house.machine.journal.size == size + 1


# --- texts beside the log ------------------------------------------------------------------------


def test_whoever_is_enrolled_reads_names_and_nobody_else_does(house: KeptHouse) -> None:
    digest, unknown = text("Ada"), sha256(b"nothing")
    answer = house.tell(house.say("Dan", Read(digests=tuple(sorted((digest, unknown))))))
    assert answer == {"answer": {"details": {digest: {"salt": SALT.hex(), "text": "Ada"}}}}
    with refused(UnknownSigner):
        house.tell(house.say("Dan", Read(digests=(digest,)), house.new_key(house.new("session"))))


def test_a_read_leaves_no_entry(house: KeptHouse) -> None:
    house.session("Dan")
    size = house.machine.journal.size
    house.do("Dan", Read(digests=(text("Ada"),)))
    assert house.machine.journal.size == size


@pytest.mark.parametrize("kind", ["reason", "purpose", "details of what is proposed"])
def test_a_statement_whose_text_is_missing_is_refused(house: KeptHouse, kind: str) -> None:
    fresh = text(f"never said before: {kind}")
    bodies = {
        "reason": ("Ada", Freeze(target=house.model, reason=fresh)),
        "purpose": ("Dan", replace(house.propose_of(house.grant_body()), purpose=fresh)),
        "details of what is proposed": (
            "Ada",
            house.propose_of(ModelEnrol(model=house.new("model"), details=fresh, label=1)),
        ),
    }
    who, body = bodies[kind]
    house.session(who)
    size = house.machine.journal.size
    with refused(BadRequest, why="is not here"):
        house.tell(house.say(who, body), details=[])
    assert house.machine.kinds()[size:] == ["refused"]
    house.tell(house.say(who, body))
    house.do("Dan", Read(digests=(fresh,)))


def test_a_text_that_nobody_named_is_refused(house: KeptHouse) -> None:
    stray = {"salt": SALT.hex(), "text": "a text of nobody's"}
    with refused(BadRequest, why="not named"):
        house.tell(house.say("Ada", Freeze(target=house.model, reason=text("odd"))), details=[stray])
    assert not house.directory.models[house.model].frozen


def test_a_text_that_is_there_already_need_not_come_again(house: KeptHouse) -> None:
    reason = text("odd")
    house.do("Ada", Freeze(target=house.model, reason=reason))
    house.tell(house.say("Ada", Freeze(target="deployment", reason=reason)), details=[])


def test_two_statements_of_one_batch_may_share_a_text(house: KeptHouse) -> None:
    house.session("Ada")
    reason = text("said for the first time, twice")
    first = house.request(house.say("Ada", Freeze(target=house.model, reason=reason)))
    second = house.request(house.say("Ada", Freeze(target="deployment", reason=reason)), details=[])
    assert all("ok" in answer for answer in house.machine.answers(first, second))


def test_no_name_or_reason_is_in_the_log(house: KeptHouse) -> None:
    house.do("Ada", Freeze(target=house.model, reason=text("a very secret reason")))
    log = b"".join(house.machine.leaves())
    for said in ("very secret", "acme/atlas", base64.b64encode(b"very secret").decode()):
        assert said.encode() not in log


# --- a disk that fills up ------------------------------------------------------------------------


def test_on_a_full_disk_only_closing_down_goes_on(house: KeptHouse) -> None:
    house.session("Ada"), house.session("Dan")
    grant = house.grant()
    house.machine.journal.left = Space.RESERVED
    with refused(NoSpace, why="closing down"):
        house.open(house.release_body(grant))
    with refused(NoSpace):
        house.ask("Dan", house.grant_body())
    house.do("Ada", Freeze(target=house.model, reason=text("odd")))
    assert house.directory.models[house.model].frozen
    assert "refused" not in house.machine.kinds()


def test_what_a_batch_has_used_is_not_there_for_the_rest_of_it(house: KeptHouse) -> None:
    """Each alone would fit. Together they would take what is kept for closing down, which still goes on."""
    house.session("Ada"), house.session("Dan")
    asked = [house.request(house.say("Dan", house.propose_of(house.grant_body()))) for _ in range(3)]
    freeze = house.request(house.say("Ada", Freeze(target=house.model, reason=text("odd"))))
    house.machine.journal.room_bytes = 4 * LARGEST_ENTRY_BYTES
    first, *others, frozen = house.machine.answers(*asked, freeze)
    assert "ok" in first
    assert [answer["error"]["code"] for answer in others] == ["no-space", "no-space"]
    assert "ok" in frozen
    assert "ok" in house.machine.answers(asked[1])[0]


def test_on_a_full_disk_no_refusal_is_written(house: KeptHouse) -> None:
    house.session("Dan")
    house.machine.journal.left = Space.RESERVED
    size = house.machine.journal.size
    with refused(Denied):
        house.do("Dan", Freeze(target=house.model, reason=text("odd")))
    house.machine.wall += HOUR  # nor that the clock leapt
    house.machine.ask("status")
    assert house.machine.journal.size == size


def test_with_no_room_even_for_closing_down_the_keep_stops(house: KeptHouse) -> None:
    request = house.request(house.say("Ada", Freeze(target=house.model, reason=text("odd"))))
    house.machine.journal.left = Space.GONE
    with pytest.raises(JournalBroken):
        house.machine.answers(request)
    assert not house.directory.models[house.model].frozen


# --- reading the log -----------------------------------------------------------------------------


def test_entries_are_those_of_the_log(house: KeptHouse) -> None:
    size = house.machine.journal.size
    answer = house.machine.ask("entries", start=2, count=3)
    assert [base64.b64decode(leaf) for leaf in answer["entries"]] == house.machine.leaves()[2:5]
    assert house.machine.ask("entries", start=size, count=5) == {"entries": []}
    with refused(BadRequest, why="entries"):
        house.machine.ask("entries", start=size + 1, count=1)
    assert (MOST_ENTRIES, MOST_ENTRIES_BYTES) == (1000, 4 << 20)


def test_whoever_reads_the_log_has_the_keep_s_directory(house: KeptHouse) -> None:
    house.open(house.release_body(house.grant()))
    assert folded(house.machine).encode() == house.directory.encode()


def test_every_answer_carries_the_checkpoint_and_the_keep_s_time(house: KeptHouse) -> None:
    for request in ({"ask": "status"}, {"ask": "everything"}, {"ask": "entries", "start": 0, "count": 1}):
        house.pass_time(10)
        (answer,) = house.machine.answers(request)
        note = answer["checkpoint"].encode()
        origin = house.directory.origin
        checkpoint = verify_checkpoint(
            note, VerifierKey(name=origin, kind=ED25519, public_key=house.directory.keys.log)
        )
        assert (checkpoint.size, checkpoint.root) == (house.machine.journal.size, house.machine.journal.tree.root())
        time_key = VerifierKey(name=f"{origin}/time", kind=COSIGNATURE, public_key=house.directory.keys.time)
        assert verify_cosignature(note, time_key) == house.machine.wall


# --- secrets -------------------------------------------------------------------------------------


def test_no_secret_is_in_a_log_an_error_or_a_repr(house: KeptHouse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keep = house.machine.keep
    open_keep = keep._open
    assert open_keep is not None
    vault = open_keep.vault
    grant = house.grant()
    answers = house.machine.answers(
        house.request(house.say("Dan", house.release_body(grant))),
        house.request(house.say("Dan", house.release_body(grant, files=("x",)))),
        {"ask": "unseal", "person": house.person("Ada"), "share": "AA=="},
        {"ask": "status"},
    )
    secrets = [vault._root.secret, DATA_KEY, keep._unseal_key.seed]
    told = repr(answers) + repr(keep) + repr(vault) + repr(vars(vault)) + repr(vars(keep)) + caplog.text
    told += repr(house.machine.entries())
    for secret in secrets:
        for form in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]):
            assert form not in told
    assert house.directory.deployment in told

"""Attacks on the client by whoever answers at the socket: a relay, an impostor, or a keep whose log key was stolen."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.acts.deployment_found import Founder
from strongroom.acts.device_enrol import DeviceEnrol
from strongroom.acts.enrol import NewKey
from strongroom.acts.release import Release
from strongroom.client.connection import Connection
from strongroom.client.deployment import Deployment
from strongroom.client.founding import Draft, fetch_share, found, sign_genesis, unseal, unseal_key
from strongroom.client.names import NOT_PROVEN, Names, new_detail
from strongroom.client.profile import create_profile
from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.client.replica import Replica
from strongroom.client.requests import freeze, raise_label, request_access, thaw
from strongroom.client.session import Session
from strongroom.directory.entries import Entry, parse_entry
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import SEED_BYTES, Identity, PublicKey
from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.statements.signing import point_of, prove_possession
from strongroom.statements.statement import FOUNDING, parse_statement
from strongroom.terms.digests import sha256
from strongroom.terms.errors import (
    AlreadyDone,
    BadSignature,
    LogTampered,
    NotAllowed,
    NotFound,
    StrongroomError,
    WrongDeployment,
    WrongKey,
)
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import BadAnswer, BadProof, KeepUnavailable, NotFrozen, StaleTime
from strongroom.terms.records import parse_record, record_json
from tests.attacks.versions import MODEL, write_model
from tests.client_keep.logs import Clock, Keeper, Reply, Request, World, b64, drafted, founded, served

Lie = Callable[[Request, Reply], Reply]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with founded(tmp_path) as world:
        yield world


def twin(keeper: Keeper, leaves: list[bytes]) -> Keeper:
    """Return a keeper with the same keys and another history."""
    other = Keeper(keeper.clock)
    other.log_key, other.answer_key, other.time_key = keeper.log_key, keeper.answer_key, keeper.time_key
    other.details = keeper.details
    other._found({"statement": parse_entry(leaves[0]).statement})
    for leaf in leaves[1:]:
        other.append(parse_entry(leaf))
    return other


def copy(world: World, folder: Path) -> Replica:
    ours = Replica(folder, world.deployment, clock=world.clock, warn=lambda line: None)
    ours.sync(Connection(world.socket))
    return ours


# --- the log -----------------------------------------------------------------------------------


def forked(world: World) -> Keeper:
    """Return the same log with another last entry, and one more, all well signed."""
    other = twin(world.keeper, world.keeper.leaves[:-1])
    for _ in range(2):
        other.append(Entry(at=world.clock.at, kind="keep.unsealed", data={"code": "another"}))
    return other


def test_a_forked_log_is_refused_though_its_own_key_signed_it(world: World, tmp_path: Path) -> None:
    world.session("Ada")
    ours = copy(world, tmp_path / "copy")
    before = ours.directory.encode()
    other = forked(world)
    world.keeper.lie = lambda request, answer: other.handle([request])[0]
    with pytest.raises(LogTampered):
        ours.sync(Connection(world.socket))
    assert ours.directory.encode() == before


def test_a_fork_of_the_same_length_is_refused(world: World, tmp_path: Path) -> None:
    world.session("Ada")
    ours = copy(world, tmp_path / "copy")
    other = twin(world.keeper, world.keeper.leaves[:-1])
    other.append(Entry(at=world.clock.at, kind="keep.unsealed", data={"code": "another"}))
    world.keeper.lie = lambda request, answer: other.handle([request])[0]
    with pytest.raises(LogTampered):
        ours.sync(Connection(world.socket))


def test_a_fork_is_refused_by_a_client_that_has_lost_its_entries_and_kept_its_checkpoint(
    world: World, tmp_path: Path
) -> None:
    world.session("Ada")
    copy(world, tmp_path / "copy")
    (tmp_path / "copy" / "entries").unlink()
    other = forked(world)
    world.keeper.lie = lambda request, answer: other.handle([request])[0]
    with pytest.raises(LogTampered, match="does not continue"):
        copy(world, tmp_path / "copy")
    world.keeper.lie = lambda request, answer: answer
    copy(world, tmp_path / "copy")


def test_a_shorter_log_is_refused(world: World, tmp_path: Path) -> None:
    yesterday = world.keeper.note().decode()
    world.session("Ada")
    ours = copy(world, tmp_path / "copy")
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": yesterday}
    with pytest.raises(LogTampered, match="had 2"):
        ours.sync(Connection(world.socket))


def test_a_shorter_log_is_refused_after_a_new_start_too(world: World, tmp_path: Path) -> None:
    yesterday = world.keeper.note().decode()
    world.session("Ada")
    copy(world, tmp_path / "copy")
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": yesterday}
    with pytest.raises(LogTampered):
        copy(world, tmp_path / "copy")


def test_a_checkpoint_of_before_the_last_one_is_refused_though_the_log_has_not_grown(
    world: World, tmp_path: Path
) -> None:
    old = world.keeper.note().decode()
    world.clock.at += 5
    ours = copy(world, tmp_path / "copy")
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": old}
    with pytest.raises(LogTampered, match="5 s before"):
        ours.sync(Connection(world.socket))


def test_the_log_of_another_deployment_is_refused_at_first_sight(world: World, tmp_path: Path) -> None:
    ours = Replica(tmp_path / "copy", "sr1:" + "0" * 64, clock=world.clock)
    with pytest.raises(WrongDeployment, match=world.deployment):
        ours.sync(Connection(world.socket))
    assert (tmp_path / "copy" / "entries").read_bytes() == b""


def edit(index: int, old: bytes, new: bytes) -> Lie:
    """Return a lie about one entry."""

    def lie(request: Request, answer: Reply) -> Reply:
        if request["ask"] == "entries" and request["start"] <= index < request["start"] + len(answer["ok"]["entries"]):
            at = index - request["start"]
            leaf = base64.b64decode(answer["ok"]["entries"][at])
            assert old in leaf
            answer["ok"]["entries"][at] = b64(leaf.replace(old, new))
        return answer

    return lie


def test_an_edited_genesis_is_refused(world: World, tmp_path: Path) -> None:
    world.keeper.lie = edit(0, b'"at":18', b'"at":17')
    with pytest.raises(WrongDeployment):
        copy(world, tmp_path / "copy")


def test_an_edited_entry_is_refused(world: World, tmp_path: Path) -> None:
    world.session("Ada")
    world.keeper.lie = edit(1, b'"path":"cli"', b'"path":"web"')
    with pytest.raises(LogTampered):
        copy(world, tmp_path / "copy")


def test_an_entry_that_is_withheld_is_missed(world: World, tmp_path: Path) -> None:
    world.session("Ada")
    world.keeper.lie = lambda request, answer: {**answer, "ok": {"entries": []}} if "start" in request else answer
    with pytest.raises(KeepUnavailable):
        copy(world, tmp_path / "copy")


def test_a_checkpoint_by_another_key_is_refused(world: World, tmp_path: Path) -> None:
    forged = world.keeper.note(key=Ed25519PrivateKey.generate()).decode()
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": forged}
    with pytest.raises(LogTampered):
        copy(world, tmp_path / "copy")
    without_log = "\n".join(line for line in forged.splitlines() if "/time " in line or not line.startswith("—"))
    world.keeper.lie = lambda request, answer: {**answer, "checkpoint": without_log + "\n"}
    with pytest.raises(LogTampered):
        copy(world, tmp_path / "copy")


def test_a_time_by_another_key_is_none(world: World, tmp_path: Path) -> None:
    world.keeper.time_key = Ed25519PrivateKey.generate()
    with pytest.raises(StaleTime, match="tells no time"):
        copy(world, tmp_path / "copy")


# --- what was done -----------------------------------------------------------------------------


def spoil(**changes: Any) -> Lie:
    return lambda request, answer: {**answer, "ok": {**answer["ok"], **changes}} if request["ask"] == "act" else answer


def without(*names: str) -> Lie:
    return lambda request, answer: (
        {**answer, "ok": {name: value for name, value in answer["ok"].items() if name not in names}}
        if request["ask"] == "act"
        else answer
    )


@pytest.mark.parametrize(
    "lie",
    [
        without("proof"),
        without("leaf"),
        without("index"),
        spoil(proof=[]),
        spoil(proof=[b64(bytes(32))] * 2),
        spoil(proof=["not base64!"]),
        spoil(index=0),
        spoil(index=True),
        spoil(leaf=b64(b"{}")),
    ],
)
def test_what_is_not_proven_to_be_in_the_log_is_not_done(world: World, lie: Lie) -> None:
    session = world.session("Ada")
    world.session("Ben")
    session.deployment.sync()
    world.keeper.lie = lie
    with pytest.raises(BadProof):
        raise_label(session, world_model(world), 2)


def world_model(world: World) -> str:
    """Return a model that is enrolled behind the client's back, so that no lie is told about that."""
    lie, world.keeper.lie = world.keeper.lie, lambda request, answer: answer
    model = world.model()
    world.keeper.lie = lie
    return model


def test_the_entry_of_another_statement_proves_nothing(world: World) -> None:
    model = world.model()
    session = world.session("Ada")
    other = len(world.keeper.leaves) - 1
    world.keeper.lie = lambda request, answer: (
        {**answer, "ok": world.keeper.logged(other)} if request["ask"] == "act" else answer
    )
    with pytest.raises(BadAnswer):
        raise_label(session, model, 2)


def test_an_entry_of_another_kind_proves_nothing(world: World) -> None:
    model = world.model()
    session = world.session("Ada")

    def lie(request: Request, answer: Reply) -> Reply:
        if request["ask"] != "act":
            return answer
        # The very statement, in an entry that says that it was refused.
        refused = Entry(at=world.clock.at, kind="refused", statement=request["statement"])
        index = world.keeper.append(refused)
        return {"ok": world.keeper.logged(index), "checkpoint": world.keeper.note().decode()}

    world.keeper.lie = lie
    with pytest.raises(BadAnswer):
        raise_label(session, model, 2)


def test_the_enactment_of_another_proposal_is_not_taken_for_this_one(world: World) -> None:
    world.model()
    enacted = len(world.keeper.leaves) - 1
    world.keeper.lie = lambda request, answer: (
        {**answer, "ok": {**answer["ok"], "enacted": world.keeper.logged(enacted)}}
        if request["ask"] == "act" and "missing" in answer.get("ok", {})
        else answer
    )
    with pytest.raises(BadAnswer, match="another proposal"):
        world.model("acme/borealis")


def test_the_answer_of_a_fork_is_not_believed(world: World) -> None:
    model = world.model()
    session = world.session("Ada")
    other = twin(world.keeper, world.keeper.leaves)
    for _ in range(2):
        other.append(Entry(at=world.clock.at, kind="keep.unsealed", data={"code": "another"}))
    raise_label(session, model, 2)
    world.keeper.lie = lambda request, answer: other.handle([request])[0]
    with pytest.raises(LogTampered):
        raise_label(session, model, 3)


# --- freezing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        lambda request, answer: {**answer, "ok": {}} if request["ask"] == "act" else answer,
        without("proof"),
        lambda request, answer: {"error": {"code": "denied", "message": "no", "hint": "", "family": "Refused"}},
        lambda request, answer: {"error": {"code": "already-done", "message": "is", "hint": "", "family": "Conflict"}},
    ],
    ids=["nothing", "no-proof", "refused", "claims-it-was"],
)
def test_a_freeze_without_proof_is_not_called_one(world: World, lie: Lie) -> None:
    model = world.model()
    session = world.session("Ada")
    world.keeper.lie = lie
    with pytest.raises(NotFrozen) as raised:
        freeze(session, model, "something is odd")
    assert raised.value.message.startswith("NOT FROZEN")
    assert str(world.socket) in raised.value.hint


def test_a_freeze_that_is_answered_late_is_not_called_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = world.model()
    session = world.session("Ada")
    monkeypatch.setattr("strongroom.client.requests.FREEZE_SECONDS", 0.2)

    def late(request: Request, answer: Reply) -> Reply:
        time.sleep(0.5)
        return answer

    world.keeper.lie = late
    with pytest.raises(NotFrozen):
        freeze(session, model, "something is odd")


def test_what_the_log_says_is_frozen_is_frozen(world: World) -> None:
    model = world.model()
    session = world.session("Ada")
    assert freeze(session, model, "something is odd").logged.entry.kind == "frozen"
    with pytest.raises(AlreadyDone):
        freeze(session, model, "something is odd")


def test_a_log_from_before_the_thaw_does_not_prove_a_freeze(world: World) -> None:
    model = world.model()
    session = world.session("Ada")
    freeze(session, model, "something is odd")
    old = world.keeper.note().decode()
    # Others thaw it, and a gateway lets Ada see nothing of that.
    world.clock.at += 61
    done = thaw(world.session("Eve"), model, "it was a test", "all is well")
    world.agree(done, "Ben", "Cleo", role="governor")
    assert not world.keeper.directory.models[model].frozen
    frozen_already: Reply = {"code": "already-done", "message": "is", "hint": "", "family": "Conflict"}
    world.keeper.lie = lambda request, answer: (
        {"error": frozen_already, "checkpoint": old} if request["ask"] == "act" else {**answer, "checkpoint": old}
    )
    with pytest.raises(NotFrozen):
        freeze(session, model, "something is odd again")


def test_a_log_without_a_time_does_not_prove_a_freeze(world: World, tmp_path: Path) -> None:
    model = world.model()
    freeze(world.session("Ada"), model, "something is odd")
    text, _, signatures = world.keeper.note().decode().partition("\n\n")
    untimed = text + "\n\n" + signatures.splitlines(keepends=True)[0]
    fresh = Replica(tmp_path / "fresh", world.deployment, clock=world.clock, warn=lambda line: None)
    ada = world.session("Ada")
    ada.deployment = Deployment(Connection(world.socket), fresh)
    world.keeper.lie = lambda request, answer: (
        {**answer, "checkpoint": untimed, "ok": {"state": "sealed"}} if request["ask"] == "status" else answer
    )
    ada.deployment.sync()
    assert ada.directory.models[model].frozen
    with pytest.raises(NotFrozen):
        freeze(ada, model, "something is odd")


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_log_of_another_time_than_ours_does_not_prove_a_freeze(world: World, seconds: int) -> None:
    model = world.model()
    session = world.session("Ada")
    freeze(session, model, "something is odd")
    session.clock = lambda: float(world.clock.at + seconds)
    frozen_already: Reply = {"code": "already-done", "message": "is", "hint": "", "family": "Conflict"}
    world.keeper.lie = lambda request, answer: (
        {**answer, "error": frozen_already} if request["ask"] == "act" else answer
    )
    with pytest.raises(NotFrozen):
        freeze(session, model, "something is odd")
    session.clock = lambda: float(world.clock.at + seconds - seconds // 61)
    with pytest.raises(AlreadyDone):
        freeze(session, model, "something is odd")


# --- names -------------------------------------------------------------------------------------


def test_a_false_name_is_not_shown(world: World) -> None:
    session = world.session("Dan")
    ada = world.person("Ada")

    def lie(request: Request, answer: Reply) -> Reply:
        for detail in answer.get("ok", {}).get("answer", {}).get("details", {}).values():
            detail["text"] = "Mallory"
        return answer

    world.keeper.lie = lie
    session.learn([ada])
    assert session.deployment.called(ada) == f"{ada} ({NOT_PROVEN})"
    with pytest.raises(NotFound):
        session.deployment.names.person(session.directory, "Mallory")
    world.keeper.lie = lambda request, answer: answer
    session.learn([ada])
    assert session.deployment.called(ada) == f"{ada} (Ada)"


def test_a_model_under_a_false_name_is_not_opened(world: World) -> None:
    model = world.model("acme/borealis")
    session = world.session("Dan")

    def lie(request: Request, answer: Reply) -> Reply:
        for detail in answer.get("ok", {}).get("answer", {}).get("details", {}).values():
            detail["text"] = "acme/atlas"
        return answer

    world.keeper.lie = lie
    with pytest.raises(NotFound, match="proven"):
        request_access(session, "acme/atlas@1", 1, "to look")
    assert model in session.directory.models


@pytest.mark.parametrize("name", ["Ada\x1b[2J", "Ada\nBen", "\u202eadA", "Ada\u200b"])
def test_a_name_that_does_not_show_as_it_is_is_not_shown(world: World, name: str) -> None:
    detail = new_detail(name, os.urandom)
    directory = world.session("Dan").directory
    ada = world.person("Ada")
    directory.people[ada] = replace(directory.people[ada], details=detail.digest)
    assert Names([detail]).called(directory, ada) == f"{ada} ({NOT_PROVEN})"


# --- sealing and opening -----------------------------------------------------------------------


@dataclass
class Vault:
    """A world with a model of two versions, both of which Dan may open; made once for all that only reads it."""

    world: World
    store: ObjectStore
    session: Session


@pytest.fixture(scope="module")
def vaults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    folder = tmp_path_factory.mktemp("vault")
    with founded(folder) as world:
        store = open_store((folder / "store").as_uri())
        world.model()
        job = world.workload("trainer", "writer")
        job.deployment.names.add(world.keeper.details.values())
        for _ in range(2):
            seal_through_keep(job, [write_model(folder / os.urandom(4).hex())], "acme/atlas", store)
        world.grant("acme/atlas@1")
        world.grant("acme/atlas@2", files=["config.json"])
        yield Vault(world, store, world.session("Dan"))


@pytest.fixture
def vault(vaults: Vault) -> Iterator[Vault]:
    yield vaults
    vaults.world.keeper.lie = lambda request, answer: answer


def opening(vault: Vault, name: str = "acme/atlas@1") -> bytes:
    with open_through_keep(vault.session, name, vault.store) as model:
        return model.read_bytes("config.json")


def replaced(make: Callable[[Release, int], Envelope | None]) -> Lie:
    """Return a lie that puts another envelope in the place of a release's."""

    def lie(request: Request, answer: Reply) -> Reply:
        if request["ask"] == "act" and "answer" in answer.get("ok", {}):
            envelope = parse_envelope(request["statement"])
            statement = parse_statement(envelope)
            if statement.kind == "release/1":
                made = make(parse_record(Release, statement.body), answer["ok"]["index"])
                answer["ok"]["answer"] = {} if made is None else {"envelope": made.json()}
        return answer

    return lie


def test_an_honest_answer_opens(vault: Vault) -> None:
    assert opening(vault) == MODEL["config.json"]
    assert opening(vault, "acme/atlas@2") == MODEL["config.json"]


@pytest.mark.parametrize(
    "other",
    [
        {"entry": sha256(b"another entry")},
        {"index": 0},
        {"version": "version-" + "0" * 32},
        {"manifest": sha256(b"another manifest")},
        {"recipient": sha256(b"another key")},
        {"expires_at": 1_700_000_000},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_signed_answer_about_something_else_is_refused(vault: Vault, other: dict[str, Any]) -> None:
    keeper = vault.world.keeper
    keeper.lie = replaced(lambda body, index: keeper.answer_to(body, index, **other))
    with pytest.raises(BadAnswer):
        opening(vault)


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "released/2"},
        {"by": "person-" + "0" * 32},
        {"deployment": "sr1:" + "0" * 64},
        {"era": 2},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_statement_of_another_kind_or_place_is_no_answer(vault: Vault, other: dict[str, Any]) -> None:
    keeper = vault.world.keeper

    def make(body: Release, index: int) -> Envelope:
        honest = parse_statement(keeper.answer_to(body, index))
        return keeper.signed(honest.body, **other)

    keeper.lie = replaced(make)
    with pytest.raises(BadAnswer):
        opening(vault)


def test_an_answer_by_another_key_is_refused(vault: Vault) -> None:
    keeper = vault.world.keeper
    keeper.lie = replaced(lambda body, index: keeper.answer_to(body, index, signer=Ed25519PrivateKey.generate()))
    with pytest.raises(BadSignature):
        opening(vault)
    keeper.lie = replaced(lambda body, index: keeper.answer_to(body, index, signer=keeper.log_key))
    with pytest.raises(BadSignature):
        opening(vault)


def test_an_answer_with_another_payload_under_the_signature_is_refused(vault: Vault) -> None:
    keeper = vault.world.keeper

    def make(body: Release, index: int) -> Envelope:
        honest = keeper.answer_to(body, index)
        return replace(honest, payload=honest.payload.replace(b"released/1", b"released/3"))

    keeper.lie = replaced(make)
    with pytest.raises(BadSignature):
        opening(vault)


def test_the_answer_to_an_earlier_release_is_refused(vault: Vault) -> None:
    keeper = vault.world.keeper
    earlier: list[Envelope] = []

    def keep(body: Release, index: int) -> Envelope:
        earlier.append(keeper.answer_to(body, index))
        return earlier[-1]

    keeper.lie = replaced(keep)
    opening(vault)
    keeper.lie = replaced(lambda body, index: earlier[0])
    with pytest.raises(BadAnswer):
        opening(vault)


def test_a_key_that_is_wrapped_to_somebody_else_does_not_open(vault: Vault) -> None:
    keeper, somebody = vault.world.keeper, Identity(os.urandom(SEED_BYTES)).public_key()

    def make(body: Release, index: int) -> Envelope:
        theirs = keeper.answer_to(replace(body, recipient=somebody.raw), index)
        said = parse_statement(theirs).body
        assert isinstance(said, dict)
        return keeper.signed({**said, "recipient": PublicKey(body.recipient).digest()})

    keeper.lie = replaced(make)
    with pytest.raises(WrongKey):
        opening(vault)


def test_no_answer_is_no_key(vault: Vault) -> None:
    vault.world.keeper.lie = replaced(lambda body, index: None)
    with pytest.raises(StrongroomError):
        opening(vault)


def test_a_release_without_its_entry_in_the_log_is_refused(vault: Vault) -> None:
    def lie(request: Request, answer: Reply) -> Reply:
        if request["ask"] == "act" and "answer" in answer.get("ok", {}):
            answer["ok"] = {"answer": answer["ok"]["answer"]}
        return answer

    opening(vault)
    vault.world.keeper.lie = lie
    vault.session.learn(vault.session.directory.models)
    with pytest.raises(BadProof):
        opening(vault)


def test_keys_of_other_files_than_were_asked_for_are_refused(vault: Vault) -> None:
    keeper = vault.world.keeper
    keeper.lie = replaced(lambda body, index: keeper.answer_to(replace(body, files=("tokenizer.json",)), index))
    with pytest.raises(BadAnswer, match="other files"):
        opening(vault, "acme/atlas@2")


def test_a_writer_takes_no_model_key_but_the_one_in_the_log(world: World, tmp_path: Path) -> None:
    model = world.model()
    index = len(world.keeper.leaves) - 1
    true = world.keeper.directory.models[model].public_key
    false = Identity(os.urandom(SEED_BYTES)).public_key().raw
    job = world.workload("trainer", "writer")
    job.deployment.names.add(world.keeper.details.values())
    world.keeper.lie = edit(index, b64(true).encode(), b64(false).encode())
    store = open_store((tmp_path / "store").as_uri())
    with pytest.raises(LogTampered):
        seal_through_keep(job, [write_model(tmp_path / "model")], "acme/atlas", store)
    assert not (tmp_path / "store").exists()


# --- founding and unsealing --------------------------------------------------------------------


def test_a_keep_that_founds_something_else_than_was_signed_is_found_out(world: World, tmp_path: Path) -> None:
    keeper = Keeper(Clock())
    genesis = {"leaf": b64(world.keeper.leaves[0]), "deployment": world.deployment, "index": 0, "proof": []}
    keeper.lie = lambda request, answer: {"ok": genesis} if request["ask"] == "found" else answer
    with served(keeper.handle, tmp_path / "other" / "socket") as socket:
        draft, people = drafted(tmp_path / "people", socket)
        signatures = [sign_genesis(draft, one, one.security_key()) for one in people]
        with pytest.raises(BadAnswer):
            found(Connection(socket), draft, signatures)


def test_a_draft_with_another_key_for_a_founder_is_not_signed(tmp_path: Path) -> None:
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        draft, people = drafted(tmp_path / "people", socket)
    people[0].add_credential("credential-" + "0" * 32, b"raw")
    with pytest.raises(NotFound, match="other credentials"):
        sign_genesis(draft, people[0], people[0].security_key())
    stranger = create_profile(new_id("person", os.urandom), tmp_path / "stranger", security_key="software")
    with pytest.raises(NotFound, match="not a founder"):
        sign_genesis(draft, stranger, stranger.security_key())


def redrafted(draft: Draft, change: Callable[[Founder], Founder], person: str, **other: Any) -> Draft:
    """Return the draft with another founder in the place of `person`, and other fields of the genesis."""
    founders = tuple(change(one) if one.person == person else one for one in draft.body.founders)
    body = replace(draft.body, founders=founders, **other)
    return replace(draft, statement=replace(draft.statement, body=record_json(body)))


def device_of_the_drafter(founder: Founder, device: str) -> DeviceEnrol:
    """Return a device in a founder's name whose key, well proven, is the drafter's."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = NewKey(public_key=point_of(private), proof=prove_possession(private, FOUNDING, device))
    return replace(founder.devices[0], device=device, key=key)


@pytest.mark.parametrize(
    "devices",
    [
        lambda founder: (*founder.devices, device_of_the_drafter(founder, new_id("device", os.urandom))),
        lambda founder: (device_of_the_drafter(founder, new_id("device", os.urandom)),),
        lambda founder: (device_of_the_drafter(founder, founder.devices[0].device),),
        lambda founder: (),
    ],
    ids=["one-more", "another", "another-key", "none"],
)
def test_a_draft_with_other_devices_for_a_founder_is_not_signed_by_them(
    tmp_path: Path, devices: Callable[[Founder], tuple[DeviceEnrol, ...]]
) -> None:
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        draft, people = drafted(tmp_path / "people", socket)
    victim = people[3]
    forged = redrafted(draft, lambda one: replace(one, devices=devices(one)), victim.who.subject)
    sign_genesis(forged, people[0], people[0].security_key())
    with pytest.raises(NotAllowed, match="other devices"):
        sign_genesis(forged, victim, victim.security_key())
    assert forged.lines() != draft.lines()


def test_a_draft_with_a_custodians_key_that_is_the_drafters_is_not_signed_by_the_custodian(tmp_path: Path) -> None:
    with served(Keeper(Clock()).handle, tmp_path / "keep" / "socket") as socket:
        draft, people = drafted(tmp_path / "people", socket)
    ada, eve = people[0], people[4]
    theirs = Identity(os.urandom(SEED_BYTES)).public_key().raw
    custodians = {**draft.body.custodians, ada.who.subject: theirs}
    forged = redrafted(draft, lambda one: one, "", custodians=custodians)
    sign_genesis(forged, eve, eve.security_key())
    with pytest.raises(NotAllowed, match="custodian's key"):
        sign_genesis(forged, ada, ada.security_key())
    assert forged.lines() != draft.lines()


def test_a_share_goes_to_the_key_whose_words_were_compared_and_to_no_other(world: World) -> None:
    connection, ada = Connection(world.socket), world.profiles["Ada"]
    compared = unseal_key(connection)
    impostor = Identity(os.urandom(SEED_BYTES))
    world.keeper.lie = lambda request, answer: (
        {**answer, "ok": {**answer["ok"], "unseal_key": b64(impostor.public_key().raw)}}
        if request["ask"] == "status"
        else answer
    )
    share = fetch_share(ada, connection)
    assert unseal(ada, connection, share, to=compared) == 1
    world.keeper.unseal_identity = impostor
    with pytest.raises(WrongKey):
        unseal(ada, connection, share, to=compared)


def test_the_share_of_somebody_else_is_not_taken(world: World) -> None:
    cleo = world.person("Cleo")
    theirs = world.keeper._share({"person": cleo})
    world.keeper.lie = lambda request, answer: {**answer, "ok": theirs} if request["ask"] == "share" else answer
    with pytest.raises(WrongKey):
        fetch_share(world.profiles["Ada"], Connection(world.socket))
    assert world.profiles["Ada"].share() is None

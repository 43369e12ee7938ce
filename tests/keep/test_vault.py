"""The vault: what only the root key can do, and that nothing beside the log is believed."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from strongroom.directory.state import Directory
from strongroom.keep.vault import Vault
from strongroom.keyring.root import RootKey
from strongroom.sealing.keys import Binding, Identity, PublicKey, unwrap_with
from strongroom.statements.signing import verify_ed25519
from strongroom.statements.statement import KEEP, parse_statement
from strongroom.terms import canonical
from strongroom.terms.errors import BadSignature, KeyringTampered, WrongKey
from strongroom.tlog.checkpoints import verify_checkpoint
from strongroom.tlog.notes import COSIGNATURE, ED25519, VerifierKey
from strongroom.tlog.witnesses import verify_cosignature
from tests.acts.world import SALT, START, House, a_house, refused, text
from tests.keep.house import CUSTODIAN, DATA_KEY, header
from tests.keyring.drawn import drawn

SEAL = "5" * 32


class Beside:
    """What lies beside the log."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], bytes] = {}

    def __call__(self, kind: str, name: str) -> bytes | None:
        return self.records.get((kind, name))


@pytest.fixture
def beside() -> Beside:
    return Beside()


@pytest.fixture
def vault(beside: Beside) -> Vault:
    return Vault(RootKey.from_bytes(b"r" * 32), drawn("vault"), beside)


@pytest.fixture
def house(vault: Vault, beside: Beside) -> House:
    """A house whose model has a key of this vault's."""
    house = a_house()
    public_key, sealed = vault.make_model_key(house.directory.deployment, house.model)
    beside.records["model-key", f"{house.model}/1"] = sealed
    model = house.directory.models[house.model]
    house.directory.models[house.model] = replace(model, public_key=public_key.raw)
    return house


def wrapped_for(directory: Directory, model: str, seal_id: str = SEAL) -> bytes:
    known = directory.models[model]
    binding = Binding(deployment=directory.deployment, model=model, generation=known.generation, seal_id=seal_id)
    return PublicKey(known.public_key).wrap(DATA_KEY, binding)


def test_the_same_root_key_has_the_same_public_keys_and_another_has_others(beside: Beside) -> None:
    keys = [Vault(RootKey.from_bytes(root * 32), drawn("vault"), beside).public_keys() for root in (b"r", b"r", b"s")]
    assert keys[0] == keys[1] != keys[2]
    assert len({keys[0].log, keys[0].answer, keys[0].time}) == 3


def test_it_signs_checkpoints_times_and_answers_each_with_its_own_key(vault: Vault) -> None:
    house, keys = a_house(), vault.public_keys()
    note = vault.with_time(vault.sign("sr1:x/1", 7, b"h" * 32), "sr1:x/1", START)
    log_key = VerifierKey(name="sr1:x/1", kind=ED25519, public_key=keys.log)
    assert verify_checkpoint(note, log_key).size == 7
    assert verify_cosignature(note, VerifierKey(name="sr1:x/1/time", kind=COSIGNATURE, public_key=keys.time)) == START
    envelope = vault.answer(house.directory, "released/1", {"x": 1}, at=START, until=START + 1)
    verify_ed25519(keys.answer, envelope.message, envelope.signature(KEEP).sig)
    with refused(BadSignature):
        verify_ed25519(keys.log, envelope.message, envelope.signature(KEEP).sig)
    statement = parse_statement(envelope)
    assert (statement.by, statement.deployment, statement.body) == (KEEP, house.directory.deployment, {"x": 1})


def test_a_version_is_released_to_its_recipient_only(vault: Vault, house: House) -> None:
    known = house.directory.versions[house.version]
    version = replace(known, seal_id=SEAL, wrapped_key=wrapped_for(house.directory, house.model))
    vault.check_registration(
        house.directory, house.directory.models[house.model], SEAL, version.wrapped_key, header(SEAL)
    )
    wrapped = vault.release(house.directory, version, CUSTODIAN.public_key(), b"info", None)
    assert canonical.parse(unwrap_with(CUSTODIAN, wrapped, b"info")) == {
        "data_key": base64.b64encode(DATA_KEY).decode()
    }
    for identity, info in ((Identity(b"1" * 32), b"info"), (CUSTODIAN, b"other")):
        with refused(WrongKey):
            unwrap_with(identity, wrapped, info)


def test_a_version_is_registered_only_if_its_key_opens_its_manifest(vault: Vault, house: House) -> None:
    model, wrapped = house.directory.models[house.model], wrapped_for(house.directory, house.model)
    for seal_id, key, head in (
        ("6" * 32, wrapped, header("6" * 32)),
        (SEAL, bytes(1168), header(SEAL)),
        (SEAL, wrapped, header(SEAL, b"e" * 32)),
        (SEAL, wrapped, header("6" * 32)),
    ):
        with refused(WrongKey):
            vault.check_registration(house.directory, model, seal_id, key, head)


def test_a_model_key_that_is_missing_or_another_s_is_tampered(vault: Vault, house: House, beside: Beside) -> None:
    model, wrapped = house.directory.models[house.model], wrapped_for(house.directory, house.model)
    _, other = vault.make_model_key(house.directory.deployment, house.new("model"))
    _, later = vault.make_model_key(house.directory.deployment, house.model)
    for sealed in (other, later, beside.records["model-key", f"{house.model}/1"][:-1], b""):
        beside.records["model-key", f"{house.model}/1"] = sealed
        with refused(KeyringTampered):
            vault.check_registration(house.directory, model, SEAL, wrapped, header(SEAL))
    beside.records.clear()
    with refused(KeyringTampered, why="missing"):
        vault.check_registration(house.directory, model, SEAL, wrapped, header(SEAL))


def test_a_text_is_sealed_under_its_digest_and_opens_under_no_other(vault: Vault, beside: Beside) -> None:
    digest, blob = vault.seal_text("Ada", SALT)
    assert digest == text("Ada")
    assert b"Ada" not in blob
    assert vault.open_text(digest) is None
    beside.records["detail", digest] = blob
    assert vault.open_text(digest) == ("Ada", SALT)
    beside.records["detail", text("Ben")] = blob
    with refused(KeyringTampered):
        vault.open_text(text("Ben"))


def test_texts_that_are_equal_do_not_look_equal(vault: Vault) -> None:
    assert vault.seal_text("Ada", SALT)[1] != vault.seal_text("Ada", SALT)[1]

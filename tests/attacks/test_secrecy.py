"""What the store, the outputs and the errors must not tell."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from strongroom.client.identity import read_identity
from strongroom.client.version import fetch_manifest, open_sealed
from strongroom.objects import open_store
from strongroom.sealing.keys import DataKey, released_file_keys
from tests.attacks.versions import ATLAS_1, MODEL, OWNER, opened, overwrite, seal, stored
from tests.cli.command import done, run, run_inside

CHUNK = 12


def test_the_store_holds_no_plaintext_and_no_name_of_a_file(store_url: str) -> None:
    store = open_store(store_url)
    tensor = "model.layers.0.attention.query.weight"
    header = json.dumps({tensor: {"dtype": "U8", "shape": [400], "data_offsets": [0, 400]}}).encode()
    body = bytes(value % 251 for value in range(400))
    files = {**MODEL, "model.safetensors": len(header).to_bytes(8, "little") + header + body}
    seal(store, files)
    held = stored(store)
    everything = b"\n".join([*held.values(), *(name.encode() for name in held)])
    # base64 of the sealed part is looked through as well
    everything += base64.b64decode(json.loads(held["m/acme/atlas/1"])["sealed"])
    chunks = [content[at : at + CHUNK] for content in files.values() for at in range(0, len(content) - CHUNK, 5)]
    assert len(chunks) > 2_000
    assert not [chunk for chunk in chunks if chunk in everything]
    for secret in ("config", "weights", "safetensors", "data_offsets", tensor, "hidden_size"):
        assert secret.encode() not in everything
    # and a search does find what is there
    assert b"acme/atlas" in everything
    assert opened(store) == files


def test_names_of_objects_say_nothing_of_the_content(store_url: str) -> None:
    store = open_store(store_url)
    sealed = seal(store)
    names = sorted(stored(store))
    assert names == ["m/acme/atlas/1", *(f"o/{sealed.seal_id}/{number}" for number in range(len(MODEL)))]
    assert re.fullmatch(r"[0-9a-f]{32}", sealed.seal_id)


def test_two_seals_of_one_model_have_nothing_in_common(store_url: str) -> None:
    """Equal content does not show as equal: no digest or ciphertext of one seal is found in another."""
    one, two = open_store(store_url + "/one"), open_store(store_url + "/two")
    seal(one)
    seal(two)
    first, second = stored(one), stored(two)
    assert not set(first.values()) & set(second.values())
    parts = [
        {part for held in fetch_manifest(store, ATLAS_1).public.objects for part in held.parts} for store in (one, two)
    ]
    assert parts[0]
    assert not parts[0] & parts[1]


def test_no_output_of_any_command_holds_the_identity(tmp_path: Path) -> None:
    """A whole session, failures included: the secret stands in its file and nowhere else."""
    key, other = tmp_path / "identity.key", tmp_path / "other.key"
    store = (tmp_path / "store").as_uri()
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    made = done("keygen", "-o", key)
    public_key = made.out.strip()
    outcomes = [made, run_inside("keygen", "-o", other, "--json"), run_inside("keygen", "-o", key)]
    use = ("--identity", key, "--store", store)
    environment = {"STRONGROOM_IDENTITY": str(key), "STRONGROOM_STORE": store}
    outcomes += [
        run_inside("seal", model, "--as", ATLAS_1, "--to", public_key, "--store", store),
        run_inside("seal", model, "--as", ATLAS_1, "--to", key, "--store", store),
        run_inside("seal", model, "--as", ATLAS_1, "--to", key.read_text().strip(), "--store", store),
        run_inside("open", ATLAS_1, *use, "--to", tmp_path / "opened"),
        run_inside("open", ATLAS_1, *use, "--to", tmp_path / "opened", "--json"),
        run_inside("inspect", ATLAS_1, *use, "--json"),
        run("inspect", ATLAS_1, "--help", environment=environment),
        run("ls", environment=environment),
        run_inside("scrub", "--store", store),
        run("open", "acme/atlas@2", "--to", tmp_path / "none", environment=environment),
    ]
    # whoever takes the secret's text for something else is not shown it either
    text = key.read_text().strip()
    outcomes += [
        run_inside("open", ATLAS_1, "--identity", text, "--store", store, "--to", tmp_path / "none"),
        run_inside("inspect", ATLAS_1, "--identity", text, "--store", store, "--json"),
    ]
    key.write_text(text + "!\n")
    outcomes.append(run_inside("open", ATLAS_1, *use, "--to", tmp_path / "none"))
    key.write_text(text.replace("IDENTITY-1", "IDENTITY-9") + "\n")
    outcomes.append(run_inside("open", ATLAS_1, *use, "--to", tmp_path / "none"))
    assert {outcome.code for outcome in outcomes} == {0, 3, 5}
    key.write_text(text + "\n")
    seed = read_identity(key).seed
    body = text.rpartition(":")[2]
    pieces = [body[at : at + 12] for at in range(len(body) - 12)]
    pieces += [seed.hex()[at : at + 12] for at in range(len(seed.hex()) - 12)]
    for outcome in outcomes:
        shown = outcome.out + outcome.err
        assert shown
        assert not [piece for piece in pieces if piece in shown], shown
    assert not [held for held in stored(open_store(store)).values() if seed in held or body.encode() in held]


def test_the_repr_of_what_holds_a_secret_leaves_it_out(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal(store)
    version = open_sealed(store, ATLAS_1, OWNER)
    keys = version.contents.keys
    assert isinstance(keys, DataKey)
    named = released_file_keys(keys.raw, sealed.seal_id, ["weights.bin"])
    for value in (OWNER, version, version.contents, keys, named):
        for secret in (OWNER.seed, keys.raw, named.manifest, named.files["weights.bin"]):
            assert repr(secret)[2:-1] not in repr(value)
            assert secret.hex() not in repr(value)


@pytest.mark.parametrize("broken", ["manifest", "object"])
def test_an_error_shows_no_plaintext(tmp_path: Path, broken: str) -> None:
    store = open_store((tmp_path / "store").as_uri())
    sealed = seal(store)
    name = "m/acme/atlas/1" if broken == "manifest" else f"o/{sealed.seal_id}/2"
    content = bytearray(stored(store)[name])
    content[-200] ^= 1
    overwrite(store, name, bytes(content))
    with pytest.raises(Exception, match=r"(?s).") as raised:
        opened(store)
    error: BaseException | None = raised.value
    while error is not None:
        assert "weight" not in str(error)
        error = error.__cause__ or error.__context__

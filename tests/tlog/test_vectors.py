"""Every vector of the log: the product answers what is written there, and another implementation would have to."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from strongroom.terms.errors import StrongroomError
from strongroom.tlog.checkpoints import verify_checkpoint
from strongroom.tlog.notes import parse_verifier_key, verify_note
from strongroom.tlog.proofs import check_consistency, check_inclusion
from strongroom.tlog.receipts import check_receipt
from strongroom.tlog.tiles import encode_bundle, parse_bundle, parse_tile_path
from strongroom.tlog.witnesses import verify_cosignature
from tests.vectors.tlog import generate

Vector = dict[str, Any]
VECTORS = {path.name: json.loads(path.read_text()) for path in sorted(generate.HERE.glob("*.json"))}


def test_this_many_vectors_were_found() -> None:
    assert Counter(vector["kind"] for vector in VECTORS.values()) == {
        "verifier-key": 15,
        "note": 32,
        "checkpoint": 20,
        "cosignature": 11,
        "inclusion": 21,
        "consistency": 25,
        "receipt": 21,
        "tile-path": 15,
        "bundle": 8,
    }
    assert Counter(vector["expect"] for vector in VECTORS.values()) == {
        "ok": 46,
        "bad-key": 13,
        "bad-note": 63,
        "bad-proof": 29,
        "bad-signature": 17,
    }


def test_the_vectors_are_those_that_the_generator_writes() -> None:
    assert dict(generate.files()) == {path.name: path.read_text() for path in generate.HERE.glob("*.json")}


def test_the_writer_shares_no_code_with_the_product() -> None:
    sources = [*generate.HERE.glob("*.py"), Path(__file__).with_name("reference.py")]
    assert len(sources) == 5
    assert [path.name for path in sources if "strongroom." in path.read_text()] == []


def nodes(vector: Vector) -> list[bytes]:
    return [bytes.fromhex(node) for node in vector["proof"]]


def answer(vector: Vector) -> dict[str, Any]:
    """Return what the product makes of a vector, in the fields that `ok` vectors have beside their input."""
    match vector["kind"]:
        case "verifier-key":
            key = parse_verifier_key(vector["vkey"])
            assert str(key) == vector["vkey"]
            return {"name": key.name, "type": key.kind, "public_key": key.public_key.hex()}
        case "note":
            keys = [parse_verifier_key(key) for key in vector["keys"]]
            return {"signed_by": len(verify_note(base64.b64decode(vector["note"]), keys).signatures)}
        case "checkpoint":
            checkpoint = verify_checkpoint(base64.b64decode(vector["note"]), parse_verifier_key(vector["key"]))
            return {"size": checkpoint.size, "root": checkpoint.root.hex()}
        case "cosignature":
            key = parse_verifier_key(vector["key"])
            return {"time": verify_cosignature(base64.b64decode(vector["note"]), key)}
        case "inclusion":
            leaf, root = bytes.fromhex(vector["leaf"]), bytes.fromhex(vector["root"])
            check_inclusion(leaf=leaf, index=vector["index"], size=vector["size"], proof=nodes(vector), root=root)
            return {}
        case "consistency":
            check_consistency(
                old_size=vector["old_size"],
                old_root=bytes.fromhex(vector["old_root"]),
                new_size=vector["new_size"],
                new_root=bytes.fromhex(vector["new_root"]),
                proof=nodes(vector),
            )
            return {}
        case "receipt":
            witnesses = [parse_verifier_key(key) for key in vector["witnesses"]]
            receipt, entry = base64.b64decode(vector["receipt"]), base64.b64decode(vector["entry"])
            return {"size": check_receipt(receipt, entry, parse_verifier_key(vector["key"]), witnesses).size}
        case "tile-path":
            path = parse_tile_path(vector["path"])
            level = "entries" if path.level is None else path.level
            return {"level": level, "number": path.number, "width": path.width}
        case "bundle":
            entries = parse_bundle(bytes.fromhex(vector["bundle"]), vector["width"])
            assert encode_bundle(entries).hex() == vector["bundle"]
            return {"entries": [entry.hex() for entry in entries]}
        case kind:
            raise AssertionError(kind)


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    if vector["expect"] == "ok":
        given = answer(vector)
        assert given == {field: vector[field] for field in given}
    else:
        with pytest.raises(StrongroomError) as caught:
            answer(vector)
        assert (caught.value.code, caught.value.family) == (vector["expect"], vector["family"])

"""The example that opens `docs/spec/entry.md`: one entry, made here without the product's help."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec" / "entry.md"
KEY = ec.derive_private_key(7, ec.SECP256R1())
PAYLOAD_TYPE = "application/vnd.strongroom.statement+json"


def encode(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def statement() -> dict[str, Any]:
    return {
        "at": 1_795_000_000,
        "body": {"reason": "sha256:" + "5a" * 32, "target": "model-" + "0" * 31 + "1"},
        "by": "person-" + "0" * 31 + "2",
        "deployment": "sr1:" + "5a" * 32,
        "era": 1,
        "id": "statement-" + "0" * 31 + "3",
        "kind": "freeze/1",
        "until": 1_795_000_060,
    }


def entry() -> dict[str, Any]:
    payload = encode(statement())
    message = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = KEY.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    return {
        "at": 1_795_000_002,
        "data": {
            "cedar": "4.12.0",
            "floor": "sha256:" + "f1" * 32,
            "policy": "sha256:" + "a0" * 32,
        },
        "kind": "frozen",
        "statement": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": "session-" + "0" * 31 + "4", "sig": base64.b64encode(signature).decode()},
            ],
        },
    }


def blocks() -> dict[str, str]:
    """Return the text of each block of the page that is written from here."""
    leaf = encode(entry())
    values = {
        "bytes": str(len(leaf)),
        "digest": "sha256:" + hashlib.sha256(leaf).hexdigest(),
        "leaf hash": hashlib.sha256(b"\x00" + leaf).hexdigest(),
        "in a copy": len(leaf).to_bytes(4, "big").hex() + ", then those bytes",
    }
    return {
        "entry": f"```json\n{json.dumps(entry(), indent=2)}\n```",
        "statement": f"```\n{encode(statement()).decode()}\n```",
        "values": "\n".join(["```", *(f"{name:10} {value}" for name, value in values.items()), "```"]),
    }


def written(page: str) -> str:
    """Return `page` with every block between its markers replaced."""
    for name, text in blocks().items():
        begin, end = f"<!-- from the vector: {name} -->\n", "\n<!-- end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page, found = pattern.subn(lambda _, new=begin + text + end: new, page)  # type: ignore[misc]
        assert found == 1, name
    return page


if __name__ == "__main__":
    SPEC.write_text(written(SPEC.read_text()))

"""The example that opens `docs/spec/sealed-version.md`, from the vector `ok-tiny`."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from tests.sealing.reference import Floe, file_key, sha256
from tests.vectors.version_cases import tiny
from tests.vectors.version_writer import SEED, encode

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec" / "sealed-version.md"


def blocks() -> dict[str, str]:
    """Return the text of each block of the page that is written from the vector."""
    version = tiny()
    data = version.manifest()
    body = json.loads(data)
    public = body["public"]
    key, aad = file_key(version.data_key, version.seal_id, "manifest", "")
    sealed = json.loads(Floe(256, 20, key, aad).decrypt(base64.b64decode(body["sealed"])))
    path, content = version.files[0]
    of_file, file_aad = file_key(version.data_key, version.seal_id, "file", path)
    binding = {name: public[name] for name in ("deployment", "generation", "model", "seal_id")}
    info = encode({**binding, "format": "strongroom/data-key/1", "purpose": "data key"})
    (name, stored), *_ = version.objects().items()
    assert sealed["public"] == sha256(encode(public))
    values = {
        "identity seed": SEED.hex(),
        "HPKE info": info.decode(),
        "data key": version.data_key.hex(),
        "manifest AAD": aad.decode(),
        "manifest key": key.hex(),
        "file AAD": file_aad.decode(),
        "file key": of_file.hex(),
        "plaintext": repr(content)[1:],
        f"{name}": stored.hex(),
        "digest": sha256(data),
    }
    return {
        "manifest": f"```json\n{json.dumps(body, indent=2)}\n```",
        "sealed part": f"```json\n{json.dumps(sealed, indent=2)}\n```",
        "values": "\n".join(["```", *(f"{name:14} {value}" for name, value in values.items()), "```"]),
    }


def written(page: str) -> str:
    """Return `page` with every block between its markers replaced."""
    for name, text in blocks().items():
        begin, end = f"<!-- from the vector: {name} -->\n", "\n<!-- end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page, found = pattern.subn(lambda _, new=begin + text + end: new, page)  # type: ignore[misc]
        assert found == 1, name
    return page

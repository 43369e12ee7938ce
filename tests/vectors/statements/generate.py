"""Write the vectors of statements anew: `python -m tests.vectors.statements.generate`. The same bytes every time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.vectors.statements import cases

HERE = Path(__file__).parent
FAMILIES = {
    "Malformed": ("bad-key", "bad-record", "not-canonical", "unknown-format"),
    "Refused": ("bad-assertion", "bad-attestation"),
    "Tampered": ("bad-signature", "cloned-key"),
}
FOLDERS = {
    "assertion": cases.assertions,
    "envelope": cases.envelopes,
    "es256": cases.es256,
    "possession": cases.possessions,
    "registration": cases.registrations,
    "words": cases.words,
}


def files() -> Iterator[tuple[str, str]]:
    """Yield every vector as its path below this folder and its text."""
    family = {code: name for name, codes in FAMILIES.items() for code in codes}
    for folder, made in FOLDERS.items():
        for name, vector in made():
            of = {} if vector["expect"] == "ok" else {"family": family[vector["expect"]]}
            yield f"{folder}/{name}.json", json.dumps({**vector, **of}, indent=1) + "\n"


def main() -> None:
    for folder in FOLDERS:
        shutil.rmtree(HERE / folder, ignore_errors=True)
        (HERE / folder).mkdir()
    for path, text in files():
        assert not (HERE / path).exists(), f"two vectors are named {path}"
        (HERE / path).write_text(text)


if __name__ == "__main__":
    main()

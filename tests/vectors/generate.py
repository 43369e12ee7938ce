"""Write all vectors anew, and the specification's example: `python -m tests.vectors.generate`.

The same bytes every time, HPKE's included (see `version_writer`); tests compare them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.vectors import floe_cases, spec_example, version_cases

HERE = Path(__file__).parent
FOLDERS = {
    "floe": floe_cases.cases,
    "registration": version_cases.registrations,
    "sealed-version": version_cases.cases,
}


def files() -> Iterator[tuple[Path, str]]:
    """Yield every vector as its path below this folder and its text."""
    for folder, cases in FOLDERS.items():
        for name, vector in cases():
            yield Path(folder, f"{name}.json"), json.dumps(vector, indent=1) + "\n"


def main() -> None:
    for folder in FOLDERS:
        (HERE / folder).mkdir(exist_ok=True)
        for path in (HERE / folder).glob("*.json"):
            path.unlink()
    for path, text in files():
        assert not (HERE / path).exists(), f"two vectors are named {path}"
        (HERE / path).write_text(text)
    spec_example.SPEC.write_text(spec_example.written(spec_example.SPEC.read_text()))


if __name__ == "__main__":
    main()

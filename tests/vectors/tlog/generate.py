"""Write the vectors of the log anew, and the specification's example: `python -m tests.vectors.tlog.generate`.

The same bytes every time; tests compare them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.vectors.tlog import spec_example
from tests.vectors.tlog.cases import cases

HERE = Path(__file__).parent


def files() -> Iterator[tuple[str, str]]:
    """Yield the name of every vector's file and its text."""
    for case in cases():
        yield f"{case.kind}-{case.name}.json", json.dumps(case.vector, indent=1) + "\n"


def main() -> None:
    for path in HERE.glob("*.json"):
        path.unlink()
    for name, text in files():
        assert not (HERE / name).exists(), f"two vectors are named {name}"
        (HERE / name).write_text(text)
    spec_example.SPEC.write_text(spec_example.written(spec_example.SPEC.read_text()))


if __name__ == "__main__":
    main()

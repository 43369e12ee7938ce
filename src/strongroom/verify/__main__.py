"""`strongroom-verify`: see `strongroom.verify`. Nothing but Python is imported before it is known to be enough."""

from __future__ import annotations

import sys
from collections.abc import Sequence

LIBRARY_MISSING = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    try:
        from strongroom.verify.command import run
    except ImportError as error:
        sys.stderr.write(
            f"strongroom-verify: needs the Python packages `cryptography` (50 or later) and `cedarpy` (4.12 or later): "
            f"{error}\n  hint: install what is missing, then run it again\n"
        )
        return LIBRARY_MISSING
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

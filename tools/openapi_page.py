#!/usr/bin/env python3
"""Write `docs/openapi.json` from `strongroom.gateway.openapi`, or with `--print` show it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE / "src"))

from strongroom.gateway.openapi import openapi_document  # noqa: E402  (found where this file lies, installed or not)


def page() -> str:
    """Return the document as text."""
    return json.dumps(openapi_document(), ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    if "--print" in sys.argv[1:]:
        sys.stdout.write(page())
    else:
        (HOUSE / "docs" / "openapi.json").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

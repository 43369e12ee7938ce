"""Strongroom: custody for model weights.

import strongroom

room = strongroom.connect()
weights = room.open_version("acme/atlas@7").load_all()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strongroom.client import Room as Room
    from strongroom.client import Snapshots as Snapshots
    from strongroom.client import connect as connect
    from strongroom.client import open_version as open_version

__version__ = "0.1.0"
__all__ = ["Room", "Snapshots", "__version__", "connect", "open_version"]


def __getattr__(name: str) -> Any:
    # Late, so that the rooms below the client never import it along with their package.
    if name in __all__:
        return getattr(import_module("strongroom.client"), name)
    raise AttributeError(f"module `strongroom` has no attribute `{name}`")

"""Places: under which names a version lies in a store, outside a deployment and inside one.

m/<org>/<model>/<number>   the manifest of version `org/model@number`, sealed outside any deployment
m/<model id>/<seal id>     the manifest of one seal of a deployment's model: its log alone gives names and numbers
o/<seal id>/<n>            object n of either
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from strongroom.terms.names import VersionName, parse_version
from strongroom.terms.outer_errors import BadName

_DEPLOYMENT = re.compile(r"sr1:[0-9a-f]{64}\Z")
_MODEL_ID = re.compile(r"model-[0-9a-f]{32}\Z")
_SEAL_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SealName:
    """One seal of a deployment's model, by two opaque ids. Which version that is, if any, the log says."""

    model: str
    seal_id: str

    def __str__(self) -> str:
        return f"{self.model}/{self.seal_id}"


Name = VersionName | SealName
"""What a store calls a version."""


def check_deployment(deployment: str) -> None:
    """Refuse what is not the name of a deployment: `sr1:` and the 64 hexadecimal digits of its genesis entry."""
    if not _DEPLOYMENT.match(deployment):
        raise BadName(f"`{deployment[:200]}` is not a deployment", hint="it is `sr1:` and 64 hexadecimal digits")


def check_model_id(model: str) -> None:
    """Refuse what is not a model's id in a deployment: `model-` and 32 hexadecimal digits."""
    if not _MODEL_ID.match(model):
        raise BadName(f"`{model[:200]}` is not a model id", hint="it is `model-` and 32 hexadecimal digits")


def name_of(model: str, number: int | None, seal_id: str) -> Name:
    """Return the name of a version: without a number, which it has only outside a deployment, that of its seal."""
    return SealName(model=model, seal_id=seal_id) if number is None else VersionName(model=model, number=number)


def object_name(seal_id: str, number: int) -> str:
    """Return the name of an object, which says nothing of the content."""
    return f"o/{seal_id}/{number}"


def manifest_name(name: Name) -> str:
    """Return the name of a version's manifest in the store."""
    match name:
        case VersionName(model=model, number=number):
            return f"m/{model}/{number}"
        case SealName(model=model, seal_id=seal_id):
            return f"m/{model}/{seal_id}"


def parse_manifest_name(name: str) -> Name:
    """Return whose manifest lies under `name`.

    Raises:
        BadName: nobody's.
    """
    match name.split("/"):
        case ["m", org, model, number]:
            return parse_version(f"{org}/{model}@{number}")
        case ["m", model, seal_id] if _SEAL_ID.match(seal_id):
            check_model_id(model)
            return SealName(model=model, seal_id=seal_id)
        case _:
            raise BadName(f"`{name[:200]}` is not the name of a manifest")

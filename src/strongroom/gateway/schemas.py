"""Schemas: JSON Schema (2020-12) of records, from the annotations that `terms.records` reads and writes them by.

A schema is as strict as the parser where JSON Schema can say it. What it cannot, ascending order and base64 that is
canonical to its last bit, the description says.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from strongroom.terms.canonical import LARGEST_INTEGER
from strongroom.terms.records import MOST_ITEMS, Ascending, Bytes, Matches, Within

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
_ANY_TEXT = re.compile(r"\(\?s:\.\{(\d+),(\d+)\}\)\Z")
"""What Python writes for text of bounded length, line feeds included."""


class Schemas:
    """The named schemas of one document, gathered as they are referred to."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """Return a reference to the schema of the record `kind`."""
        name = kind.__name__.lstrip("_")
        if name not in self.components:
            self.components[name] = {}  # ORDER: before its fields, which may refer to it
            self.components[name] = self._record(kind)
        return {"$ref": PREFIX + name}

    def _record(self, kind: Any) -> Schema:
        hints = get_type_hints(kind, include_extras=True)
        return {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "properties": {one.name: self.field(hints[one.name]) for one in fields(kind)},
            "required": [one.name for one in fields(kind) if one.default is not None],
            "additionalProperties": False,
        }

    def field(self, hint: Any) -> Schema:
        """Return the schema of a field with this annotation."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._marked(*arguments)
        if any(get_origin(argument) is Mapping for argument in arguments):
            return any_json()
        if origin in {Union, types.UnionType}:
            (inner,) = [argument for argument in arguments if argument is not type(None)]
            return self.field(inner)
        if origin is tuple:
            return {"type": "array", "items": self.field(arguments[0]), "maxItems": MOST_ITEMS}
        if origin is dict:
            names, items = self.field(arguments[0]), self.field(arguments[1])
            return {"type": "object", "propertyNames": names, "additionalProperties": items}
        if hint is bool:
            return {"type": "boolean"}
        return self.of(hint)

    def _marked(self, inner: Any, *markers: Any) -> Schema:
        for marker in markers:
            match marker:
                case Matches():
                    return text(marker)
                case Within():
                    return whole(marker.least, marker.most)
                case Bytes():
                    return base64(marker.size, marker.most)
                case Ascending():
                    return {**self.field(inner), "uniqueItems": True, "description": "in ascending order"}
                case _:
                    continue
        raise TypeError(f"no schema for {inner} with {markers}")


def text(marker: Matches) -> Schema:
    """Return the schema of a text that a pattern matches whole."""
    pattern = marker.pattern.pattern.removeprefix("(?:").removesuffix(r")\Z")
    if bounds := _ANY_TEXT.match(pattern):
        return {"type": "string", "minLength": int(bounds[1]), "maxLength": int(bounds[2]), "description": marker.what}
    return {"type": "string", "pattern": f"^(?:{pattern})$", "description": marker.what}


def whole(least: int = 0, most: int = LARGEST_INTEGER) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


def base64(size: int | None = None, most: int | None = None) -> Schema:
    """Return the schema of bytes: `size` of them, or at most `most`."""
    found: Schema = {
        "type": "string",
        "contentEncoding": "base64",
        "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    }
    if size is not None:
        exact = {"minLength": _characters(size), "maxLength": _characters(size), "description": f"{size} bytes"}
        return found | exact
    return found if most is None else found | {"maxLength": _characters(most)}


def record(properties: Mapping[str, Schema], *optional: str, description: str = "") -> Schema:
    """Return the schema of an object that has exactly these members, but for those that are `optional`."""
    found: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    return found | ({"description": description} if description else {})


def any_json() -> Schema:
    """Return the schema of any JSON but null: what is not there is left out."""
    return {"not": {"type": "null"}, "description": "any JSON but null"}


def _characters(size_bytes: int) -> int:
    return (size_bytes + 2) // 3 * 4

"""Records: frozen dataclasses to JSON and back, strictly, from their own annotations.

A record's fields are its format: every one must be there, none besides, each of the type and within the bounds that
its annotation states. A field that may be `None` is left out when it is. Used for whatever is signed, logged or kept.

    class Freeze(Record):
        target: Target                       another record
        reason: Digest                       Annotated[str, Matches(...)]
        files: Annotated[tuple[Path, ...], Ascending()] | None = None
"""

import base64
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

from strongroom.terms.canonical import LARGEST_INTEGER, Json
from strongroom.terms.errors import BadRecord
from strongroom.terms.ids import KINDS

T = TypeVar("T")
Parser = Callable[[Any, str], Any]

MOST_ITEMS = 10_000
SLACK_CHARACTERS = 200


@dataclass_transform(frozen_default=True, kw_only_default=True)
class _RecordType(type):
    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        made: Any = super().__new__(cls, name, bases, namespace)
        # Slots make the class anew: the second time round it has them.
        return made if "__slots__" in namespace else dataclass(frozen=True, slots=True, kw_only=True)(made)


class Record(metaclass=_RecordType):
    """A frozen dataclass with slots, whose fields go by name."""

    __slots__ = ()


class Matches:
    """Text that a pattern matches whole."""

    def __init__(self, pattern: str, what: str) -> None:
        self.pattern, self.what = re.compile(rf"(?:{pattern})\Z"), what


@dataclass(frozen=True, slots=True)
class Within:
    """A whole number from `least` to `most`."""

    least: int
    most: int = LARGEST_INTEGER


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes, as canonical standard base64; `size` of them, or at most `most`."""

    size: int | None = None
    most: int = 1 << 16


@dataclass(frozen=True, slots=True)
class Ascending:
    """A list in strictly ascending order, so that each set has one form; of texts or of numbers."""


def _id(kind: str) -> Matches:
    return Matches(rf"{kind}-[0-9a-f]{{32}}", f"an id of a {kind}")


AliasId = Annotated[str, _id("alias")]
AttesterId = Annotated[str, _id("attester")]
CredentialId = Annotated[str, _id("credential")]
DeviceId = Annotated[str, _id("device")]
GrantId = Annotated[str, _id("grant")]
ModelId = Annotated[str, _id("model")]
PersonId = Annotated[str, _id("person")]
SessionId = Annotated[str, _id("session")]
StatementId = Annotated[str, _id("statement")]
VersionId = Annotated[str, _id("version")]
WorkloadId = Annotated[str, _id("workload")]
ZoneId = Annotated[str, _id("zone")]
SubjectId = Annotated[str, Matches(rf"(?:{'|'.join(KINDS)})-[0-9a-f]{{32}}", "an id")]
Digest = Annotated[str, Matches("sha256:[0-9a-f]{64}", "a digest")]
DeploymentName = Annotated[str, Matches("sr1:[0-9a-f]{64}", "the name of a deployment")]
SealId = Annotated[str, Matches("[0-9a-f]{32}", "a seal id")]
Word = Annotated[str, Matches("[a-z][a-z0-9]{0,31}(?:[-.][a-z0-9]{1,31}){0,3}", "a word like `approver` or `red-team`")]
Instant = Annotated[int, Within(0, 1 << 40)]
"""Seconds since 1970, UTC."""
Label = Annotated[int, Within(0, 4)]
Count = Annotated[int, Within(0)]
Natural = Annotated[int, Within(1)]
P256Point = Annotated[bytes, Bytes(65)]


def parse_record(kind: type[T], value: Json) -> T:
    """Return the record of type `kind` that `value` is.

    Raises:
        BadRecord: a field is missing, unknown, of another type or out of bounds; the message names it.
    """
    of_kind: Any = kind
    record: T = _record_parser(of_kind)(value, "")
    return record


def record_json(record: Any) -> dict[str, Json]:
    """Return the JSON of a record."""
    found: dict[str, Json] = {}
    kind: Any = type(record)
    for name in _field_names(kind):
        if (value := getattr(record, name)) is not None:
            found[name] = _to_json(value)
    return found


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _to_json(value: Any) -> Json:
    match value:
        case bool() | int() | str() | list():
            return value
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case tuple():
            return [_to_json(item) for item in value]
        case Mapping():
            return {key: _to_json(item) for key, item in value.items()}
        case _:
            return record_json(value)


@cache
def _record_parser(kind: Any) -> Parser:
    hints = get_type_hints(kind, include_extras=True)
    parsers = {field.name: _parser(hints[field.name]) for field in fields(kind)}
    # By its default, not its hint: any JSON may be `None`, and is not left out for that.
    optional = {field.name for field in fields(kind) if field.default is None}
    known = parsers.keys()

    def parse(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise BadRecord(f"`{where or kind.__name__}` is not an object")
        if missing := known - optional - value.keys():
            raise BadRecord(f"`{where or kind.__name__}` has no `{min(missing)}`")
        if unknown := value.keys() - known:
            raise BadRecord(f"`{where or kind.__name__}` has an unknown field `{min(unknown)[:SLACK_CHARACTERS]}`")
        return kind(**{name: parsers[name](item, f"{where}.{name}" if where else name) for name, item in value.items()})

    return parse


def _parser(hint: Any) -> Parser:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner = arguments[0]
        for marker in arguments[1:]:
            if isinstance(marker, Ascending):
                return _ascending(_parser(inner))
            if isinstance(marker, Matches):
                return _text(marker)
            if isinstance(marker, Within):
                return _whole(marker)
            if isinstance(marker, Bytes):
                return _bytes(marker)
    if any(get_origin(argument) is Mapping for argument in arguments):
        return _json  # by its parts: once its hints are resolved, `Json` is not equal to itself
    if origin in {Union, types.UnionType}:
        # A field that may be missing: where it stands, it holds a value, for `null` is not how nothing is written.
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        return _parser(inner)
    if origin is tuple:
        return _list(_parser(arguments[0]))
    if origin is dict:
        return _mapping(_parser(arguments[0]), _parser(arguments[1]))
    if hint is bool:
        return _flag
    return _record_parser(hint)


def _text(marker: Matches) -> Parser:
    def parse(value: Any, where: str) -> str:
        if not isinstance(value, str) or not marker.pattern.match(value):
            raise BadRecord(f"`{where}` is not {marker.what}")
        return value

    return parse


def _whole(marker: Within) -> Parser:
    def parse(value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not marker.least <= value <= marker.most:
            raise BadRecord(f"`{where}` is not a whole number from {marker.least} to {marker.most}")
        return value

    return parse


def _bytes(marker: Bytes) -> Parser:
    def parse(value: Any, where: str) -> bytes:
        try:
            raw = base64.b64decode(value, validate=True) if isinstance(value, str) else None
        except ValueError:
            raw = None
        if raw is None or base64.b64encode(raw).decode("ascii") != value:
            raise BadRecord(f"`{where}` is not canonical base64")
        if len(raw) > marker.most or marker.size not in {None, len(raw)}:
            raise BadRecord(f"`{where}` has {len(raw)} bytes")
        return raw

    return parse


def _json(value: Any, where: str) -> Any:
    if value is None:
        raise BadRecord(f"`{where}` is null: what is not there is left out")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadRecord(f"`{where}` is neither true nor false")
    return value


def _list(item: Parser) -> Parser:
    def parse(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MOST_ITEMS:
            raise BadRecord(f"`{where}` is not a list of at most {MOST_ITEMS}")
        return tuple(item(one, f"{where}[{number}]") for number, one in enumerate(value))

    return parse


def _ascending(items: Parser) -> Parser:
    def parse(value: Any, where: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = items(value, where)
        if any(not first < second for first, second in pairwise(found)):
            raise BadRecord(f"`{where}` is not in ascending order, each once")
        return found

    return parse


def _mapping(key: Parser, item: Parser) -> Parser:
    def parse(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BadRecord(f"`{where}` is not an object")
        return {key(name, where): item(one, f"{where}.{name[:SLACK_CHARACTERS]}") for name, one in value.items()}

    return parse

"""Asked: the requests at the keep's socket, as records. What is inside a statement, `acts` knows."""

import base64
from typing import Annotated, Any, get_args

from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest
from strongroom.terms.records import Bytes, Count, Matches, Natural, PersonId, Record, parse_record

Salt = Annotated[str, Matches("[0-9a-f]{32}", "32 hexadecimal digits")]
Text = Annotated[str, Matches("(?s:.{0,4096})", "a text of at most 4,096 characters")]


class Detail(Record):
    """A text whose salted digest a statement names."""

    salt: Salt
    text: Text


class Status(Record):
    """How the keep is."""


class Act(Record):
    """Something of the table of acts, said in an envelope."""

    statement: Json
    details: tuple[Detail, ...] | None = None


class Entries(Record):
    """Entries of the log, from `start`."""

    start: Count
    count: Natural


class Prepare(Record):
    """Make a root key, for a founding."""


class Found(Record):
    """Found the deployment."""

    statement: Json
    details: tuple[Detail, ...] | None = None


class Share(Record):
    """A custodian's share, wrapped to the key that the genesis names for them."""

    person: PersonId


class Unseal(Record):
    """A custodian's share, wrapped to the keep's key of this start."""

    person: PersonId
    share: Annotated[bytes, Bytes(most=4096)]


Request = Status | Act | Entries | Prepare | Found | Share | Unseal
REQUESTS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in get_args(Request)}


def parse_request(value: Json) -> Request:
    """Return what is asked.

    Raises:
        BadRequest: it is nothing that the keep can be asked.
        BadRecord: a field is wrong.
    """
    if not isinstance(value, dict) or not isinstance(kind := value.get("ask"), str) or kind not in REQUESTS:
        raise BadRequest("this is nothing that the keep can be asked", hint="see docs/spec/socket.md")
    request: Request = parse_record(REQUESTS[kind], {name: item for name, item in value.items() if name != "ask"})
    return request


def text_of(data: bytes) -> str:
    """Return bytes as answers carry them."""
    return base64.b64encode(data).decode("ascii")

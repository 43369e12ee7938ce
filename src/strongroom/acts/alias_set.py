"""`alias.set`: a name such as `prod` is to mean this version of its model. By itself it opens nothing."""

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Alias, Directory, made
from strongroom.terms.errors import AlreadyDone, NotAllowed
from strongroom.terms.records import AliasId, Digest, ModelId, Record, VersionId


class AliasSet(Record):
    """An identifier that is new makes an alias; of one that is there, the version alone may be another.

    `details` is the salted digest of its name.
    """

    alias: AliasId
    details: Digest
    model: ModelId
    version: VersionId


def check(directory: Directory, move: Move[AliasSet]) -> None:
    body = move.body
    if find.version(directory, body.version).model != body.model:
        raise NotAllowed(f"version `{body.version}` is another model's")
    known = directory.aliases.get(body.alias)
    if known is not None and (known.details, known.model) != (body.details, body.model):
        raise AlreadyDone(f"the alias `{body.alias}` is of another name or model")


def target(directory: Directory, by: str, body: AliasSet) -> str:
    return body.version


def apply(directory: Directory, move: Move[AliasSet]) -> None:
    directory.aliases[move.body.alias] = made(Alias, move.body)

"""`version.register`: what was sealed becomes a version. It exists from then on, because the log says so."""

from dataclasses import replace
from typing import Annotated

from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory, Version, made
from strongroom.terms.canonical import Json
from strongroom.terms.errors import AlreadyDone, NotAllowed, NotFound, Stale
from strongroom.terms.records import Ascending, Bytes, Count, Digest, ModelId, Natural, Record, SealId, VersionId

HEADER_BYTES = 74


class VersionRegister(Record):
    """What the sealer got from sealing. `header` is that of the manifest's sealed part; the keep tries its key on it.

    `notes` is the salted digest of private notes, `lineage` the versions that this one was made from.
    """

    version: VersionId
    model: ModelId
    seal_id: SealId
    generation: Natural
    wrapped_key: Annotated[bytes, Bytes(1168)]
    header: Annotated[bytes, Bytes(HEADER_BYTES)]
    manifest: Digest
    size_bytes: Count
    tensor_bytes: Count
    notes: Digest
    lineage: Annotated[tuple[VersionId, ...], Ascending()]


def check(directory: Directory, move: Move[VersionRegister]) -> None:
    body = move.body
    find.check_new(directory.versions, body.version)
    if body.seal_id in directory.seals:
        raise AlreadyDone(f"seal `{body.seal_id}` is registered already")
    if body.generation != find.model(directory, body.model).generation:
        raise Stale(f"sealed to generation {body.generation} of the model's key", hint="seal again to the present key")
    if body.tensor_bytes > body.size_bytes:
        raise NotAllowed("more bytes of tensors than of files")
    for ancestor in body.lineage:
        if ancestor not in directory.versions:
            raise NotFound(f"no version `{ancestor}` to be descended from")


def data(directory: Directory, move: Move[VersionRegister]) -> dict[str, Json]:
    return {"number": directory.models[move.body.model].versions + 1}


def apply(directory: Directory, move: Move[VersionRegister]) -> None:
    body, model = move.body, directory.models[move.body.model]
    # A descendant is at least as sensitive as what it came from, whatever its own model says.
    label = max((directory.label_of(directory.versions[one]) for one in body.lineage), default=0)
    directory.models[body.model] = replace(model, versions=model.versions + 1)
    directory.seals[body.seal_id] = body.version
    directory.versions[body.version] = made(Version, body, number=model.versions + 1, label=label, by=move.by)


def target(directory: Directory, by: str, body: VersionRegister) -> str:
    return find.model(directory, body.model).model

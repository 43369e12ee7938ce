"""`model.enrol`: a model comes to be: an identifier, a label, and a key pair whose private half only the keep has."""

import base64

from strongroom.acts import labelling
from strongroom.acts.act import Move
from strongroom.directory import find
from strongroom.directory.state import Directory, Model, made
from strongroom.terms.records import Digest, Label, ModelId, Record


class ModelEnrol(Record):
    """`details` is the salted digest of its name, `org/name`."""

    model: ModelId
    details: Digest
    label: Label


def check(directory: Directory, move: Move[ModelEnrol]) -> None:
    find.check_new(directory.models, move.body.model)
    labelling.check_trial(directory, move.body.label)


def apply(directory: Directory, move: Move[ModelEnrol]) -> None:
    body = move.body
    directory.models[body.model] = made(
        Model, body, frozen=False, generation=1, public_key=base64.b64decode(move.data["public_key"]), versions=0
    )

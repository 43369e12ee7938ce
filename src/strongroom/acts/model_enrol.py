"""`model.enrol`: a model comes to be: an identifier, a label, and a key pair whose private half only the keep has."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from strongroom.acts import labelling
from strongroom.acts.act import Act, Effect, Move, Signer
from strongroom.directory import find
from strongroom.directory.state import Directory, Model
from strongroom.terms.records import Digest, Label, ModelId


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEnrol:
    """`details` is the salted digest of its name, `org/name`."""

    model: ModelId
    details: Digest
    label: Label


def _check(directory: Directory, move: Move[ModelEnrol]) -> None:
    find.check_new(directory.models, move.body.model)
    labelling.check_trial(directory, move.body.label)


def _apply(directory: Directory, move: Move[ModelEnrol]) -> None:
    body = move.body
    directory.models[body.model] = Model(
        model=body.model,
        details=body.details,
        label=body.label,
        frozen=False,
        generation=1,
        public_key=base64.b64decode(move.data["public_key"], validate=True),
        versions=0,
    )


ACT = Act(
    name="model.enrol",
    body=ModelEnrol,
    principals=("Person",),
    resources=("Deployment",),
    effect=Effect.GOVERNS,
    signer=Signer.QUORUM,
    entry="model.enrolled",
    help="enrol a model: the keep makes the key that its versions are sealed to",
    check=_check,
    apply=_apply,
    is_secret=True,
)

"""Cosignatures, as specified at c2sp.org/tlog-cosignature (type 0x04, cosignature/v1): a checkpoint, and when.

A witness says by it that at this time it knew of no larger log of this origin, and that the log only grew. The keep
says its own clock the same way, with a key of this type named `<origin>/time`: so every checkpoint has a time.
"""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.terms.errors import BadRequest
from strongroom.tlog.checkpoints import parse_checkpoint
from strongroom.tlog.notes import (
    COSIGNATURE,
    NoteSignature,
    VerifierKey,
    cosigned_message,
    parse_note,
)
from strongroom.tlog.text import LARGEST_NUMBER


def cosign(checkpoint_note: bytes, name: str, private_key: Ed25519PrivateKey, at: int) -> NoteSignature:
    """Return the cosignature of the checkpoint in `checkpoint_note` at the POSIX second `at`, by the key `name`.

    TRUST: nothing is verified here. A cosigner has verified the log's signature before, and that the checkpoint is
    consistent with the last one that it cosigned.

    Raises:
        BadNote: not the note of a checkpoint.
        BadRequest: `at` is negative, or 2^63 or more.
        BadKey: `name` is not allowed.
    """
    if not 0 <= at <= LARGEST_NUMBER:
        raise BadRequest(f"a cosignature cannot be made at {at}")
    text = parse_note(checkpoint_note).text
    parse_checkpoint(text)
    key = VerifierKey(name=name, kind=COSIGNATURE, public_key=private_key.public_key().public_bytes_raw())
    signature = at.to_bytes(8) + private_key.sign(cosigned_message(text, at))
    return NoteSignature(name=name, key_id=key.key_id, signature=signature)


def with_signature(note: bytes, signature: NoteSignature) -> bytes:
    """Return `note` with one more signature line at its end. Neither is verified.

    Raises:
        BadNote: `note` is not a note, or has no room for another signature.
    """
    parsed = parse_note(note)
    signed = replace(parsed, signatures=(*parsed.signatures, signature)).encode()
    parse_note(signed)
    return signed

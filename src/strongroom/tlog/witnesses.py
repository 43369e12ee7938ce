"""Witnesses: verifying when somebody cosigned a checkpoint. See `cosignatures` for what that says."""

from strongroom.terms.errors import BadRequest
from strongroom.tlog.checkpoints import parse_checkpoint
from strongroom.tlog.notes import COSIGNATURE, VerifierKey, signed_at, verify_note


def verify_cosignature(note: bytes, key: VerifierKey) -> int:
    """Return the POSIX second at which `key` cosigned the checkpoint in `note`; of several, the latest.

    Says nothing about the log's own signature: `verify_checkpoint` does.

    Raises:
        BadRequest: `key` is not of the type of cosignatures.
        BadNote: not the note of a checkpoint.
        BadSignature: `key` did not cosign it, or one cosignature under its name and id is not its own.
    """
    if key.kind != COSIGNATURE:
        raise BadRequest(f"`{key.name[:80]}` is not a key that cosigns")
    verified = verify_note(note, (key,))
    parse_checkpoint(verified.text)
    return max(signed_at(line.signature) for _, line in verified.signatures)

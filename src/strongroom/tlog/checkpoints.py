"""Checkpoints, as specified at c2sp.org/tlog-checkpoint: the signed note by which a log says how far it is.

    <origin: the log's name>
    <number of entries>
    <base64 of the root>
    <extension lines, which Strongroom does not write>

The origin of a deployment's log is `<deployment>/<era>`, and the log's key has it as its name.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.terms.errors import BadNote, BadSignature
from strongroom.tlog.notes import Note, VerifierKey, sign_note, verify_note
from strongroom.tlog.text import encode_base64, parse_hash, parse_number
from strongroom.tlog.tree import EMPTY_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log of this name looks like at this size; says nothing until its note is verified."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> str:
        """Return the text of the checkpoint's note.

        Raises:
            BadNote: the values make no checkpoint, such as an origin of two lines.
        """
        text = "\n".join((self.origin, str(self.size), encode_base64(self.root), *self.extensions, ""))
        if parse_checkpoint(text) != self:
            raise BadNote("a checkpoint that reads as another one: a newline in its origin or extensions")
        return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that the text of a note states.

    Raises:
        BadNote: not three or more lines that are not empty, each of its form and ending in a newline, or size 0 with
            another root than the empty tree's.
    """
    *lines, rest = text.split("\n")
    if rest or len(lines) < 3 or not all(lines):
        raise BadNote("a checkpoint has at least three lines, none of them empty")
    origin, size_text, root_text, *extensions = lines
    size, root = parse_number(size_text, "tree size"), parse_hash(root_text, "root hash")
    if size == 0 and root != EMPTY_ROOT:
        raise BadNote("a checkpoint of size 0 with another root than the empty tree's")
    return Checkpoint(origin=origin, size=size, root=root, extensions=tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, private_key: Ed25519PrivateKey) -> bytes:
    """Return the checkpoint as a note, signed by the log's key, whose name is the origin.

    ORDER: the caller has made sure, durably, that the log never signs anything inconsistent with it.

    Raises:
        BadNote: the values make no checkpoint.
        BadKey: the origin cannot name a key: it holds white space or `+`.
    """
    text = checkpoint.encode()
    return Note(text=text, signatures=(sign_note(text, checkpoint.origin, private_key),)).encode()


def verify_checkpoint(note: bytes, log_key: VerifierKey) -> Checkpoint:
    """Return the checkpoint that `note` states, if the log with this key signed it.

    Raises:
        BadNote: not a note, or its text is no checkpoint.
        BadSignature: not signed by `log_key`, or it is about a log of another origin.
    """
    checkpoint = parse_checkpoint(verify_note(note, (log_key,)).text)
    # TRUST: a key speaks for the log that it is named after, and for no other.
    if checkpoint.origin != log_key.name:
        raise BadSignature(f"a checkpoint of `{checkpoint.origin[:200]}` by the key of `{log_key.name[:200]}`")
    return checkpoint

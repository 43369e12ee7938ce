"""Signed notes and verifier keys, as specified at c2sp.org/signed-note: a text with signature lines under it.

    <text, ending in a newline>
    <empty line>
    — <key name> base64(key id (4) | signature)
    …

Two types of key are known: plain Ed25519 (0x01), and cosignature/v1 (0x04, c2sp.org/tlog-cosignature), which is
Ed25519 over a time and the text. Signatures of all other keys are carried along and say nothing.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from strongroom.terms.errors import BadKey, BadNote, BadRequest, BadSignature
from strongroom.tlog.text import LARGEST_NUMBER, encode_base64, parse_base64

ED25519 = 0x01
COSIGNATURE = 0x04

LARGEST_NOTE_BYTES = 1 << 20
MOST_SIGNATURES = 100

_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")  # lone surrogates too: no UTF-8 has them
_VERIFIER_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(.+)\Z")

_PRIME = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# y of the eight points whose order divides 8. Under such a key one signature fits nearly every text.
_LOW_ORDER = {0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: who says to have signed, and the bytes. Proves nothing until it is verified."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and the signatures that stand under it, none of them verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """Return the bytes of the note."""
        return "".join((self.text, "\n", *map(str, self.signatures))).encode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with the name that it signs under. As text a `vkey`: `name+key id+base64(type | key)`.

    Raises:
        BadKey: a name with white space or `+`, a type that is not known, a point of low order or not in its one form.
    """

    name: str
    kind: int
    public_key: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise BadKey(f"`{self.name[:80]}` is not the name of a key", hint="use no white space and no `+`")
        if self.kind not in {ED25519, COSIGNATURE}:
            raise BadKey(f"a key of type {self.kind:#04x}", hint="use a key of type 0x01 or 0x04")
        y = int.from_bytes(self.public_key, "little") & ((1 << 255) - 1)
        # A list of bad encodings would miss those with y ≥ p; every point has one y below it.
        if len(self.public_key) != 32 or y >= _PRIME or y in _LOW_ORDER:
            raise BadKey(
                f"no Ed25519 key to trust, under the name `{self.name[:80]}`", hint="have its owner make another"
            )

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes((self.kind,)) + self.public_key)}"

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, pick this key's signatures out of a note."""
        data = self.name.encode("utf-8") + b"\n" + bytes((self.kind,)) + self.public_key
        return hashlib.sha256(data).digest()[:_KEY_ID_BYTES]

    def check(self, text: str, signature: bytes) -> None:
        """Check that this key made `signature`, in the form of its type, over `text`.

        Raises:
            BadSignature: it did not.
        """
        message = text.encode("utf-8")
        if self.kind == COSIGNATURE:
            message = cosigned_message(text, signed_at(signature))
            signature = signature[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature as error:
            raise BadSignature(f"the signature of `{self.name[:80]}` does not fit the note") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedNote:
    """A text, and the signatures under it by known keys, in the order of the note. Made by `verify_note` only."""

    text: str
    signatures: tuple[tuple[VerifierKey, NoteSignature], ...]


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key that the vkey `text` encodes.

    Raises:
        BadKey: not a vkey in its one form, or its id is not that of its name and key, or see `VerifierKey`.
    """
    if not (parts := _VERIFIER_KEY.match(text)):
        raise BadKey("not a verifier key", hint="a verifier key is `name+8 hexadecimal digits+base64`")
    try:
        raw = parse_base64(parts[3], "verifier key")
    except BadNote as error:
        raise BadKey(error.message, hint="copy the whole of it, anew") from error
    key = VerifierKey(name=parts[1], kind=int.from_bytes(raw[:1]), public_key=raw[1:])
    if key.key_id.hex() != parts[2]:
        raise BadKey(f"a verifier key of `{key.name[:80]}` with the id of another", hint="copy the whole of it, anew")
    return key


def parse_note(data: bytes) -> Note:
    """Return the note that `data` is, with nothing about it verified.

    Raises:
        BadNote: not UTF-8, with control characters, without the empty line, with a malformed signature line or none,
            or beyond 1 MiB or 100 signatures.
    """
    if len(data) > LARGEST_NOTE_BYTES:
        raise BadNote(f"a note of more than {LARGEST_NOTE_BYTES} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("a note that is not UTF-8") from error
    # SPEC signed-note, Format: the text may hold empty lines; the last one of the note ends it.
    text, gap, under = whole.rpartition("\n\n")
    *lines, rest = under.split("\n")
    if not gap or rest or not lines:
        raise BadNote("a note that does not end in signature lines under an empty line")
    if len(lines) > MOST_SIGNATURES:
        raise BadNote(f"a note with more than {MOST_SIGNATURES} signatures")
    _check_text(text + "\n")
    return Note(text=text + "\n", signatures=tuple(map(_parse_signature, lines)))


def verify_note(data: bytes, keys: Sequence[VerifierKey]) -> VerifiedNote:
    """Return the text of the note and who of `keys` signed it: at least one.

    Signatures by others are ignored, also those under a known name or a known id, but not both.

    Raises:
        BadNote: see `parse_note`.
        BadSignature: a signature under the name and id of a known key is not its own, or there is none at all.
        BadRequest: two of `keys` share name and id.
    """
    known = {(key.name, key.key_id): key for key in keys}
    if len(known) != len(set(keys)):
        raise BadRequest("two verifier keys with the same name and id")
    note = parse_note(data)
    verified = []
    for signature in note.signatures:
        if key := known.get((signature.name, signature.key_id)):
            key.check(note.text, signature.signature)
            verified.append((key, signature))
    if not verified:
        raise BadSignature("a note that no known key has signed")
    return VerifiedNote(text=note.text, signatures=tuple(verified))


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> NoteSignature:
    """Return the signature line of the plain Ed25519 key `name` for `text`.

    Raises:
        BadNote: `text` does not end in a newline, or holds what no note may.
        BadKey: `name` is not allowed.
    """
    _check_text(text)
    key = VerifierKey(name=name, kind=ED25519, public_key=private_key.public_key().public_bytes_raw())
    return NoteSignature(name=name, key_id=key.key_id, signature=private_key.sign(text.encode("utf-8")))


def cosigned_message(text: str, at: int) -> bytes:
    """Return what a cosignature/v1 of `text` at the POSIX second `at` signs."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def signed_at(signature: bytes) -> int:
    """Return the POSIX second that the bytes of a cosignature/v1 state.

    Raises:
        BadSignature: a time of 2^63 or more.
    """
    at = int.from_bytes(signature[:_TIME_BYTES])
    if at > LARGEST_NUMBER:
        raise BadSignature("a cosignature with a time beyond 2^63 - 1")
    return at


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and not _CONTROL.search(name)


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise BadNote("a note whose text holds control characters, or does not end in a newline")


def _parse_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—" or not _is_name(name):
        raise BadNote(f"`{line[:80]}` is not a signature line")
    raw = parse_base64(encoded, "signature")
    if len(raw) <= _KEY_ID_BYTES:
        raise BadNote("a signature line without a signature")
    return NoteSignature(name=name, key_id=raw[:_KEY_ID_BYTES], signature=raw[_KEY_ID_BYTES:])

"""Envelopes: one payload and the signatures over its exact bytes (DSSE, as in in-toto and Sigstore).

    {"payload": base64, "payloadType": "application/vnd.strongroom.statement+json",
     "signatures": [{"keyid": "credential-…", "sig": base64, "webauthn": {"authenticator_data": …, "client_data": …}}]}

What is signed is the pre-authentication encoding of type and payload (`pae`). Nothing here verifies a signature: see
`signatures` for keys that sign bytes, and `webauthn` for security keys.
"""

from typing import Annotated

from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadRecord, BadSignature, UnknownFormat
from strongroom.terms.ids import KINDS
from strongroom.terms.records import Bytes, Matches, Record, parse_record, record_json

PAYLOAD_TYPE = "application/vnd.strongroom.statement+json"
LARGEST_PAYLOAD_BYTES = 1 << 19
MOST_SIGNATURES = 16

KeyId = Annotated[str, Matches(rf"keep|(?:{'|'.join(KINDS)})-[0-9a-f]{{32}}", "the id of who holds a key, or `keep`")]


class Assertion(Record):
    """What a security key signed beside the challenge: bytes as they came, not yet looked at."""

    authenticator_data: Annotated[bytes, Bytes(most=1024)]
    client_data: Annotated[bytes, Bytes(most=4096)]


class Signature(Record):
    """One signature: by the key of `keyid` over the `pae`, or with `webauthn` over what that module describes.

    ES256 in DER, or 64 bytes of Ed25519.
    """

    keyid: KeyId
    sig: Annotated[bytes, Bytes(most=72)]
    webauthn: Assertion | None = None


class Envelope(Record):
    """A payload of at most 512 KiB, and 1 to 16 signatures by different keys."""

    payload: Annotated[bytes, Bytes(most=LARGEST_PAYLOAD_BYTES)]
    signatures: tuple[Signature, ...]

    def json(self) -> dict[str, Json]:
        """Return the envelope as JSON; its bytes are `canonical.encode` of that."""
        return {**record_json(self), "payloadType": PAYLOAD_TYPE}

    @property
    def message(self) -> bytes:
        """What every signature here is about."""
        return pae(self.payload)

    @property
    def digest(self) -> str:
        """The name of the exact statement, whoever signed it: ECDSA is malleable, so signatures name nothing."""
        return sha256(self.message)

    def signature(self, keyid: str) -> Signature:
        """Return the signature by the key of `keyid`, not verified.

        Raises:
            BadSignature: there is none.
        """
        for signature in self.signatures:
            if signature.keyid == keyid:
                return signature
        raise BadSignature(f"no signature by `{keyid}`")


def parse_envelope(value: Json) -> Envelope:
    """Return the envelope that `value`, as `canonical.parse` gave it, is.

    Raises:
        UnknownFormat: another type of payload.
        BadRecord: a field is missing, unknown, not canonical base64 or too long; no, too many or doubled signatures.
    """
    if not isinstance(value, dict):
        raise BadRecord("an envelope is an object")
    if value.get("payloadType") != PAYLOAD_TYPE:
        raise UnknownFormat(f"not an envelope with `{PAYLOAD_TYPE}`")
    envelope = parse_record(Envelope, {name: item for name, item in value.items() if name != "payloadType"})
    keys = [signature.keyid for signature in envelope.signatures]
    if not 1 <= len(keys) <= MOST_SIGNATURES:
        raise BadRecord(f"an envelope has 1 to {MOST_SIGNATURES} signatures, not {len(keys)}")
    if len(set(keys)) != len(keys):
        raise BadRecord("one key signed an envelope twice")
    return envelope


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return DSSE's pre-authentication encoding: with the lengths in it, no type and payload read as another pair."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode("ascii"), len(payload), payload)

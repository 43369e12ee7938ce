"""What browsers, security keys and their makers write, for vectors and tests. Shares no code with the product."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey

STATEMENT = "application/vnd.strongroom.statement+json"
POSSESSION = "application/vnd.strongroom.possession+json"
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
RP_ID = "strongroom.example"
APPROVALS = "https://approve.strongroom.example"
CLI = "strongroom:cli"
ORIGINS = {APPROVALS: "approval", "https://console.strongroom.example": "console", CLI: "cli"}
AAGUID = bytes.fromhex("00112233445566778899aabbccddeeff")
DEPLOYMENT = "sr1:" + "5a" * 32
WORD_LIST = Path(__file__).resolve().parents[3] / "src" / "strongroom" / "statements" / "words.txt"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def subject(kind: str, number: int) -> str:
    return f"{kind}-{number:032x}"


def pae(payload_type: str, payload: bytes) -> bytes:
    return f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload


def private(number: int) -> Key:
    return ec.derive_private_key(number, ec.SECP256R1())


def point(key: Key | ec.EllipticCurvePublicKey) -> bytes:
    public = key.public_key() if isinstance(key, Key) else key
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def sign(key: Key, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))


# --- DER of a signature, by hand: so that it can be wrong -----------------------------------------


def integers(der: bytes) -> tuple[int, int]:
    length = der[3]
    return int.from_bytes(der[4 : 4 + length], "big"), int.from_bytes(der[6 + length :], "big")


def minimal(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def der(r: bytes, s: bytes) -> bytes:
    body = bytes([2, len(r)]) + r + bytes([2, len(s)]) + s
    return bytes([0x30, len(body)]) + body


def mirrored(signature: bytes) -> bytes:
    """The other signature that is as good: anybody can make it from the first."""
    r, s = integers(signature)
    return der(minimal(r), minimal(N - s))


# --- CBOR ----------------------------------------------------------------------------------------


def head(major: int, number: int) -> bytes:
    for size, short in ((1, 24), (2, 25), (4, 26)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 1 << 8 * size:
            return bytes([major << 5 | short]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor(value: Any) -> bytes:
    """Canonical, but for maps given as lists of pairs: those stay as they are, in any order."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case tuple():
            return head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            return cbor(sorted(value.items(), key=lambda pair: cbor(pair[0])))
        case list():
            return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value)
        case _:
            raise TypeError(value)


def cose(key: Key) -> bytes:
    at = point(key)
    return cbor({1: 2, 3: -7, -1: 1, -2: at[1:33], -3: at[33:]})


# --- touches ---------------------------------------------------------------------------------------


def client_json(kind: str, message: bytes, origin: Any, **members: Any) -> bytes:
    challenge = b64url(hashlib.sha256(message).digest())
    client = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False, **members}
    return json.dumps(
        {key: value for key, value in client.items() if value != "left out"}, separators=(",", ":")
    ).encode()


def authenticator_data(*, rp_id: str = RP_ID, flags: int = 0x05, counter: int = 7, rest: bytes = b"") -> bytes:
    return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big") + rest


def touch(key: Key, message: bytes, *, client: bytes | None = None, data: bytes | None = None) -> dict[str, bytes]:
    """What comes of a touch: by default at the approval site, verified, with counter 7."""
    client = client_json("webauthn.get", message, APPROVALS) if client is None else client
    data = authenticator_data() if data is None else data
    sig = sign(key, data + hashlib.sha256(client).digest())
    return {"authenticator_data": data, "client_data": client, "sig": sig}


def credential(
    key: Key, *, raw_id: bytes = b"\x01" * 32, cose_key: bytes | None = None, aaguid: bytes = AAGUID
) -> bytes:
    return aaguid + len(raw_id).to_bytes(2, "big") + raw_id + (cose(key) if cose_key is None else cose_key)


def attestation_object(kind: str, statement: Any, data: bytes) -> bytes:
    return cbor({"fmt": kind, "attStmt": statement, "authData": data})


# --- makers ----------------------------------------------------------------------------------------


def certificate(
    name: str,
    public: Any,
    issuer: str,
    issuer_key: Key,
    *,
    authority: bool | None = False,
    unit: str | None = "Authenticator Attestation",
    aaguid: bytes | None = AAGUID,
) -> bytes:
    def called(common: str) -> x509.Name:
        values = ((NameOID.COUNTRY_NAME, "SE"), (NameOID.ORGANIZATION_NAME, "A Maker"))
        units = ((NameOID.ORGANIZATIONAL_UNIT_NAME, unit),) if common == name and unit else ()
        names = (*values, *units, (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in names])

    builder = x509.CertificateBuilder(
        issuer_name=called(issuer),
        subject_name=called(name),
        public_key=public,
        serial_number=int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"),
        not_valid_before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        not_valid_after=dt.datetime(2021, 1, 1, tzinfo=dt.UTC),  # long gone: no clock is looked at
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if aaguid is not None and not authority:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x04\x10" + aaguid), critical=False)
    return builder.sign(issuer_key, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)

"""The cases: one fault each, named for the fault."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.vectors.statements import writer as w

Case = tuple[str, dict[str, Any]]

PAYLOAD = w.canonical(
    {
        "at": 1795000000,
        "body": {"proposal": w.subject("statement", 1)},
        "by": w.subject("person", 2),
        "deployment": w.DEPLOYMENT,
        "era": 1,
        "id": w.subject("statement", 3),
        "kind": "approve/1",
        "until": 1795000060,
    }
)
MESSAGE = w.pae(w.STATEMENT, PAYLOAD)
KEY, OTHER_KEY = w.private(11), w.private(12)
SIGNATURE = w.sign(KEY, MESSAGE)
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF


def flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


# --- envelopes -------------------------------------------------------------------------------------


def signature_json(keyid: str = w.subject("session", 4), sig: bytes = SIGNATURE, **members: Any) -> dict[str, Any]:
    return {"keyid": keyid, "sig": w.b64(sig), **members}


def envelope_json(*signatures: dict[str, Any], **members: Any) -> dict[str, Any]:
    found = list(signatures or [signature_json()])
    return {"payload": w.b64(PAYLOAD), "payloadType": w.STATEMENT, "signatures": found, **members}


def without(value: dict[str, Any], member: str) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != member}


def envelopes() -> Iterator[Case]:
    touch = w.touch(KEY, MESSAGE)
    assertion = {name: w.b64(touch[name]) for name in ("authenticator_data", "client_data")}
    touched = signature_json(w.subject("credential", 5), touch["sig"], webauthn=assertion)
    many = [signature_json(w.subject("credential", number)) for number in range(17)]
    for name, value in {
        "one": envelope_json(),
        "by-the-keep": envelope_json(signature_json("keep", bytes(64))),
        "a-touch-and-a-device": envelope_json(touched, signature_json(w.subject("device", 6))),
        "sixteen-signatures": envelope_json(*many[:16]),
        "malleated": envelope_json(signature_json(sig=w.mirrored(SIGNATURE))),
    }.items():
        keys = [signature["keyid"] for signature in value["signatures"]]
        good = {"expect": "ok", "digest": "sha256:" + hashlib.sha256(MESSAGE).hexdigest(), "keys": keys}
        yield f"ok-{name}", {**good, "envelope": w.b64(w.canonical(value))}
    for name, (code, bad) in {
        "array": ("bad-record", [envelope_json()]),
        "payload-type-other": ("unknown-format", envelope_json(payloadType="application/vnd.in-toto+json")),
        "payload-type-of-a-possession": ("unknown-format", envelope_json(payloadType=w.POSSESSION)),
        "payload-type-missing": ("unknown-format", without(envelope_json(), "payloadType")),
        "payload-missing": ("bad-record", without(envelope_json(), "payload")),
        "payload-number": ("bad-record", envelope_json(payload=7)),
        "unknown-member": ("bad-record", envelope_json(note="")),
        "base64-url": ("bad-record", envelope_json(payload="-_-_")),
        "base64-unpadded": ("bad-record", envelope_json(payload="YQ")),
        "base64-trailing-bits": ("bad-record", envelope_json(payload="YR==")),
        "base64-white-space": ("bad-record", envelope_json(payload="YWFh\nYWFh")),
        "no-signatures": ("bad-record", {**envelope_json(), "signatures": []}),
        "signatures-missing": ("bad-record", without(envelope_json(), "signatures")),
        "seventeen-signatures": ("bad-record", envelope_json(*many)),
        "one-key-twice": ("bad-record", envelope_json(signature_json(), signature_json())),
        "one-key-twice-malleated": (
            "bad-record",
            envelope_json(signature_json(), signature_json(sig=w.mirrored(SIGNATURE))),
        ),
        "key-id-is-a-name": ("bad-record", envelope_json(signature_json("ada"))),
        "key-id-upper-case": ("bad-record", envelope_json(signature_json(w.subject("session", 10).upper()))),
        "key-id-with-line-end": ("bad-record", envelope_json(signature_json("keep\n"))),
        "sig-too-long": ("bad-record", envelope_json(signature_json(sig=bytes(73)))),
        "sig-missing": ("bad-record", envelope_json({"keyid": "keep"})),
        "signature-unknown-member": ("bad-record", envelope_json(signature_json(cert=""))),
        "webauthn-null": ("bad-record", envelope_json(signature_json(webauthn=None))),
        "webauthn-half": ("bad-record", envelope_json(signature_json(webauthn=without(assertion, "client_data")))),
        "webauthn-more": ("bad-record", envelope_json(signature_json(webauthn={**assertion, "id": ""}))),
    }.items():
        yield name, {"expect": code, "envelope": w.b64(w.canonical(bad))}
    text = w.canonical(envelope_json())
    for name, data in {
        "white-space": json.dumps(envelope_json(), sort_keys=True).encode(),
        "members-in-other-order": b'{"payloadType"' + text[1:].replace(b'"payloadType"', b'"payload"', 1)[10:],
        "one-member-twice": b'{"payload":"YQ==",' + text[1:],
        "more-behind": text + b"\n",
    }.items():
        yield name, {"expect": "not-canonical", "envelope": w.b64(data)}


# --- ES256 -------------------------------------------------------------------------------------------


def es256() -> Iterator[Case]:
    r, s = w.integers(SIGNATURE)
    at = w.point(KEY)
    good = {"public_key": at, "message": MESSAGE, "signature": SIGNATURE}
    compressed = bytes([2 + (at[64] & 1)]) + at[1:33]
    high = SIGNATURE if s > w.N // 2 else w.mirrored(SIGNATURE)
    for name, code, changes in [
        ("ok-low-s", "ok", {"signature": w.mirrored(high)}),
        ("ok-high-s", "ok", {"signature": high}),
        ("message-other", "bad-signature", {"message": w.pae(w.STATEMENT, PAYLOAD + b" ")}),
        ("message-of-another-type", "bad-signature", {"message": w.pae(w.POSSESSION, PAYLOAD)}),
        ("message-payload-alone", "bad-signature", {"message": PAYLOAD}),
        ("key-other", "bad-signature", {"public_key": w.point(OTHER_KEY)}),
        ("signature-flipped", "bad-signature", {"signature": flipped(SIGNATURE)}),
        ("signature-empty", "bad-signature", {"signature": b""}),
        ("signature-of-another-form", "bad-signature", {"signature": r.to_bytes(32) + s.to_bytes(32)}),
        ("signature-more-behind", "bad-signature", {"signature": SIGNATURE + b"\0"}),
        ("signature-padded-integer", "bad-signature", {"signature": w.der(b"\0" + w.minimal(r), w.minimal(s))}),
        ("signature-negative-integer", "bad-signature", {"signature": w.der(w.minimal(r), (s + w.N).to_bytes(33))}),
        ("signature-long-length", "bad-signature", {"signature": b"\x30\x81" + SIGNATURE[1:]}),
        ("signature-zero", "bad-signature", {"signature": w.der(b"\0", b"\0")}),
        ("signature-r-is-n", "bad-signature", {"signature": w.der(w.minimal(w.N), w.minimal(s))}),
        ("signature-s-plus-n", "bad-signature", {"signature": w.der(w.minimal(r), w.minimal(s + w.N))}),
        ("key-compressed", "bad-key", {"public_key": compressed}),
        ("key-hybrid", "bad-key", {"public_key": bytes([6 + (at[64] & 1)]) + at[1:]}),
        ("key-compressed-and-padded", "bad-key", {"public_key": compressed + bytes(32)}),
        ("key-at-infinity", "bad-key", {"public_key": b"\0"}),
        ("key-zeros", "bad-key", {"public_key": b"\x04" + bytes(64)}),
        ("key-off-the-curve", "bad-key", {"public_key": flipped(at)}),
        ("key-x-beyond-p", "bad-key", {"public_key": b"\x04" + (P + 5).to_bytes(32) + at[33:]}),
        ("key-short", "bad-key", {"public_key": at[:-1]}),
        ("key-without-its-first-byte", "bad-key", {"public_key": at[1:]}),
        ("key-of-another-curve", "bad-key", {"public_key": w.point(ec.derive_private_key(5, ec.SECP256K1()))}),
    ]:
        values = {**good, **changes}
        yield name, {"expect": code, **{field: value.hex() for field, value in values.items()}}


def possessions() -> Iterator[Case]:
    of = {"deployment": w.DEPLOYMENT, "subject": w.subject("device", 6)}
    at = w.point(KEY)

    def payload(**changes: Any) -> bytes:
        return w.canonical({**of, "format": "strongroom/possession/1", "key": w.b64(at), **changes})

    proofs = {
        "ok": w.sign(KEY, w.pae(w.POSSESSION, payload())),
        "deployment-other": w.sign(KEY, w.pae(w.POSSESSION, payload(deployment="sr1:" + "5b" * 32))),
        "subject-other": w.sign(KEY, w.pae(w.POSSESSION, payload(subject=w.subject("device", 7)))),
        "subject-of-another-kind": w.sign(KEY, w.pae(w.POSSESSION, payload(subject=w.subject("workload", 6)))),
        "key-other": w.sign(KEY, w.pae(w.POSSESSION, payload(key=w.b64(w.point(OTHER_KEY))))),
        "format-other": w.sign(KEY, w.pae(w.POSSESSION, payload(format="strongroom/possession/2"))),
        "by-another-key": w.sign(OTHER_KEY, w.pae(w.POSSESSION, payload())),
        "said-as-a-statement": w.sign(KEY, w.pae(w.STATEMENT, payload())),
        "without-type": w.sign(KEY, payload()),
    }
    for name, proof in proofs.items():
        code = "ok" if name == "ok" else "bad-signature"
        yield name, {"expect": code, **of, "public_key": at.hex(), "proof": proof.hex()}


# --- assertions --------------------------------------------------------------------------------------


def client(**members: Any) -> bytes:
    return w.client_json(**{"kind": "webauthn.get", "message": MESSAGE, "origin": w.APPROVALS, **members})


def assertions() -> Iterator[Case]:
    challenge = hashlib.sha256(MESSAGE).digest()
    assert set(w.b64(challenge)) & set("+/"), "the alphabets would not differ"
    yield from touches(
        "ok",
        {
            "ok-approval-site": {},
            "ok-cli": {"client": client(origin=w.CLI), "path": "cli"},
            "ok-cross-origin-not-there": {"client": client(crossOrigin="left out")},
            "ok-unknown-members": {"client": client(other_keys="may be added", tokenBinding={"status": "supported"})},
            "ok-no-counter": {"data": w.authenticator_data(counter=0), "counter": 0, "new_counter": 0},
            "ok-first-count": {"counter": 0},
            "ok-largest-counter": {"data": w.authenticator_data(counter=2**32 - 1), "new_counter": 2**32 - 1},
            "ok-eligible": {"data": w.authenticator_data(flags=0x0D), "backup_eligible": True},
            "ok-backed-up": {"data": w.authenticator_data(flags=0x1D), "backup_eligible": True},
            "ok-reserved-flags": {"data": w.authenticator_data(flags=0x27)},
            "ok-malleated": {"sig": w.mirrored(w.touch(KEY, MESSAGE)["sig"])},
        },
    )
    text = client()
    yield from touches(
        "not-canonical",
        {
            "client-data-one-member-twice": {"client": b'{"crossOrigin":false,' + text[1:]},
            "client-data-not-utf8": {"client": text[:-1] + b',"x":"\xff"}'},
            "client-data-two-objects": {"client": text + text},
            "client-data-empty": {"client": b""},
            "client-data-float": {"client": text[:-1] + b',"x":1.5}'},
        },
    )
    yield from touches(
        "bad-record",
        {
            "client-data-array": {"client": b"[" + text + b"]"},
            "client-data-space-before": {"client": b" " + text},
            "client-data-space-behind": {"client": text + b"\n"},
            "data-empty": {"data": b""},
            "data-short": {"data": w.authenticator_data()[:-1]},
            "data-long": {"data": w.authenticator_data(rest=b"\0")},
            "data-with-a-credential": {"data": w.authenticator_data(flags=0x45, rest=w.credential(KEY))},
            "data-with-extensions": {"data": w.authenticator_data(flags=0x85, rest=w.cbor({"x": True}))},
            "flag-of-a-credential": {"data": w.authenticator_data(flags=0x45)},
            "flag-of-extensions": {"data": w.authenticator_data(flags=0x85)},
            "backed-up-but-not-eligible": {"data": w.authenticator_data(flags=0x15)},
        },
    )
    yield from touches(
        "bad-assertion",
        {
            "type-create": {"client": client(type="webauthn.create")},
            "type-payment": {"client": client(type="payment.get")},
            "type-missing": {"client": client(type="left out")},
            "challenge-of-another-statement": {"client": client(message=MESSAGE.replace(b"approve", b"session"))},
            "challenge-of-another-type": {"client": client(message=w.pae(w.POSSESSION, PAYLOAD))},
            "challenge-padded": {"client": client(challenge=w.b64url(challenge) + "=")},
            "challenge-standard-alphabet": {"client": client(challenge=w.b64(challenge).rstrip("="))},
            "challenge-is-the-message": {"client": client(challenge=w.b64url(MESSAGE))},
            "challenge-missing": {"client": client(challenge="left out")},
            "origin-other": {"client": client(origin="https://approve.strongroom.example.evil.example")},
            "origin-subdomain": {"client": client(origin="https://a.approve.strongroom.example")},
            "origin-parent": {"client": client(origin="https://strongroom.example")},
            "origin-with-port": {"client": client(origin=w.APPROVALS + ":8443")},
            "origin-with-default-port": {"client": client(origin=w.APPROVALS + ":443")},
            "origin-with-slash": {"client": client(origin=w.APPROVALS + "/")},
            "origin-upper-case": {"client": client(origin=w.APPROVALS.upper())},
            "origin-not-encrypted": {"client": client(origin=w.APPROVALS.replace("https", "http"))},
            "origin-list": {"client": client(origin=[w.APPROVALS])},
            "origin-missing": {"client": client(origin="left out")},
            "cross-origin": {"client": client(crossOrigin=True)},
            "cross-origin-null": {"client": client(crossOrigin=None)},
            "cross-origin-text": {"client": client(crossOrigin="false")},
            "cross-origin-zero": {"client": client(crossOrigin=0)},
            "top-origin": {"client": client(topOrigin=w.APPROVALS)},
            "top-origin-null": {"client": client(topOrigin=None)},
            "rp-id-other": {"data": w.authenticator_data(rp_id="strongroom.example.evil.example")},
            "rp-id-subdomain": {"data": w.authenticator_data(rp_id="approve.strongroom.example")},
            "not-present": {"data": w.authenticator_data(flags=0x04)},
            "not-verified": {"data": w.authenticator_data(flags=0x01)},
            "neither-present-nor-verified": {"data": w.authenticator_data(flags=0x00)},
            "eligible-and-was-not": {"data": w.authenticator_data(flags=0x0D)},
            "not-eligible-and-was": {"backup_eligible": True},
        },
    )
    sig = w.touch(KEY, MESSAGE)["sig"]
    r, s = w.integers(sig)
    yield from touches(
        "bad-signature",
        {
            "by-another-credential": {"sig": w.touch(OTHER_KEY, MESSAGE)["sig"]},
            "over-other-client-data": {"sig": w.touch(KEY, MESSAGE, client=client(origin=w.CLI))["sig"]},
            "over-other-data": {"sig": w.touch(KEY, MESSAGE, data=w.authenticator_data(counter=8))["sig"]},
            "over-the-message-itself": {"sig": SIGNATURE},
            "signature-flipped": {"sig": flipped(sig)},
            "signature-of-another-form": {"sig": r.to_bytes(32) + s.to_bytes(32)},
            "signature-more-behind": {"sig": sig + b"\0"},
            "counter-fell-but-not-signed": {"sig": flipped(sig), "counter": 9},
            "eligible-but-not-signed": {"sig": flipped(sig), "backup_eligible": True},
        },
    )
    yield from touches(
        "cloned-key",
        {
            "counter-same": {"counter": 7},
            "counter-fell": {"counter": 8},
            "counter-to-zero": {"data": w.authenticator_data(counter=0)},
        },
    )


def touches(code: str, cases: dict[str, dict[str, Any]]) -> Iterator[Case]:
    for name, case in cases.items():
        made = w.touch(KEY, MESSAGE, client=case.get("client"), data=case.get("data"))
        sig = case.get("sig", made["sig"])
        answer = (
            {"path": case.get("path", "approval"), "new_counter": case.get("new_counter", 7)} if code == "ok" else {}
        )
        yield (
            name,
            {
                "expect": code,
                "message": w.b64(MESSAGE),
                "rp_id": w.RP_ID,
                "origins": w.ORIGINS,
                "public_key": w.point(KEY).hex(),
                "counter": case.get("counter", 6),
                "backup_eligible": case.get("backup_eligible", False),
                "authenticator_data": made["authenticator_data"].hex(),
                "client_data": w.b64(made["client_data"]),
                "sig": sig.hex(),
                **answer,
            },
        )


# --- registrations -----------------------------------------------------------------------------------

ENROLLING = w.pae(
    w.POSSESSION,
    w.canonical(
        {
            "deployment": w.DEPLOYMENT,
            "format": "strongroom/registration/1",
            "person": w.subject("person", 2),
            "subject": w.subject("credential", 5),
        }
    ),
)
ROOT_KEY, MIDDLE_KEY, MAKER_KEY, STRAY_KEY = (w.private(number) for number in (21, 22, 23, 24))
ROOT = w.certificate("Root", ROOT_KEY.public_key(), "Root", ROOT_KEY, authority=True, unit=None)
STRAY_ROOT = w.certificate("Root", STRAY_KEY.public_key(), "Root", STRAY_KEY, authority=True, unit=None)
MIDDLE = w.certificate("Middle", MIDDLE_KEY.public_key(), "Root", ROOT_KEY, authority=True, unit=None)
MAKER = w.certificate("Maker", MAKER_KEY.public_key(), "Root", ROOT_KEY)


def create(**members: Any) -> bytes:
    return w.client_json(**{"kind": "webauthn.create", "message": ENROLLING, "origin": w.APPROVALS, **members})


def made(credential: bytes | None = None, *, flags: int = 0x45, rest: bytes = b"", **about: Any) -> bytes:
    credential = w.credential(KEY) if credential is None else credential
    return w.authenticator_data(flags=flags, counter=about.pop("counter", 1), rest=credential + rest, **about)


def packed(
    chain: tuple[Any, ...] | None = (MAKER,), *, key: w.Key = MAKER_KEY, data: bytes | None = None, **changes: Any
) -> bytes:
    data = made() if data is None else data
    sig = w.sign(key, data + hashlib.sha256(create()).digest())
    statement = {"alg": -7, "sig": sig, **({} if chain is None else {"x5c": chain}), **changes}
    return w.attestation_object("packed", statement, data)


def none(data: bytes | None = None) -> bytes:
    return w.attestation_object("none", {}, made() if data is None else data)


def registrations() -> Iterator[Case]:
    yield from good_registrations()
    yield from enrolled("bad-assertion", refused_registrations())
    yield from enrolled("bad-record", broken_registrations())
    yield from enrolled("bad-attestation", bad_attestations())
    off = bytearray(w.cose(KEY))
    off[-1] ^= 1
    yield from enrolled(
        "bad-key",
        {
            "key-off-the-curve": none(made(w.credential(KEY, cose_key=bytes(off)))),
            "key-cut-short": none(made()[:-1]),
            "maker-key-of-another-curve": packed((other_curve(),)),
        },
    )
    yield from enrolled(
        "bad-signature",
        {
            "packed-by-itself-with-another-key": packed(None, key=OTHER_KEY),
            "packed-by-another-maker": packed(key=OTHER_KEY),
            "packed-over-other-data": packed(sig=w.sign(MAKER_KEY, made(counter=2) + bytes(32))),
        },
    )
    twice = w.cbor([("fmt", "none"), ("attStmt", {}), ("authData", made()), ("authData", made())])
    yield from enrolled("bad-record", {"object-one-member-twice": twice})


def good_registrations() -> Iterator[Case]:
    zero = bytes(16)
    leaf_of_middle = w.certificate("Maker", MAKER_KEY.public_key(), "Middle", MIDDLE_KEY)
    unnamed = w.certificate("Maker", MAKER_KEY.public_key(), "Root", ROOT_KEY, aaguid=None)
    plain = w.certificate("Maker", MAKER_KEY.public_key(), "Root", ROOT_KEY, authority=None)
    yield from enrolled(
        "ok",
        {
            "ok-none": none(made(w.credential(KEY, aaguid=zero))),
            "ok-none-eligible": none(made(flags=0x5D)),
            "ok-extensions": none(made(flags=0xC5, rest=w.cbor({"credProtect": 2}))),
            "ok-shortest-id": none(made(w.credential(KEY, raw_id=b"\x07"))),
            "ok-longest-id": none(made(w.credential(KEY, raw_id=b"\x07" * 1023))),
            "ok-packed-by-itself": packed(None, key=KEY),
        },
    )
    yield from enrolled(
        "ok",
        {
            "ok-packed": packed(),
            "ok-packed-with-middle": packed((leaf_of_middle, MIDDLE)),
            "ok-packed-with-root": packed((MAKER, ROOT)),
            "ok-packed-no-model-named": packed((unnamed,)),
            "ok-packed-no-constraints": packed((plain,)),
        },
        software=False,
    )
    yield from enrolled("ok", {"ok-packed-is-a-root": packed()}, roots=[MAKER], software=False)
    yield from enrolled("ok", {"ok-packed-second-root": packed()}, roots=[STRAY_ROOT, ROOT], software=False)


def refused_registrations() -> dict[str, Any]:
    return {
        "type-get": (none(), create(type="webauthn.get")),
        "challenge-of-a-statement": (none(), create(message=MESSAGE)),
        "challenge-of-another-person": (none(), create(message=ENROLLING.replace(b"person-", b"person-f"))),
        "origin-other": (none(), create(origin="https://evil.example")),
        "cross-origin": (none(), create(crossOrigin=True)),
        "top-origin": (none(), create(topOrigin="https://evil.example")),
        "rp-id-other": none(made(rp_id="evil.example")),
        "not-present": none(made(flags=0x44)),
        "not-verified": none(made(flags=0x41)),
    }


def broken_registrations() -> dict[str, Any]:
    members = [("fmt", "none"), ("attStmt", {}), ("authData", made())]
    long_head = none().replace(b"\x58" + bytes([len(made())]), b"\x59\x00" + bytes([len(made())]))
    assert len(long_head) == len(none()) + 1
    return {
        "object-empty": b"",
        "object-more-behind": none() + b"\0",
        "object-cut-short": none()[:-1],
        "object-one-member-more": w.cbor({**dict(members), "ep": False}),
        "object-one-member-less": w.cbor(dict(members[1:])),
        "object-members-in-other-order": w.cbor(members[::-1]),
        "object-long-head": long_head,
        "object-endless-map": b"\xbf" + none()[1:] + b"\xff",
        "object-array": w.cbor(tuple(made() for _ in range(3))),
        "object-tagged": b"\xd9\xd9\xf7" + none(),
        "object-statement-is-text": w.cbor({**dict(members), "attStmt": ""}),
        "data-empty": none(b""),
        "data-hash-alone": none(w.sha256(w.RP_ID.encode())),
        "data-without-credential": none(w.authenticator_data(flags=0x05)),
        "data-without-credential-but-flag": none(w.authenticator_data(flags=0x45)),
        "data-credential-but-no-flag": none(made(flags=0x05)),
        "data-more-behind": none(made(rest=b"\0")),
        "data-extensions-but-no-flag": none(made(rest=w.cbor({"credProtect": 2}))),
        "data-no-extensions-but-flag": none(made(flags=0xC5)),
        "data-extensions-are-no-map": none(made(flags=0xC5, rest=w.cbor(2))),
        "data-more-behind-the-extensions": none(made(flags=0xC5, rest=w.cbor({"credProtect": 2}) + b"\0")),
        "id-empty": none(made(w.credential(KEY, raw_id=b""))),
        "id-too-long": none(made(w.credential(KEY, raw_id=bytes(1024)))),
        "backed-up-but-not-eligible": none(made(flags=0x55)),
    }


def other_curve() -> bytes:
    return w.certificate("Maker", ec.derive_private_key(23, ec.SECP384R1()).public_key(), "Root", ROOT_KEY)


def bad_attestations() -> dict[str, Any]:
    at = w.point(KEY)
    x, y = at[1:33], at[33:]
    ed = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    modulus = 3 * 2**2046 + 5  # no product of two primes: only its form is read
    of_rsa = rsa.RSAPublicNumbers(65537, modulus).public_key()

    def keyed(cose: bytes) -> bytes:
        return none(made(w.credential(KEY, cose_key=cose)))

    def by(key: Any = None, issuer: str = "Root", issuer_key: w.Key = ROOT_KEY, **about: Any) -> bytes:
        return w.certificate("Maker", key or MAKER_KEY.public_key(), issuer, issuer_key, **about)

    half = w.certificate("Middle", MIDDLE_KEY.public_key(), "Root", ROOT_KEY, authority=False, unit=None)
    bare = w.certificate("Middle", MIDDLE_KEY.public_key(), "Root", ROOT_KEY, authority=None, unit=None)
    return {
        "key-rs256": keyed(w.cbor({1: 3, 3: -257, -1: bytes(256), -2: b"\1\0\1"})),
        "key-eddsa": keyed(w.cbor({1: 1, 3: -8, -1: 6, -2: ed.public_bytes_raw()})),
        "key-es256k": keyed(w.cbor({1: 2, 3: -47, -1: 8, -2: x, -3: y})),
        "key-es384-by-name": keyed(w.cbor({1: 2, 3: -35, -1: 1, -2: x, -3: y})),
        "key-compressed": keyed(w.cbor({1: 2, 3: -7, -1: 1, -2: x, -3: bool(y[-1] & 1)})),
        "key-members-in-other-order": keyed(w.cbor([(3, -7), (1, 2), (-1, 1), (-2, x), (-3, y)])),
        "key-u2f-form": keyed(at),
        "key-missing": keyed(b""),
        "none-with-a-statement": w.attestation_object("none", {"alg": -7}, made()),
        "format-fido-u2f": w.attestation_object("fido-u2f", {"sig": b"", "x5c": (MAKER,)}, made()),
        "format-tpm": w.attestation_object("tpm", {}, made()),
        "packed-with-nothing": w.attestation_object("packed", {}, made()),
        "packed-rs256": packed(alg=-257),
        "packed-one-member-more": packed(ecdaaKeyId=b""),
        "packed-by-itself-rs256": packed(None, key=KEY, alg=-257),
        "packed-by-itself-one-member-more": packed(None, key=KEY, note=""),
        "chain-empty": packed(()),
        "chain-too-long": packed((MAKER, *[ROOT] * 6)),
        "chain-of-text": packed(("MAKER",)),
        "chain-of-something-else": packed((b"\x30\x03\x02\x01\x01",)),
        "chain-to-nobody-we-accept": (packed(), None, []),
        "chain-to-a-root-of-the-same-name": (packed(), None, [STRAY_ROOT]),
        "chain-broken": packed((MAKER, MIDDLE)),
        "chain-signed-by-another": packed((by(issuer="Middle", issuer_key=STRAY_KEY), MIDDLE)),
        "chain-through-one-that-is-no-authority": packed((by(issuer="Middle", issuer_key=MIDDLE_KEY), half)),
        "chain-through-one-that-does-not-say": packed((by(issuer="Middle", issuer_key=MIDDLE_KEY), bare)),
        "chain-of-an-authority": packed((by(authority=True),)),
        "chain-for-something-else": packed((by(unit="Web Server"),)),
        "chain-for-another-model": packed((by(aaguid=bytes(16)),)),
        "maker-key-rsa": packed((by(of_rsa),)),
        "roots-of-something-else": (packed(), None, [b"root"]),
    }


def enrolled(
    code: str, cases: dict[str, Any], *, roots: list[bytes] | None = None, software: bool = True
) -> Iterator[Case]:
    for name, case in cases.items():
        attestation, client_data, its_roots = (*case, None)[:3] if isinstance(case, tuple) else (case, None, None)
        accepted = next(found for found in (its_roots, roots, [ROOT]) if found is not None)
        answer: dict[str, Any] = {}
        if code == "ok":
            data = attestation[attestation.index(hashlib.sha256(w.RP_ID.encode()).digest()) :]
            length = int.from_bytes(data[53:55], "big")
            answer = {
                "raw_id": data[55 : 55 + length].hex(),
                "public_key": w.point(KEY).hex(),
                "aaguid": data[37:53].hex(),
                "software": software,
                "backup_eligible": bool(data[32] & 8),
                "counter": 1,
                "path": "approval",
            }
        yield (
            name,
            {
                "expect": code,
                "message": w.b64(ENROLLING),
                "rp_id": w.RP_ID,
                "origins": w.ORIGINS,
                "roots": [w.b64(root) for root in accepted],
                "attestation_object": w.b64(attestation),
                "client_data": w.b64(create() if client_data is None else client_data),
                **answer,
            },
        )


def words() -> Iterator[Case]:
    listed = (w.WORD_LIST).read_text().split()
    for name, digest in {
        "zeros": "00" * 32,
        "ones": "ff" * 32,
        "counting": bytes(range(32)).hex(),
        "of-a-statement": hashlib.sha256(MESSAGE).hexdigest(),
    }.items():
        bits = bin(int("1" + digest, 16))[3:]
        found = [listed[int(bits[at : at + 11], 2)] for at in range(0, 66, 11)]
        yield name, {"expect": "ok", "digest": f"sha256:{digest}", "words": "-".join(found)}

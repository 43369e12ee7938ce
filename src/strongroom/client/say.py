"""Say: statements, and the signatures under them. Pure: keys, time and randomness come in as arguments.

statement = say(act, body, by=…, deployment=…, era=…, at=…, until=…, random=…)
envelope = enveloped(statement, sign_with_key(statement, session_id, key), sign_with_key(statement, device_id, key))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.acts.act import Act
from strongroom.client.security_keys.port import SecurityKey
from strongroom.statements.envelope import Envelope, Signature, pae
from strongroom.statements.signing import sign_es256
from strongroom.statements.statement import Statement
from strongroom.terms.ids import Random, new_id
from strongroom.terms.records import record_json


def say(
    act: Act[Any], body: object, *, by: str, deployment: str, era: int, at: int, until: int, random: Random
) -> Statement:
    """Return the statement by which `by` asks for `act`, with `body`, a record of the act's own kind."""
    return Statement(
        at=at,
        body=record_json(body),
        by=by,
        deployment=deployment,
        era=era,
        id=new_id("statement", random),
        kind=act.kind,
        until=until,
    )


def sign_with_key(statement: Statement, keyid: str, private_key: ec.EllipticCurvePrivateKey) -> Signature:
    """Return the signature of a session, device, workload or attester."""
    return Signature(keyid=keyid, sig=sign_es256(private_key, pae(statement.encode())))


def sign_with_security_key(
    statement: Statement, security_key: SecurityKey, *, rp_id: str, credentials: Mapping[bytes, str]
) -> Signature:
    """Return a touch of a security key. `credentials` are those that may sign, by the key's own id for each.

    Raises:
        NoSecurityKey, NotTouched: there is none of them, or nobody confirmed.
    """
    return touched(pae(statement.encode()), security_key, rp_id=rp_id, credentials=credentials)


def touched(message: bytes, security_key: SecurityKey, *, rp_id: str, credentials: Mapping[bytes, str]) -> Signature:
    """Return a touch over any `message`, such as a proof of possession; see `sign_with_security_key`."""
    touch = security_key.sign(message, rp_id=rp_id, raw_ids=list(credentials))
    return Signature(keyid=credentials[touch.raw_id], sig=touch.sig, webauthn=touch.assertion)


def enveloped(statement: Statement, *signatures: Signature) -> Envelope:
    """Return the statement with its signatures."""
    return Envelope(payload=statement.encode(), signatures=signatures)

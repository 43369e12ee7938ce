"""TLS: with whom clients speak. A CA and a certificate of the gateway's own, unless its operator gave others.

    <folder>/ca.key      the CA's key, P-256, 10 years. It stays on this host: who has it can stand in for this gateway
    <folder>/ca.pem      its certificate; its digest stands in the connection string, and clients trust it alone
    <folder>/server.key  the server's key, P-256, made anew with each certificate
    <folder>/server.pem  its certificate, 90 days, and that of the CA

With less than 30 days left, or other names than it has, a new certificate is made: at a start, and looked at once a
day. So are an operator's own files, which somebody else renews.

The CA signs for the names that it was made with and for no others (RFC 5280 §4.2.1.10): a browser that trusts it for
everything loses nothing more by that. So a name that comes later is refused: it takes a new CA, and that a new
connection string for everybody. A stand-in for the gateway learns and delays what a gateway can, and no more: what
clients believe is proven to them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.client.private_folder import PrivateFolder
from strongroom.gateway.ciphers import CIPHERS
from strongroom.gateway.settings import GatewaySettings
from strongroom.terms.errors import BadKey, BadRequest
from strongroom.terms.outer_errors import BadName

CA_DAYS, CERTIFICATE_DAYS, RENEWED_DAYS = 3652, 90, 30
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CA_KEY, _CA, _KEY, _CERTIFICATE = "ca.key", "ca.pem", "server.key", "server.pem"
_SLACK = timedelta(minutes=5)
"""Clocks differ: a certificate is valid from a little before it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the server's certificate chain and key lie, and the CA that clients are to be told of, if any."""

    certificate: Path
    key: Path
    ca_pem: bytes | None


def credentials(settings: GatewaySettings, *, at: float) -> Credentials:
    """Return what the gateway shows to clients: its operator's files, or its own, made or renewed now.

    Raises:
        BadRequest: a certificate without its key, or the other way round; a name that its own CA is not for.
        UnsafePlace, BadKey, BadName: others could read the folder, a file in it is damaged, or a name is none.
    """
    if settings.certificate is not None and settings.key is not None:
        ca_pem = settings.ca.read_bytes() if settings.ca is not None else None
        return Credentials(certificate=settings.certificate, key=settings.key, ca_pem=ca_pem)
    if settings.certificate is not None or settings.key is not None or settings.ca is not None:
        raise BadRequest("a certificate needs its key, and both are given or neither")
    return _own(PrivateFolder(settings.folder), list(dict.fromkeys((*LOOPBACK, *settings.names))), at=_instant(at))


def ca_digest(pem: bytes) -> str:
    """Return the SHA-256 of a CA certificate's DER in hexadecimal digits, as connection strings have it.

    Raises:
        BadKey: it is no certificate.
    """
    return hashlib.sha256(_certificate(pem, "the CA").public_bytes(Encoding.DER)).hexdigest()


def server_context(given: Credentials) -> ssl.SSLContext:
    """Return the context that the gateway listens with: TLS 1.2 with AEAD, or 1.3; HTTP/1.1.

    Raises:
        BadKey: the files are no certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    show(context, given)
    return context


def show(context: ssl.SSLContext, given: Credentials) -> None:
    """Have whoever connects from now on be shown these; errors as for `server_context`."""
    try:
        context.load_cert_chain(given.certificate, given.key)
    except OSError as error:  # an SSLError is one
        raise BadKey(
            f"`{given.certificate}` and `{given.key}` are no certificate and its key: {error.strerror or error}",
            hint="give PEM files: the chain with the server's own certificate first, and its key without a password",
        ) from error


def _own(folder: PrivateFolder, names: Sequence[str], *, at: datetime) -> Credentials:
    with folder.locked():
        if (ca_pem := folder.read(_CA)) is None:
            ca_pem = _make_ca(folder, names, at)
        if not _is_good(folder.read(_CERTIFICATE), ca_pem, names, at):
            _make_certificate(folder, ca_pem, names, at)
    return Credentials(certificate=folder.path / _CERTIFICATE, key=folder.path / _KEY, ca_pem=ca_pem)


def _make_ca(folder: PrivateFolder, names: Sequence[str], at: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    # Two gateways' CAs have different names, or a client that trusts one would look for its key in the other.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Strongroom gateway {os.urandom(8).hex()}")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key.public_key(), at, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(_subtrees(names), excluded_subtrees=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    # ORDER: the key first. A crash between leaves a key of nothing, which the next start replaces.
    folder.replace(_CA_KEY, _private_pem(key))
    folder.replace(_CA, pem)
    return pem


def _make_certificate(folder: PrivateFolder, ca_pem: bytes, names: Sequence[str], at: datetime) -> None:
    ca = _certificate(ca_pem, _CA)
    ca_key = load_pem_private_key(folder.need(_CA_KEY, "key of the CA", "restore the folder from a backup"), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey) or ca_key.public_key() != ca.public_key():
        raise BadKey(f"`{folder.path / _CA_KEY}` is not the key of `{_CA}` beside it", hint="restore both together")
    permitted = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or ()
    for name, subtree in zip(names, _subtrees(names), strict=True):
        if subtree not in permitted:
            raise BadRequest(
                f"the CA in `{folder.path}` was made for other names than `{name}`",
                hint=f"leave the name out, or remove `{_CA}` and `{_CA_KEY}`: then all clients have to connect anew",
            )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Strongroom gateway")])
    certificate = (
        _builder(subject, ca.subject, key.public_key(), at, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(ca_key, SHA256())
    )
    # ORDER: the certificate last. A crash between leaves one that is not its key's, and `_is_good` does not see that;
    # so the old one goes first, and the next start makes both anew.
    folder.remove(_CERTIFICATE)
    folder.replace(_KEY, _private_pem(key))
    folder.replace(_CERTIFICATE, certificate.public_bytes(Encoding.PEM) + ca_pem)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _SLACK)
        .not_valid_after(at + timedelta(days=days))
    )


def _is_good(pem: bytes | None, ca_pem: bytes, names: Sequence[str], at: datetime) -> bool:
    """Whether the certificate that is there can stay."""
    if pem is None or not pem.endswith(ca_pem):
        return False
    certificate = _certificate(pem, _CERTIFICATE)
    has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(has) == {_name(one) for one in names} and certificate.not_valid_after_utc - at > timedelta(
        days=RENEWED_DAYS
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError as error:
        raise BadName(f"`{text}` is no host name", hint="names in other scripts go as `xn--…`") from error


def _subtrees(names: Sequence[str]) -> list[x509.GeneralName]:
    """Return the names as a CA is constrained to them: addresses are networks of one."""
    found = [_name(one) for one in names]
    return [x509.IPAddress(ipaddress.ip_network(n.value)) if isinstance(n, x509.IPAddress) else n for n in found]


def _certificate(pem: bytes, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise BadKey(f"`{what}` is no certificate", hint="restore it from a backup") from error


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)

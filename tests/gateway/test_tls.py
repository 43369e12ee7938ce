"""The gateway's own CA and certificate: made once, renewed in time, and for nobody else to read."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from strongroom.gateway.settings import GatewaySettings
from strongroom.gateway.tls import (
    CERTIFICATE_DAYS,
    RENEWED_DAYS,
    Credentials,
    ca_digest,
    credentials,
    server_context,
    show,
)
from strongroom.terms.errors import BadKey, BadRequest, NotFound, UnsafePlace
from strongroom.terms.outer_errors import BadName

NOW = time.time()
DAY = 86400


def settings(folder: Path, **more: object) -> GatewaySettings:
    fields: dict[str, object] = {"deployment": "sr1:" + "0" * 64, "keep": folder / "keep", "folder": folder / "own"}
    return GatewaySettings(**{**fields, **more})  # type: ignore[arg-type] # by name


def made(folder: Path, *, days: float = 0, names: tuple[str, ...] = ()) -> Credentials:
    return credentials(settings(folder, names=names), at=NOW + days * DAY)


def serial(given: Credentials) -> int:
    return x509.load_pem_x509_certificates(given.certificate.read_bytes())[0].serial_number


def test_the_ca_and_the_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    made(tmp_path)
    folder = tmp_path / "own"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in folder.iterdir() if path.suffix in {".key", ".pem"}]
    assert {path.name for path in files} == {"ca.key", "ca.pem", "server.key", "server.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "own").chmod(0o755)
    with pytest.raises(UnsafePlace):
        made(tmp_path)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "keep.example.org", "10.1.2.3"])
def test_a_strict_verifier_takes_the_certificate_for_its_names(tmp_path: Path, name: str) -> None:
    given = made(tmp_path, names=("keep.example.org", "10.1.2.3"))
    leaf, ca = x509.load_pem_x509_certificates(given.certificate.read_bytes())
    store = verification.Store([ca])
    verifier = verification.PolicyBuilder().store(store).build_server_verifier(_subject(name))
    assert len(verifier.verify(leaf, [])) == 2


def test_it_is_good_for_no_other_name(tmp_path: Path) -> None:
    leaf, ca = x509.load_pem_x509_certificates(made(tmp_path).certificate.read_bytes())
    builder = verification.PolicyBuilder().store(verification.Store([ca]))
    with pytest.raises(verification.VerificationError):
        builder.build_server_verifier(_subject("elsewhere.example")).verify(leaf, [])


def test_a_certificate_stays_until_it_is_nearly_over_and_the_ca_stays(tmp_path: Path) -> None:
    first = made(tmp_path)
    before = serial(first), first.ca_pem
    later = made(tmp_path, days=CERTIFICATE_DAYS - RENEWED_DAYS - 0.01)
    assert (serial(later), later.ca_pem) == before
    renewed = made(tmp_path, days=CERTIFICATE_DAYS - RENEWED_DAYS + 0.01)
    assert serial(renewed) != before[0]
    assert renewed.ca_pem == before[1]
    server_context(renewed)


def test_a_renewed_certificate_is_shown_without_a_new_start(tmp_path: Path) -> None:
    first = made(tmp_path, days=RENEWED_DAYS - CERTIFICATE_DAYS - 1)
    context = server_context(first)
    before, seen = serial(first), shown(context, first)
    renewed = made(tmp_path)
    show(context, renewed)
    assert (seen, shown(context, renewed)) == (before, serial(renewed))
    assert serial(renewed) != before


def test_other_names_take_another_certificate(tmp_path: Path) -> None:
    first = serial(made(tmp_path, names=("keep.example.org", "10.1.2.3")))
    assert serial(made(tmp_path, names=("keep.example.org",))) != first


@pytest.mark.parametrize("name", ["other.example.org", "10.1.2.4"])
def test_a_name_that_its_ca_is_not_for_is_refused(tmp_path: Path, name: str) -> None:
    made(tmp_path, names=("keep.example.org", "10.1.2.3"))
    with pytest.raises(BadRequest, match=f"other names than `{name}`"):
        made(tmp_path, names=("keep.example.org", "10.1.2.3", name))


@pytest.mark.parametrize("name", ["bank.example", "10.1.2.4", "::2"])
def test_whoever_has_the_ca_s_key_stands_in_for_no_other_site(tmp_path: Path, name: str) -> None:
    """What signs for this gateway's names signs for no others, whoever trusts it for everything."""
    given = made(tmp_path)
    _, ca = x509.load_pem_x509_certificates(given.certificate.read_bytes())
    ca_key = load_pem_private_key((tmp_path / "own" / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    forged = _forged(ca, ca_key, name)
    builder = verification.PolicyBuilder().store(verification.Store([ca]))
    with pytest.raises(verification.VerificationError, match="name constraints"):
        builder.build_server_verifier(_subject(name)).verify(forged, [])
    certificate, key = tmp_path / "forged.pem", tmp_path / "forged.key"
    certificate.write_bytes(forged.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM))
    key.write_bytes(_pem(ca_key))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shown(server_context(Credentials(certificate=certificate, key=key, ca_pem=None)), given, name)


def test_a_crash_between_key_and_certificate_is_mended_by_the_next_start(tmp_path: Path) -> None:
    given = made(tmp_path)
    given.certificate.unlink()
    server_context(made(tmp_path))


def test_a_crash_between_the_ca_s_key_and_its_certificate_is_mended_by_the_next_start(tmp_path: Path) -> None:
    given = made(tmp_path)
    (tmp_path / "own" / "ca.pem").unlink()
    again = made(tmp_path)
    assert again.ca_pem != given.ca_pem
    server_context(again)
    assert again.certificate.read_bytes().endswith(again.ca_pem or b"none")


def test_a_key_that_is_not_the_ca_s_signs_nothing(tmp_path: Path) -> None:
    given = made(tmp_path)
    given.certificate.unlink()
    (tmp_path / "own" / "ca.key").write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(BadKey):
        made(tmp_path)


def test_a_ca_without_its_key_signs_nothing(tmp_path: Path) -> None:
    given = made(tmp_path)
    given.certificate.unlink()
    (tmp_path / "own" / "ca.key").unlink()
    with pytest.raises(NotFound):
        made(tmp_path)


@pytest.mark.parametrize("name", ["ca.pem", "server.pem"])
def test_a_damaged_certificate_is_told_of(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    path = tmp_path / "own" / name
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + path.read_bytes())
    with pytest.raises(BadKey):
        made(tmp_path)


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        made(tmp_path, names=("keep\u00e9.example",))


def test_an_operator_s_own_certificate_is_taken_as_it_is(tmp_path: Path) -> None:
    own = made(tmp_path)
    given = settings(tmp_path / "other", certificate=own.certificate, key=own.key)
    taken = credentials(given, at=NOW)
    assert (taken.certificate, taken.key, taken.ca_pem) == (own.certificate, own.key, None)
    with_ca = credentials(
        settings(tmp_path, certificate=own.certificate, key=own.key, ca=tmp_path / "own" / "ca.pem"), at=NOW
    )
    assert with_ca.ca_pem == own.ca_pem
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("which", ["certificate", "key", "ca"])
def test_half_of_an_operator_s_certificate_is_refused(tmp_path: Path, which: str) -> None:
    with pytest.raises(BadRequest):
        credentials(settings(tmp_path, **{which: tmp_path / "x.pem"}), at=NOW)


def test_a_certificate_with_another_s_key_is_refused(tmp_path: Path) -> None:
    own = made(tmp_path)
    other = tmp_path / "other.pem"
    other.write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
    for key in (other, tmp_path / "nowhere.pem"):
        with pytest.raises(BadKey):
            server_context(Credentials(certificate=own.certificate, key=key, ca_pem=None))


def test_the_digest_is_that_of_the_ca_s_der(tmp_path: Path) -> None:
    pem = made(tmp_path).ca_pem or b""
    der = ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
    assert ca_digest(pem) == hashlib.sha256(der).hexdigest()
    with pytest.raises(BadKey):
        ca_digest(b"none")


def shown(context: ssl.SSLContext, given: Credentials, name: str = "localhost") -> int:
    """Return the serial number of the certificate that a client is shown."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cadata=(given.ca_pem or b"").decode("ascii"))
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"").serial_number


def _forged(ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    """Return a certificate of `name`, with the CA's own key, to have one less."""
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    at = datetime.fromtimestamp(NOW, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.subject)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(minutes=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_subject(name)]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(ca_key, SHA256())
    )


def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

"""Attestation: a certificate of the maker's says of which model a security key is (WebAuthn §8.2.1, `packed`)."""

from collections.abc import Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.statements.cbor import Cbor
from strongroom.statements.signatures import verify_es256
from strongroom.terms.errors import BadAttestation

LONGEST_CHAIN = 6
# Whatever the library raises for a certificate that cannot be read, or that another one did not issue.
_BROKEN = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    InvalidSignature,
    x509.InvalidVersion,
    UnsupportedAlgorithm,
    x509.UnsupportedGeneralNameType,
)
_AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


def check_packed(chain: list[Cbor], sig: bytes, *, signed: bytes, aaguid: bytes, roots: Sequence[bytes]) -> None:
    """Refuse an attestation of which something does not hold.

    1. Each certificate is issued by the next, that one is an authority, and the last is a root or issued by one.
    2. The first is an attestation certificate, is no authority, and if it names a model it names this one.
    3. Its key, on P-256, signed `signed`.

    Raises:
        BadAttestation: 1 or 2. BadSignature, BadKey: 3.
    """
    try:
        certificates = [x509.load_der_x509_certificate(one) for one in chain if isinstance(one, bytes)]
        if len(certificates) != len(chain) or not 1 <= len(chain) <= LONGEST_CHAIN:
            raise BadAttestation(f"a chain has 1 to {LONGEST_CHAIN} certificates")
        # 1
        for certificate, issuer in pairwise(certificates):
            if not _is_authority(issuer):
                raise BadAttestation("a certificate is issued by one that may not issue any")
            certificate.verify_directly_issued_by(issuer)
        if not any(_leads_to(certificates[-1], root) for root in roots):
            raise BadAttestation("no chain to a maker that this deployment accepts")
        # 2
        _check_first(certificates[0], aaguid)
        point = certificates[0].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    except _BROKEN as error:
        raise BadAttestation("a chain of certificates that does not hold") from error
    # 3
    verify_es256(point, signed, sig)


def _leads_to(certificate: x509.Certificate, root: bytes) -> bool:
    trusted = x509.load_der_x509_certificate(root)
    if certificate == trusted:
        return True
    try:
        certificate.verify_directly_issued_by(trusted)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_first(certificate: x509.Certificate, aaguid: bytes) -> None:
    units = [name.value for name in certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)]
    if units != ["Authenticator Attestation"] or _is_authority(certificate):
        raise BadAttestation("the first certificate is not one for attestation")
    named = _extension(certificate.extensions, _AAGUID)
    if isinstance(named, x509.UnrecognizedExtension) and named.value != b"\x04\x10" + aaguid:
        raise BadAttestation("the certificate is of another model of key")


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate.extensions, x509.BasicConstraints.oid)
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca


def _extension(extensions: x509.Extensions, oid: x509.ObjectIdentifier) -> object:
    return next((extension.value for extension in extensions if extension.oid == oid), None)

"""Folders of certificates, good and bad, as an authority makes them."""

import itertools
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from twisted_bazaar.security.folder import CertificateFolder, Issuing
from twisted_bazaar.security.roles import Kind, Role

__all__ = [
    "ALL",
    "CATALOG",
    "FRONTEND",
    "MONITOR",
    "OPERATOR",
    "UNKNOWN_CERTIFICATE",
    "UNKNOWN_KEY",
    "issuing",
    "make_folder",
    "make_named",
]

FRONTEND, CATALOG = Role(Kind.FRONTEND), Role(Kind.CATALOG)
OPERATOR, MONITOR = Role(Kind.OPERATOR), Role(Kind.MONITOR)
ALL = (FRONTEND, CATALOG, OPERATOR, MONITOR, *map(Role.order, (1, 2, 3)))

# Of a curve that OpenSSL knows and this release does not (brainpoolP160r1).
UNKNOWN_KEY = b"""\
-----BEGIN PRIVATE KEY-----
MGQCAQAwFAYHKoZIzj0CAQYJKyQDAwIIAQEBBEkwRwIBAQQUj89Lxa5SMHgjvjld
Ln4tQ5TlPNqhLAMqAAR+1OesdUbQS3KCJuqFWbeSc9qjYysYqjMBorO3gFZfVaCF
dtB2VXLV
-----END PRIVATE KEY-----
"""
UNKNOWN_CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBPjCB/qADAgECAhQrXCft4iK71qLfDYa5TcW9g5fA4jAKBggqhkjOPQQDAjAM
MQowCAYDVQQDDAF4MCAXDTI2MTEyODE3NTUyOVoYDzIxMjYxMTA0MTc1NTI5WjAM
MQowCAYDVQQDDAF4MEIwFAYHKoZIzj0CAQYJKyQDAwIIAQEBAyoABH7U56x1RtBL
coIm6oVZt5Jz2qNjKxiqMwGis7eAVl9VoIV20HZVctWjUzBRMB0GA1UdDgQWBBTF
2o+c/wugtASfu6y/ANp+p5uRwjAfBgNVHSMEGDAWgBTF2o+c/wugtASfu6y/ANp+
p5uRwjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCAy8AMCwCFBVseFBU5VMA
82WorqiQIsGMYzANAhQmVipHQC0ogg04hWKpdypPCkRMwA==
-----END CERTIFICATE-----
"""

_numbers = itertools.count(1)


def make_named(
    path: Path, by: CertificateFolder, role: Role, uris: Iterable[str], hosts: Iterable[str] = ()
) -> CertificateFolder:
    """A folder whose certificate of `role`, by the authority in `by`, has these names instead."""
    authority = by.authority()
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.fromtimestamp(time.time() - 60, UTC)
    names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, hosts)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(role))]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(next(_numbers))
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(authority.key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    made = CertificateFolder(path)
    path.mkdir()
    made.authority_file.write_bytes(by.authority_file.read_bytes())
    made.certificate(role).write_bytes(certificate.public_bytes(pem))
    made.key(role).write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return made


def issuing(days: float = 397, ago: float = 0.0) -> Issuing:
    """What is issued so many days ago, and is valid for `days` from then."""
    return Issuing(time.time() - ago * 86_400, lambda: next(_numbers), days)


def make_folder(
    path: Path, roles: Iterable[Role] = ALL, given: Issuing | None = None
) -> CertificateFolder:
    """The folder of a new bazaar, with certificates for `roles`."""
    folder = CertificateFolder(path)
    folder.create(secrets.token_hex(4), issuing(days=3650))
    folder.issue(roles, given or issuing())
    return folder

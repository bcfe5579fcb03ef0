"""Makes the authority of a bazaar, and the certificates that it issues. Pure.

Keys are of the curve P-256. A certificate names its holder's role by a URI (see `roles`), and by a
host name for libraries that must check one. All certificates begin an hour early, for machines
whose clocks are behind.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twisted_bazaar.errors import Unusable

from .roles import Identity, Role

__all__ = [
    "AUTHORITY_DAYS",
    "INSIDE",
    "ROLE_DAYS",
    "SOON_SECONDS",
    "Authority",
    "Issued",
    "bazaar_of",
    "belongs",
    "generation_of",
    "identity_of",
    "is_issued_by",
    "new_name",
    "read_certificates",
    "read_key",
    "seconds_left",
    "seconds_until_valid",
]

AUTHORITY_DAYS = 3653
ROLE_DAYS = 397
"""How long a certificate of a role is valid, if no other time is asked for."""
SOON_SECONDS = 14 * 86_400.0
"""What is valid for less is said in the log, by `certificates show` and by the alert."""

INSIDE = "inside.bazaar"
"""A host name in the certificate of every role, for those who ask all of them, as Prometheus does,
and must check one."""

_EARLY = timedelta(hours=1)
_PREFIX = "bazaar "


@attrs.frozen
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = attrs.field(repr=False)


@attrs.frozen
class Authority:
    """Issues the certificates of one bazaar."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = attrs.field(repr=False)

    @classmethod
    def make(cls, bazaar: str, generation: int, now: float, serial: int) -> "Authority":
        """A new one, for the bazaar of that name: 8 hexadecimal digits. One that replaces another
        is of the next `generation`, from 1. `now` is in seconds since 1970."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Each generation has a name of its own: of several issuers of one name, a verifier may
        # try the wrong one.
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, f"{_PREFIX}{bazaar}"),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, str(generation)),
            ]
        )
        builder = _builder(name, name, key.public_key(), now, AUTHORITY_DAYS, serial)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_usage(signs_certificates=True), True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def bazaar(self) -> str:
        """The name of its bazaar."""
        return bazaar_of(self.certificate)

    @property
    def generation(self) -> int:
        """How many it and those before it are."""
        return generation_of(self.certificate)

    @property
    def issued(self) -> Issued:
        """Its own certificate and key."""
        return Issued(_pem(self.certificate), _key_pem(self.key))

    def issue(self, role: Role, now: float, serial: int, days: float = ROLE_DAYS) -> Issued:
        """A certificate for `role` with a key of its own, valid for so many `days` from `now`, in
        seconds since 1970, but for no longer than the authority's."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(role))])
        left = seconds_left(self.certificate, now) / 86_400
        builder = _builder(
            name, self.certificate.subject, key.public_key(), now, min(days, left), serial
        )
        names = [
            x509.UniformResourceIdentifier(str(Identity(self.bazaar, role))),
            x509.DNSName(role.host_name),
            x509.DNSName(INSIDE),
        ]
        # Each process is a server, and calls others.
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage(purposes), False),
            (x509.SubjectAlternativeName(names), False),
            (issuer, False),
        ):
            builder = builder.add_extension(extension, critical)
        return Issued(_pem(builder.sign(self.key, hashes.SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: float,
    days: float,
    serial: int,
) -> x509.CertificateBuilder:
    begin = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begin - _EARLY)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def new_name(random_bytes: Callable[[int], bytes]) -> str:
    """A name for a new bazaar, of 4 bytes from `random_bytes`."""
    return random_bytes(4).hex()


def read_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM file, at least one. Raises `Unusable`."""
    try:
        found = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        raise Unusable("it holds no certificate") from None
    try:
        for each in found:
            # They are decoded when they are first asked for.
            _ = each.subject, each.issuer, each.public_key(), each.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable("it holds a certificate that cannot be read") from None
    return found


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM file. Raises `Unusable`."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable("it holds no private key, one with a password, or an unknown one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unusable("its key is not of an elliptic curve")
    return key


def belongs(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    """Whether `key` is that of `certificate`."""
    return certificate.public_key() == key.public_key()


def bazaar_of(certificate: x509.Certificate) -> str:
    """The name of the bazaar that an authority with this certificate is of. Raises `Unusable`."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ""
    if not name.startswith(_PREFIX):
        raise Unusable(f"{name!r} is no authority of a bazaar")
    return name.removeprefix(_PREFIX)


def generation_of(certificate: x509.Certificate) -> int:
    """How many an authority with this certificate and those before it are. Raises `Unusable`."""
    numbers = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    number = str(numbers[0].value) if numbers else ""
    if not (number.isascii() and number.isdecimal()):
        raise Unusable(f"{certificate.subject.rfc4514_string()} is no authority of a bazaar")
    return int(number)


def identity_of(certificate: x509.Certificate) -> Identity | None:
    """Who holds a certificate; None: it names no role of a bazaar. Whether it is to be believed
    depends on its issuer."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (
        *(x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
        ValueError,
    ):
        return None
    uris = extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        # One certificate is for one role.
        return None
    try:
        return Identity.parse(uris[0])
    except ValueError:
        return None


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer`'s key has signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:
        # It raises ValueError, TypeError or InvalidSignature.
        return False
    return True


def seconds_until_valid(certificate: x509.Certificate, now: float) -> float:
    """In how long it begins to be valid; not positive: it has begun. `now` is in seconds since
    1970."""
    return certificate.not_valid_before_utc.timestamp() - now


def seconds_left(certificate: x509.Certificate, now: float) -> float:
    """For how long it is still valid; negative: it has expired. `now` is in seconds since 1970."""
    return certificate.not_valid_after_utc.timestamp() - now

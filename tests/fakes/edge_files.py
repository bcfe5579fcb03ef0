"""The certificate of a server for clients, and its key, as files."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["ServerFiles"]


@attrs.frozen
class ServerFiles:
    """Those of localhost, in one folder. The certificate is its own issuer."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def endpoint(self) -> str:
        """The arguments of an endpoint that name them."""
        return f"privateKey={self.key}:certKey={self.certificate}"

    def write(self, serial: int, days: float = 30, *, has_address: bool = True) -> None:
        """Replace both files, by ones of this serial number, for 127.0.0.1 as well or not."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"localhost {serial}")])
        begin = datetime.fromtimestamp(time.time(), UTC)
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        if has_address:
            names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(begin - timedelta(hours=1))
            .not_valid_after(begin + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .sign(key, hashes.SHA256())
        )
        form = serialization.PrivateFormat.PKCS8
        pem = serialization.Encoding.PEM
        self._replace(self.key, key.private_bytes(pem, form, serialization.NoEncryption()))
        self._replace(self.certificate, certificate.public_bytes(pem))

    def _replace(self, path: Path, content: bytes) -> None:
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(path)

    def trust(self) -> ssl.SSLContext:
        """A client's, which trusts the certificate that is there now."""
        return ssl.create_default_context(cafile=str(self.certificate))

"""The certificates of a bazaar on one machine: made at its first start, and kept valid."""

from collections.abc import Callable
from pathlib import Path

from twisted_bazaar.security.authority import new_name
from twisted_bazaar.security.folder import CertificateFolder, Issuing
from twisted_bazaar.security.roles import Kind, Role

__all__ = ["KEEP_SECONDS", "certificates_path", "keep_certificates"]

KEEP_SECONDS = 86_400.0
"""Between two looks at what expires soon."""


def certificates_path(data: Path) -> Path:
    """Where the certificates of the bazaar in folder `data` are."""
    return data / "certificates"


def keep_certificates(
    data: Path, replicas: int, now: float, random_bytes: Callable[[int], bytes]
) -> list[Role]:
    """Make the authority and the certificates of all roles, as far as they are missing or expire
    soon, and return the roles that have new ones. Raises `Unusable`.

    `now` is in seconds since 1970.
    """
    roles = [Role(kind) for kind in Kind if kind is not Kind.ORDER]
    roles += [Role.order(number) for number in range(1, replicas + 1)]
    # 159 bits: RFC 5280 allows 20 bytes, and no negative number.
    issuing = Issuing(now, lambda: int.from_bytes(random_bytes(20)) >> 1)
    folder = CertificateFolder(certificates_path(data))
    return folder.keep(lambda: new_name(random_bytes), roles, issuing)

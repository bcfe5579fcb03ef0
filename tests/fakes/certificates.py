"""Folders of certificates, good and bad, as an authority makes them."""

import itertools
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from twisted_bazaar.security.folder import CertificateFolder, Issuing
from twisted_bazaar.security.roles import Kind, Role

__all__ = ["ALL", "CATALOG", "FRONTEND", "MONITOR", "OPERATOR", "issuing", "make_folder"]

FRONTEND, CATALOG = Role(Kind.FRONTEND), Role(Kind.CATALOG)
OPERATOR, MONITOR = Role(Kind.OPERATOR), Role(Kind.MONITOR)
ALL = (FRONTEND, CATALOG, OPERATOR, MONITOR, *map(Role.order, (1, 2, 3)))

_numbers = itertools.count(1)


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

"""Refuses requests that change something and may come from another site's web page. Pure.

A browser sends requests on behalf of any page that it shows. Such a page can neither set nor
suppress `Origin` and `Sec-Fetch-Site`; and a page whose name resolves to this machine since it was
loaded (DNS rebinding) has that name in `Host`. So a foreign name in any of them is refused.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from .refusals import Reason, Refusal, shown

__all__ = ["Authority", "Hosts", "read_authority"]

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/]+)")
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]")
"""Names by which clients on this machine reach it. None of them can be rebound."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_SITE = (b"same-origin", b"none")
"""A page of this origin, or a user who typed an address. `same-site` is another port of this
machine, or another name of the same domain: foreign as well."""


class Authority(NamedTuple):
    """The host and port that a client names."""

    host: str
    """In lower case, without brackets; an address in its shortest form."""
    port: int | None


@lru_cache(256)
def read_authority(text: str) -> Authority | None:
    """Parse HOST or HOST:PORT; None: it is neither."""
    matched = _AUTHORITY.fullmatch(text)
    if matched is None:
        return None
    port = int(matched[2]) if matched[2] else None
    if port is not None and port > 65535:
        return None
    return Authority(_plain(matched[1]), port)


def _plain(host: str) -> str:
    host = host.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


class Hosts:
    """The names of this front-end: those of its machine, those given to it, and for each connection
    its local address. With any port, as another one may be published."""

    def __init__(self, names: Iterable[str] = (), is_secure: bool = False) -> None:
        """Ports in `names` are ignored. With `is_secure` every client is served by TLS, and so is
        every page of this origin. Without, a proxy may serve them by TLS."""
        self._schemes = ("https",) if is_secure else ("http", "https")
        read = [read_authority(name) for name in (*_OWN_NAMES, *names)]
        self._names = {each.host for each in read if each is not None}

    def check(
        self,
        host: bytes | None,
        local: str,
        origins: Sequence[bytes] | None,
        fetch_sites: Sequence[bytes] | None,
    ) -> None:
        """Raises `Refusal` for a request that a foreign page may have sent.

        `host` is what the request names (None: nothing, as HTTP/1.0 allows), `local` the local
        address of its connection (empty: none); the others are headers.
        """
        named = None if host is None else read_authority(host.decode("latin-1"))
        if host is not None and not self._is_ours(named, local):
            name = shown(host.decode("latin-1"))
            message = f"{name} is not a name of this bazaar; --host makes it one"
            raise Refusal(Reason.FOREIGN_HOST, message)
        for site in fetch_sites or ():
            if site.strip().lower() not in _OWN_SITE:
                raise _foreign_page("Sec-Fetch-Site", site)
        for origin in origins or ():
            if not _is_origin_of(named, origin, self._schemes):
                raise _foreign_page("Origin", origin)

    def _is_ours(self, named: Authority | None, local: str) -> bool:
        return named is not None and (
            named.host in self._names
            or (local != "" and named.host == _plain(local.partition("%")[0]))
        )


def _is_origin_of(named: Authority | None, origin: bytes, schemes: Collection[str]) -> bool:
    """Whether `origin` has one of `schemes`, and the host and port that the request names."""
    matched = _ORIGIN.fullmatch(origin.decode("latin-1").lower())
    page = read_authority(matched[2]) if matched else None
    if matched is None or page is None or named is None or matched[1] not in schemes:
        return False
    default = _DEFAULT_PORTS[matched[1]]
    return (page.host, page.port or default) == (named.host, named.port or default)


def _foreign_page(header: str, value: bytes) -> Refusal:
    said = shown(value.decode("latin-1"))
    message = f"pages of other origins may not trade here: {header} is {said}"
    return Refusal(Reason.FOREIGN_ORIGIN, message)

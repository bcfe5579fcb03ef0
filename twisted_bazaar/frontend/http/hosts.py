"""Which requests that change something come from a client that means this bazaar. Pure.

A browser sends requests for any page that it shows. Such a page can neither set `Origin` and
`Sec-Fetch-Site`, nor keep the browser from sending them; and one whose name was made to lead
here afterwards (DNS rebinding) has that name in `Host`. So what names somebody else is refused.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from .refusals import Reason, Refusal, shown

__all__ = ["Authority", "Hosts", "read_authority"]

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/]+)")
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]")
"""By which clients on this machine reach it. No name of a page can be made to lead to an address
in another's place."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_SITE = (b"same-origin", b"none")
"""A page of this very origin, or a user who typed an address. `same-site` is another port of
this machine, or another name of the same owner: somebody else as well."""


class Authority(NamedTuple):
    """Where a client believes that it is connected to."""

    host: str
    """In lower case, without brackets; an address in its shortest form."""
    port: int | None


@lru_cache(256)
def read_authority(text: str) -> Authority | None:
    """What a `Host` header, or the like, says: HOST or HOST:PORT. None: it is neither."""
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
    """The names by which clients reach this front-end: those of its own machine, those that it
    was told, and for each connection the address that it came in on. Any port will do, as
    another one may be published."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names` may have ports, which do not count."""
        read = [read_authority(name) for name in (*_OWN_NAMES, *names)]
        self._names = {each.host for each in read if each is not None}

    def check(
        self,
        host: bytes | None,
        local: str,
        origins: Sequence[bytes] | None,
        fetch_sites: Sequence[bytes] | None,
    ) -> None:
        """Refuse a request that changes something, if a foreign page may have sent it.

        `host` is what the request names (None: nothing, as HTTP/1.0 may), `local` the address
        that its connection came in on (empty: none), the others are headers.
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
            if not _is_origin_of(named, origin):
                raise _foreign_page("Origin", origin)

    def _is_ours(self, named: Authority | None, local: str) -> bool:
        return named is not None and (
            named.host in self._names
            or (local != "" and named.host == _plain(local.partition("%")[0]))
        )


def _is_origin_of(named: Authority | None, origin: bytes) -> bool:
    """Whether a page of `origin` is one of the very host and port that the request names."""
    matched = _ORIGIN.fullmatch(origin.decode("latin-1").lower())
    page = read_authority(matched[2]) if matched else None
    if matched is None or page is None or named is None:
        return False
    default = _DEFAULT_PORTS[matched[1]]
    return (page.host, page.port or default) == (named.host, named.port or default)


def _foreign_page(header: str, value: bytes) -> Refusal:
    said = shown(value.decode("latin-1"))
    message = f"pages of other origins may not trade here: {header} is {said}"
    return Refusal(Reason.FOREIGN_ORIGIN, message)
